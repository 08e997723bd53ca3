/* SPDX-License-Identifier: BSD-3-Clause */
/* The host changes what a name means while the guest uses it: somebody who has access to the share works with the
 * guest. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "hostile.h"

enum { ROUNDS = 150 };

struct changer {
  const struct hostile *h;
  void (*change)(const struct changer *c);
  int share; /* descriptors: paths may change under our feet */
  int top;
  atomic_bool stop;
  atomic_ulong changes;
  pthread_t thread;
};

static void *change_all_the_time(void *arg) {
  struct changer *c = arg;
  while (!atomic_load(&c->stop)) {
    c->change(c);
    atomic_fetch_add(&c->changes, 1);
    (void)sched_yield();
  }
  return NULL;
}

static int must_open(int dir, const char *path) {
  int fd = openat(dir, path, O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0)
    fail("%s: %s", path, strerror(errno));
  return fd;
}

static void begin(struct changer *c, const struct hostile *h, void (*change)(const struct changer *c)) {
  *c = (struct changer){.h = h, .change = change};
  c->share = must_open(AT_FDCWD, h->share);
  c->top = must_open(c->share, "../..");
  if (pthread_create(&c->thread, NULL, change_all_the_time, c) != 0)
    fail("no thread");
  while (atomic_load(&c->changes) == 0)
    (void)sched_yield();
}

/* @even: what was changed is changed back. */
static void end(struct changer *c, bool even) {
  atomic_store(&c->stop, true);
  pthread_join(c->thread, NULL);
  if (even && atomic_load(&c->changes) % 2 != 0)
    c->change(c);
  close(c->share);
  close(c->top);
}

/* ---- what the guest does meanwhile ---- */

/* Whatever is there: opened, read, listed, written. It may be gone, or be a link, at any time. */
static void use_file(struct hostile *h, uint64_t node) {
  static const uint32_t flags[] = {O_RDONLY, O_RDWR, O_RDWR | O_TRUNC};
  const unsigned char *bytes;
  uint64_t handle;
  for (unsigned i = 0; i < 3; i++) {
    if (ask_open(h, VIRTIOFS_FUSE_OPEN, node, flags[i], &handle) != 0)
      continue;
    (void)ask_read(h, VIRTIOFS_FUSE_READ, node, handle, 4096, &bytes);
    if (i != 0)
      (void)ask_write(h, node, handle, "the guest was here");
    (void)ask_release(h, VIRTIOFS_FUSE_RELEASE, node, handle);
  }
  for (unsigned bit = 0; bit < 8; bit++)
    (void)ask_setattr(h, node, 1U << bit);
}

static void use_dir(struct hostile *h, uint64_t node) {
  const unsigned char *bytes;
  uint64_t handle;
  if (ask_open(h, VIRTIOFS_FUSE_OPENDIR, node, O_RDONLY | O_DIRECTORY, &handle) == 0) {
    (void)ask_read(h, VIRTIOFS_FUSE_READDIR, node, handle, 4096, &bytes);
    (void)ask_read(h, VIRTIOFS_FUSE_READDIRPLUS, node, handle, 4096, &bytes);
    (void)ask_release(h, VIRTIOFS_FUSE_RELEASEDIR, node, handle);
  }
}

/* Each operation with a name, in a directory that may be another one by now; and with what it gives. */
static void use_place(struct hostile *h, uint64_t parent, const struct place *place) {
  static const char *const names[] = {"secret", "inner", "new"};
  uint64_t node;
  for (unsigned op = 0; op < name_ops; op++)
    for (unsigned i = 0; i < 3; i++)
      (void)name_op(h, op, parent, names[i], strlen(names[i]), place);
  use_dir(h, parent);
  if (ask_lookup(h, parent, "secret", &node) == 0 && node != 0)
    use_file(h, node);
}

static void use_all(struct hostile *h, const char *dir, const char *file, unsigned rounds) {
  session_begin(h);
  struct place place = {.dir = must_lookup(h, VIRTIOFS_FUSE_ROOT_ID, "dir"),
                        .file = must_lookup(h, VIRTIOFS_FUSE_ROOT_ID, "spare")};
  uint64_t first, node;
  if (ask_lookup(h, VIRTIOFS_FUSE_ROOT_ID, dir, &first) != 0)
    first = place.dir;
  for (unsigned i = 0; i < rounds; i++) {
    if (ask_lookup(h, VIRTIOFS_FUSE_ROOT_ID, dir, &node) == 0 && node != 0)
      use_place(h, node, &place);
    if (ask_lookup(h, VIRTIOFS_FUSE_ROOT_ID, file, &node) == 0 && node != 0)
      use_file(h, node);
    if (i % 8 == 0)
      use_place(h, first, &place);
    canary_check(&h->canary);
  }
  session_end(h);
}

/* ---- a directory and a link, a file and a link ---- */

static void exchange(const struct changer *c) {
  if (renameat2(c->share, "swap", c->share, "link", RENAME_EXCHANGE) != 0 ||
      renameat2(c->share, "swapfile", c->share, "filelink", RENAME_EXCHANGE) != 0)
    fail("the host can't exchange files: %s", strerror(errno));
  /* What the guest has moved away comes back. */
  int fd = openat(c->share, "swap/secret", O_CREAT | O_WRONLY | O_CLOEXEC | O_NOFOLLOW, 0644);
  if (fd >= 0)
    close(fd);
}

void attack_swaps(struct hostile *h) {
  struct changer c;
  begin(&c, h, exchange);
  use_all(h, "swap", "swapfile", h->rounds * ROUNDS);
  end(&c, true);
}

/* ---- the directories above the share ---- */

/* Where the share was there is a link to what isn't shared, for a while. */
static void move_ancestor(const struct changer *c) {
  if (renameat(c->top, "mid", c->top, "moved") != 0 || symlinkat(c->h->outside, c->top, "mid") != 0)
    fail("the host can't rename: %s", strerror(errno));
  (void)sched_yield();
  if (unlinkat(c->top, "mid", 0) != 0 || renameat(c->top, "moved", c->top, "mid") != 0)
    fail("the host can't rename back: %s", strerror(errno));
}

void attack_ancestors(struct hostile *h) {
  struct changer c;
  begin(&c, h, move_ancestor);
  use_all(h, "dir", "spare", h->rounds * ROUNDS);
  end(&c, false);
}

/* ---- mounts that come and go ---- */

/* On a directory of the share: one from outside that may be seen, with a link up. */
static void mount_and_unmount(const struct changer *c) {
  char from[600], to[64];
  (void)snprintf(from, sizeof(from), "%s-shown", c->h->outside);
  (void)snprintf(to, sizeof(to), "/proc/self/fd/%d/mnt", c->share);
  if (mount(from, to, NULL, MS_BIND, NULL) != 0)
    return;
  (void)sched_yield();
  (void)umount2(to, MNT_DETACH | UMOUNT_NOFOLLOW);
}

void attack_mounts(struct hostile *h) {
  struct changer c;
  begin(&c, h, mount_and_unmount);
  use_all(h, "mnt", "mnt", h->rounds * ROUNDS / 3);
  end(&c, false);
}
