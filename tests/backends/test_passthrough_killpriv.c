/* SPDX-License-Identifier: BSD-3-Clause */
/* What a changed file loses. As root, who would keep it all; skipped for others. */
#include "passthrough_share.h"

#include <pthread.h>
#include <sys/xattr.h>

enum { USER = 1234 };

static int setup(void **state) {
  int rc = share_setup(state);
  struct share *s = *state;
  virtiofs_passthrough_free(s->fs);
  share_serve(
      s, (struct virtiofs_passthrough_config){.xattrmap = ":map:security.capability:user.map.:", .killpriv_v2 = true});
  s->req.semantics = VIRTIOFS_SEMANTICS_HANDLE_KILLPRIV_V2 | VIRTIOFS_SEMANTICS_ATOMIC_O_TRUNC;
  return rc;
}

static mode_t mode_of(const struct share *s) {
  return share_stat(s, "f").st_mode & 07777;
}

static void set_mode(const struct share *s, mode_t mode) {
  assert_int_equal(fchmodat(s->fd, "f", mode, 0), 0);
}

static uint64_t open_it(struct share *s) {
  if (geteuid() != 0)
    skip();
  share_put_file(s, "f", "0123456789", 06777);
  return share_open(s, share_lookup(s, "f"), O_RDWR);
}

static void promised_if_asked(void **state) {
  struct share *s = *state;
  const uint64_t both = VIRTIOFS_SEMANTICS_HANDLE_KILLPRIV_V2 | VIRTIOFS_SEMANTICS_ATOMIC_O_TRUNC;
  struct virtiofs_init_in in = {.major = 7, .minor = 38};
  struct virtiofs_init_out out = {.semantics = 0};
  assert_int_equal(s->ops->init(&s->req, &in, &out), 0);
  assert_int_equal(out.semantics & both, both);
  virtiofs_passthrough_free(s->fs);
  share_serve(s, (struct virtiofs_passthrough_config){.entry_valid_ns = 0});
  out = (struct virtiofs_init_out){.semantics = 0};
  assert_int_equal(s->ops->init(&s->req, &in, &out), 0);
  assert_int_equal(out.semantics & both, 0);
}

static void writes_say_it(void **state) {
  struct share *s = *state;
  uint64_t h = open_it(s);
  assert_int_equal(share_write(s, h, 0, "x", 0, 0), 1);
  assert_int_equal(mode_of(s), 06777);
  assert_int_equal(share_write(s, h, 0, "x", 0, VIRTIOFS_WRITE_KILL_SUIDGID), 1);
  assert_int_equal(mode_of(s), 0777);
  set_mode(s, 06777);
  assert_int_equal(share_write(s, h, 0, "x", 0, 0), 1);
  assert_int_equal(mode_of(s), 06777);
  set_mode(s, 02666);
  assert_int_equal(share_write(s, h, 0, "x", 0, VIRTIOFS_WRITE_KILL_SUIDGID), 1);
  assert_int_equal(mode_of(s), 02666);
  share_release(s, h);
}

static int truncated(struct share *s, uint64_t handle, uint32_t valid) {
  struct virtiofs_setattr_in in = {
      .node = s->opened, .valid = VIRTIOFS_SET_SIZE | valid, .has_handle = handle != 0, .handle = handle, .size = 4};
  struct virtiofs_attr_out out;
  int rc = s->ops->setattr(&s->req, &in, &out);
  if (rc == 0)
    assert_int_equal(out.attr.mode & 07777, mode_of(s));
  return rc;
}

static void truncations_say_it(void **state) {
  struct share *s = *state;
  uint64_t h = open_it(s);
  for (int by_handle = 0; by_handle < 2; by_handle++) {
    set_mode(s, 06777);
    assert_int_equal(truncated(s, by_handle ? h : 0, 0), 0);
    assert_int_equal(mode_of(s), 06777);
    assert_int_equal(truncated(s, by_handle ? h : 0, VIRTIOFS_SET_KILL_SUIDGID), 0);
    assert_int_equal(mode_of(s), 0777);
  }
  share_release(s, h);
}

