/* SPDX-License-Identifier: BSD-3-Clause */
/* Several requests and several queues at once. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "check.h"

/* ---- at once ---- */

static void need_two(struct test *t) {
  if (t->server->queues < 2)
    skip(t, "there is one request queue only");
}

static void node_elsewhere(struct test *t) {
  need_two(t);
  uint64_t node = make_file(t, "file", "abc");
  begin(t, VIRTIOFS_FUSE_GETATTR)->getattr.node = node;
  t->queue = 2;
  good(t, call(t, NULL, 0));
  is(t, "the size", t->got.attr.attr.size, 3);
}

static void handle_elsewhere(struct test *t) {
  need_two(t);
  struct file file = new_file(t, "file", "abc");
  *(&begin(t, VIRTIOFS_FUSE_READ)->read) =
      (struct virtiofs_read_in){.node = file.node, .handle = file.handle, .size = 10, .data.size = 10};
  t->queue = 2;
  good(t, call(t, NULL, 0));
  holds(t, "abc");
}

static void made_elsewhere(struct test *t) {
  need_two(t);
  struct virtiofs_mkdir_in *in = &begin(t, VIRTIOFS_FUSE_MKDIR)->mkdir;
  in->parent = t->dir;
  in->name = (struct virtiofs_name){.str = "dir", .len = 3};
  in->mode = 0755;
  t->queue = 2;
  good(t, call(t, NULL, 0));
  uint64_t node = t->got.entry.node;
  track_node(t, node);
  good(t, fs_lookup(t, t->dir, "dir"));
  is(t, "the nodeid", t->got.entry.node, node);
}

enum { DEPTH = 16, ROUNDS = 40 };

/* As many as there are on each queue, in flight together; all have to come back right. */
static void flood(struct test *t, uint32_t queues, uint64_t node, uint64_t size) {
  struct virtiofs_client *client = t->server->client;
  struct virtiofs_client_request *reqs[64][DEPTH];
  bool right = true;
  for (uint32_t q = 0; q < queues; q++)
    for (int i = 0; i < DEPTH; i++)
      reqs[q][i] = virtiofs_client_request_take(client, q + 1);
  for (int round = 0; right && round < ROUNDS; round++) {
    for (uint32_t q = 0; q < queues; q++)
      for (int i = 0; i < DEPTH; i++) {
        reqs[q][i]->fuse.header.opcode = VIRTIOFS_FUSE_GETATTR;
        reqs[q][i]->fuse.in.getattr.node = node;
        right = virtiofs_client_request_send(reqs[q][i]) == 0 && right;
      }
    for (uint32_t q = 0; q < queues; q++)
      virtiofs_client_kick(client, q + 1);
    for (uint32_t q = 0; q < queues; q++)
      while (virtiofs_client_in_flight(client, q + 1) > 0)
        (void)virtiofs_client_wait(client, q + 1);
    for (uint32_t q = 0; q < queues; q++)
      for (int i = 0; i < DEPTH; i++)
        right = right && reqs[q][i]->error == 0 && reqs[q][i]->out.attr.attr.size == size;
  }
  for (uint32_t q = 0; q < queues; q++)
    for (int i = 0; i < DEPTH; i++)
      virtiofs_client_request_give(reqs[q][i]);
  expect(t, right, "of %d GETATTRs on %u queues, %d in flight on each, not all were answered right",
         (int)queues * DEPTH * ROUNDS, queues, DEPTH);
}

static void many_on_one(struct test *t) {
  flood(t, 1, make_file(t, "file", "abcd"), 4);
}

static void many_on_all(struct test *t) {
  need_two(t);
  flood(t, t->server->queues, make_file(t, "file", "abcd"), 4);
}

