/* SPDX-License-Identifier: BSD-3-Clause */
/* Open files, but for reading and writing: open, release, fsync, flush, fallocate, lseek, and what the flags mean. */
#include "passthrough_share.h"

#include <sys/socket.h>
#include <sys/un.h>

static int host_flags(uint64_t handle) {
  int flags = fcntl((int)handle, F_GETFL);
  assert_true(flags >= 0);
  return flags;
}

static void opening(void **state) {
  struct share *s = *state;
  share_put_file(s, "file", "text", 0600);
  uint64_t node = share_lookup(s, "file");
  int before = share_open_fds();
  uint64_t handle = share_open(s, node, O_RDWR | O_APPEND | O_DIRECT | O_NOFOLLOW | O_NOCTTY | O_CREAT | O_EXCL);
  assert_int_equal(host_flags(handle) & (O_ACCMODE | O_APPEND | O_DIRECT), O_RDWR);
  assert_int_equal(fcntl((int)handle, F_GETFD), FD_CLOEXEC);
  assert_int_equal(share_open_fds(), before + 1);
  share_release(s, handle);
  assert_int_equal(share_open_fds(), before);

  handle = share_open(s, node, O_RDONLY | O_SYNC | O_NOATIME);
  assert_int_equal(host_flags(handle) & (O_ACCMODE | O_SYNC), O_RDONLY | O_SYNC);
  assert_int_equal(share_write(s, handle, 0, "x", 0, 0), -EBADF);
  share_release(s, handle);

  handle = share_open(s, node, O_WRONLY | O_TRUNC);
  char c;
  assert_int_equal(share_read(s, handle, 0, &c, 1), -EBADF);
  assert_int_equal(share_stat(s, "file").st_size, 0);
  share_release(s, handle);

  assert_int_equal(share_try_open(s, node, O_PATH, &handle), -EINVAL);
  assert_int_equal(share_try_open(s, node, O_RDWR | O_TMPFILE, &handle), -EINVAL);
  assert_int_equal(share_try_open(s, node, O_RDONLY | O_DIRECTORY, &handle), -ENOTDIR);
  assert_int_equal(share_open_fds(), before);
}

static void only_files_are_opened(void **state) {
  struct share *s = *state;
  uint64_t handle;
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  assert_int_equal(mkfifoat(s->fd, "fifo", 0666), 0);
  snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/socket", s->fd);
  int sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  assert_int_equal(bind(sock, (struct sockaddr *)&address, sizeof address), 0);
  close(sock);
  alarm(100); /* an open of the FIFO would wait for ever */
  assert_int_equal(share_try_open(s, share_lookup(s, "fifo"), O_RDONLY, &handle), -ENXIO);
  assert_int_equal(share_try_open(s, share_lookup(s, "fifo"), O_WRONLY, &handle), -ENXIO);
  assert_int_equal(share_try_open(s, share_lookup(s, "socket"), O_RDWR, &handle), -ENXIO);
  assert_int_equal(share_try_open(s, s->root, O_RDONLY, &handle), -EISDIR);
  if (mknodat(s->fd, "zero", S_IFCHR | 0666, 0x105) == 0)
    assert_int_equal(share_try_open(s, share_lookup(s, "zero"), O_RDONLY, &handle), -ENXIO);
  alarm(0);
}

/*
 * Two writers append: each byte is kept, wherever the guest believed the end to be. The flag counts as it is when the
 * WRITE is sent, since fcntl(2) may change it. Pages that the guest writes back later go where they were mapped.
 */
static void appending(void **state) {
  struct share *s = *state;
  share_put_file(s, "file", "start", 0600);
  uint64_t handle = share_open(s, share_lookup(s, "file"), O_RDWR | O_APPEND);
  int host = openat(s->fd, "file", O_WRONLY | O_APPEND);
  assert_int_equal(write(host, "-host", 5), 5);
  assert_int_equal(share_write(s, handle, 5, "-guest", O_WRONLY | O_APPEND, 0), 6);
  assert_int_equal(share_write(s, handle, 0, "S", O_WRONLY, 0), 1);
  assert_int_equal(share_write(s, handle, 1, "T", O_WRONLY | O_APPEND, VIRTIOFS_WRITE_CACHE), 1);
  char buf[32] = "";
  assert_int_equal(share_read(s, handle, 0, buf, sizeof buf), 16);
  assert_string_equal(buf, "STart-host-guest");
  close(host);
  share_release(s, handle);
}

static void writing_kills_suid(void **state) {
  struct share *s = *state;
  share_put_file(s, "file", "text", 06755);
  uint64_t handle = share_open(s, share_lookup(s, "file"), O_RDWR);
  assert_int_equal(share_write(s, handle, 0, "x", O_RDWR, VIRTIOFS_WRITE_KILL_SUIDGID), 1);
  assert_int_equal(share_stat(s, "file").st_mode & 07777, 0755);
  share_release(s, handle);
}

static void syncing(void **state) {
  struct share *s = *state;
  share_put_file(s, "file", "text", 0600);
  uint64_t handle = share_open(s, share_lookup(s, "file"), O_RDWR);
  int before = share_open_fds();
  struct virtiofs_fsync_in fsync_in = {.handle = handle};
  assert_int_equal(s->ops->fsync(&s->req, &fsync_in), 0);
  fsync_in.data_only = true;
  assert_int_equal(s->ops->fsync(&s->req, &fsync_in), 0);
  struct virtiofs_flush_in flush_in = {.handle = handle};
  assert_int_equal(s->ops->flush(&s->req, &flush_in), 0);
  assert_int_equal(s->ops->flush(&s->req, &flush_in), 0);
  assert_int_equal(share_open_fds(), before);
  assert_int_equal(share_write(s, handle, 0, "more", 0, 0), 4);
  share_release(s, handle);
}

