/* SPDX-License-Identifier: BSD-3-Clause */
/* Files over a reservation: whatever the file is, all around stays as it was, and the reservation has no holes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cmocka.h>

#include <virtiofs/host_window.h>

#define PAGE ((uint64_t)sysconf(_SC_PAGESIZE))
#define HUGE_LEN (UINT64_C(1) << 21) /* and 21 << 26 says so to memfd_create(2) */
#define PAGES 16U

static int memfd(uint64_t size, unsigned flags) {
  int fd = memfd_create("window", MFD_CLOEXEC | flags);
  assert_true(fd >= 0);
  assert_int_equal(ftruncate(fd, (off_t)size), 0);
  return fd;
}

static struct virtiofs_host_window *make(uint64_t len) {
  struct virtiofs_host_window *window;
  assert_int_equal(virtiofs_host_window_new(&window, len), 0);
  return window;
}

/* The first byte there, or -1: asked of the kernel. */
static int byte_at(const struct virtiofs_host_window *window, uint64_t offset) {
  unsigned char byte;
  struct iovec here = {.iov_base = &byte, .iov_len = 1};
  struct iovec there = {.iov_base = (char *)virtiofs_host_window_addr(window) + offset, .iov_len = 1};
  return process_vm_readv(getpid(), &here, 1, &there, 1, 0) == 1 ? byte : -1;
}