static void mode_in_the_same_request_stays(void **state) {
  struct share *s = *state;
  share_release(s, open_it(s));
  struct virtiofs_setattr_in in = {.node = s->opened,
                                   .valid = VIRTIOFS_SET_SIZE | VIRTIOFS_SET_UID | VIRTIOFS_SET_GID |
                                            VIRTIOFS_SET_MODE | VIRTIOFS_SET_KILL_SUIDGID,
                                   .uid = USER,
                                   .gid = USER,
                                   .mode = 06755};
  struct virtiofs_attr_out out;
  assert_int_equal(s->ops->setattr(&s->req, &in, &out), 0);
  assert_int_equal(out.attr.mode & 07777, 06755);
}

static void opening_says_it(void **state) {
  struct share *s = *state;
  share_release(s, open_it(s));
  struct virtiofs_open_in in = {.node = s->opened, .flags = O_WRONLY | O_TRUNC};
  struct virtiofs_open_out out;
  assert_int_equal(s->ops->open(&s->req, &in, &out), 0);
  share_release(s, out.handle);
  assert_int_equal(share_stat(s, "f").st_size, 0);
  assert_int_equal(mode_of(s), 06777);
  in.open_flags = VIRTIOFS_OPEN_KILL_SUIDGID;
  assert_int_equal(s->ops->open(&s->req, &in, &out), 0);
  share_release(s, out.handle);
  assert_int_equal(mode_of(s), 0777);
}

/* CREATE of a name that is there after all. */
static void creating_over_says_it(void **state) {
  struct share *s = *state;
  share_release(s, open_it(s));
  struct virtiofs_create_in in = {
      .parent = s->root, .name = share_name("f"), .flags = O_CREAT | O_RDWR | O_TRUNC, .mode = S_IFREG | 0644};
  for (int kill = 0; kill < 2; kill++) {
    struct virtiofs_create_out out = {.open = {.handle = 0}};
    in.open_flags = kill ? VIRTIOFS_OPEN_KILL_SUIDGID : 0;
    assert_int_equal(s->ops->create(&s->req, &in, &out), 0);
    assert_int_equal(mode_of(s), kill ? 0777 : 06777);
    assert_int_equal(out.entry.attr.mode & 07777, mode_of(s));
    share_release(s, out.open.handle);
  }
}

/* These can't say it: it goes for all but root. */
static void callers_count(void **state) {
  struct share *s = *state;
  uint64_t h = open_it(s);
  struct virtiofs_fallocate_in fallocate_in = {.node = s->opened, .handle = h, .length = 100};
  struct virtiofs_copy_file_range_in copy_in = {
      .node = s->opened, .handle = h, .node_out = s->opened, .handle_out = h, .offset_out = 50, .len = 5};
  struct virtiofs_copy_file_range_out copied;
  for (int as_user = 0; as_user < 2; as_user++) {
    s->req.caller.uid = as_user ? USER : 0;
    set_mode(s, 06777);
    assert_int_equal(s->ops->fallocate(&s->req, &fallocate_in), 0);
    assert_int_equal(mode_of(s), as_user ? 0777 : 06777);
    set_mode(s, 06777);
    assert_int_equal(s->ops->copy_file_range(&s->req, &copy_in, &copied), 0);
    assert_int_equal(mode_of(s), as_user ? 0777 : 06777);
  }
  /* A guest that has not agreed has seen to it itself. */
  s->req.semantics = 0;
  set_mode(s, 06777);
  assert_int_equal(s->ops->fallocate(&s->req, &fallocate_in), 0);
  assert_int_equal(mode_of(s), 06777);
  share_release(s, h);
}

static const char mapped[] = "user.map.security.capability";

static bool has_capability(const struct share *s) {
  int fd = openat(s->fd, "f", O_RDONLY | O_CLOEXEC);
  ssize_t n = fgetxattr(fd, mapped, NULL, 0);
  close(fd);
  return n >= 0;
}

