/* SPDX-License-Identifier: BSD-3-Clause */
/* The ioctl(2)s that reach the host, and those that don't. */
#include "passthrough_share.h"

#include <linux/fs.h>
#include <sys/ioctl.h>

enum { USER = 1234 };

struct call {
  uint64_t node, handle;
  uint32_t cmd, in_size, out_size;
  void *in, *out;
};

static int call(struct share *s, struct call c) {
  struct iovec in_iov = {.iov_base = c.in, .iov_len = c.in_size};
  struct iovec out_iov = {.iov_base = c.out, .iov_len = c.out_size};
  struct virtiofs_ioctl_in in = {.node = c.node,
                                 .handle = c.handle,
                                 .cmd = c.cmd,
                                 .out_size = c.out_size,
                                 .data = {.iov = &in_iov, .count = 1, .size = c.in_size},
                                 .out = {.iov = &out_iov, .count = 1, .size = c.out_size}};
  struct virtiofs_ioctl_out out = {.result = 0};
  int rc = s->ops->ioctl(&s->req, &in, &out);
  if (rc == 0)
    assert_int_equal(out.size, c.out_size);
  return rc;
}

static int get_flags(struct share *s, uint64_t node, uint64_t handle, int *flags) {
  *flags = -1;
  return call(s, (struct call){node, handle, (uint32_t)FS_IOC_GETFLAGS, 0, sizeof *flags, NULL, flags});
}

static int set_flags(struct share *s, uint64_t node, uint64_t handle, int flags) {
  return call(s, (struct call){node, handle, (uint32_t)FS_IOC_SETFLAGS, sizeof flags, 0, &flags, NULL});
}

/* What the host says of a file of its own. */
static int host_flags(struct share *s, const char *name, int *flags) {
  int fd = openat(s->fd, name, O_RDONLY | O_CLOEXEC);
  int rc = ioctl(fd, FS_IOC_GETFLAGS, flags) == 0 ? 0 : -errno;
  close(fd);
  return rc;
}

static void flags_of_files(void **state) {
  struct share *s = *state;
  int flags, host;
  share_put_file(s, "file", "text", 0600);
  uint64_t node = share_lookup(s, "file"), handle = share_open(s, node, O_RDONLY);
  int oracle = host_flags(s, "file", &host);
  assert_int_equal(get_flags(s, node, handle, &flags), oracle);
  if (oracle == 0) {
    assert_int_equal(flags, host);
    assert_int_equal(set_flags(s, node, handle, flags | FS_NODUMP_FL), 0);
    assert_int_equal(host_flags(s, "file", &host), 0);
    assert_int_equal(host, flags | FS_NODUMP_FL);
  }
  share_release(s, handle);
}

static void flags_of_directories(void **state) {
  struct share *s = *state;
  int flags, host;
  assert_int_equal(mkdirat(s->fd, "dir", 0700), 0);
  uint64_t node = share_lookup(s, "dir"), handle = share_opendir(s, node);
  int oracle = host_flags(s, "dir", &host);
  assert_int_equal(get_flags(s, node, handle, &flags), oracle);
  if (oracle == 0) {
    assert_int_equal(flags, host);
    assert_int_equal(set_flags(s, node, handle, flags | FS_NODUMP_FL), 0);
    assert_int_equal(host_flags(s, "dir", &host), 0);
    assert_int_equal(host, flags | FS_NODUMP_FL);
  }
  share_releasedir(s, handle);
}

/* The server may make files immutable; the guest's ordinary users may not. */
static void immutable_is_for_root(void **state) {
  struct share *s = *state;
  int flags;
  if (geteuid() != 0)
    skip();
  share_put_file(s, "file", "text", 0600);
  uint64_t node = share_lookup(s, "file"), handle = share_open(s, node, O_RDONLY);
  if (get_flags(s, node, handle, &flags) == -ENOTTY) {
    share_release(s, handle);
    skip();
  }
  s->req.caller = (struct virtiofs_caller){.uid = USER, .gid = USER, .pid = 1};
  assert_int_equal(set_flags(s, node, handle, flags | FS_IMMUTABLE_FL), -EPERM);
  s->req.caller = (struct virtiofs_caller){.uid = UINT32_MAX, .gid = UINT32_MAX, .pid = 1};
  assert_int_equal(set_flags(s, node, handle, flags | FS_IMMUTABLE_FL), -EIO);
  share_release(s, handle);
}

