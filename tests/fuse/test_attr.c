/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <string.h>

#include <cmocka.h>

#include "fuse/attr.h"

static const struct virtiofs_attr sample = {.ino = 1,
                                            .size = 2,
                                            .blocks = 3,
                                            .atime = {-4, 5},
                                            .mtime = {6, 7},
                                            .ctime = {8, 999999999},
                                            .mode = VIRTIOFS_S_IFCHR | 0600,
                                            .nlink = 10,
                                            .uid = 11,
                                            .gid = 12,
                                            .rdev_major = 4095,
                                            .rdev_minor = 1048575,
                                            .blksize = 4096};

static void attributes_are_copied(void **state) {
  (void)state;
  struct virtiofs_wire_attr wire = {0};
  assert_true(virtiofs_fuse_attr_encode(&wire, &sample));
  assert_int_equal(wire.ino, 1);
  assert_int_equal(wire.size, 2);
  assert_int_equal(wire.blocks, 3);
  assert_int_equal((int64_t)wire.atime, -4);
  assert_int_equal(wire.atimensec, 5);
  assert_int_equal(wire.mtime, 6);
  assert_int_equal(wire.mtimensec, 7);
  assert_int_equal(wire.ctime, 8);
  assert_int_equal(wire.ctimensec, 999999999);
  assert_int_equal(wire.mode, 0020600);
  assert_int_equal(wire.nlink, 10);
  assert_int_equal(wire.uid, 11);
  assert_int_equal(wire.gid, 12);
  assert_int_equal(wire.rdev, UINT32_MAX);
  assert_int_equal(wire.blksize, 4096);
  assert_int_equal(wire.flags, 0);
}

static bool takes(struct virtiofs_attr attr) {
  struct virtiofs_wire_attr wire = {0};
  return virtiofs_fuse_attr_encode(&wire, &attr);
}

static void a_type_has_to_be_one_of_linux(void **state) {
  (void)state;
  static const uint32_t known = 1U << 1 | 1U << 2 | 1U << 4 | 1U << 6 | 1U << 8 | 1U << 10 | 1U << 12;
  for (uint32_t type = 0; type < 16; type++) {
    struct virtiofs_attr attr = {.mode = type << 12 | 0644};
    assert_int_equal(takes(attr), (known >> type & 1) != 0);
  }
}

static void what_linux_refuses_is_refused_here(void **state) {
  (void)state;
  struct virtiofs_attr attr = sample;
  attr.size = (uint64_t)INT64_MAX + 1;
  assert_false(takes(attr));
  attr = sample;
  attr.atime.nsec = 1000000000;
  assert_false(takes(attr));
  attr = sample;
  attr.mtime.nsec = UINT32_MAX;
  assert_false(takes(attr));
  attr = sample;
  attr.ctime.nsec = 1000000000;
  assert_false(takes(attr));
  attr = sample;
  attr.rdev_major = 4096;
  assert_false(takes(attr));
  attr = sample;
  attr.rdev_minor = 1048576;
  assert_false(takes(attr));
}

/* Linux's new_encode_dev(). */
static void device_numbers_go_both_ways(void **state) {
  (void)state;
  static const struct {
    uint32_t major, minor, wire;
  } known[] = {
      {0, 0, 0}, {1, 3, 0x103}, {8, 0x101, 0x100801}, {4095, 1048575, UINT32_MAX}, {0x456, 0x12378, 0x12345678}};
  for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
    uint32_t major, minor;
    assert_int_equal(virtiofs_fuse_rdev_encode(known[i].major, known[i].minor), known[i].wire);
    virtiofs_fuse_rdev_decode(known[i].wire, &major, &minor);
    assert_int_equal(major, known[i].major);
    assert_int_equal(minor, known[i].minor);
  }
}

static void cache_times_are_seconds_and_less(void **state) {
  (void)state;
  uint64_t sec;
  uint32_t nsec;
  virtiofs_fuse_valid_encode(1500000000, &sec, &nsec);
  assert_int_equal(sec, 1);
  assert_int_equal(nsec, 500000000);
  virtiofs_fuse_valid_encode(VIRTIOFS_FOREVER, &sec, &nsec);
  assert_int_equal(sec, 18446744073);
  assert_true(nsec < 1000000000);
}

static void an_entry_carries_node_times_and_attributes(void **state) {
  (void)state;
  struct virtiofs_wire_entry_out wire = {0};
  struct virtiofs_entry_out entry = {
      .node = 99, .entry_valid_ns = 1000000001, .attr_valid_ns = 2000000002, .attr = sample};
  assert_true(virtiofs_fuse_entry_encode(&wire, &entry));
  assert_int_equal(wire.nodeid, 99);
  assert_int_equal(wire.generation, 0);
  assert_int_equal(wire.entry_valid, 1);
  assert_int_equal(wire.entry_valid_nsec, 1);
  assert_int_equal(wire.attr_valid, 2);
  assert_int_equal(wire.attr_valid_nsec, 2);
  assert_int_equal(wire.attr.ino, 1);
  entry.attr.mode = 0644;
  assert_false(virtiofs_fuse_entry_encode(&wire, &entry));
}

static void what_is_not_there_has_no_attributes(void **state) {
  (void)state;
  struct virtiofs_wire_entry_out wire = {0}, expected = {.entry_valid = 3};
  struct virtiofs_entry_out entry = {.entry_valid_ns = 3000000000, .attr_valid_ns = 5, .attr = {.mode = 1}};
  assert_true(virtiofs_fuse_entry_encode(&wire, &entry));
  assert_memory_equal(&wire, &expected, sizeof wire);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(attributes_are_copied),
      cmocka_unit_test(a_type_has_to_be_one_of_linux),
      cmocka_unit_test(what_linux_refuses_is_refused_here),
      cmocka_unit_test(device_numbers_go_both_ways),
      cmocka_unit_test(cache_times_are_seconds_and_less),
      cmocka_unit_test(an_entry_carries_node_times_and_attributes),
      cmocka_unit_test(what_is_not_there_has_no_attributes),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