static void give_capability(const struct share *s) {
  int fd = openat(s->fd, "f", O_RDWR | O_CLOEXEC);
  int rc = fsetxattr(fd, mapped, "value", 5, 0);
  int error = errno;
  close(fd);
  if (rc != 0 && error == EOPNOTSUPP)
    skip();
  assert_int_equal(rc, 0);
}

/* CVE-2021-20263: under another name the host doesn't take it away. */
static void capability_by_another_name(void **state) {
  struct share *s = *state;
  uint64_t h = open_it(s), other;
  struct virtiofs_fallocate_in fallocate_in = {.node = s->opened, .handle = h, .length = 100};
  give_capability(s);
  assert_true(has_capability(s));
  assert_int_equal(share_write(s, h, 0, "x", 0, 0), 1);
  assert_false(has_capability(s));
  assert_int_equal(share_write(s, h, 0, "x", 0, 0), 1); /* there is none */
  give_capability(s);
  assert_int_equal(truncated(s, 0, 0), 0);
  assert_false(has_capability(s));
  give_capability(s);
  assert_int_equal(s->ops->fallocate(&s->req, &fallocate_in), 0);
  assert_false(has_capability(s));
  give_capability(s);
  other = share_open(s, s->opened, O_RDONLY);
  share_release(s, other);
  assert_true(has_capability(s));
  other = share_open(s, s->opened, O_RDWR | O_TRUNC);
  share_release(s, other);
  assert_false(has_capability(s));
  give_capability(s);
  struct virtiofs_setattr_in in = {.node = s->opened, .valid = VIRTIOFS_SET_UID, .uid = USER};
  struct virtiofs_attr_out out;
  assert_int_equal(s->ops->setattr(&s->req, &in, &out), 0);
  assert_false(has_capability(s));
  give_capability(s);
  s->req.semantics = 0;
  assert_int_equal(share_write(s, h, 0, "x", 0, 0), 1);
  assert_true(has_capability(s));
  share_release(s, h);
}

/* What a thread drops is the thread's own, and doesn't outlast what needs it. */
static void *write_killing(void *arg) {
  struct share *s = arg;
  int fd = openat(s->fd, "f", O_RDWR | O_CLOEXEC);
  for (int i = 0; i < 200; i++)
    (void)!share_write(s, (uint64_t)fd, 0, "x", 0, VIRTIOFS_WRITE_KILL_SUIDGID);
  close(fd);
  return NULL;
}

static void threads_are_apart(void **state) {
  struct share *s = *state;
  pthread_t thread;
  share_release(s, open_it(s));
  share_put_file(s, "g", "text", 0777);
  uint64_t g = share_lookup(s, "g"), h = share_open(s, g, O_RDWR);
  struct virtiofs_setattr_in in = {.node = g, .valid = VIRTIOFS_SET_MODE, .mode = 06777};
  struct virtiofs_attr_out out;
  assert_int_equal(pthread_create(&thread, NULL, write_killing, s), 0);
  for (int i = 0; i < 200; i++) {
    assert_int_equal(share_write(s, h, 0, "x", 0, i % 2 == 0 ? VIRTIOFS_WRITE_KILL_SUIDGID : 0), 1);
    assert_int_equal(share_stat(s, "g").st_mode & 07777, i == 0 || i % 2 == 0 ? 0777 : 06777);
    assert_int_equal(s->ops->setattr(&s->req, &in, &out), 0);
    assert_int_equal(out.attr.mode & 07777, 06777);
  }
  pthread_join(thread, NULL);
  share_release(s, h);
}

#define killing_test(function) cmocka_unit_test_setup_teardown(function, setup, share_teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      killing_test(promised_if_asked),  killing_test(writes_say_it),
      killing_test(truncations_say_it), killing_test(mode_in_the_same_request_stays),
      killing_test(opening_says_it),    killing_test(creating_over_says_it),
      killing_test(callers_count),      killing_test(capability_by_another_name),
      killing_test(threads_are_apart),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