static void host_set(struct share *s, const char *name, int flags) {
  int fd = openat(s->fd, name, O_RDONLY | O_CLOEXEC);
  if (ioctl(fd, FS_IOC_SETFLAGS, &flags) != 0)
    fprintf(stderr, "no flags %x: %s\n", (unsigned)flags, strerror(errno));
  close(fd);
}

/* What a directory's files count for is the host's quota: nobody in the guest takes them out of it, or puts them in. */
static void projects_are_the_hosts(void **state) {
  struct share *s = *state;
  const struct virtiofs_caller callers[] = {s->req.caller, {.uid = USER, .gid = USER, .pid = 1}};
  int flags = 0;
  assert_int_equal(mkdirat(s->fd, "dir", 0700), 0);
  assert_int_equal(mkdirat(s->fd, "plain", 0700), 0);
  if (host_flags(s, "dir", &flags) == 0)
    host_set(s, "dir", flags | FS_PROJINHERIT_FL);
  if (host_flags(s, "dir", &flags) != 0 || (flags & FS_PROJINHERIT_FL) == 0)
    skip();
  if (geteuid() == 0)
    assert_int_equal(fchownat(s->fd, "dir", USER, USER, 0), 0);
  uint64_t dir = share_lookup(s, "dir"), plain = share_lookup(s, "plain");
  uint64_t handle = share_opendir(s, dir), other = share_opendir(s, plain);
  for (unsigned i = 0; i < (geteuid() == 0 ? 2 : 1); i++) {
    s->req.caller = callers[i];
    assert_int_equal(set_flags(s, dir, handle, flags & ~FS_PROJINHERIT_FL), -EPERM);
    assert_int_equal(set_flags(s, dir, handle, 0), -EPERM);
    assert_int_equal(set_flags(s, dir, handle, flags | FS_NODUMP_FL), 0);
    assert_int_equal(set_flags(s, dir, handle, flags), 0);
  }
  s->req.caller = callers[0];
  assert_int_equal(get_flags(s, plain, other, &flags), 0);
  assert_int_equal(set_flags(s, plain, other, flags | FS_PROJINHERIT_FL), -EPERM);
  assert_int_equal(host_flags(s, "plain", &flags), 0);
  assert_int_equal(flags & FS_PROJINHERIT_FL, 0);
  assert_int_equal(host_flags(s, "dir", &flags), 0);
  assert_int_equal(flags & FS_PROJINHERIT_FL, FS_PROJINHERIT_FL);
  share_releasedir(s, handle);
  share_releasedir(s, other);
}

static void larger_attributes(void **state) {
  struct share *s = *state;
  struct fsxattr attr, host = {0};
  share_put_file(s, "file", "text", 0600);
  uint64_t node = share_lookup(s, "file"), handle = share_open(s, node, O_RDONLY);
  int fd = openat(s->fd, "file", O_RDONLY | O_CLOEXEC);
  int oracle = ioctl(fd, FS_IOC_FSGETXATTR, &host) == 0 ? 0 : -errno;
  close(fd);
  memset(&attr, 0xee, sizeof attr);
  struct call c = {node, handle, (uint32_t)FS_IOC_FSGETXATTR, 0, sizeof attr, NULL, &attr};
  assert_int_equal(call(s, c), oracle);
  if (oracle == 0)
    assert_memory_equal(&attr, &host, sizeof attr);
  share_release(s, handle);
}

static void refused(void **state) {
  struct share *s = *state;
  int value = 0;
  share_put_file(s, "file", "text", 0600);
  uint64_t node = share_lookup(s, "file"), handle = share_open(s, node, O_RDWR);
  static const uint32_t others[] = {
      0, (uint32_t)FS_IOC_FSSETXATTR, (uint32_t)FIFREEZE, (uint32_t)FITRIM, (uint32_t)FICLONE, UINT32_MAX};
  for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
    struct call c = {node, handle, others[i], sizeof value, sizeof value, &value, &value};
    assert_int_equal(call(s, c), -ENOTTY);
  }
  struct call no_value = {node, handle, (uint32_t)FS_IOC_SETFLAGS, 3, 0, &value, NULL};
  assert_int_equal(call(s, no_value), -EINVAL);
  if (host_flags(s, "file", &value) == 0) {
    struct call no_room = {node, handle, (uint32_t)FS_IOC_GETFLAGS, 0, 3, NULL, &value};
    assert_int_equal(call(s, no_room), -EINVAL);
  }
  share_release(s, handle);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      share_test(flags_of_files),         share_test(flags_of_directories), share_test(immutable_is_for_root),
      share_test(projects_are_the_hosts), share_test(larger_attributes),    share_test(refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
