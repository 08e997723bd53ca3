/* SPDX-License-Identifier: BSD-3-Clause */
/* FUSE requests on top of calls. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "client/client.h"

#define PAGE 4096U
/* Header, arguments, two names and extensions. */
#define HEAD_BYTES (4U * PAGE)
/* Header and arguments of a reply. */
#define REPLY_BYTES PAGE

size_t virtiofs_client_request_bytes(const struct virtiofs_client *client) {
  return HEAD_BYTES + REPLY_BYTES + (client->config.max_data + PAGE - 1) / PAGE * PAGE;
}

int virtiofs_client_requests_new(struct virtiofs_client *client, struct virtiofs_client_queue *queue, uint32_t index) {
  uint32_t count = client->config.requests;
  queue->requests = calloc(count, sizeof(queue->requests[0]));
  queue->free = calloc(count, sizeof(queue->free[0]));
  if (queue->requests == NULL || queue->free == NULL)
    return -ENOMEM;
  for (uint32_t i = 0; i < count; i++) {
    struct virtiofs_client_request *req = &queue->requests[i];
    req->client = client;
    req->queue = index;
    req->head = virtiofs_client_alloc(client, virtiofs_client_request_bytes(client));
    if (req->head == NULL)
      return -ENOMEM;
    req->reply = req->head + HEAD_BYTES;
    req->data = req->reply + REPLY_BYTES;
    queue->free[i] = count - 1 - i;
  }
  queue->free_count = count;
  return 0;
}

struct virtiofs_client_request *virtiofs_client_request_take(struct virtiofs_client *client, uint32_t index) {
  struct virtiofs_client_queue *queue = &client->queues[index];
  if (queue->free_count == 0)
    return NULL;
  struct virtiofs_client_request *req = &queue->requests[queue->free[--queue->free_count]];
  memset(&req->fuse.header, 0, sizeof(req->fuse.header));
  memset(&req->fuse.in, 0, sizeof(req->fuse.in));
  memset(&req->out, 0, sizeof(req->out));
  req->error = 0;
  req->done = NULL;
  req->user = NULL;
  return req;
}

void virtiofs_client_request_give(struct virtiofs_client_request *req) {
  struct virtiofs_client_queue *queue = &req->client->queues[req->queue];
  queue->free[queue->free_count++] = (uint32_t)(req - queue->requests);
}

const struct virtiofs_fuse_proto *virtiofs_client_proto(const struct virtiofs_client *client) {
  return &client->proto;
}

static struct virtiofs_client_request *request_of(struct virtiofs_client_call *call) {
  return (struct virtiofs_client_request *)(void *)((unsigned char *)call -
                                                    offsetof(struct virtiofs_client_request, call));
}

static bool asks_xattr(const struct virtiofs_client_request *req) {
  return req->fuse.header.opcode == VIRTIOFS_FUSE_GETXATTR || req->fuse.header.opcode == VIRTIOFS_FUSE_LISTXATTR;
}

static bool asks_size(const struct virtiofs_client_request *req) {
  const union virtiofs_fuse_in *in = &req->fuse.in;
  return asks_xattr(req) &&
         (req->fuse.header.opcode == VIRTIOFS_FUSE_GETXATTR ? in->getxattr.size : in->listxattr.size) == 0;
}

/* What the reply says, as far as it is sound. */
static int read_reply(struct virtiofs_client_request *req, int64_t used) {
  const struct virtiofs_client *client = req->client;
  uint32_t opcode = req->fuse.header.opcode;
  if (used < 0)
    return (int)used;
  if (!virtiofs_fuse_has_reply(opcode))
    return 0;
  if (asks_xattr(req)) /* either way, as @out is still that of the request before */
    req->out.xattr.size_only = asks_size(req);
  if (opcode == VIRTIOFS_FUSE_READLINK)
    req->out.readlink.target = req->data;
  return virtiofs_fuse_reply_decode(&client->proto, &req->fuse.header, &req->out, req->call.out, req->call.out_count,
                                    (size_t)used);
}