static void allocating(void **state) {
  struct share *s = *state;
  share_put_file(s, "file", "text", 0600);
  share_put_file(s, "oracle", "text", 0600);
  uint64_t handle = share_open(s, share_lookup(s, "file"), O_RDWR);
  int host = openat(s->fd, "oracle", O_RDWR);
  static const struct {
    int mode;
    off_t offset, length;
  } calls[] = {
      {0, 0, 65536},
      {FALLOC_FL_KEEP_SIZE, 65536, 65536},
      {FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096},
      {FALLOC_FL_ZERO_RANGE, 8192, 4096},
      {FALLOC_FL_COLLAPSE_RANGE, 4096, 4096},
      {FALLOC_FL_PUNCH_HOLE, 0, 4096},
      {0x4000, 0, 4096},
      {0, INT64_MAX - 4096, 4096},
  };
  for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
    struct virtiofs_fallocate_in in = {.node = s->opened,
                                       .handle = handle,
                                       .mode = (uint32_t)calls[i].mode,
                                       .offset = (uint64_t)calls[i].offset,
                                       .length = (uint64_t)calls[i].length};
    int oracle = fallocate(host, calls[i].mode, calls[i].offset, calls[i].length) == 0 ? 0 : -errno;
    assert_int_equal(s->ops->fallocate(&s->req, &in), oracle);
    assert_int_equal(share_stat(s, "file").st_size, share_stat(s, "oracle").st_size);
    assert_int_equal(share_stat(s, "file").st_blocks, share_stat(s, "oracle").st_blocks);
  }
  close(host);
  share_release(s, handle);
}

static void seeking(void **state) {
  struct share *s = *state;
  int host = openat(s->fd, "file", O_RDWR | O_CREAT, 0600);
  assert_int_equal(pwrite(host, "x", 1, 1 << 20), 1);
  uint64_t handle = share_open(s, share_lookup(s, "file"), O_RDONLY);
  for (uint64_t offset = 0; offset < 3 << 19; offset += 1 << 19) {
    for (uint32_t whence = SEEK_DATA; whence <= SEEK_HOLE; whence++) {
      struct virtiofs_lseek_in in = {.handle = handle, .offset = offset, .whence = whence};
      struct virtiofs_lseek_out out = {.offset = 0};
      off_t found = lseek(host, (off_t)offset, (int)whence);
      int oracle = found < 0 ? -errno : 0;
      assert_int_equal(s->ops->lseek(&s->req, &in, &out), oracle);
      if (oracle == 0)
        assert_int_equal(out.offset, found);
    }
  }
  struct virtiofs_lseek_in in = {.handle = handle, .offset = 2 << 20, .whence = SEEK_DATA};
  struct virtiofs_lseek_out out;
  assert_int_equal(s->ops->lseek(&s->req, &in, &out), -ENXIO);
  in.whence = SEEK_CUR;
  assert_int_equal(s->ops->lseek(&s->req, &in, &out), -EINVAL);
  in.whence = 77;
  assert_int_equal(s->ops->lseek(&s->req, &in, &out), -EINVAL);
  close(host);
  share_release(s, handle);
}

static int copy(struct share *s, uint64_t from, uint64_t offset, uint64_t to, uint64_t offset_out, uint64_t len) {
  struct virtiofs_copy_file_range_in in = {.node = s->opened,
                                           .node_out = s->opened,
                                           .handle = from,
                                           .handle_out = to,
                                           .offset = offset,
                                           .offset_out = offset_out,
                                           .len = len};
  struct virtiofs_copy_file_range_out out = {.size = 0};
  int rc = s->ops->copy_file_range(&s->req, &in, &out);
  return rc != 0 ? rc : (int)out.size;
}

static void copying(void **state) {
  struct share *s = *state;
  char buf[32] = "";
  share_put_file(s, "from", "0123456789", 0600);
  share_put_file(s, "to", "abcdefghij", 0600);
  uint64_t from = share_open(s, share_lookup(s, "from"), O_RDONLY);
  uint64_t to = share_open(s, share_lookup(s, "to"), O_RDWR);
  assert_int_equal(copy(s, from, 2, to, 8, 5), 5);
  assert_int_equal(share_read(s, to, 0, buf, sizeof buf), 13);
  assert_string_equal(buf, "abcdefgh23456");
  assert_int_equal(copy(s, from, 7, to, 0, INT64_MAX - 7), 3); /* as much as there is */
  assert_int_equal(copy(s, from, 10, to, 0, 4), 0);
  assert_int_equal(copy(s, to, 0, to, 2, 4), -EINVAL); /* overlaps */
  assert_int_equal(copy(s, to, 0, from, 0, 4), -EBADF);
  struct virtiofs_copy_file_range_in in = {
      .node = s->opened, .node_out = s->opened, .handle = from, .handle_out = to, .len = 1, .flags = UINT64_C(1) << 32};
  struct virtiofs_copy_file_range_out out;
  assert_int_equal(s->ops->copy_file_range(&s->req, &in, &out), -EINVAL);
  share_release(s, from);
  share_release(s, to);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      share_test(opening),   share_test(only_files_are_opened),
      share_test(appending), share_test(writing_kills_suid),
      share_test(syncing),   share_test(allocating),
      share_test(seeking),   share_test(copying),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
