/* SPDX-License-Identifier: BSD-3-Clause */
/* Rings of each kind, and messages in odd pieces. */
#include <errno.h>
#include <string.h>

#include "check.h"

#define INDIRECT VIRTIOFS_VIRTQ_F_INDIRECT_DESC
#define EVENT VIRTIOFS_VIRTQ_F_EVENT_IDX
#define PACKED VIRTIOFS_VIRTQ_F_RING_PACKED
/* A bit that no device has: the client takes no feature for its own choice. */
#define NONE (UINT64_C(1) << 63)

/* ---- rings ---- */

static void connect_by(struct test *t, const struct options *options) {
  int rc = server_connect(t->server, options);
  if (rc == 0)
    rc = server_mount(t->server);
  if (rc != 0)
    fail(t, "cannot connect and mount: %s", strerror(-rc));
  uint64_t missing = options->features & ~NONE & ~virtiofs_client_features(t->server->client);
  if (missing != 0)
    skip(t, "the device does not offer the feature %#llx", (unsigned long long)missing);
}

/* Enough to see that a ring works, round and round. */
static void works(struct test *t) {
  for (int i = 0; i < 700; i++) {
    good(t, fs_getattr(t, VIRTIOFS_FUSE_ROOT));
    if (i % 3 == 0)
      fs_forget(t, VIRTIOFS_FUSE_ROOT, 0);
  }
  struct file dir = open_dir(t, VIRTIOFS_FUSE_ROOT);
  good(t, fs_readdir(t, VIRTIOFS_FUSE_READDIR, dir, 0, 65536));
  (void)fs_releasedir(t, dir);
}

static void with(struct test *t, uint64_t features) {
  connect_by(t, &(struct options){.features = features});
  works(t);
}

static void plain(struct test *t) {
  with(t, NONE);
}

static void indirect(struct test *t) {
  with(t, INDIRECT);
}

static void event(struct test *t) {
  with(t, EVENT);
}

static void packed(struct test *t) {
  with(t, PACKED);
}

static void packed_all(struct test *t) {
  with(t, PACKED | INDIRECT | EVENT);
}

static void polled(struct test *t) {
  connect_by(t, &(struct options){.poll = true});
  works(t);
}

static void smallest(struct test *t) {
  connect_by(t, &(struct options){.queue_size = 8});
  works(t);
}

static void largest(struct test *t) {
  connect_by(t, &(struct options){.queue_size = 1024});
  works(t);
}

static void one_queue(struct test *t) {
  connect_by(t, &(struct options){.queues = 1});
  works(t);
}

enum { DEPTH = 16, TIMES = 65536 + 2000 };

static void index_wraps(struct test *t) {
  struct virtiofs_client *client = t->server->client;
  struct virtiofs_client_request *reqs[DEPTH];
  int error = 0;
  for (int i = 0; i < DEPTH; i++)
    reqs[i] = virtiofs_client_request_take(client, 1);
  for (int done = 0; error == 0 && done < TIMES; done += DEPTH) {
    for (int i = 0; i < DEPTH; i++) {
      reqs[i]->fuse.header.opcode = VIRTIOFS_FUSE_GETATTR;
      reqs[i]->fuse.in.getattr.node = VIRTIOFS_FUSE_ROOT;
      int rc = virtiofs_client_request_send(reqs[i]);
      error = error != 0 ? error : rc;
    }
    while (virtiofs_client_in_flight(client, 1) > 0)
      (void)virtiofs_client_wait(client, 1);
    for (int i = 0; i < DEPTH; i++)
      error = error != 0 ? error : reqs[i]->error;
  }
  for (int i = 0; i < DEPTH; i++)
    virtiofs_client_request_give(reqs[i]);
  expect(t, error == 0, "one of %d GETATTRs was answered %s", TIMES, strerror(-error));
}

/* ---- pieces ---- */

static void getattr_bytes(struct test *t) {
  begin(t, VIRTIOFS_FUSE_GETATTR)->getattr.node = VIRTIOFS_FUSE_ROOT;
  encode(t, NULL, 0);
}

static void request_split(struct test *t) {
  unsigned char *in = t->server->in;
  for (size_t at = 1; at < 56; at++) {
    getattr_bytes(t);
    struct iovec pieces[2] = {{.iov_base = in, .iov_len = at}, {.iov_base = in + at, .iov_len = 56 - at}};
    struct iovec out = {.iov_base = t->server->out, .iov_len = 120};
    good(t, send_pieces(t, pieces, 2, &out, 1));
    is(t, "the reply's length", t->len, 120);
  }
}