static void over(struct virtiofs_client_call *call, int64_t used) {
  struct virtiofs_client_request *req = request_of(call);
  req->error = read_reply(req, used);
  req->in_flight = false;
  if (req->done != NULL)
    req->done(req);
}

/* The segments of a request whose head is @own bytes. */
static int set_segments(struct virtiofs_client_request *req, size_t own) {
  const struct virtiofs_client *client = req->client;
  uint32_t max = client->config.max_data, len;
  memcpy(&len, req->head, sizeof(len));
  size_t in_data = len - own;
  uint64_t all = virtiofs_fuse_reply_max(&client->proto, &req->fuse);
  uint32_t fixed = virtiofs_fuse_reply_room(&client->proto, req->fuse.header.opcode);
  /* Where only a value's size is asked for, that comes as arguments. */
  if (req->fuse.header.opcode == VIRTIOFS_FUSE_INIT || asks_size(req))
    fixed = (uint32_t)all;
  if (in_data > max || all - fixed > max)
    return -EMSGSIZE;
  uint32_t count = 0;
  req->iov[count++] = (struct iovec){.iov_base = req->head, .iov_len = own};
  if (in_data > 0)
    req->iov[count++] = (struct iovec){.iov_base = req->data, .iov_len = in_data};
  req->call.in = req->iov;
  req->call.in_count = count;
  req->call.out = req->iov + count;
  if (all > 0)
    req->iov[count++] = (struct iovec){.iov_base = req->reply, .iov_len = fixed};
  if (all > fixed)
    req->iov[count++] = (struct iovec){.iov_base = req->data, .iov_len = (size_t)(all - fixed)};
  req->call.out_count = count - req->call.in_count;
  return 0;
}

int virtiofs_client_request_send(struct virtiofs_client_request *req) {
  struct virtiofs_client *client = req->client;
  struct virtiofs_client_queue *queue = &client->queues[req->queue];
  /* Even, and no two queues have the same. */
  req->fuse.header.unique = ++queue->unique << 8 | (uint64_t)req->queue << 1;
  ssize_t own = virtiofs_fuse_request_encode(&client->proto, &req->fuse.header, &req->fuse.in, req->head, HEAD_BYTES);
  if (own < 0)
    return (int)own;
  req->call.done = over;
  int rc = set_segments(req, (size_t)own);
  if (rc == 0)
    rc = virtiofs_client_submit(client, req->queue, &req->call);
  req->in_flight = rc == 0;
  return rc;
}

int virtiofs_client_request_run(struct virtiofs_client_request *req) {
  int rc = virtiofs_client_request_send(req);
  if (rc != 0)
    return rc;
  while (req->in_flight)
    (void)virtiofs_client_wait(req->client, req->queue);
  return req->error;
}

int virtiofs_client_init(struct virtiofs_client *client, const struct virtiofs_fuse_init_in *offer,
                         struct virtiofs_fuse_init_out *got) {
  struct virtiofs_fuse_init_in in;
  struct virtiofs_client_request *req = virtiofs_client_request_take(client, 1);
  if (req == NULL)
    return -EBUSY;
  if (offer != NULL)
    in = *offer;
  else
    virtiofs_fuse_init_offer(&in, VIRTIOFS_FUSE_MINOR, client->window != NULL);
  client->proto = (struct virtiofs_fuse_proto){.minor = VIRTIOFS_FUSE_MINOR};
  req->fuse.header.opcode = VIRTIOFS_FUSE_INIT;
  req->fuse.in.init = in;
  int rc = virtiofs_client_request_run(req);
  if (rc == 0)
    rc = virtiofs_fuse_init_accept(&in, &req->out.init, &client->proto);
  if (rc == 0 && !client->proto.agreed)
    rc = -EPROTO;
  if (rc == 0) {
    client->max_write = req->out.init.max_write;
    client->map_alignment = req->out.init.map_alignment;
  }
  if (rc == 0 && got != NULL)
    *got = req->out.init;
  virtiofs_client_request_give(req);
  return rc;
}