/* All of it is ours still, mapped or not: a range where nothing is would be given to somebody else. */
static void has_no_holes(const struct virtiofs_host_window *window) {
  void *addr = virtiofs_host_window_addr(window);
  uint64_t len = virtiofs_host_window_len(window);
  for (uint64_t at = 0; at < len; at += PAGE) {
    void *got = mmap((char *)addr + at, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    assert_true(got == MAP_FAILED && errno == EEXIST);
  }
}

static int map(struct virtiofs_host_window *window, int fd, uint64_t offset, uint64_t len, uint64_t file_offset,
               bool writable) {
  struct virtiofs_dax_step step = {
      .map = true, .writable = writable, .fd = fd, .window_offset = offset, .len = len, .file_offset = file_offset};
  return virtiofs_host_window_step(window, &step);
}

static int unmap(struct virtiofs_host_window *window, uint64_t offset, uint64_t len) {
  struct virtiofs_dax_step step = {.fd = -1, .window_offset = offset, .len = len};
  return virtiofs_host_window_step(window, &step);
}

static void there_and_gone(void **state) {
  (void)state;
  struct virtiofs_host_window *window = make(PAGES * PAGE);
  int fd = memfd(4 * PAGE, 0);
  for (unsigned char i = 0; i < 4; i++)
    assert_int_equal(pwrite(fd, &(unsigned char){(unsigned char)(i + 1)}, 1, (off_t)(i * PAGE)), 1);
  assert_int_equal(map(window, fd, 2 * PAGE, 4 * PAGE, 0, true), 0);
  assert_int_equal(map(window, fd, 3 * PAGE, PAGE, 3 * PAGE, false), 0); /* over a part */
  const int want[] = {-1, -1, 1, 4, 3, 4, -1};
  for (unsigned i = 0; i < 7; i++)
    assert_int_equal(byte_at(window, i * PAGE), want[i]);
  *((char *)virtiofs_host_window_addr(window) + 2 * PAGE) = 77;
  unsigned char byte;
  assert_int_equal(pread(fd, &byte, 1, 0), 1);
  assert_int_equal(byte, 77);
  assert_int_equal(unmap(window, 0, 5 * PAGE), 0); /* with gaps */
  assert_int_equal(byte_at(window, 4 * PAGE), -1);
  assert_int_equal(byte_at(window, 5 * PAGE), 4);
  has_no_holes(window);
  close(fd);
  assert_int_equal(byte_at(window, 5 * PAGE), 4);
  virtiofs_host_window_free(window);
}

static void refused(void **state) {
  (void)state;
  struct virtiofs_host_window *window = make(PAGES * PAGE);
  int fd = memfd(4 * PAGE, 0);
  const uint64_t all = PAGES * PAGE, most = UINT64_MAX - PAGE + 1;
  assert_int_equal(map(window, fd, 0, 0, 0, false), -EINVAL);
  assert_int_equal(map(window, fd, all, PAGE, 0, false), -EINVAL);
  assert_int_equal(map(window, fd, all - PAGE, 2 * PAGE, 0, false), -EINVAL);
  assert_int_equal(map(window, fd, most, 2 * PAGE, 0, false), -EINVAL);
  assert_int_equal(map(window, fd, PAGE, most, 0, false), -EINVAL);
  assert_int_equal(map(window, fd, 1, PAGE, 0, false), -EINVAL);
  assert_int_equal(map(window, fd, 0, PAGE + 1, 0, false), -EINVAL);
  assert_int_equal(map(window, fd, 0, PAGE, 1, false), -EINVAL);
  assert_int_equal(map(window, fd, 0, PAGE, most, false), -EINVAL);
  assert_int_equal(unmap(window, all, PAGE), -EINVAL);
  assert_int_equal(unmap(window, PAGE, all), -EINVAL);
  for (uint64_t at = 0; at < all; at += PAGE)
    assert_int_equal(byte_at(window, at), -1);
  has_no_holes(window);
  close(fd);
  virtiofs_host_window_free(window);
}

/* What can't be mapped leaves what was there, and no hole. */
static void files_that_refuse(void **state) {
  (void)state;
  struct virtiofs_host_window *window = make(PAGES * PAGE);
  int fd = memfd(PAGE, 0), sealed = memfd(PAGE, MFD_ALLOW_SEALING), ends[2];
  int dir = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
  assert_int_equal(fcntl(sealed, F_ADD_SEALS, F_SEAL_WRITE), 0);
  assert_int_equal(pwrite(fd, "x", 1, 0), 1);
  assert_int_equal(map(window, fd, PAGE, PAGE, 0, true), 0);
  assert_int_equal(map(window, sealed, 0, 3 * PAGE, 0, true), -EPERM);
  assert_int_equal(map(window, ends[0], 0, 3 * PAGE, 0, true), -EACCES);
  assert_int_equal(map(window, dir, 0, 3 * PAGE, 0, false), -ENODEV);
  assert_true(map(window, 1 << 20, 0, 3 * PAGE, 0, false) < 0);
  assert_int_equal(byte_at(window, PAGE), 'x');
  has_no_holes(window);
  close(dir);
  close(fd);
  close(sealed);
  close(ends[0]);
  close(ends[1]);
  virtiofs_host_window_free(window);
}

/*
 * Huge pages: of a host that has none left they can't be mapped, which the kernel finds late; and a part of one is
 * never asked for, which would be mapped whole.
 */
static void huge_pages(void **state) {
  (void)state;
  struct virtiofs_host_window *window = make(4 * HUGE_LEN);
  int huge = memfd_create("huge", MFD_CLOEXEC | MFD_HUGETLB | 21U << 26), fd = memfd(PAGE, 0);
  if (huge < 0) {
    close(fd);
    virtiofs_host_window_free(window);
    skip();
  }
  assert_int_equal(ftruncate(huge, HUGE_LEN), 0);
  uint64_t at = (HUGE_LEN - ((uintptr_t)virtiofs_host_window_addr(window) & (HUGE_LEN - 1))) & (HUGE_LEN - 1);
  assert_int_equal(map(window, fd, at + PAGE, PAGE, 0, true), 0);
  assert_int_equal(map(window, huge, at, PAGE, 0, true), -EINVAL);
  assert_int_equal(map(window, huge, at + PAGE, HUGE_LEN, 0, true), -EINVAL);
  assert_int_equal(byte_at(window, at + PAGE), 0);
  has_no_holes(window);
  int rc = map(window, huge, at, HUGE_LEN, 0, true);
  assert_true(rc == 0 || rc == -ENOMEM);
  if (rc != 0)
    assert_int_equal(byte_at(window, at + PAGE), 0);
  has_no_holes(window);
  assert_int_equal(unmap(window, 0, 4 * HUGE_LEN), 0);
  has_no_holes(window);
  close(huge);
  close(fd);
  virtiofs_host_window_free(window);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(there_and_gone), cmocka_unit_test(refused),
                                     cmocka_unit_test(files_that_refuse), cmocka_unit_test(huge_pages)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
