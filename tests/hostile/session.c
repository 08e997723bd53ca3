/* SPDX-License-Identifier: BSD-3-Clause */
/* Requests of any bytes, and the everyday ones made of them. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "hostile.h"

enum { HEADER = 40, REPLY_HEADER = 16, ENTRY = 128 };

/* As <linux/fuse.h> has them. */
struct in_header {
  uint32_t len, opcode;
  uint64_t unique, nodeid;
  uint32_t uid, gid, pid, rest;
};

struct out_header {
  uint32_t len;
  int32_t error;
  uint64_t unique;
};

uint64_t next_number(struct hostile *h) {
  h->seed ^= h->seed << 13;
  h->seed ^= h->seed >> 7;
  h->seed ^= h->seed << 17;
  return h->seed;
}

/* ---- a session ---- */

void session_begin(struct hostile *h) {
  struct virtiofs_client_config config = {.size = sizeof(config),
                                          .socket_path = h->socket,
                                          .request_queues = 1,
                                          .queue_size = 256,
                                          .memory = SLOTS * (BODY_MAX + HEADER + REPLY_MAX + 8192) + (1 << 20),
                                          .timeout_ms = ANSWER_MS,
                                          .window = true};
  int rc = virtiofs_client_new(&h->client, &config);
  if (rc == 0)
    rc = virtiofs_client_init(h->client, NULL, NULL);
  if (rc != 0)
    fail("no session with the server: %s", strerror(-rc));
  for (unsigned i = 0; i < SLOTS; i++) {
    struct raw *raw = &h->raws[i];
    *raw = (struct raw){.h = h};
    raw->request = virtiofs_client_alloc(h->client, BODY_MAX + HEADER);
    raw->reply = virtiofs_client_alloc(h->client, REPLY_MAX);
    if (raw->request == NULL || raw->reply == NULL)
      fail("no memory");
  }
}

void session_end(struct hostile *h) {
  virtiofs_client_free(h->client);
  h->client = NULL;
}

/* ---- requests of any bytes ---- */

void body_bytes(struct body *body, const void *bytes, size_t len) {
  if (len > BODY_MAX - body->len)
    fail("a request of more than %d bytes", BODY_MAX);
  memcpy(body->bytes + body->len, bytes, len);
  body->len += len;
}

void body_u32(struct body *body, uint32_t value) {
  body_bytes(body, &value, sizeof(value));
}

void body_u64(struct body *body, uint64_t value) {
  body_bytes(body, &value, sizeof(value));
}

void body_text(struct body *body, const char *text) {
  body_bytes(body, text, strlen(text) + 1);
}

static void done(struct virtiofs_client_call *call, int64_t used) {
  struct raw *raw = (struct raw *)(void *)call;
  raw->used = used;
  raw->busy = false;
}

struct raw *raw_send(struct hostile *h, uint32_t opcode, uint64_t node, const struct body *body, uint32_t room) {
  struct raw *raw = NULL;
  for (unsigned i = 0; i < SLOTS && raw == NULL; i++)
    if (!h->raws[i].busy)
      raw = &h->raws[i];
  if (raw == NULL)
    return NULL;
  struct in_header header = {
      .len = (uint32_t)(HEADER + body->len), .opcode = opcode, .unique = h->unique += 2, .nodeid = node, .pid = 1};
  memcpy(raw->request, &header, HEADER);
  memcpy(raw->request + HEADER, body->bytes, body->len);
  raw->in = (struct iovec){.iov_base = raw->request, .iov_len = HEADER + body->len};
  raw->out = (struct iovec){.iov_base = raw->reply, .iov_len = room};
  raw->call = (struct virtiofs_client_call){
      .in = &raw->in, .in_count = 1, .out = &raw->out, .out_count = room != 0 ? 1 : 0, .done = done};
  raw->busy = true;
  if (virtiofs_client_submit(h->client, 1, &raw->call) != 0) {
    raw->busy = false;
    return NULL;
  }
  virtiofs_client_kick(h->client, 1);
  return raw;
}

void raw_wait(struct hostile *h, unsigned most) {
  while (virtiofs_client_in_flight(h->client, 1) > most) {
    int rc = virtiofs_client_wait(h->client, 1);
    if (rc < 0)
      fail("the server doesn't answer: %s", strerror(-rc));
  }
}

int raw_ask(struct hostile *h, uint32_t opcode, uint64_t node, const struct body *body, const unsigned char **reply,
            uint32_t *len) {
  struct out_header header;
  struct raw *raw = raw_send(h, opcode, node, body, REPLY_MAX);
  if (raw == NULL)
    fail("a request can't be sent");
  raw_wait(h, 0);
  if (raw->used < REPLY_HEADER || raw->used > REPLY_MAX)
    fail("opcode %u: a reply of %lld bytes", opcode, (long long)raw->used);
  memcpy(&header, raw->reply, sizeof(header));
  if (header.len != raw->used || header.error > 0 || header.error < -4095)
    fail("opcode %u: a reply that is none: length %u of %lld, error %d", opcode, header.len, (long long)raw->used,
         header.error);
  *reply = raw->reply + REPLY_HEADER;
  *len = header.len - REPLY_HEADER;
  return header.error;
}

