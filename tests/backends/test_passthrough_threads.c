/* SPDX-License-Identifier: BSD-3-Clause */
/* Many threads on the same few names; to be run under TSan. cmocka's assertions belong to the first thread: others
 * count. */
#include "passthrough_share.h"

#include <pthread.h>
#include <stdatomic.h>

enum { THREADS = 8, ROUNDS = 1500, NAMES = 5 };

static atomic_int wrong;

struct worker {
  struct share *s;
  struct virtiofs_req req;
  unsigned number;
};

static void expect(bool good) {
  if (!good)
    atomic_fetch_add(&wrong, 1);
}

static void run(struct share *s, void *(*body)(void *)) {
  pthread_t threads[THREADS];
  static struct worker workers[THREADS];
  atomic_store(&wrong, 0);
  for (unsigned i = 0; i < THREADS; i++) {
    workers[i] = (struct worker){.s = s, .req = s->req, .number = i};
    assert_int_equal(pthread_create(&threads[i], NULL, body, &workers[i]), 0);
  }
  for (unsigned i = 0; i < THREADS; i++)
    pthread_join(threads[i], NULL);
  assert_int_equal(atomic_load(&wrong), 0);
}

/* Names are replaced all the time, so inodes come and go between the look-ups. */
static void *look_and_forget(void *arg) {
  struct worker *w = arg;
  struct share *s = w->s;
  char name[16], spare[16];
  for (unsigned i = 0; i < ROUNDS; i++) {
    snprintf(name, sizeof name, "f%u", (i + w->number) % NAMES);
    struct virtiofs_lookup_in in = {.parent = s->root, .name = share_name(name)};
    struct virtiofs_entry_out out = {.node = 0};
    expect(s->ops->lookup(&w->req, &in, &out) == 0);
    struct virtiofs_getattr_in attr_in = {.node = out.node};
    struct virtiofs_attr_out attr = {.attr_valid_ns = 0};
    int rc = s->ops->getattr(&w->req, &attr_in, &attr);
    expect((rc == -ESTALE && share_has_handles()) || (rc == 0 && attr.attr.ino == out.attr.ino));
    if (i % 5 == 0) {
      snprintf(spare, sizeof spare, "spare%u", w->number);
      int fd = openat(s->fd, spare, O_CREAT | O_WRONLY | O_EXCL | O_CLOEXEC, 0600);
      expect(fd >= 0 && close(fd) == 0 && renameat(s->fd, spare, s->fd, name) == 0);
    }
    struct virtiofs_forget_in forget_in = {.node = out.node, .replies = 1};
    s->ops->forget(&w->req, &forget_in);
  }
  return NULL;
}

static void looking_and_forgetting(void **state) {
  struct share *s = *state;
  char name[16];
  for (int i = 0; i < NAMES; i++) {
    snprintf(name, sizeof name, "f%d", i);
    share_put_file(s, name, "", 0600);
  }
  int before = share_open_fds();
  run(s, look_and_forget);
  assert_int_equal(share_open_fds(), before); /* all counts are back at none */
}

/* Growing and shrinking of the table while others look. */
static void *fill_and_empty(void *arg) {
  struct worker *w = arg;
  struct share *s = w->s;
  static uint64_t nodes[THREADS][300];
  char name[16];
  for (unsigned round = 0; round < 3; round++) {
    for (unsigned i = 0; i < 300; i++) {
      snprintf(name, sizeof name, "t%u-%u", w->number, i);
      struct virtiofs_create_in in = {
          .parent = s->root, .name = share_name(name), .flags = O_RDWR | O_CREAT, .mode = 0600};
      struct virtiofs_create_out out = {.open = {.handle = 0}};
      expect(s->ops->create(&w->req, &in, &out) == 0);
      nodes[w->number][i] = out.entry.node;
      struct virtiofs_release_in release_in = {.handle = out.open.handle};
      s->ops->release(&w->req, &release_in);
    }
    for (unsigned i = 0; i < 300; i++) {
      struct virtiofs_forget_in in = {.node = nodes[w->number][i], .replies = 1};
      s->ops->forget(&w->req, &in);
    }
  }
  return NULL;
}

static void filling_and_emptying(void **state) {
  struct share *s = *state;
  int before = share_open_fds();
  run(s, fill_and_empty);
  assert_int_equal(share_open_fds(), before);
}

/* Each thread acts for a user of its own; none may get another's. */
static void *make_as_user(void *arg) {
  struct worker *w = arg;
  struct share *s = w->s;
  char name[16];
  w->req.caller.uid = 3000 + w->number % 3;
  w->req.caller.gid = 4000 + w->number;
  for (unsigned i = 0; i < 200; i++) {
    snprintf(name, sizeof name, "d%u-%u", w->number, i);
    struct virtiofs_mkdir_in in = {.parent = s->root, .name = share_name(name), .mode = 0755};
    struct virtiofs_entry_out out = {.node = 0};
    expect(s->ops->mkdir(&w->req, &in, &out) == 0);
    expect(out.attr.uid == w->req.caller.uid && out.attr.gid == w->req.caller.gid);
    struct virtiofs_rmdir_in rmdir_in = {.parent = s->root, .name = share_name(name)};
    expect(s->ops->rmdir(&w->req, &rmdir_in) == 0);
    struct virtiofs_forget_in forget_in = {.node = out.node, .replies = 1};
    s->ops->forget(&w->req, &forget_in);
  }
  return NULL;
}

static void acting_for_several_users(void **state) {
  struct share *s = *state;
  if (geteuid() != 0)
    skip();
  run(s, make_as_user);
}

static uint64_t shared_handle;

/* One directory handle, many readers: positions are each request's own. */
static void *list_one_handle(void *arg) {
  struct worker *w = arg;
  struct share *s = w->s;
  struct virtiofs_readdir_out *list = calloc(1, sizeof *list);
  for (unsigned i = 0; i < 20; i++) {
    uint64_t offset = 0;
    unsigned names = 0;
    do {
      struct virtiofs_readdir_in in = {.node = s->root, .handle = shared_handle, .offset = offset, .size = 1000};
      *list = (struct virtiofs_readdir_out){.ops = s->ops, .req = &w->req, .room = 1000};
      expect(s->ops->readdir(&w->req, &in, list) == 0);
      names += list->count;
      if (list->count > 0)
        offset = list->records[list->count - 1].next;
    } while (list->count > 0);
    expect(names == 102);
  }
  free(list);
  return NULL;
}

static void listing_one_handle(void **state) {
  struct share *s = *state;
  char name[16];
  for (int i = 0; i < 100; i++) {
    snprintf(name, sizeof name, "f%d", i);
    share_put_file(s, name, "", 0600);
  }
  shared_handle = share_opendir(s, s->root);
  run(s, list_one_handle);
  share_releasedir(s, shared_handle);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      share_test(looking_and_forgetting),
      share_test(filling_and_emptying),
      share_test(acting_for_several_users),
      share_test(listing_one_handle),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
