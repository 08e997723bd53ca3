/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * Attacks on a server that runs, by the driver side: what each of them has at hand.
 *
 * The server shares one directory. Beside that lies a tree that nobody may touch, the canary: see canary.h.
 */
#ifndef VIRTIOFS_TESTS_HOSTILE_HOSTILE_H
#define VIRTIOFS_TESTS_HOSTILE_HOSTILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <virtiofs/client.h>

#include "canary.h"

enum { SLOTS = 64, BODY_MAX = 8192, REPLY_MAX = 65536, ANSWER_MS = 60000 };

/* A request of raw bytes, and its reply. */
struct raw {
  struct virtiofs_client_call call; /* first */
  struct hostile *h;
  struct iovec in, out;
  unsigned char *request, *reply; /* seen by the server */
  int64_t used;                   /* bytes of the reply; -errno: the connection broke */
  bool busy;
};

struct hostile {
  const char *socket, *share, *outside; /* paths */
  unsigned rounds;                      /* how long an attack goes on; 1 is a second or so */
  uint64_t seed;
  struct canary canary;
  struct virtiofs_client *client;
  struct raw raws[SLOTS];
  uint64_t unique;
};

/* Ends the program: an attack has worked, or can't be made. */
_Noreturn void fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The next of a row of numbers that is the same each time. */
uint64_t next_number(struct hostile *h);

/* ---- a session ---- */

/* Connects, and says INIT. */
void session_begin(struct hostile *h);
void session_end(struct hostile *h);

/* ---- requests of any bytes ---- */

struct body {
  size_t len;
  unsigned char bytes[BODY_MAX];
};

void body_u32(struct body *body, uint32_t value);
void body_u64(struct body *body, uint64_t value);
void body_bytes(struct body *body, const void *bytes, size_t len);
/* With its NUL. */
void body_text(struct body *body, const char *text);

/* Sends it on queue 1 without waiting. NULL if there is no room. */
struct raw *raw_send(struct hostile *h, uint32_t opcode, uint64_t node, const struct body *body, uint32_t room);
/* Waits until at most @most are under way. */
void raw_wait(struct hostile *h, unsigned most);
/* Sends and waits. 0 or the reply's -errno; *reply gets what is behind its header, until the next call. */
int raw_ask(struct hostile *h, uint32_t opcode, uint64_t node, const struct body *body, const unsigned char **reply,
            uint32_t *len);

/* ---- everyday requests, by raw bytes ---- */

/* 0 or -errno; the nodeid. Fails if what is found is outside. */
int ask_lookup(struct hostile *h, uint64_t parent, const char *name, uint64_t *node);
uint64_t must_lookup(struct hostile *h, uint64_t parent, const char *name);
int ask_open(struct hostile *h, uint32_t opcode, uint64_t node, uint32_t flags, uint64_t *handle);
int ask_release(struct hostile *h, uint32_t opcode, uint64_t node, uint64_t handle);
/* READ or READDIRPLUS and so on: bytes, or -errno. */
int ask_read(struct hostile *h, uint32_t opcode, uint64_t node, uint64_t handle, uint32_t size,
             const unsigned char **bytes);
/* SETATTR of what @valid says: FATTR_... */
int ask_setattr(struct hostile *h, uint64_t node, uint32_t valid);
int ask_write(struct hostile *h, uint64_t node, uint64_t handle, const char *text);

/* What is right of a request whose name isn't. */
struct place {
  uint64_t dir, file;
};

/*
 * Operations that take a name, from 0 to NAME_OPS - 1. The name goes to each place where there is one; the rest of the
 * request is right. What is given in a reply is looked at, and given back.
 */
extern const unsigned name_ops;
/* Linux itself sends strange names there: "." and ".." for files by handle, none for TMPFILE. */
bool name_op_takes(unsigned op, const char *name);
const char *name_op_name(unsigned op);
int name_op(struct hostile *h, unsigned op, uint64_t parent, const char *name, size_t len, const struct place *place);

/* ---- attacks ---- */

void attack_normal(struct hostile *h);
void attack_names(struct hostile *h);
void attack_links(struct hostile *h);
void attack_special(struct hostile *h);
void attack_swaps(struct hostile *h);
void attack_ancestors(struct hostile *h);
void attack_mounts(struct hostile *h);
void attack_ids(struct hostile *h);
void attack_garbage(struct hostile *h);
void attack_floods(struct hostile *h);
void attack_rings(struct hostile *h);
void attack_frontends(struct hostile *h);
void attack_descriptors(struct hostile *h);
void attack_control(struct hostile *h);

#endif