/* ---- everyday requests ---- */

static uint64_t u64_at(const unsigned char *bytes, size_t at) {
  uint64_t value;
  memcpy(&value, bytes + at, sizeof(value));
  return value;
}

/* The attributes of an entry come after nodeid, generation and how long it is valid; a number is first. */
static uint64_t entry_node(struct hostile *h, const unsigned char *entry, const char *what) {
  uint64_t ino = u64_at(entry, 40);
  if (canary_has_ino(&h->canary, ino))
    fail("%s: the guest has got inode %llu, which is not in the share", what, (unsigned long long)ino);
  return u64_at(entry, 0);
}

static void forget(struct hostile *h, uint64_t node) {
  struct body body = {.len = 0};
  body_u64(&body, 1);
  if (node == 0 || node == VIRTIOFS_FUSE_ROOT_ID)
    return;
  (void)raw_send(h, VIRTIOFS_FUSE_FORGET, node, &body, 0);
  raw_wait(h, 0);
}

int ask_lookup(struct hostile *h, uint64_t parent, const char *name, uint64_t *node) {
  struct body body = {.len = 0};
  const unsigned char *reply;
  uint32_t len;
  body_text(&body, name);
  int rc = raw_ask(h, VIRTIOFS_FUSE_LOOKUP, parent, &body, &reply, &len);
  *node = 0;
  if (rc == 0 && len != ENTRY)
    fail("LOOKUP: an entry of %u bytes", len);
  if (rc == 0)
    *node = entry_node(h, reply, "LOOKUP");
  return rc;
}

uint64_t must_lookup(struct hostile *h, uint64_t parent, const char *name) {
  uint64_t node;
  int rc = ask_lookup(h, parent, name, &node);
  if (rc != 0 || node == 0)
    fail("%s is not there: %s", name, strerror(-rc));
  return node;
}

int ask_open(struct hostile *h, uint32_t opcode, uint64_t node, uint32_t flags, uint64_t *handle) {
  struct body body = {.len = 0};
  const unsigned char *reply;
  uint32_t len;
  body_u32(&body, flags);
  body_u32(&body, 0);
  int rc = raw_ask(h, opcode, node, &body, &reply, &len);
  *handle = rc == 0 && len >= 8 ? u64_at(reply, 0) : 0;
  return rc;
}

int ask_release(struct hostile *h, uint32_t opcode, uint64_t node, uint64_t handle) {
  struct body body = {.len = 0};
  const unsigned char *reply;
  uint32_t len;
  body_u64(&body, handle);
  body_u64(&body, 0);
  body_u64(&body, 0);
  return raw_ask(h, opcode, node, &body, &reply, &len);
}

int ask_read(struct hostile *h, uint32_t opcode, uint64_t node, uint64_t handle, uint32_t size,
             const unsigned char **bytes) {
  struct body body = {.len = 0};
  uint32_t len;
  body_u64(&body, handle);
  body_u64(&body, 0);
  body_u64(&body, size);
  body_u64(&body, 0);
  body_u64(&body, 0);
  int rc = raw_ask(h, opcode, node, &body, bytes, &len);
  if (rc == 0 && memmem(*bytes, len, CANARY_TEXT, strlen(CANARY_TEXT)) != NULL)
    fail("the guest has read a file that is not in the share");
  return rc != 0 ? rc : (int)len;
}

int ask_write(struct hostile *h, uint64_t node, uint64_t handle, const char *text) {
  struct body body = {.len = 0};
  const unsigned char *reply;
  uint32_t len;
  body_u64(&body, handle);
  body_u64(&body, 0);
  body_u64(&body, strlen(text));
  body_u64(&body, 0);
  body_u64(&body, 0);
  body_bytes(&body, text, strlen(text));
  return raw_ask(h, VIRTIOFS_FUSE_WRITE, node, &body, &reply, &len);
}

int ask_setattr(struct hostile *h, uint64_t node, uint32_t valid) {
  struct body body = {.len = 0};
  const unsigned char *reply;
  uint32_t len;
  body_u32(&body, valid);
  body_u32(&body, 0);
  for (unsigned i = 0; i < 6; i++) /* handle, size, owner of locks, times */
    body_u64(&body, 7);
  for (unsigned i = 0; i < 3; i++)
    body_u32(&body, 0);
  body_u32(&body, 0777);
  body_u32(&body, 0);
  body_u32(&body, 77);
  body_u32(&body, 77);
  body_u32(&body, 0);
  return raw_ask(h, VIRTIOFS_FUSE_SETATTR, node, &body, &reply, &len);
}

