/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <errno.h>
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "support/vhost_frontend.h"
#include "vhost/mapping.h"

static int setup(void **state) {
  static int fd;
  fd = vhost_frontend_memfd(0x3000);
  *state = &fd;
  return 0;
}

static int teardown(void **state) {
  close(*(int *)*state);
  assert_int_equal(vhost_frontend_count_maps(), 0);
  return 0;
}

static void refused(int fd, uint64_t size, uint64_t offset) {
  struct virtiofs_vhost_mapping *mapping = (void *)&fd;
  assert_int_equal(virtiofs_vhost_mapping_new(&mapping, fd, size, offset), -EPROTO);
  assert_null(mapping);
  assert_int_equal(vhost_frontend_count_maps(), 0);
}

static void a_region_is_shared_with_its_file(void **state) {
  int fd = *(int *)*state;
  struct virtiofs_vhost_mapping *mapping;
  assert_int_equal(pwrite(fd, "abc", 3, 0x1234), 3);
  /* An offset that is no multiple of a page. */
  assert_int_equal(virtiofs_vhost_mapping_new(&mapping, fd, 0x1000, 0x1234), 0);
  char *host = virtiofs_vhost_mapping_host(mapping);
  assert_memory_equal(host, "abc", 3);
  host[1] = 'X';
  char back[3];
  assert_int_equal(pread(fd, back, 3, 0x1234), 3);
  assert_memory_equal(back, "aXc", 3);
  virtiofs_vhost_mapping_unref(mapping);
}

static void the_last_reference_unmaps(void **state) {
  struct virtiofs_vhost_mapping *mapping;
  assert_int_equal(virtiofs_vhost_mapping_new(&mapping, *(int *)*state, 0x3000, 0), 0);
  assert_ptr_equal(virtiofs_vhost_mapping_ref(mapping), mapping);
  virtiofs_vhost_mapping_unref(mapping);
  assert_int_equal(vhost_frontend_count_maps(), 1);
  *(volatile char *)virtiofs_vhost_mapping_host(mapping) = 1;
  virtiofs_vhost_mapping_unref(mapping);
  assert_int_equal(vhost_frontend_count_maps(), 0);
  virtiofs_vhost_mapping_unref(NULL);
}

static void a_region_lies_within_its_file(void **state) {
  int fd = *(int *)*state;
  struct virtiofs_vhost_mapping *mapping;
  refused(fd, 0x3001, 0);
  refused(fd, 0x2000, 0x1001);
  refused(fd, 1, 0x3000);
  assert_int_equal(virtiofs_vhost_mapping_new(&mapping, fd, 1, 0x2fff), 0);
  virtiofs_vhost_mapping_unref(mapping);
}

static void an_empty_region_is_refused(void **state) {
  refused(*(int *)*state, 0, 0);
  refused(*(int *)*state, 0, 0x1000);
}

static void a_region_that_wraps_is_refused(void **state) {
  int fd = *(int *)*state;
  refused(fd, UINT64_MAX, 1);
  refused(fd, 1, UINT64_MAX);
  refused(fd, 0x1000, UINT64_MAX - 0xfff);
  refused(fd, UINT64_MAX, 0);
  refused(fd, UINT64_C(1) << 63, 0);
}

static void an_empty_file_has_no_memory(void **state) {
  (void)state;
  int fd = vhost_frontend_memfd(0);
  refused(fd, 0x1000, 0);
  close(fd);
}

/* Says size 0 and means nothing by it. Shared, /dev/zero gives memory of its own. */
static void a_device_has_no_size(void **state) {
  (void)state;
  struct virtiofs_vhost_mapping *mapping;
  int fd = open("/dev/zero", O_RDWR | O_CLOEXEC);
  assert_int_equal(virtiofs_vhost_mapping_new(&mapping, fd, 0x1000, 0), 0);
  *(volatile char *)virtiofs_vhost_mapping_host(mapping) = 1;
  virtiofs_vhost_mapping_unref(mapping);
  /* It has no address space that large, but the arithmetic has to hold. */
  assert_int_equal(virtiofs_vhost_mapping_new(&mapping, fd, UINT64_MAX - 1, 1), -EPROTO);
  assert_null(mapping);
  close(fd);
}

static void what_cant_be_mapped_is_refused(void **state) {
  (void)state;
  struct virtiofs_vhost_mapping *mapping;
  int fd = eventfd(0, EFD_CLOEXEC);
  assert_int_equal(virtiofs_vhost_mapping_new(&mapping, fd, 0x1000, 0), -ENODEV);
  assert_null(mapping);
  close(fd);
  assert_int_equal(virtiofs_vhost_mapping_new(&mapping, -1, 0x1000, 0), -EBADF);
}

static void a_read_only_file_is_no_memory(void **state) {
  (void)state;
  struct virtiofs_vhost_mapping *mapping;
  int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
  assert_int_equal(virtiofs_vhost_mapping_new(&mapping, fd, 0x1000, 0), -EACCES);
  close(fd);
}

/* munmap wants whole huge pages: a length that is none would stay mapped for ever. */
static void part_of_a_huge_page_is_unmapped_too(void **state) {
  (void)state;
  struct virtiofs_vhost_mapping *mapping;
  int fd = memfd_create("vhost-frontend-memory-huge", MFD_CLOEXEC | MFD_HUGETLB);
  if (fd < 0 || ftruncate(fd, 2 << 20) != 0) {
    if (fd >= 0)
      close(fd);
    skip();
  }
  assert_int_equal(virtiofs_vhost_mapping_new(&mapping, fd, 0x1000, 0x2000), 0);
  assert_int_equal(vhost_frontend_count_maps(), 1);
  virtiofs_vhost_mapping_unref(mapping);
  close(fd);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(a_region_is_shared_with_its_file),
      TEST(the_last_reference_unmaps),
      TEST(a_region_lies_within_its_file),
      TEST(an_empty_region_is_refused),
      TEST(a_region_that_wraps_is_refused),
      TEST(an_empty_file_has_no_memory),
      TEST(a_device_has_no_size),
      TEST(what_cant_be_mapped_is_refused),
      TEST(a_read_only_file_is_no_memory),
      TEST(part_of_a_huge_page_is_unmapped_too),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
