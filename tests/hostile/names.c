/* SPDX-License-Identifier: BSD-3-Clause */
/* Names that lead out of the share; links that do; and files that must not be opened. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "hostile.h"

/* ---- names ---- */

struct bad_name {
  const char *text;
  size_t len; /* 0: as long as it is */
};

static char too_long[300], far_too_long[4200];

static const struct bad_name bad_names[] = {
    {".", 0},
    {"..", 0},
    {"", 0},
    {"/", 0},
    {"//", 0},
    {"../secret", 0},
    {"../../outside/secret", 0},
    {"./spare", 0},
    {"dir/", 0},
    {"dir/inner", 0},
    {"dir/../../secret", 0},
    {"/etc/passwd", 0},
    {"/proc/self/root", 0},
    {"link/secret", 0},
    {"up/secret", 0},
    {"magic/etc/passwd", 0},
    {"..\0spare", 8},
    {"..\0x", 4},
    {"\0", 1},
    {too_long, sizeof(too_long) - 1},
    {far_too_long, sizeof(far_too_long) - 1},
};

static struct place place_of(struct hostile *h) {
  return (struct place){.dir = must_lookup(h, VIRTIOFS_FUSE_ROOT_ID, "dir"),
                        .file = must_lookup(h, VIRTIOFS_FUSE_ROOT_ID, "spare")};
}

static void try_names(struct hostile *h, uint64_t parent, const struct place *place) {
  for (unsigned op = 0; op < name_ops; op++) {
    for (unsigned i = 0; i < sizeof(bad_names) / sizeof(bad_names[0]); i++) {
      const struct bad_name *name = &bad_names[i];
      size_t len = name->len != 0 ? name->len : strlen(name->text);
      int rc = name_op(h, op, parent, name->text, len, place);
      if (rc == 0 && !name_op_takes(op, name->text))
        fail("%s of the name %s (%zu bytes) succeeds", name_op_name(op), name->text, len);
    }
  }
}

void attack_names(struct hostile *h) {
  char path[600];
  memset(too_long, 'n', sizeof(too_long) - 1);
  memset(far_too_long, 'n', sizeof(far_too_long) - 1);
  session_begin(h);
  struct place place = place_of(h);
  try_names(h, VIRTIOFS_FUSE_ROOT_ID, &place);
  try_names(h, place.dir, &place);
  (void)snprintf(path, sizeof(path), "%s/secret", h->outside);
  for (unsigned op = 0; op < name_ops; op++)
    if (name_op(h, op, place.dir, path, strlen(path), &place) == 0 && !name_op_takes(op, path))
      fail("%s of an absolute name succeeds", name_op_name(op));
  session_end(h);
}

/* ---- links ---- */

static int ask_xattr(struct hostile *h, uint64_t node, uint32_t opcode, unsigned words) {
  struct body body = {.len = 0};
  const unsigned char *reply;
  uint32_t len;
  body_u32(&body, opcode == VIRTIOFS_FUSE_SETXATTR ? 5 : 1000);
  for (unsigned i = 1; i < words; i++)
    body_u32(&body, 0);
  if (opcode != VIRTIOFS_FUSE_LISTXATTR)
    body_text(&body, "user.canary");
  if (opcode == VIRTIOFS_FUSE_SETXATTR)
    body_bytes(&body, "value", 5);
  return raw_ask(h, opcode, node, &body, &reply, &len);
}

/* A link of the share leads out of it for nobody but a guest that follows it itself. */
static void use_link(struct hostile *h, uint64_t link, const char *name, const struct place *place) {
  static const uint32_t flags[] = {O_RDONLY, O_RDWR, O_RDWR | O_TRUNC, O_WRONLY | O_APPEND, O_RDONLY | O_DIRECTORY};
  struct body none = {.len = 0};
  const unsigned char *reply;
  uint64_t handle, node;
  uint32_t len;
  for (unsigned i = 0; i < sizeof(flags) / sizeof(flags[0]); i++)
    if (ask_open(h, VIRTIOFS_FUSE_OPEN, link, flags[i], &handle) == 0)
      fail("OPEN of the link %s succeeds", name);
  if (ask_open(h, VIRTIOFS_FUSE_OPENDIR, link, O_RDONLY | O_DIRECTORY, &handle) == 0)
    fail("OPENDIR of the link %s succeeds", name);
  if (ask_lookup(h, link, "secret", &node) == 0 && node != 0)
    fail("LOOKUP within the link %s succeeds", name);
  for (unsigned op = 0; op < name_ops; op++)
    if (name_op(h, op, link, "secret", 6, place) == 0)
      fail("%s within the link %s succeeds", name_op_name(op), name);
  /* Of the link itself, or of nothing. */
  for (unsigned bit = 0; bit < 8; bit++)
    (void)ask_setattr(h, link, 1U << bit);
  (void)ask_xattr(h, link, VIRTIOFS_FUSE_SETXATTR, 2);
  (void)ask_xattr(h, link, VIRTIOFS_FUSE_SETXATTR, 4);
  (void)ask_xattr(h, link, VIRTIOFS_FUSE_GETXATTR, 2);
  (void)ask_xattr(h, link, VIRTIOFS_FUSE_LISTXATTR, 2);
  (void)raw_ask(h, VIRTIOFS_FUSE_READLINK, link, &none, &reply, &len);
  struct place other = {.dir = place->dir, .file = link};
  for (unsigned op = 0; op < name_ops; op++)
    if (strcmp(name_op_name(op), "LINK") == 0)
      (void)name_op(h, op, place->dir, "hard", 4, &other);
}

