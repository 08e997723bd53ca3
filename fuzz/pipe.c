/* SPDX-License-Identifier: BSD-3-Clause */
#include "pipe.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

#include "descriptors.h"

enum { RAW_SIZE = 4, RAW_FDS = 8, TIDY = 16 };

static struct fuzz_pipe *of(struct virtiofs_vhost_transport *transport) {
  return (struct fuzz_pipe *)(void *)((char *)transport - offsetof(struct fuzz_pipe, transport));
}

void fuzz_message_drop(struct virtiofs_vhost_user_message *msg) {
  for (uint32_t i = 0; i < msg->fd_count; i++)
    close(msg->fds[i]);
  msg->fd_count = 0;
}

static int pipe_receive(struct virtiofs_vhost_transport *transport, struct virtiofs_vhost_user_message *msg) {
  struct fuzz_pipe *pipe = of(transport);
  if (pipe->next == NULL)
    return -ECONNRESET;
  *msg = *pipe->next;
  pipe->next = NULL;
  int rc = virtiofs_vhost_user_header_check(&msg->header);
  if (rc == 0 || rc == -ENOSYS)
    return 0;
  fuzz_message_drop(msg);
  return rc;
}

/* What is told is whole, is a reply, and gives nothing away. */
static int pipe_send(struct virtiofs_vhost_transport *transport, const struct virtiofs_vhost_user_message *msg) {
  struct fuzz_pipe *pipe = of(transport);
  if (msg->header.size > sizeof(msg->payload) || msg->fd_count != 0 ||
      msg->header.flags != (VIRTIOFS_VHOST_USER_VERSION | VIRTIOFS_VHOST_USER_REPLY))
    abort();
  pipe->reply = *msg;
  pipe->replies++;
  return 0;
}

static void pipe_close(struct virtiofs_vhost_transport *transport) {
  struct fuzz_pipe *pipe = of(transport);
  if (pipe->closed)
    abort();
  pipe->closed = true;
}

void fuzz_pipe_init(struct fuzz_pipe *pipe) {
  static const struct virtiofs_vhost_transport_ops ops = {
      .receive = pipe_receive, .send = pipe_send, .close = pipe_close};
  *pipe = (struct fuzz_pipe){.transport.ops = &ops};
}

/* Near enough to what a front-end says that more than the first check looks at it. */
static void tidy_region(struct virtiofs_vhost_user_region *region) {
  region->gpa = region->gpa % 16 * 4096;
  region->uva = FUZZ_UVA + region->uva % 16 * 4096;
  region->size = (1 + region->size % 16) * 4096;
  region->mmap_offset = region->mmap_offset % 16 * 4096;
}

static void tidy(struct virtiofs_vhost_user_message *msg) {
  struct virtiofs_vhost_user_vring_addr *addr = &msg->payload.addr;
  switch (msg->header.request) {
  case VIRTIOFS_VHOST_USER_SET_MEM_TABLE:
    for (uint32_t i = 0; i < VIRTIOFS_VHOST_USER_TABLE_REGIONS_MAX; i++)
      tidy_region(&msg->payload.table.regions[i]);
    break;
  case VIRTIOFS_VHOST_USER_ADD_MEM_REG:
  case VIRTIOFS_VHOST_USER_REM_MEM_REG:
    tidy_region(&msg->payload.region.region);
    break;
  case VIRTIOFS_VHOST_USER_SET_VRING_ADDR:
    addr->index %= 4;
    addr->desc = FUZZ_UVA + addr->desc % FUZZ_MEMORY / 16 * 16;
    addr->avail = FUZZ_UVA + addr->avail % FUZZ_MEMORY / 4 * 4;
    addr->used = FUZZ_UVA + addr->used % FUZZ_MEMORY / 4 * 4;
    break;
  case VIRTIOFS_VHOST_USER_SET_VRING_NUM:
  case VIRTIOFS_VHOST_USER_SET_VRING_BASE:
  case VIRTIOFS_VHOST_USER_GET_VRING_BASE:
  case VIRTIOFS_VHOST_USER_SET_VRING_ENABLE:
    msg->payload.state.index %= 4;
    break;
  default:
    break;
  }
}

/* How many bytes and descriptors it should have. */
static uint32_t right_size(const struct virtiofs_vhost_user_message *msg, uint32_t *fds) {
  *fds = 0;
  switch (msg->header.request) {
  case VIRTIOFS_VHOST_USER_SET_MEM_TABLE:
    *fds = msg->payload.table.count;
    return 8 + msg->payload.table.count * (uint32_t)sizeof(struct virtiofs_vhost_user_region);
  case VIRTIOFS_VHOST_USER_ADD_MEM_REG:
    *fds = 1;
    return sizeof(msg->payload.region);
  case VIRTIOFS_VHOST_USER_REM_MEM_REG:
    return sizeof(msg->payload.region);
  case VIRTIOFS_VHOST_USER_SET_VRING_ADDR:
    return sizeof(msg->payload.addr);
  case VIRTIOFS_VHOST_USER_SET_VRING_KICK:
  case VIRTIOFS_VHOST_USER_SET_VRING_CALL:
  case VIRTIOFS_VHOST_USER_SET_VRING_ERR:
    *fds = (msg->payload.u64 & VIRTIOFS_VHOST_USER_VRING_NOFD) == 0;
    return sizeof(msg->payload.u64);
  case VIRTIOFS_VHOST_USER_SET_BACKEND_REQ_FD:
    *fds = 1;
    return 0;
  case VIRTIOFS_VHOST_USER_GET_CONFIG:
  case VIRTIOFS_VHOST_USER_SET_CONFIG:
    return 12 + msg->payload.config.size;
  case VIRTIOFS_VHOST_USER_SET_FEATURES:
  case VIRTIOFS_VHOST_USER_SET_PROTOCOL_FEATURES:
  case VIRTIOFS_VHOST_USER_SET_VRING_NUM:
  case VIRTIOFS_VHOST_USER_SET_VRING_BASE:
  case VIRTIOFS_VHOST_USER_GET_VRING_BASE:
  case VIRTIOFS_VHOST_USER_SET_VRING_ENABLE:
    return sizeof(msg->payload.u64);
  default:
    return 0;
  }
}

/* number, mode, bytes of payload, bytes; how many descriptors, if they are too many or too few; their kinds. */
void fuzz_message(struct fuzz_input *in, struct virtiofs_vhost_user_message *msg) {
  uint32_t fds;
  *msg = (struct virtiofs_vhost_user_message){.header.request = fuzz_u8(in)};
  uint8_t mode = fuzz_u8(in);
  msg->header.flags = VIRTIOFS_VHOST_USER_VERSION;
  if ((mode & 3) == 1)
    msg->header.flags |= VIRTIOFS_VHOST_USER_NEED_REPLY;
  if ((mode & 3) == 3)
    msg->header.flags = fuzz_u8(in);
  fuzz_take(in, &msg->payload, fuzz_u8(in));
  if ((mode & TIDY) != 0)
    tidy(msg);
  msg->header.size = right_size(msg, &fds);
  if ((mode & RAW_SIZE) != 0)
    msg->header.size = fuzz_u16(in);
  if ((mode & RAW_FDS) != 0)
    fds = fuzz_u8(in);
  if (fds > VIRTIOFS_VHOST_USER_FDS_MAX)
    fds = VIRTIOFS_VHOST_USER_FDS_MAX;
  for (uint32_t i = 0; i < fds; i++)
    msg->fds[i] = fuzz_descriptor(fuzz_u8(in));
  msg->fd_count = fds;
}
