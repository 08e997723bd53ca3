/* SPDX-License-Identifier: BSD-3-Clause */
/* Targets: virtiofs_session_submit, virtiofs_req_complete, virtiofs_session_cancel, virtiofs_session_reclaim and all
 * behind them. Input: requests: lane and flags, segment size, room for the reply, length, bytes. A backend without a
 * system call answers, some requests later than others. Whatever the guest sends, each node and handle given out is
 * taken back in the end. */
#include <errno.h>
#include <stdlib.h>

#include "session/req.h"
#include "target.h"

#define LANES 3U
#define REQUEST_MAX 700U
#define ROOM_MAX 1200U
#define SEGMENTS 80U
#define LATER_MAX 8U
#define NODES 64U

struct slot {
  struct virtiofs_message msg;
  struct virtiofs_req req;
  struct iovec iov[2 * SEGMENTS];
  unsigned char in[REQUEST_MAX], *out;
  bool busy;
};

struct backend {
  int64_t nodes[NODES]; /* replies that have given it and were not taken back */
  int64_t handles;
  struct virtiofs_req *later[LATER_MAX];
  unsigned later_count;
  struct slot slots[LATER_MAX + 1];
};

static int give(struct virtiofs_req *req, uint64_t seed, struct virtiofs_entry_out *out) {
  struct backend *fs = virtiofs_req_fs(req);
  out->node = 2 + seed % (NODES - 2);
  out->attr.mode = VIRTIOFS_S_IFREG | 0644;
  fs->nodes[out->node]++;
  return 0;
}

static int lookup(struct virtiofs_req *req, const struct virtiofs_lookup_in *in, struct virtiofs_entry_out *out) {
  return in->name.str[0] == 'x' ? -ENOENT : give(req, (unsigned char)in->name.str[0], out);
}

static int mkdir_(struct virtiofs_req *req, const struct virtiofs_mkdir_in *in, struct virtiofs_entry_out *out) {
  int rc = give(req, in->mode, out);
  out->attr.mode = (in->mode & 1) != 0 ? VIRTIOFS_S_IFDIR : 0; /* sometimes not sound */
  return rc;
}

static int getattr(struct virtiofs_req *req, const struct virtiofs_getattr_in *in, struct virtiofs_attr_out *out) {
  struct backend *fs = virtiofs_req_fs(req);
  if (in->node >= NODES || (in->node != VIRTIOFS_ROOT_NODE && fs->nodes[in->node] <= 0))
    abort(); /* a node that was never given, or was taken back */
  out->attr.mode = VIRTIOFS_S_IFREG;
  if (in->node % 2 == 0 || fs->later_count == LATER_MAX)
    return 0;
  fs->later[fs->later_count++] = req;
  return VIRTIOFS_PENDING;
}

static int open_(struct virtiofs_req *req, const struct virtiofs_open_in *in, struct virtiofs_open_out *out) {
  struct backend *fs = virtiofs_req_fs(req);
  out->handle = in->node;
  fs->handles++;
  return 0;
}

static int opendir_(struct virtiofs_req *req, const struct virtiofs_opendir_in *in, struct virtiofs_open_out *out) {
  struct backend *fs = virtiofs_req_fs(req);
  out->handle = in->node;
  fs->handles++;
  return 0;
}

static int create(struct virtiofs_req *req, const struct virtiofs_create_in *in, struct virtiofs_create_out *out) {
  struct backend *fs = virtiofs_req_fs(req);
  fs->handles++;
  return give(req, in->mode, &out->entry);
}

static void release(struct virtiofs_req *req, const struct virtiofs_release_in *in) {
  struct backend *fs = virtiofs_req_fs(req);
  (void)in;
  if (fs->handles-- == 0)
    abort();
}

static void forget(struct virtiofs_req *req, const struct virtiofs_forget_in *in) {
  struct backend *fs = virtiofs_req_fs(req);
  if (in->node >= NODES || fs->nodes[in->node] < (int64_t)in->replies)
    abort();
  fs->nodes[in->node] -= (int64_t)in->replies;
}

static int read_(struct virtiofs_req *req, const struct virtiofs_read_in *in, struct virtiofs_read_out *out) {
  (void)req;
  for (uint32_t i = 0; i < in->data.count; i++)
    memset(in->data.iov[i].iov_base, 7, in->data.iov[i].iov_len);
  out->size = in->size;
  return 0;
}

static int write_(struct virtiofs_req *req, const struct virtiofs_write_in *in, struct virtiofs_write_out *out) {
  unsigned char bytes[64];
  (void)req;
  out->size = (uint32_t)virtiofs_data_copy(&in->data, 0, bytes, sizeof(bytes));
  return 0;
}

static int readlink_(struct virtiofs_req *req, const struct virtiofs_readlink_in *in,
                     struct virtiofs_readlink_out *out) {
  (void)req;
  (void)in;
  memset(out->target, 'l', 100);
  out->len = 100;
  return 0;
}

