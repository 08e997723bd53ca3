/* SPDX-License-Identifier: BSD-3-Clause */
/* Nodeids and handles that were never given, are of the wrong kind or of before; and requests of any bytes. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "hostile.h"

enum { OPCODES = 56, KNOWN = 8, GARBAGE = 6000, FORGED = 24, MOST_GIVEN = 1 << 16 };

/* What this session has, and what one before it had. */
struct known {
  uint64_t nodes[KNOWN];
  uint64_t handles[KNOWN];
};

static void learn(struct hostile *h, struct known *known) {
  static const char *const names[] = {"dir", "spare", "link", "swap", "swapfile", "fifo"};
  *known = (struct known){.nodes = {VIRTIOFS_FUSE_ROOT_ID}};
  for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++)
    (void)ask_lookup(h, VIRTIOFS_FUSE_ROOT_ID, names[i], &known->nodes[i + 1]);
  (void)ask_open(h, VIRTIOFS_FUSE_OPEN, known->nodes[2], O_RDWR, &known->handles[0]);
  (void)ask_open(h, VIRTIOFS_FUSE_OPEN, known->nodes[5], O_RDONLY, &known->handles[1]);
  (void)ask_open(h, VIRTIOFS_FUSE_OPENDIR, VIRTIOFS_FUSE_ROOT_ID, O_RDONLY, &known->handles[2]);
  (void)ask_open(h, VIRTIOFS_FUSE_OPENDIR, known->nodes[1], O_RDONLY, &known->handles[3]);
}

static uint64_t forge(struct hostile *h, const uint64_t *known, const uint64_t *before) {
  uint64_t n = next_number(h), id = known[n % KNOWN];
  switch (n >> 8 & 15) {
  case 0:
    return id + 1;
  case 1:
    return id ^ UINT64_C(1) << (n >> 16 & 63);
  case 2:
    return before[n % KNOWN];
  case 3:
    return n >> 16 & 1023;
  case 4:
    return UINT64_MAX - (n >> 16 & 3);
  case 5:
    return (uint64_t)(uintptr_t)h; /* a pointer, though not of the server's */
  case 6:
    return next_number(h);
  default:
    return id;
  }
}

/* Nodes that replies have given: a forged request may well make a file. */
struct given {
  uint64_t ids[MOST_GIVEN];
  unsigned count;
};

static void give(struct given *given, uint64_t id) {
  if (given->count == MOST_GIVEN)
    fail("more than %d nodes were given", MOST_GIVEN);
  given->ids[given->count++] = id;
}

/* The header of a name in a listing, and of its node before it, in FUSE's layout. */
enum { ENTRY_BYTES = 128, DIRENT_BYTES = 24, NAMELEN_AT = 16 };

static void note_given(struct given *given, uint32_t opcode, const unsigned char *reply, uint32_t len) {
  uint64_t id;
  uint32_t namelen;
  switch (opcode) {
  case VIRTIOFS_FUSE_LOOKUP:
  case VIRTIOFS_FUSE_SYMLINK:
  case VIRTIOFS_FUSE_MKNOD:
  case VIRTIOFS_FUSE_MKDIR:
  case VIRTIOFS_FUSE_LINK:
  case VIRTIOFS_FUSE_CREATE:
  case VIRTIOFS_FUSE_TMPFILE:
    if (len >= sizeof(id)) {
      memcpy(&id, reply, sizeof(id));
      give(given, id);
    }
    return;
  case VIRTIOFS_FUSE_READDIRPLUS:
    for (uint32_t at = 0; at + ENTRY_BYTES + DIRENT_BYTES <= len;
         at += ENTRY_BYTES + ((DIRENT_BYTES + namelen + 7) & ~7U)) {
      memcpy(&id, reply + at, sizeof(id));
      memcpy(&namelen, reply + at + ENTRY_BYTES + NAMELEN_AT, sizeof(namelen));
      give(given, id);
    }
    return;
  default:
    return;
  }
}

/* Is this number one of those that the session may use? */
static bool is_known(const struct given *given, const uint64_t *known, uint64_t id) {
  for (unsigned i = 0; i < KNOWN; i++)
    if (known[i] == id)
      return true;
  for (unsigned i = 0; i < given->count; i++)
    if (given->ids[i] == id)
      return true;
  return false;
}

/* Each opcode with each kind of number where it has a nodeid, and where most have a handle. */
void attack_ids(struct hostile *h) {
  static struct known before, now;
  static struct given given;
  given.count = 0;
  session_begin(h);
  learn(h, &before);
  session_end(h);
  session_begin(h);
  learn(h, &now);
  for (unsigned i = 0; i < h->rounds * FORGED; i++) {
    for (uint32_t opcode = 1; opcode < OPCODES; opcode++) {
      struct body body = {.len = 0};
      const unsigned char *reply;
      uint32_t len;
      uint64_t node = forge(h, now.nodes, before.nodes);
      if (opcode == VIRTIOFS_FUSE_INIT || opcode == VIRTIOFS_FUSE_DESTROY || !virtiofs_fuse_has_reply(opcode))
        continue;
      body_u64(&body, forge(h, now.handles, before.handles));
      for (unsigned k = 0; k < 6; k++)
        body_u64(&body, k == 1 ? 0 : next_number(h) & 4095);
      body_text(&body, "inner");
      int rc = raw_ask(h, opcode, node, &body, &reply, &len);
      if (rc == 0)
        note_given(&given, opcode, reply, len);
      if (rc == 0 && opcode == VIRTIOFS_FUSE_GETATTR && !is_known(&given, now.nodes, node))
        fail("GETATTR of nodeid %#llx, which was never given, succeeds", (unsigned long long)node);
      if (rc == 0 && memmem(reply, len, CANARY_TEXT, strlen(CANARY_TEXT)) != NULL)
        fail("opcode %u has read a file that is not in the share", opcode);
    }
  }
  session_end(h);
}

/* ---- anything ---- */

static void garbage(struct hostile *h, const struct known *known, const struct known *before) {
  struct body body = {.len = 0};
  uint64_t n = next_number(h);
  uint32_t opcode = (uint32_t)(n >> 40) % (OPCODES + 4);
  size_t words = (n >> 16 & 15) + (n % 64 == 0 ? 500 : 0);
  /* Linux's own end of a mount would be the end of this one. */
  if (opcode == VIRTIOFS_FUSE_INIT || opcode == VIRTIOFS_FUSE_DESTROY)
    opcode = VIRTIOFS_FUSE_LOOKUP;
  for (size_t i = 0; i < words; i++)
    body_u64(&body, n % 3 == 0 ? next_number(h) : forge(h, i % 2 == 0 ? known->handles : known->nodes, before->nodes));
  body_text(&body, n % 5 == 0 ? "../secret" : n % 5 == 1 ? "swap" : "x");
  if (n % 7 == 0)
    body_text(&body, "y");
  uint32_t room = n % 4 == 0 ? (uint32_t)(n >> 24 & 255) : REPLY_MAX;
  while (raw_send(h, opcode, forge(h, known->nodes, before->nodes), &body, room) == NULL)
    raw_wait(h, SLOTS / 2);
}

void attack_garbage(struct hostile *h) {
  static struct known known, before;
  session_begin(h);
  learn(h, &before);
  session_end(h);
  for (unsigned round = 0; round < h->rounds; round++) {
    session_begin(h);
    learn(h, &known);
    for (unsigned i = 0; i < GARBAGE; i++)
      garbage(h, &known, &before);
    /* Not waited for: a lock that is waited for is answered when somebody hangs up. */
    session_end(h);
    canary_check(&h->canary);
  }
}