static void reply_split(struct test *t) {
  unsigned char *to = t->server->out;
  for (size_t at = 1; at < 120; at++) {
    getattr_bytes(t);
    struct iovec in = {.iov_base = t->server->in, .iov_len = 56};
    struct iovec pieces[2] = {{.iov_base = to, .iov_len = at}, {.iov_base = to + at, .iov_len = 120 - at}};
    good(t, send_pieces(t, &in, 1, pieces, 2));
    is(t, "the reply's length", t->len, 120);
    is(t, "the attributes' type", reply_u32(t, 16 + 60) >> 12, 4);
  }
}

/* Cuts @size bytes into pieces of @step; how many. */
static uint32_t cut(struct iovec *pieces, unsigned char *at, size_t size, size_t step) {
  uint32_t count = 0;
  for (size_t done = 0; done < size; done += step)
    pieces[count++] = (struct iovec){.iov_base = at + done, .iov_len = size - done < step ? size - done : step};
  return count;
}

static void every_byte(struct test *t) {
  struct iovec pieces[56 + 120];
  getattr_bytes(t);
  uint32_t in = cut(pieces, t->server->in, 56, 1);
  uint32_t out = cut(pieces + in, t->server->out, 120, 1);
  good(t, send_pieces(t, pieces, in, pieces + in, out));
  is(t, "the reply's length", t->len, 120);
}

static void name_split(struct test *t) {
  struct virtiofs_mkdir_in *in = &begin(t, VIRTIOFS_FUSE_MKDIR)->mkdir;
  in->parent = t->dir;
  in->name = (struct virtiofs_name){.str = "a-name-in-pieces", .len = 16};
  in->mode = 0755;
  encode(t, NULL, 0);
  struct iovec pieces[64], out = {.iov_base = t->server->out, .iov_len = 144};
  uint32_t count = cut(pieces, t->server->in, t->in_len, 3);
  good(t, send_pieces(t, pieces, count, &out, 1));
  good(t, fs_lookup(t, t->dir, "a-name-in-pieces"));
  fs_forget(t, t->got.entry.node, 1);
}

static void write_split(struct test *t, size_t step) {
  static const char text[] = "The quick brown fox jumps over the lazy dog, and then once more.";
  struct file file = new_file(t, "file", "");
  struct virtiofs_write_in *in = &begin(t, VIRTIOFS_FUSE_WRITE)->write;
  *in = (struct virtiofs_write_in){
      .node = file.node, .handle = file.handle, .size = sizeof(text) - 1, .data.size = sizeof(text) - 1};
  encode(t, text, sizeof(text) - 1);
  struct iovec pieces[200], out = {.iov_base = t->server->out, .iov_len = 24};
  uint32_t count = cut(pieces, t->server->in, t->in_len, step);
  good(t, send_pieces(t, pieces, count, &out, 1));
  is(t, "the size written", reply_u32(t, 0), sizeof(text) - 1);
  good(t, fs_read(t, file, 0, 100));
  holds(t, text);
}

static void write_threes(struct test *t) {
  write_split(t, 3);
}

static void write_one_piece(struct test *t) {
  write_split(t, 4096);
}

static void read_split(struct test *t, size_t step) {
  static const char text[] = "The quick brown fox jumps over the lazy dog.";
  struct file file = new_file(t, "file", text);
  struct virtiofs_read_in *in = &begin(t, VIRTIOFS_FUSE_READ)->read;
  *in = (struct virtiofs_read_in){.node = file.node, .handle = file.handle, .size = 100, .data.size = 100};
  encode(t, NULL, 0);
  struct iovec request = {.iov_base = t->server->in, .iov_len = t->in_len}, pieces[200];
  uint32_t count = cut(pieces, t->server->out, 116, step);
  good(t, send_pieces(t, &request, 1, pieces, count));
  holds(t, text);
}

static void read_fives(struct test *t) {
  read_split(t, 5);
}

static void read_one_piece(struct test *t) {
  read_split(t, 4096);
}