static uint64_t make_link(struct hostile *h, const char *name, const char *target) {
  struct body body = {.len = 0};
  const unsigned char *reply;
  uint32_t len;
  uint64_t node;
  body_text(&body, name);
  body_text(&body, target);
  int rc = raw_ask(h, VIRTIOFS_FUSE_SYMLINK, VIRTIOFS_FUSE_ROOT_ID, &body, &reply, &len);
  if (rc != 0)
    fail("SYMLINK: %s", strerror(-rc));
  memcpy(&node, reply, sizeof(node));
  return node;
}

static void remove_name(struct hostile *h, uint64_t parent, const char *name) {
  struct body body = {.len = 0};
  const unsigned char *reply;
  uint32_t len;
  body_text(&body, name);
  (void)raw_ask(h, VIRTIOFS_FUSE_UNLINK, parent, &body, &reply, &len);
}

void attack_links(struct hostile *h) {
  static const char *const there[] = {"link", "filelink", "up", "magic", "cwd", "fds"};
  static const char *const made[] = {"/",
                                     "..",
                                     "../secret",
                                     "../../outside/secret",
                                     "/etc/passwd",
                                     "/proc/self/root",
                                     "/proc/self/cwd",
                                     "/proc/self/fd/3",
                                     "/proc/self/fd/5/../secret",
                                     "/proc/1/root/etc/passwd",
                                     "/proc/self/exe",
                                     "/proc/self/mem",
                                     "/dev/null",
                                     "itself"};
  session_begin(h);
  struct place place = place_of(h);
  for (unsigned i = 0; i < sizeof(there) / sizeof(there[0]); i++)
    use_link(h, must_lookup(h, VIRTIOFS_FUSE_ROOT_ID, there[i]), there[i], &place);
  for (unsigned i = 0; i < sizeof(made) / sizeof(made[0]); i++) {
    use_link(h, make_link(h, "itself", made[i]), made[i], &place);
    remove_name(h, VIRTIOFS_FUSE_ROOT_ID, "itself");
    remove_name(h, place.dir, "hard");
  }
  session_end(h);
}

/* ---- files that do something when they are opened ---- */

static void use_special(struct hostile *h, uint64_t node, const char *name) {
  static const uint32_t flags[] = {O_RDONLY, O_WRONLY, O_RDWR, O_RDWR | O_TRUNC, O_RDWR | O_NONBLOCK};
  const unsigned char *bytes;
  uint64_t handle;
  for (unsigned i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
    if (ask_open(h, VIRTIOFS_FUSE_OPEN, node, flags[i], &handle) != 0)
      continue;
    (void)ask_read(h, VIRTIOFS_FUSE_READ, node, handle, 16, &bytes);
    fail("OPEN of %s succeeds", name);
  }
  (void)ask_open(h, VIRTIOFS_FUSE_OPENDIR, node, O_RDONLY, &handle);
  for (unsigned bit = 0; bit < 8; bit++)
    (void)ask_setattr(h, node, 1U << bit);
  (void)ask_xattr(h, node, VIRTIOFS_FUSE_GETXATTR, 2);
  (void)ask_xattr(h, node, VIRTIOFS_FUSE_LISTXATTR, 2);
}

/* CREATE of a name that is there opens what is there. */
static void create_over(struct hostile *h, const char *name, const struct place *place) {
  for (unsigned op = 0; op < name_ops; op++)
    if (strncmp(name_op_name(op), "CREATE", 6) == 0 &&
        name_op(h, op, VIRTIOFS_FUSE_ROOT_ID, name, strlen(name), place) == 0)
      fail("%s of %s succeeds", name_op_name(op), name);
}

static void make_special(struct hostile *h, uint32_t mode, dev_t dev) {
  struct body body = {.len = 0};
  const unsigned char *reply;
  uint32_t len;
  uint64_t node;
  body_u32(&body, mode);
  body_u32(&body, (uint32_t)(minor(dev) | major(dev) << 8));
  body_u64(&body, 0);
  body_text(&body, "made");
  if (raw_ask(h, VIRTIOFS_FUSE_MKNOD, VIRTIOFS_FUSE_ROOT_ID, &body, &reply, &len) != 0)
    return;
  memcpy(&node, reply, sizeof(node));
  use_special(h, node, "what MKNOD has made");
  remove_name(h, VIRTIOFS_FUSE_ROOT_ID, "made");
}

void attack_special(struct hostile *h) {
  static const char *const there[] = {"null", "disk", "fifo", "sock"};
  session_begin(h);
  struct place place = place_of(h);
  for (unsigned i = 0; i < sizeof(there) / sizeof(there[0]); i++) {
    uint64_t node;
    if (ask_lookup(h, VIRTIOFS_FUSE_ROOT_ID, there[i], &node) != 0)
      continue; /* where nobody may make devices */
    use_special(h, node, there[i]);
    create_over(h, there[i], &place);
  }
  make_special(h, S_IFCHR | 0666, makedev(1, 5));
  make_special(h, S_IFBLK | 0666, makedev(7, 0));
  make_special(h, S_IFIFO | 0666, 0);
  make_special(h, S_IFSOCK | 0666, 0);
  session_end(h);
}
