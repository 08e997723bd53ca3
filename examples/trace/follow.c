/* SPDX-License-Identifier: BSD-3-Clause */
#include "follow.h"

#include <errno.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_BYTES 32768
/* No driver sends more. What of it was not stored is read as zeros. */
#define MESSAGE_MAX (UINT64_C(1) << 26)
#define ZEROS (1U << 20)
#define SEGMENTS (1 + (MESSAGE_MAX + ZEROS - 1) / ZEROS)

/* A request that is under way. In the tree by its number; the tree is balanced, whatever numbers a file has. */
struct pending {
  uint64_t number;
  struct exchange exchange;
  struct virtiofs_fuse_header header;
  struct virtiofs_fuse_proto proto; /* as it was when the request came */
  struct virtiofs_fuse_init_in init;
  bool size_only; /* GETXATTR and LISTXATTR that ask for a size */
  char request[]; /* text */
};

struct follow {
  exchange_fn *fn;
  void *ctx;
  struct virtiofs_fuse_proto proto;
  void *tree;
  struct virtiofs_fuse_request request;
  union virtiofs_fuse_out out;
  struct iovec iov[SEGMENTS];
  char name[VIRTIOFS_FUSE_NAME_MAX + 1];
  char text[TEXT_BYTES];
};

static int compare(const void *a, const void *b) {
  const struct pending *left = a, *right = b;
  return (left->number > right->number) - (left->number < right->number);
}

struct follow *follow_new(exchange_fn *fn, void *ctx) {
  struct follow *follow = calloc(1, sizeof(*follow));
  if (follow != NULL) {
    follow->fn = fn;
    follow->ctx = ctx;
  }
  return follow;
}

/* The message as segments: what was stored, and zeros for the rest. How many; 0 if it is too long, or empty. */
static uint32_t segments(struct follow *follow, const struct virtiofs_record *record, const unsigned char *bytes,
                         size_t stored) {
  static unsigned char zeros[ZEROS]; /* never written */
  uint32_t count = 0;
  if (record->len > MESSAGE_MAX)
    return 0;
  if (stored > 0)
    follow->iov[count++] = (struct iovec){.iov_base = (void *)(uintptr_t)bytes, .iov_len = stored};
  for (size_t left = (size_t)record->len - stored; left > 0;) {
    size_t piece = left < ZEROS ? left : ZEROS;
    follow->iov[count++] = (struct iovec){.iov_base = zeros, .iov_len = piece};
    left -= piece;
  }
  return count;
}

/* ---- requests ---- */

static void describe_fault(struct follow *follow, struct exchange *exchange, int rc) {
  const char *why = "malformed";
  if (rc == -EPROTO)
    why = "no FUSE request";
  else if (rc == -ENOSYS)
    why = "unknown opcode";
  else if (rc == -EIO)
    why = "before INIT";
  exchange->unparsed = true;
  if (rc == -EPROTO)
    (void)snprintf(follow->text, sizeof(follow->text), "#%llu ? (%s)", (unsigned long long)exchange->unique, why);
  else
    (void)snprintf(follow->text, sizeof(follow->text), "#%llu %s(%u) (%s)", (unsigned long long)exchange->unique,
                   virtiofs_fuse_opcode_name(exchange->opcode), exchange->opcode, why);
}

static bool asks_size_only(const struct virtiofs_fuse_request *request) {
  if (request->header.opcode == VIRTIOFS_FUSE_GETXATTR)
    return request->in.getxattr.size == 0;
  return request->header.opcode == VIRTIOFS_FUSE_LISTXATTR && request->in.listxattr.size == 0;
}