/* The same name looked up at once from everywhere, then given back: the count is exact. */
static void counts_at_once(struct test *t) {
  struct virtiofs_client *client = t->server->client;
  struct virtiofs_client_request *reqs[64][DEPTH];
  uint64_t node = make_file(t, "file", "");
  bool right = true;
  for (uint32_t q = 0; q < t->server->queues; q++)
    for (int i = 0; i < DEPTH; i++) {
      struct virtiofs_client_request *req = reqs[q][i] = virtiofs_client_request_take(client, q + 1);
      req->fuse.header.opcode = VIRTIOFS_FUSE_LOOKUP;
      req->fuse.in.lookup.parent = t->dir;
      req->fuse.in.lookup.name = (struct virtiofs_name){.str = "file", .len = 4};
      right = virtiofs_client_request_send(req) == 0 && right;
    }
  for (uint32_t q = 0; q < t->server->queues; q++)
    virtiofs_client_kick(client, q + 1);
  for (uint32_t q = 0; q < t->server->queues; q++)
    while (virtiofs_client_in_flight(client, q + 1) > 0)
      (void)virtiofs_client_wait(client, q + 1);
  for (uint32_t q = 0; q < t->server->queues; q++)
    for (int i = 0; i < DEPTH; i++) {
      right = right && reqs[q][i]->error == 0 && reqs[q][i]->out.entry.node == node;
      virtiofs_client_request_give(reqs[q][i]);
    }
  expect(t, right, "not all LOOKUPs at once gave the same node");
  fs_forget(t, node, t->server->queues * DEPTH);
  good(t, fs_getattr(t, node));
  fs_forget(t, node, 1);
  for (int i = 0; i < 1000; i++)
    if (fs_getattr(t, node) != 0)
      return;
  fail(t, "the node is still good after as many FORGETs as LOOKUPs");
}

static void writes_at_once(struct test *t) {
  struct virtiofs_client *client = t->server->client;
  struct virtiofs_client_request *reqs[DEPTH];
  struct file file = new_file(t, "file", "");
  bool right = true;
  for (int i = 0; i < DEPTH; i++) {
    struct virtiofs_client_request *req = reqs[i] =
        virtiofs_client_request_take(client, 1 + (uint32_t)i % t->server->queues);
    memset(req->data, 'a' + i, 4096);
    req->fuse.header.opcode = VIRTIOFS_FUSE_WRITE;
    req->fuse.in.write = (struct virtiofs_write_in){
        .node = file.node, .handle = file.handle, .offset = (uint64_t)i * 4096, .size = 4096, .data.size = 4096};
    right = virtiofs_client_request_send(req) == 0 && right;
  }
  for (uint32_t q = 0; q < t->server->queues; q++)
    while (virtiofs_client_in_flight(client, q + 1) > 0)
      (void)virtiofs_client_wait(client, q + 1);
  for (int i = 0; i < DEPTH; i++) {
    right = right && reqs[i]->error == 0 && reqs[i]->out.write.size == 4096;
    virtiofs_client_request_give(reqs[i]);
  }
  expect(t, right, "not all WRITEs at once succeeded");
  good(t, fs_read(t, file, 0, DEPTH * 4096));
  is(t, "the bytes read", t->size, DEPTH * 4096);
  for (size_t i = 0; i < t->size; i++)
    expect(t, t->bytes[i] == 'a' + i / 4096, "byte %zu is another's", i);
}

static const struct check queues_checks[] = {
    {"node", "virtio-fs: a node that one queue gave is good on all", node_elsewhere, MOUNTED, 0, 0},
    {"handle", "virtio-fs: a handle that one queue gave is good on all", handle_elsewhere, MOUNTED, 0, 0},
    {"made", "virtio-fs: what one queue has made another finds", made_elsewhere, MOUNTED, 0, 0},
    {"many-on-one", "virtio-fs: many requests in flight on a queue are each answered once", many_on_one, MOUNTED, 0, 0},
    {"many-on-all", "virtio-fs: many requests in flight on all queues are each answered once", many_on_all, MOUNTED, 0,
     0},
    {"lookup-counts", "FUSE LOOKUP: LOOKUPs of one name at once are each counted", counts_at_once, MOUNTED, 0, 0},
    {"writes", "FUSE WRITE: writes at once to parts of a file", writes_at_once, MOUNTED, 0, 0},
};
const struct group queues_group = CHECKS("queues", queues_checks);
