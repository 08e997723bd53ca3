/* SPDX-License-Identifier: BSD-3-Clause */
/* Messages: out, back, and what every reply has to be. */
#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include "check.h"

struct transfer {
  struct virtiofs_client_call call;
  int64_t used;
  bool over;
};

union virtiofs_fuse_in *begin(struct test *t, uint32_t opcode) {
  memset(&t->req.header, 0, sizeof(t->req.header));
  memset(&t->req.in, 0, sizeof(t->req.in));
  memset(&t->got, 0, sizeof(t->got));
  t->req.header.opcode = opcode;
  t->req.header.unique = t->server->unique += 2;
  t->req.header.uid = getuid();
  t->req.header.gid = getgid();
  t->req.header.pid = (uint32_t)getpid();
  bool forgets = opcode == VIRTIOFS_FUSE_FORGET || opcode == VIRTIOFS_FUSE_BATCH_FORGET;
  t->anything = false;
  t->queue = forgets || opcode == VIRTIOFS_FUSE_INTERRUPT ? 0 : 1;
  t->raw = false;
  return &t->req.in;
}

static const struct virtiofs_fuse_proto *proto_of(const struct test *t) {
  static const struct virtiofs_fuse_proto none = {.minor = VIRTIOFS_FUSE_MINOR};
  return t->server->mounted ? virtiofs_client_proto(t->server->client) : &none;
}

static bool asks_size(const struct virtiofs_fuse_request *req) {
  return (req->header.opcode == VIRTIOFS_FUSE_GETXATTR && req->in.getxattr.size == 0) ||
         (req->header.opcode == VIRTIOFS_FUSE_LISTXATTR && req->in.listxattr.size == 0);
}

void encode(struct test *t, const void *data, size_t size) {
  struct server *s = t->server;
  const struct virtiofs_fuse_proto *proto = proto_of(t);
  ssize_t own = virtiofs_fuse_request_encode(proto, &t->req.header, &t->req.in, s->in, AREA_BYTES - DATA_MAX);
  if (own < 0)
    fail(t, "%s can't be encoded: %s", virtiofs_fuse_opcode_name(t->req.header.opcode), strerror((int)-own));
  if (size > 0)
    memcpy(s->in + own, data, size);
  t->in_len = (size_t)own + size;
  uint64_t room = virtiofs_fuse_reply_max(proto, &t->req);
  t->room = room < AREA_BYTES ? (size_t)room : AREA_BYTES;
}

/* What came of it, in private memory. */
static void take_reply(struct test *t, const struct iovec *out, uint32_t out_count) {
  size_t have = 0;
  for (uint32_t i = 0; i < out_count; i++) {
    memcpy(t->copy + have, out[i].iov_base, out[i].iov_len);
    have += out[i].iov_len;
  }
  t->bytes = t->copy + VIRTIOFS_FUSE_OUT_HEADER;
  t->size = 0;
  t->len = 0;
  t->error = 0;
  if (have < VIRTIOFS_FUSE_OUT_HEADER)
    return;
  memcpy(&t->len, t->copy, sizeof(t->len));
  memcpy(&t->error, t->copy + 4, sizeof(t->error));
  if (t->len > VIRTIOFS_FUSE_OUT_HEADER && t->len <= have)
    t->size = t->len - VIRTIOFS_FUSE_OUT_HEADER;
}

static void check_reply(struct test *t, size_t room) {
  uint32_t opcode;
  uint64_t unique, sent;
  if (t->anything)
    return;
  memcpy(&opcode, t->server->in + 4, sizeof(opcode));
  memcpy(&sent, t->server->in + 8, sizeof(sent));
  if (!virtiofs_fuse_has_reply(opcode) || room < VIRTIOFS_FUSE_OUT_HEADER) {
    expect(t, t->used == 0, "%lld bytes were written where there is no reply", (long long)t->used);
    t->len = 0;
    t->error = 0;
    return;
  }
  memcpy(&unique, t->copy + 8, sizeof(unique));
  /* Many servers take an INTERRUPT without a word. */
  if (opcode == VIRTIOFS_FUSE_INTERRUPT && t->used == 0) {
    t->len = 0;
    t->error = 0;
    return;
  }
  expect(t, t->used >= VIRTIOFS_FUSE_OUT_HEADER, "there is no reply: the used ring says %lld bytes",
         (long long)t->used);
  expect(t, t->len >= VIRTIOFS_FUSE_OUT_HEADER, "the reply's header says %u bytes, fewer than a header has", t->len);
  expect(t, t->len <= room, "the reply's header says %u bytes, and there was room for %zu", t->len, room);
  expect(t, t->used == t->len, "the used ring says %lld bytes, the reply's header %u", (long long)t->used, t->len);
  expect(t, unique == sent, "the reply's unique is %#llx, the request's %#llx", (unsigned long long)unique,
         (unsigned long long)sent);
  expect(t, t->error <= 0 && t->error > -512, "the reply's error is %d, not of -511 .. 0", t->error);
  expect(t, t->error == 0 || t->len == VIRTIOFS_FUSE_OUT_HEADER, "a reply with an error has %u bytes, not 16", t->len);
  if (t->error == -ENOSYS && t->check->op != 0 && opcode == t->check->op)
    skip(t, "the server has no %s", virtiofs_fuse_opcode_name(opcode));
}