static void listing_split(struct test *t) {
  (void)make_file(t, "one", "");
  (void)make_file(t, "two", "");
  struct file dir = open_dir(t, t->dir);
  struct virtiofs_readdir_in *in = &begin(t, VIRTIOFS_FUSE_READDIRPLUS)->readdir;
  *in = (struct virtiofs_readdir_in){.node = dir.node, .handle = dir.handle, .size = 1000};
  encode(t, NULL, 0);
  struct iovec request = {.iov_base = t->server->in, .iov_len = t->in_len}, pieces[150];
  uint32_t count = cut(pieces, t->server->out, 1016, 7);
  good(t, send_pieces(t, &request, 1, pieces, count));
  size_t at = 0;
  unsigned names = 0;
  struct listed entry;
  while (next_record(t, VIRTIOFS_FUSE_READDIRPLUS, &at, &entry))
    names += strcmp(entry.name, "one") == 0 || strcmp(entry.name, "two") == 0 ? 1 : 0;
  is(t, "the names that are listed", names, 2);
}

static void linux_shape(struct test *t) {
  static const char text[] = "as Linux sends it";
  struct file file = new_file(t, "file", "");
  struct virtiofs_write_in *in = &begin(t, VIRTIOFS_FUSE_WRITE)->write;
  *in = (struct virtiofs_write_in){
      .node = file.node, .handle = file.handle, .size = sizeof(text) - 1, .data.size = sizeof(text) - 1};
  encode(t, text, sizeof(text) - 1);
  unsigned char *at = t->server->in, *to = t->server->out;
  struct iovec pieces[4] = {{.iov_base = at, .iov_len = 40},
                            {.iov_base = at + 40, .iov_len = 40},
                            {.iov_base = at + 80, .iov_len = 9},
                            {.iov_base = at + 89, .iov_len = t->in_len - 89}};
  struct iovec out[2] = {{.iov_base = to, .iov_len = 16}, {.iov_base = to + 16, .iov_len = 8}};
  good(t, send_pieces(t, pieces, 4, out, 2));
  good(t, fs_read(t, file, 0, 100));
  holds(t, text);
}

static const struct check rings_checks[] = {
    {"pieces-linux", "Linux sends headers, arguments and pages as pieces of their own", linux_shape, MOUNTED, 0, 0},
    {"pieces-request", "virtio 2.7.4: a device must not assume how a message is cut: the request at each byte",
     request_split, MOUNTED | ANYWHERE, 0, 0},
    {"pieces-reply", "virtio 2.7.4: a device must not assume how a message is cut: the reply at each byte", reply_split,
     MOUNTED | ANYWHERE, 0, 0},
    {"pieces-bytes", "virtio 2.7.4: each byte in a descriptor of its own", every_byte, MOUNTED | ANYWHERE, 0, 0},
    {"pieces-name", "virtio 2.7.4: a name in pieces", name_split, MOUNTED, 0, 0},
    {"pieces-write", "virtio 2.7.4: WRITE in pieces of 3 bytes", write_threes, MOUNTED, 0, 0},
    {"pieces-write-one", "virtio 2.7.4: WRITE's header and data in one piece", write_one_piece, MOUNTED, 0, 0},
    {"pieces-read", "virtio 2.7.4: READ into pieces of 5 bytes", read_fives, MOUNTED, 0, 0},
    {"pieces-read-one", "virtio 2.7.4: READ's header and data in one piece", read_one_piece, MOUNTED, 0, 0},
    {"pieces-listing", "virtio 2.7.4: READDIRPLUS into pieces of 7 bytes", listing_split, MOUNTED,
     VIRTIOFS_FUSE_READDIRPLUS, 0},
    {"index-wraps", "virtio 2.7: indices run on modulo 65536", index_wraps, MOUNTED | ANYWHERE, 0, 0},
    {"plain", "virtio: a driver that takes no optional feature is served", plain, ALONE, 0, 0},
    {"indirect", "virtio: with INDIRECT_DESC alone", indirect, ALONE, 0, 0},
    {"event-index", "virtio: with EVENT_IDX alone", event, ALONE, 0, 0},
    {"packed", "virtio 2.8: packed rings", packed, ALONE, 0, 0},
    {"packed-all", "virtio 2.8: packed rings with INDIRECT_DESC and EVENT_IDX", packed_all, ALONE, 0, 0},
    {"polled", "vhost-user SET_VRING_CALL without a descriptor: the driver looks by itself", polled, ALONE, 0, 0},
    {"size-8", "virtio 2.7: a ring of 8 descriptors", smallest, ALONE, 0, 0},
    {"size-1024", "virtio 2.7: a ring of 1024 descriptors", largest, ALONE, 0, 0},
    {"one-queue", "virtio-fs: a driver may use fewer queues than there are", one_queue, ALONE, 0, 0},
};
const struct group rings_group = CHECKS("rings", rings_checks);