/* Fills @known from the request, and follow->text. */
static void read_request(struct follow *follow, struct pending *known, uint32_t count) {
  struct virtiofs_fuse_request *request = &follow->request;
  struct exchange *exchange = &known->exchange;
  memset(&request->header, 0, sizeof(request->header));
  int rc = -EPROTO;
  if (count > 0)
    rc = virtiofs_fuse_request_decode(request, &follow->proto, follow->iov, count);
  known->header = request->header;
  known->proto = follow->proto;
  exchange->unique = request->header.unique;
  if (rc != -EPROTO) {
    exchange->opcode = request->header.opcode;
    exchange->node = request->header.nodeid;
  }
  if (rc != 0) {
    describe_fault(follow, exchange, rc);
    return;
  }
  known->size_only = asks_size_only(request);
  if (exchange->opcode == VIRTIOFS_FUSE_INIT) {
    known->init = request->in.init;
    known->proto.swapped = request->header.swapped;
    known->proto.minor = request->in.init.minor < VIRTIOFS_FUSE_MINOR ? request->in.init.minor : VIRTIOFS_FUSE_MINOR;
  }
  (void)virtiofs_fuse_request_format(request, follow->text, sizeof(follow->text));
}

static int on_request(struct follow *follow, const struct virtiofs_record *record, uint32_t count) {
  struct pending known = {.number = record->number};
  known.exchange = (struct exchange){.kind = VIRTIOFS_RECORD_REQUEST,
                                     .queue = record->queue,
                                     .start_ns = record->time_ns,
                                     .end_ns = record->time_ns,
                                     .in_len = record->len};
  read_request(follow, &known, count);
  size_t len = strlen(follow->text) + 1;
  struct pending *pending = malloc(sizeof(*pending) + len);
  if (pending == NULL)
    return -1;
  *pending = known;
  memcpy(pending->request, follow->text, len);
  struct pending **place = tsearch(pending, &follow->tree, compare);
  if (place == NULL) {
    free(pending);
    return -1;
  }
  if (*place == pending)
    return 0;
  /* The number is there already, which no server writes: the older one stays. */
  pending->exchange.unparsed = true;
  pending->exchange.request = pending->request;
  follow->fn(follow->ctx, &pending->exchange);
  free(pending);
  return 0;
}

/* ---- replies ---- */

/* A session has ended, and perhaps a new one begins: what requests look like from here on. */
static void agree(struct follow *follow, const struct pending *pending) {
  struct virtiofs_fuse_init_out out = follow->out.init;
  struct virtiofs_fuse_proto proto = {.swapped = pending->proto.swapped};
  follow->proto = (struct virtiofs_fuse_proto){.agreed = false};
  if (pending->exchange.opcode != VIRTIOFS_FUSE_INIT || pending->exchange.error != 0)
    return;
  if (virtiofs_fuse_init_accept(&pending->init, &out, &proto) == 0)
    follow->proto = proto;
}

/* Whether the reply says this error itself: the codec's own answer for what is no reply is the same number. */
static bool says(const struct pending *pending, const unsigned char *bytes, size_t stored, int error) {
  uint32_t got;
  if (stored < VIRTIOFS_FUSE_OUT_HEADER)
    return false;
  memcpy(&got, bytes + sizeof(uint32_t), sizeof(got));
  return (int32_t)(pending->proto.swapped ? __builtin_bswap32(got) : got) == error;
}

static void read_reply(struct follow *follow, struct pending *pending, const struct virtiofs_record *record,
                       const unsigned char *bytes, size_t stored, uint32_t count) {
  struct exchange *exchange = &pending->exchange;
  memset(&follow->out, 0, sizeof(follow->out));
  follow->out.xattr.size_only = pending->size_only;
  int rc = -EPROTO;
  if (count > 0)
    rc = virtiofs_fuse_reply_decode(&pending->proto, &pending->header, &follow->out, follow->iov, count,
                                    (size_t)record->len);
  if (rc == -EPROTO && !says(pending, bytes, stored, -EPROTO)) {
    exchange->unparsed = true;
    exchange->reply = "(no reply to this request)";
    return;
  }
  exchange->error = rc;
  bool session = exchange->opcode == VIRTIOFS_FUSE_INIT || exchange->opcode == VIRTIOFS_FUSE_DESTROY;
  if (session && !exchange->unparsed)
    agree(follow, pending);
  (void)virtiofs_fuse_reply_format(&pending->header, rc, &follow->out, follow->text, sizeof(follow->text));
  /* "#UNIQUE NAME = " is in the request's text already. */
  const char *text = strstr(follow->text, " = ");
  exchange->reply = text != NULL ? text + 3 : follow->text;
}