static void over(struct virtiofs_client_call *call, int64_t used) {
  struct transfer *transfer = (struct transfer *)(void *)call; /* it is the first member */
  transfer->used = used;
  transfer->over = true;
}

int send_pieces(struct test *t, const struct iovec *in, uint32_t in_count, const struct iovec *out,
                uint32_t out_count) {
  struct server *s = t->server;
  size_t room = 0;
  for (uint32_t i = 0; i < out_count; i++) {
    room += out[i].iov_len;
    memset(out[i].iov_base, 0xa5, out[i].iov_len);
  }
  t->is_message = t->raw = true;
  t->answered = false;
  t->len = 0;
  t->size = 0;
  struct transfer transfer = {
      .call = {.in = in, .out = out, .in_count = in_count, .out_count = out_count, .done = over}};
  int rc = virtiofs_client_submit(s->client, t->queue, &transfer.call);
  if (rc != 0)
    fail(t, "cannot be sent: %s", strerror(-rc));
  while (!transfer.over)
    (void)virtiofs_client_wait(s->client, t->queue);
  t->used = transfer.used;
  if (transfer.used < 0) {
    s->broken = transfer.used == -ETIMEDOUT    ? "no answer came in time"
                : transfer.used == -ECONNRESET ? "the device has hung up"
                                               : "the device has broken the ring";
    fail(t, "%s", s->broken);
  }
  t->answered = true;
  take_reply(t, out, out_count);
  check_reply(t, room);
  return t->error;
}

int send_raw(struct test *t) {
  struct iovec in = {.iov_base = t->server->in, .iov_len = t->in_len};
  /* Each queue has a place of its own, so that a late write is not taken for another queue's reply. */
  struct iovec out = {.iov_base = t->server->out + (size_t)t->queue * AREA_BYTES, .iov_len = t->room};
  return send_pieces(t, &in, 1, &out, t->room > 0 ? 1 : 0);
}

int call(struct test *t, const void *data, size_t size) {
  static char target[VIRTIOFS_TARGET_MAX + 1];
  encode(t, data, size);
  uint32_t opcode = t->req.header.opcode;
  int rc = send_raw(t);
  if (rc != 0 || !virtiofs_fuse_has_reply(opcode) || t->len == 0)
    return rc;
  struct iovec reply = {.iov_base = t->copy, .iov_len = t->len};
  t->got.xattr.size_only = asks_size(&t->req);
  if (opcode == VIRTIOFS_FUSE_READLINK)
    t->got.readlink.target = target;
  if (virtiofs_fuse_reply_decode(proto_of(t), &t->req.header, &t->got, &reply, 1, t->len) != 0)
    fail(t, "the reply to %s is not sound: %u bytes, or a field out of range", virtiofs_fuse_opcode_name(opcode),
         t->len);
  t->raw = false;
  return 0;
}

/* ---- bytes of one's own ---- */

void raw_begin(struct test *t, uint32_t opcode, uint64_t node) {
  begin(t, opcode);
  unsigned char *in = t->server->in;
  memset(in, 0, VIRTIOFS_FUSE_IN_HEADER);
  memcpy(in + 4, &opcode, 4);
  memcpy(in + 8, &t->req.header.unique, 8);
  memcpy(in + 16, &node, 8);
  memcpy(in + 24, &t->req.header.uid, 4);
  memcpy(in + 28, &t->req.header.gid, 4);
  memcpy(in + 32, &t->req.header.pid, 4);
  t->in_len = VIRTIOFS_FUSE_IN_HEADER;
  raw_len(t, VIRTIOFS_FUSE_IN_HEADER);
  t->room = 4096;
}

