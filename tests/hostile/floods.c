/* SPDX-License-Identifier: BSD-3-Clause */
/* As much as a guest can make a server keep, of each kind, and then it hangs up without giving anything back. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "hostile.h"

enum { NODES = 2000, HANDLES = 2000, WAITERS = SLOTS - 2, XATTRS = 20, FORGETS = 300 };

/* Files that are made, known and open; nobody forgets or closes them. */
static void flood_nodes(struct hostile *h) {
  struct body body;
  const unsigned char *reply;
  char name[32];
  uint32_t len;
  for (unsigned i = 0; i < NODES; i++) {
    body.len = 0;
    body_u32(&body, O_RDWR);
    body_u32(&body, S_IFREG | 0644);
    body_u64(&body, 0);
    (void)snprintf(name, sizeof(name), "flood-%u", i);
    body_text(&body, name);
    int rc = raw_ask(h, VIRTIOFS_FUSE_CREATE, VIRTIOFS_FUSE_ROOT_ID, &body, &reply, &len);
    if (rc != 0 && rc != -ENFILE && rc != -EMFILE && rc != -ENOSPC)
      fail("CREATE of file %u: %s", i, strerror(-rc));
  }
}

static void flood_handles(struct hostile *h, uint64_t file) {
  uint64_t handle;
  for (unsigned i = 0; i < HANDLES; i++) {
    int rc = ask_open(h, VIRTIOFS_FUSE_OPEN, file, O_RDWR, &handle);
    if (rc == 0)
      rc = ask_open(h, VIRTIOFS_FUSE_OPENDIR, VIRTIOFS_FUSE_ROOT_ID, O_RDONLY, &handle);
    if (rc != 0 && rc != -ENFILE && rc != -EMFILE)
      fail("OPEN %u: %s", i, strerror(-rc));
  }
}

static void lock_body(struct body *body, uint64_t handle, uint64_t owner) {
  body->len = 0;
  body_u64(body, handle);
  body_u64(body, owner);
  body_u64(body, 0);
  body_u64(body, INT64_MAX);
  body_u32(body, F_WRLCK);
  body_u32(body, 1);
  body_u64(body, 0);
}

/* Locks that are waited for, and INTERRUPTs of requests that there are and aren't. */
static void flood_waiters(struct hostile *h, uint64_t file) {
  struct body body;
  const unsigned char *reply;
  uint64_t handle;
  uint32_t len;
  if (ask_open(h, VIRTIOFS_FUSE_OPEN, file, O_RDWR, &handle) != 0)
    return;
  lock_body(&body, handle, 1);
  if (raw_ask(h, VIRTIOFS_FUSE_SETLK, file, &body, &reply, &len) != 0)
    return; /* the server has no locks */
  for (unsigned i = 0; i < WAITERS; i++) {
    lock_body(&body, handle, 2 + i);
    if (raw_send(h, VIRTIOFS_FUSE_SETLKW, file, &body, REPLY_MAX) == NULL)
      fail("SETLKW %u can't be sent", i);
  }
  const uint64_t last = h->unique;
  for (unsigned i = 0; i < 4 * WAITERS; i++) {
    body.len = 0;
    body_u64(&body, last - i);
    raw_wait(h, SLOTS - 1);
    (void)raw_send(h, VIRTIOFS_FUSE_INTERRUPT, 0, &body, 0);
  }
}

static void flood_lists(struct hostile *h) {
  const unsigned char *bytes;
  uint64_t handle;
  for (unsigned i = 0; i < 50; i++) {
    if (ask_open(h, VIRTIOFS_FUSE_OPENDIR, VIRTIOFS_FUSE_ROOT_ID, O_RDONLY, &handle) != 0)
      return;
    (void)ask_read(h, VIRTIOFS_FUSE_READDIRPLUS, VIRTIOFS_FUSE_ROOT_ID, handle, REPLY_MAX - 64, &bytes);
  }
}

static void flood_values(struct hostile *h, uint64_t file) {
  static struct body body;
  const unsigned char *reply;
  uint32_t len;
  for (unsigned i = 0; i < XATTRS; i++) {
    char name[32], value[4000];
    memset(value, 'v', sizeof(value));
    (void)snprintf(name, sizeof(name), "user.flood-%u", i);
    body.len = 0;
    body_u32(&body, sizeof(value));
    body_u32(&body, 0);
    body_text(&body, name);
    body_bytes(&body, value, sizeof(value));
    (void)raw_ask(h, VIRTIOFS_FUSE_SETXATTR, file, &body, &reply, &len);
  }
}

/* Of nodes that are known, twice and a thousand times, and of others. */
static void flood_forgets(struct hostile *h, uint64_t file) {
  static struct body body;
  body.len = 0;
  body_u32(&body, FORGETS);
  body_u32(&body, 0);
  for (unsigned i = 0; i < FORGETS; i++) {
    body_u64(&body, i % 3 == 0 ? VIRTIOFS_FUSE_ROOT_ID : i % 3 == 1 ? file : next_number(h));
    body_u64(&body, i % 2 == 0 ? UINT64_MAX : 1);
  }
  for (unsigned i = 0; i < 20; i++) {
    (void)raw_send(h, VIRTIOFS_FUSE_BATCH_FORGET, 0, &body, 0);
    raw_wait(h, 0);
  }
}

static void tmpfiles(struct hostile *h) {
  struct body body = {.len = 0};
  const unsigned char *reply;
  uint32_t len;
  body_u32(&body, O_RDWR);
  body_u32(&body, S_IFREG | 0600);
  body_u64(&body, 0);
  body_text(&body, "");
  for (unsigned i = 0; i < 200; i++)
    (void)raw_ask(h, VIRTIOFS_FUSE_TMPFILE, VIRTIOFS_FUSE_ROOT_ID, &body, &reply, &len);
}

static void remove_files(struct hostile *h) {
  const unsigned char *reply;
  uint32_t len;
  session_begin(h);
  for (unsigned i = 0; i < NODES; i++) {
    struct body body = {.len = 0};
    char name[32];
    (void)snprintf(name, sizeof(name), "flood-%u", i);
    body_text(&body, name);
    (void)raw_ask(h, VIRTIOFS_FUSE_UNLINK, VIRTIOFS_FUSE_ROOT_ID, &body, &reply, &len);
  }
  session_end(h);
}

void attack_floods(struct hostile *h) {
  for (unsigned i = 0; i < h->rounds; i++) {
    session_begin(h);
    uint64_t file = must_lookup(h, VIRTIOFS_FUSE_ROOT_ID, "spare");
    flood_values(h, file);
    flood_nodes(h);
    flood_lists(h);
    flood_handles(h, file);
    tmpfiles(h);
    flood_waiters(h, file);
    session_end(h);
    session_begin(h);
    flood_forgets(h, must_lookup(h, VIRTIOFS_FUSE_ROOT_ID, "spare"));
    session_end(h);
    remove_files(h);
  }
}
