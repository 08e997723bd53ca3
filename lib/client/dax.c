/* SPDX-License-Identifier: BSD-3-Clause */
/* File contents by the window. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "client/client.h"

/* As many as a REMOVEMAPPING may have. */
#define RANGES_MAX 256U

struct virtiofs_client_dax {
  struct virtiofs_client *client;
  uint32_t queue, shift;
  unsigned char *window;
  struct virtiofs_dax_chunks *chunks;
};

int virtiofs_client_dax_new(struct virtiofs_client_dax **out, struct virtiofs_client *client, uint32_t queue,
                            uint32_t shift) {
  struct virtiofs_dax_chunks_config config = {.size = sizeof(config), .shift = shift != 0 ? shift : 21};
  void *window = virtiofs_client_window(client, &config.len);
  *out = NULL;
  if (window == NULL || config.shift < client->map_alignment)
    return -ENOTSUP;
  struct virtiofs_client_dax *dax = calloc(1, sizeof(*dax));
  if (dax == NULL)
    return -ENOMEM;
  *dax = (struct virtiofs_client_dax){.client = client, .queue = queue, .shift = config.shift, .window = window};
  int rc = virtiofs_dax_chunks_new(&dax->chunks, &config);
  if (rc != 0) {
    free(dax);
    return rc;
  }
  *out = dax;
  return 0;
}

void virtiofs_client_dax_free(struct virtiofs_client_dax *dax) {
  if (dax == NULL)
    return;
  virtiofs_dax_chunks_free(dax->chunks);
  free(dax);
}

static struct virtiofs_client_request *request(const struct virtiofs_client_dax *dax, uint32_t opcode, uint64_t node) {
  struct virtiofs_client_request *req = virtiofs_client_request_take(dax->client, dax->queue);
  if (req == NULL)
    return NULL;
  req->fuse.header.opcode = opcode;
  req->fuse.header.nodeid = node;
  return req;
}

static int map(const struct virtiofs_client_dax *dax, const struct virtiofs_dax_chunk *chunk) {
  struct virtiofs_client_request *req = request(dax, VIRTIOFS_FUSE_SETUPMAPPING, chunk->node);
  if (req == NULL)
    return -EBUSY;
  req->fuse.in.setupmapping =
      (struct virtiofs_setupmapping_in){.node = chunk->node,
                                        .handle = UINT64_MAX,
                                        .offset = chunk->file_offset,
                                        .len = chunk->len,
                                        .flags = VIRTIOFS_MAP_READ | (chunk->writable ? VIRTIOFS_MAP_WRITE : 0),
                                        .window_offset = chunk->window_offset};
  int rc = virtiofs_client_request_run(req);
  virtiofs_client_request_give(req);
  return rc;
}

static int unmap(const struct virtiofs_client_dax *dax, uint64_t node, const struct virtiofs_window_range *ranges,
                 uint32_t count) {
  struct virtiofs_client_request *req = request(dax, VIRTIOFS_FUSE_REMOVEMAPPING, node);
  if (req == NULL)
    return -EBUSY;
  req->fuse.in.removemapping.node = node;
  req->fuse.in.removemapping.count = count;
  /* As they stand in the message. */
  memcpy(req->data, ranges, count * sizeof(ranges[0]));
  int rc = virtiofs_client_request_run(req);
  virtiofs_client_request_give(req);
  return rc;
}

/* The device may have room for fewer mappings than the window has chunks. */
static int map_in_turn(const struct virtiofs_client_dax *dax, const struct virtiofs_dax_chunk *chunk) {
  struct virtiofs_window_range range;
  int rc = map(dax, chunk);
  while (rc == -ENOMEM && virtiofs_dax_chunks_reclaim(dax->chunks, &range)) {
    rc = unmap(dax, chunk->node, &range, 1);
    if (rc == 0)
      rc = map(dax, chunk);
  }
  return rc;
}

int virtiofs_client_dax_map(struct virtiofs_client_dax *dax, uint64_t node, uint64_t offset, bool writable,
                            struct virtiofs_client_dax_range *out) {
  int rc = virtiofs_dax_chunks_get(dax->chunks, node, offset, writable, &out->chunk);
  if (rc == 1) {
    rc = map_in_turn(dax, &out->chunk);
    virtiofs_dax_chunks_mapped(dax->chunks, &out->chunk, rc);
  }
  if (rc != 0)
    return rc;
  uint64_t within = offset - out->chunk.file_offset;
  out->addr = dax->window + out->chunk.window_offset + within;
  out->len = out->chunk.len - within;
  return 0;
}

void virtiofs_client_dax_unmap(struct virtiofs_client_dax *dax, const struct virtiofs_client_dax_range *range) {
  virtiofs_dax_chunks_put(dax->chunks, &range->chunk);
}

/* @in: to be written; NULL: to be read into @to. */
static int64_t copy(struct virtiofs_client_dax *dax, uint64_t node, uint64_t offset, unsigned char *to,
                    const unsigned char *in, size_t size) {
  size_t done = 0;
  while (done < size) {
    struct virtiofs_client_dax_range range;
    int rc = virtiofs_client_dax_map(dax, node, offset + done, in != NULL, &range);
    if (rc != 0)
      return done > 0 ? (int64_t)done : rc;
    size_t len = size - done < range.len ? size - done : (size_t)range.len;
    if (in != NULL)
      memcpy(range.addr, in + done, len);
    else
      memcpy(to + done, range.addr, len);
    virtiofs_client_dax_unmap(dax, &range);
    done += len;
  }
  return (int64_t)done;
}

int64_t virtiofs_client_dax_read(struct virtiofs_client_dax *dax, uint64_t node, uint64_t offset, void *buf,
                                 size_t size) {
  return copy(dax, node, offset, buf, NULL, size);
}

int64_t virtiofs_client_dax_write(struct virtiofs_client_dax *dax, uint64_t node, uint64_t offset, const void *buf,
                                  size_t size) {
  return copy(dax, node, offset, NULL, buf, size);
}

int virtiofs_client_dax_forget(struct virtiofs_client_dax *dax, uint64_t node) {
  struct virtiofs_window_range ranges[RANGES_MAX];
  int rc = 0;
  for (uint32_t count = RANGES_MAX; rc == 0 && count == RANGES_MAX;) {
    count = 0;
    while (count < RANGES_MAX && virtiofs_dax_chunks_drop(dax->chunks, node, &ranges[count]))
      count++;
    if (count > 0)
      rc = unmap(dax, node, ranges, count);
  }
  return rc;
}