void raw_len(struct test *t, uint32_t len) {
  memcpy(t->server->in, &len, sizeof(len));
}

void raw_bytes(struct test *t, const void *data, size_t size) {
  memcpy(t->server->in + t->in_len, data, size);
  t->in_len += size;
  raw_len(t, (uint32_t)t->in_len);
}

void raw_u32(struct test *t, uint32_t value) {
  raw_bytes(t, &value, sizeof(value));
}

void raw_u64(struct test *t, uint64_t value) {
  raw_bytes(t, &value, sizeof(value));
}

void raw_string(struct test *t, const char *text) {
  raw_bytes(t, text, strlen(text) + 1);
}

void raw_zeros(struct test *t, size_t size) {
  memset(t->server->in + t->in_len, 0, size);
  t->in_len += size;
  raw_len(t, (uint32_t)t->in_len);
}

static void reply_get(const struct test *t, size_t at, void *value, size_t size) {
  memset(value, 0, size);
  if (at + size <= t->size)
    memcpy(value, t->bytes + at, size);
}

uint32_t reply_u16(const struct test *t, size_t at) {
  uint16_t value;
  reply_get(t, at, &value, sizeof(value));
  return value;
}

uint32_t reply_u32(const struct test *t, size_t at) {
  uint32_t value;
  reply_get(t, at, &value, sizeof(value));
  return value;
}

uint64_t reply_u64(const struct test *t, size_t at) {
  uint64_t value;
  reply_get(t, at, &value, sizeof(value));
  return value;
}

void still_alive(struct test *t) {
  int rc = fs_getattr(t, VIRTIOFS_FUSE_ROOT);
  if (rc != 0)
    fail(t, "GETATTR of the root says %s afterwards", strerror(-rc));
}

/* ---- for people ---- */

static void hex(char *to, size_t size, const char *before, const unsigned char *bytes, size_t count) {
  size_t at = strlen(to);
  at += (size_t)snprintf(to + at, size - at, "%s", before);
  for (size_t i = 0; i < count && i < 96 && at + 4 < size; i++)
    at += (size_t)snprintf(to + at, size - at, "%s%02x", i % 4 == 0 ? " " : "", bytes[i]);
  if (count > 96 && at + 5 < size)
    (void)snprintf(to + at, size - at, " ...");
}

static void describe_request(const struct test *t, char *sent, size_t size) {
  static struct virtiofs_fuse_request req;
  struct iovec iov = {.iov_base = t->server->in, .iov_len = t->in_len};
  char before[64];
  (void)snprintf(before, sizeof(before), "%s%zu bytes:", sent[0] != 0 ? "; " : "", t->in_len);
  if (t->in_len > 0 && virtiofs_fuse_request_decode(&req, proto_of(t), &iov, 1) == 0) {
    (void)virtiofs_fuse_request_format(&req, sent, size);
    (void)snprintf(before, sizeof(before), "; %zu bytes:", t->in_len);
  }
  hex(sent, size, before, t->server->in, t->in_len);
  size_t at = strlen(sent);
  (void)snprintf(sent + at, size - at, "; room for %zu", t->room);
}

static void describe_reply(const struct test *t, char *got, size_t size) {
  char before[64];
  if (!t->answered) {
    (void)snprintf(got, size, "nothing");
    return;
  }
  if (t->len >= VIRTIOFS_FUSE_OUT_HEADER && (t->error != 0 || !t->raw))
    (void)virtiofs_fuse_reply_format(&t->req.header, t->error, &t->got, got, size);
  (void)snprintf(before, sizeof(before), "%s%lld bytes used:", got[0] != 0 ? "; " : "", (long long)t->used);
  hex(got, size, before, t->copy, t->len > 0 && t->len <= AREA_BYTES ? t->len : 0);
}

void test_describe(const struct test *t, char *sent, char *got, size_t size) {
  sent[0] = got[0] = 0;
  if (!t->is_message) {
    (void)snprintf(sent, size, "%s", t->sent_text);
    (void)snprintf(got, size, "%s", t->got_text);
  } else if (t->server->client != NULL) {
    describe_request(t, sent, size);
    describe_reply(t, got, size);
  }
}