/* ---- operations with a name ---- */

enum name_kind { PLAIN, GIVES_ENTRY, GIVES_FILE };
enum name_other { NOTHING, A_DIR, A_FILE }; /* the nodeid that comes first */

struct name_op {
  const char *op;
  uint32_t opcode;
  enum name_kind kind;
  uint32_t words; /* of @fixed that come before the name */
  uint32_t fixed[6];
  enum name_other other;
  const char *before; /* another name before this one */
  const char *after;  /* and after */
};

#define FILE_MODE (S_IFREG | 0644)

static const struct name_op ops[] = {
    {"LOOKUP", VIRTIOFS_FUSE_LOOKUP, GIVES_ENTRY, 0, {0}, NOTHING, NULL, NULL},
    {"MKDIR", VIRTIOFS_FUSE_MKDIR, GIVES_ENTRY, 2, {0755}, NOTHING, NULL, NULL},
    {"MKNOD", VIRTIOFS_FUSE_MKNOD, GIVES_ENTRY, 4, {FILE_MODE}, NOTHING, NULL, NULL},
    {"MKNOD of a FIFO", VIRTIOFS_FUSE_MKNOD, GIVES_ENTRY, 4, {S_IFIFO | 0644}, NOTHING, NULL, NULL},
    {"SYMLINK", VIRTIOFS_FUSE_SYMLINK, GIVES_ENTRY, 0, {0}, NOTHING, NULL, "target"},
    {"CREATE", VIRTIOFS_FUSE_CREATE, GIVES_FILE, 4, {02, FILE_MODE}, NOTHING, NULL, NULL},
    {"CREATE with O_TRUNC", VIRTIOFS_FUSE_CREATE, GIVES_FILE, 4, {01002, FILE_MODE}, NOTHING, NULL, NULL},
    {"LINK", VIRTIOFS_FUSE_LINK, GIVES_ENTRY, 0, {0}, A_FILE, NULL, NULL},
    {"RENAME from", VIRTIOFS_FUSE_RENAME, PLAIN, 0, {0}, A_DIR, NULL, "moved"},
    {"RENAME to", VIRTIOFS_FUSE_RENAME, PLAIN, 0, {0}, A_DIR, "spare", NULL},
    {"RENAME2 from", VIRTIOFS_FUSE_RENAME2, PLAIN, 2, {1}, A_DIR, NULL, "moved"},
    {"RENAME2 to", VIRTIOFS_FUSE_RENAME2, PLAIN, 2, {0}, A_DIR, "spare", NULL},
    {"RENAME2 that exchanges", VIRTIOFS_FUSE_RENAME2, PLAIN, 2, {2}, A_DIR, "spare", NULL},
    {"UNLINK", VIRTIOFS_FUSE_UNLINK, PLAIN, 0, {0}, NOTHING, NULL, NULL},
    {"RMDIR", VIRTIOFS_FUSE_RMDIR, PLAIN, 0, {0}, NOTHING, NULL, NULL},
    {"TMPFILE", VIRTIOFS_FUSE_TMPFILE, GIVES_FILE, 4, {02, FILE_MODE}, NOTHING, NULL, NULL},
};

const unsigned name_ops = sizeof(ops) / sizeof(ops[0]);

bool name_op_takes(unsigned op, const char *name) {
  bool dots = strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
  return ops[op].opcode == VIRTIOFS_FUSE_TMPFILE || (ops[op].opcode == VIRTIOFS_FUSE_LOOKUP && dots);
}

const char *name_op_name(unsigned op) {
  return ops[op].op;
}

int name_op(struct hostile *h, unsigned op, uint64_t parent, const char *name, size_t len, const struct place *place) {
  const struct name_op *what = &ops[op];
  struct body body = {.len = 0};
  const unsigned char *reply;
  uint32_t reply_len;
  if (what->other != NOTHING)
    body_u64(&body, what->other == A_FILE ? place->file : place->dir);
  for (uint32_t i = 0; i < what->words; i++)
    body_u32(&body, what->fixed[i]);
  if (what->before != NULL)
    body_text(&body, what->before);
  body_bytes(&body, name, len);
  body_bytes(&body, "", 1);
  if (what->after != NULL)
    body_text(&body, what->after);
  int rc = raw_ask(h, what->opcode, parent, &body, &reply, &reply_len);
  if (rc != 0 || what->kind == PLAIN)
    return rc;
  if (reply_len < ENTRY + (what->kind == GIVES_FILE ? 16U : 0U))
    fail("%s: a reply of %u bytes", what->op, reply_len);
  uint64_t node = entry_node(h, reply, what->op);
  if (what->kind == GIVES_FILE)
    (void)ask_release(h, VIRTIOFS_FUSE_RELEASE, node, u64_at(reply, ENTRY));
  forget(h, node);
  return 0;
}