static int readdirplus(struct virtiofs_req *req, const struct virtiofs_readdir_in *in,
                       struct virtiofs_readdir_out *out) {
  for (uint64_t i = in->offset; i < in->offset + 20; i++) {
    struct virtiofs_dirent entry = {.name = "..name", .len = 1 + (uint32_t)(i % 6), .next = i + 1, .ino = i};
    struct virtiofs_entry_out plus = {0};
    (void)give(req, i, &plus);
    if (!virtiofs_readdirplus_add(out, &entry, &plus))
      break;
  }
  return 0;
}

static const struct virtiofs_ops ops = {
    .size = sizeof(ops),
    .blocking = VIRTIOFS_BLOCKING_GETATTR | VIRTIOFS_BLOCKING_RELEASE,
    .lookup = lookup,
    .mkdir = mkdir_,
    .getattr = getattr,
    .open = open_,
    .opendir = opendir_,
    .create = create,
    .release = release,
    .releasedir = release,
    .forget = forget,
    .read = read_,
    .write = write_,
    .readlink = readlink_,
    .readdir = readdirplus,
    .readdirplus = readdirplus,
};

static void completed(struct virtiofs_message *msg, size_t used) {
  struct slot *slot = (struct slot *)(void *)((unsigned char *)msg - offsetof(struct slot, msg));
  if (used > msg->out_len || !slot->busy)
    abort();
  slot->busy = false;
  free(slot->out);
}

static void late(void *ctx, struct virtiofs_req *req) {
  (void)ctx;
  (void)req;
}

static struct slot *free_slot(struct backend *fs) {
  for (unsigned i = 0; i < LATER_MAX + 1; i++)
    if (!fs->slots[i].busy)
      return &fs->slots[i];
  abort();
}

static uint32_t split(unsigned char *bytes, size_t len, size_t piece, struct iovec *iov) {
  uint32_t count = 0;
  for (size_t at = 0; at < len && count < SEGMENTS; count++) {
    size_t here = count == SEGMENTS - 1 || len - at < piece ? len - at : piece;
    iov[count] = (struct iovec){.iov_base = bytes + at, .iov_len = here};
    at += here;
  }
  return count;
}

static void submit(struct virtiofs_session *session, struct backend *fs, uint8_t flags, size_t len, size_t room,
                   size_t piece, struct fuzz_input *in) {
  struct slot *slot = free_slot(fs);
  slot->busy = true;
  slot->out = malloc(room + 1);
  if (slot->out == NULL)
    abort();
  fuzz_take(in, slot->in, len);
  uint32_t in_count = split(slot->in, len, piece, slot->iov);
  uint32_t out_count = split(slot->out, room, piece, slot->iov + in_count);
  virtiofs_message_init(&slot->msg, slot->iov, in_count, out_count, completed);
  if (virtiofs_session_submit(session, flags % LANES, &slot->req, &slot->msg, (flags & 4) != 0) ==
      VIRTIOFS_SUBMIT_DEFER)
    virtiofs_session_run(&slot->req);
}

static void complete_all(struct backend *fs) {
  while (fs->later_count > 0)
    virtiofs_req_complete(fs->later[--fs->later_count], 0);
}

static void begin(struct virtiofs_session *session, struct backend *fs) {
  struct {
    uint32_t len, opcode;
    uint64_t unique, nodeid;
    uint32_t ids[4], major, minor, readahead, flags;
  } init = {.len = 56, .opcode = VIRTIOFS_FUSE_INIT, .unique = 2, .major = 7, .minor = 38, .flags = UINT32_MAX};
  struct fuzz_input in = {.data = (const uint8_t *)&init, .left = sizeof(init)};
  submit(session, fs, 1, sizeof(init), 80, 512, &in);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct fuzz_input in = {.data = data, .left = size};
  struct backend *fs = calloc(1, sizeof(*fs));
  struct virtiofs_session *session;
  struct virtiofs_session_config config = {
      .ops = &ops, .fs = fs, .lanes = LANES, .max_write = 4096, .max_nodes = 32, .max_handles = 16, .late = late};
  if (fs == NULL || virtiofs_session_new(&session, &config) != 0)
    abort();
  begin(session, fs);
  while (in.left > 0) {
    uint8_t flags = fuzz_u8(&in);
    size_t piece = 1 + fuzz_u8(&in);
    size_t room = fuzz_u16(&in) % ROOM_MAX;
    size_t len = fuzz_u16(&in) % REQUEST_MAX;
    submit(session, fs, flags, len, room, piece, &in);
    if ((flags & 8) != 0 || fs->later_count == LATER_MAX)
      complete_all(fs);
    if ((flags & 16) != 0)
      virtiofs_session_cancel(session, flags % LANES);
    if ((flags & 32) != 0)
      virtiofs_session_reclaim(session);
  }
  complete_all(fs);
  virtiofs_session_free(session);
  for (unsigned i = 0; i < NODES; i++)
    if (fs->nodes[i] != 0)
      abort();
  if (fs->handles != 0)
    abort();
  free(fs);
  return 0;
}