static void on_reply(struct follow *follow, const struct virtiofs_record *record, const unsigned char *bytes,
                     size_t stored, uint32_t count) {
  struct pending wanted = {.number = record->number};
  struct pending **place = tfind(&wanted, &follow->tree, compare);
  struct exchange orphan = {.kind = VIRTIOFS_RECORD_REQUEST,
                            .queue = record->queue,
                            .start_ns = record->time_ns,
                            .end_ns = record->time_ns,
                            .out_len = record->len,
                            .answered = true,
                            .unparsed = true,
                            .request = "(a reply to no request)"};
  if (place == NULL) {
    follow->fn(follow->ctx, &orphan);
    return;
  }
  struct pending *pending = *place;
  struct exchange *exchange = &pending->exchange;
  exchange->answered = true;
  exchange->request = pending->request;
  exchange->out_len = record->len;
  if (record->time_ns > exchange->start_ns)
    exchange->end_ns = record->time_ns;
  if (record->len > 0)
    read_reply(follow, pending, record, bytes, stored, count);
  follow->fn(follow->ctx, exchange);
  (void)tdelete(pending, &follow->tree, compare);
  free(pending);
}

/* ---- notifications ---- */

static void on_notification(struct follow *follow, const struct virtiofs_record *record, uint32_t count) {
  struct virtiofs_fuse_notify notify = {0};
  struct exchange exchange = {.kind = VIRTIOFS_RECORD_NOTIFICATION,
                              .queue = record->queue,
                              .start_ns = record->time_ns,
                              .end_ns = record->time_ns,
                              .out_len = record->len,
                              .request = follow->text};
  ssize_t rc = -EPROTO;
  if (count > 0)
    rc = virtiofs_fuse_notify_decode(&follow->proto, &notify, follow->name, follow->iov, count, (size_t)record->len);
  exchange.unparsed = rc < 0;
  exchange.node = notify.node;
  if (rc < 0)
    (void)snprintf(follow->text, sizeof(follow->text), "NOTIFY ? (malformed)");
  else
    (void)snprintf(follow->text, sizeof(follow->text), "NOTIFY %s node=%llx", virtiofs_fuse_notify_name(notify.code),
                   (unsigned long long)notify.node);
  follow->fn(follow->ctx, &exchange);
}

int follow_record(struct follow *follow, const struct virtiofs_record *record, const unsigned char *bytes,
                  size_t stored) {
  uint32_t count = segments(follow, record, bytes, stored);
  switch (record->kind) {
  case VIRTIOFS_RECORD_REQUEST:
    return on_request(follow, record, count);
  case VIRTIOFS_RECORD_REPLY:
    on_reply(follow, record, bytes, stored, count);
    return 0;
  case VIRTIOFS_RECORD_NOTIFICATION:
    on_notification(follow, record, count);
    return 0;
  default:
    return 0;
  }
}

static void tell_unanswered(const void *node, VISIT visit, void *closure) {
  struct follow *follow = closure;
  struct pending *pending = *(struct pending *const *)node;
  if (visit != postorder && visit != leaf)
    return;
  pending->exchange.request = pending->request;
  follow->fn(follow->ctx, &pending->exchange);
}

void follow_end(struct follow *follow) {
  if (follow == NULL)
    return;
  twalk_r(follow->tree, tell_unanswered, follow);
  tdestroy(follow->tree, free);
  free(follow);
}
