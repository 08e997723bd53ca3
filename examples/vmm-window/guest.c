/* SPDX-License-Identifier: BSD-3-Clause */
/* As Linux with -o dax: requests for what isn't mapped yet, and pointers. */
#include "guest.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK (UINT64_C(2) << 20) /* what Linux maps at a time */
#define TEXT "written by a message"

int64_t must(int64_t rc, const char *what) {
  if (rc >= 0)
    return rc;
  (void)fprintf(stderr, "vmm-window: %s: %s\n", what, strerror((int)-rc));
  exit(EXIT_FAILURE);
}

static struct virtiofs_client_request *take(const struct guest *g, uint32_t opcode, uint64_t node) {
  struct virtiofs_client_request *req = virtiofs_client_request_take(g->client, 1);
  if (req == NULL)
    must(-EBUSY, "request");
  req->fuse.header.opcode = opcode;
  req->fuse.header.nodeid = node;
  return req;
}

static void send(struct virtiofs_client_request *req, const char *what) {
  must(virtiofs_client_request_run(req), what);
  virtiofs_client_request_give(req);
}

/* A file of a chunk, which begins with the text. */
static void create(struct guest *g) {
  struct virtiofs_client_request *req = take(g, VIRTIOFS_FUSE_CREATE, VIRTIOFS_FUSE_ROOT);
  req->fuse.in.create.parent = VIRTIOFS_FUSE_ROOT;
  req->fuse.in.create.name = (struct virtiofs_name){.str = "file", .len = 4};
  req->fuse.in.create.flags = O_RDWR;
  req->fuse.in.create.mode = 0600;
  must(virtiofs_client_request_run(req), "CREATE");
  g->node = req->out.create.entry.node;
  g->handle = req->out.create.open.handle;
  virtiofs_client_request_give(req);

  req = take(g, VIRTIOFS_FUSE_WRITE, g->node);
  req->fuse.in.write.node = g->node;
  req->fuse.in.write.handle = g->handle;
  req->fuse.in.write.size = sizeof TEXT;
  req->fuse.in.write.data.size = sizeof TEXT;
  memcpy(req->data, TEXT, sizeof TEXT);
  send(req, "WRITE");

  req = take(g, VIRTIOFS_FUSE_SETATTR, g->node); /* what is past the end of a file can be mapped, but not touched */
  req->fuse.in.setattr.node = g->node;
  req->fuse.in.setattr.valid = VIRTIOFS_SET_SIZE;
  req->fuse.in.setattr.size = CHUNK;
  send(req, "SETATTR");
}

static void map(const struct guest *g, uint64_t window_offset) {
  struct virtiofs_client_request *req = take(g, VIRTIOFS_FUSE_SETUPMAPPING, g->node);
  req->fuse.in.setupmapping = (struct virtiofs_setupmapping_in){.node = g->node,
                                                                .handle = UINT64_MAX, /* none is needed */
                                                                .len = CHUNK,
                                                                .flags = VIRTIOFS_MAP_READ | VIRTIOFS_MAP_WRITE,
                                                                .window_offset = window_offset};
  send(req, "SETUPMAPPING");
}

static void read_by_message(const struct guest *g, uint64_t offset, uint32_t size) {
  struct virtiofs_client_request *req = take(g, VIRTIOFS_FUSE_READ, g->node);
  req->fuse.in.read.node = g->node;
  req->fuse.in.read.handle = g->handle;
  req->fuse.in.read.offset = offset;
  req->fuse.in.read.size = size;
  must(virtiofs_client_request_run(req), "READ");
  printf("READ:  %.*s\n", (int)size, (const char *)req->data);
  virtiofs_client_request_give(req);
}

void guest_run(struct guest *g) {
  struct virtiofs_fuse_init_in offer;
  struct virtiofs_fuse_init_out agreed;
  virtiofs_fuse_init_offer(&offer, VIRTIOFS_FUSE_MINOR, true); /* with MAP_ALIGNMENT: it has seen region 0 */
  must(virtiofs_client_init(g->client, &offer, &agreed), "INIT");
  printf("the window has %u MiB, and is mapped in pieces of %u bytes or more\n", (unsigned)(g->window_len >> 20),
         1U << agreed.map_alignment);
  create(g);
  map(g, CHUNK); /* the driver says where */
  volatile char *file = g->window + CHUNK;
  const unsigned before = *g->messages;
  printf("load:  ");
  for (unsigned i = 0; i < sizeof TEXT - 1; i++)
    (void)putchar(file[i]);
  static const char reply[] = "stored by the guest";
  for (unsigned i = 0; i < sizeof reply; i++)
    file[i] = reply[i];
  for (uint64_t i = sizeof reply; i < CHUNK; i++)
    file[i] = (char)(file[i - 1] + 1);
  printf("\nmessages for %u loads and stores: %u\n", (unsigned)CHUNK, *g->messages - before);
  read_by_message(g, 0, sizeof reply - 1);
}
