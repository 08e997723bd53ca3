/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <errno.h>
#include <linux/fuse.h>
#include <string.h>

#include <cmocka.h>

#include <virtiofs/fuse.h>

#include "support/shred.h"

#define ROOM 400U

static const struct virtiofs_fuse_proto spoken = {.agreed = true, .minor = 38};
static unsigned char listing[ROOM];

static ssize_t add(const struct virtiofs_dirent *entry, const struct virtiofs_entry_out *plus, size_t room, size_t used,
                   size_t way) {
  struct shred shred;
  memset(listing, 0xa5, sizeof listing);
  shred_way(&shred, listing, room, way);
  struct virtiofs_data data = {.iov = shred.iov, .count = shred.count, .size = room};
  ssize_t rc = virtiofs_fuse_dirent_encode(&spoken, &data, used, entry, plus);
  shred_join(&shred, listing);
  shred_free(&shred);
  return rc;
}

static const struct virtiofs_entry_out known = {
    .node = 77, .entry_valid_ns = 1000000000, .attr = {.ino = 5, .mode = VIRTIOFS_S_IFREG | 0600}};

static void sizes_are_multiples_of_eight(void **state) {
  (void)state;
  for (uint32_t len = 1; len <= 1024; len++) {
    assert_int_equal(virtiofs_fuse_dirent_size(&spoken, len, false), FUSE_DIRENT_ALIGN(FUSE_NAME_OFFSET + len));
    assert_int_equal(virtiofs_fuse_dirent_size(&spoken, len, true),
                     FUSE_DIRENT_ALIGN(FUSE_NAME_OFFSET_DIRENTPLUS + len));
  }
  assert_int_equal(virtiofs_fuse_dirent_size(&spoken, UINT32_MAX, true), UINT32_MAX);
  assert_int_equal(virtiofs_fuse_dirent_size(&spoken, UINT32_MAX - 100, false), UINT32_MAX);
}

/* A record's bytes, and nothing before or behind it. */
static void check_record(uint32_t len, bool plus, size_t used, size_t way) {
  struct virtiofs_dirent entry = {.name = "abcdefghijkl", .len = len, .ino = 3, .type = 0100000, .next = INT64_MAX};
  size_t head = plus ? FUSE_NAME_OFFSET_DIRENTPLUS : FUSE_NAME_OFFSET;
  size_t size = FUSE_DIRENT_ALIGN(head + len);
  struct fuse_dirent wire;
  assert_int_equal(add(&entry, plus ? &known : NULL, ROOM, used, way), size);
  memcpy(&wire, listing + used + head - sizeof wire, sizeof wire);
  assert_int_equal(wire.ino, 3);
  assert_int_equal(wire.off, INT64_MAX);
  assert_int_equal(wire.namelen, len);
  assert_int_equal(wire.type, 8);
  assert_memory_equal(listing + used + head, entry.name, len);
  for (size_t i = head + len; i < size; i++)
    assert_int_equal(listing[used + i], 0);
  for (size_t i = 0; i < ROOM; i++)
    if (i < used || i >= used + size)
      assert_int_equal(listing[i], 0xa5);
}

static void records_are_whole_however_the_room_is_cut(void **state) {
  (void)state;
  for (size_t way = 0; way < shred_ways(ROOM); way += 3)
    for (uint32_t len = 1; len <= 9; len++) {
      check_record(len, false, 0, way);
      check_record(len, true, 48, way);
    }
}

static void a_record_that_does_not_fit_is_not_begun(void **state) {
  (void)state;
  struct virtiofs_dirent entry = {.name = "name", .len = 4, .next = 1};
  for (int plus = 0; plus < 2; plus++) {
    size_t size = plus != 0 ? 160 : 32;
    for (size_t room = 0; room < size; room++) {
      assert_int_equal(add(&entry, plus != 0 ? &known : NULL, room, 0, 0), 0);
      for (size_t i = 0; i < room; i++)
        assert_int_equal(listing[i], 0xa5);
    }
    assert_int_equal(add(&entry, plus != 0 ? &known : NULL, size, 0, 5), size);
    assert_int_equal(add(&entry, plus != 0 ? &known : NULL, size, 8, 0), 0);
    assert_int_equal(add(&entry, plus != 0 ? &known : NULL, size, SIZE_MAX, 0), 0);
  }
}

static ssize_t add_name(const char *name, uint32_t len) {
  struct virtiofs_dirent entry = {.name = name, .len = len, .next = 1};
  return add(&entry, NULL, ROOM, 0, 0);
}

/* One of these would fail the whole listing in the guest. */
static void names_that_linux_refuses_are_refused(void **state) {
  (void)state;
  static char longest[1025];
  memset(longest, 'n', sizeof longest);
  assert_int_equal(add_name("", 0), -EINVAL);
  assert_int_equal(add_name("a/b", 3), -EINVAL);
  assert_int_equal(add_name("/", 1), -EINVAL);
  assert_int_equal(add_name("a\0b", 3), -EINVAL);
  assert_int_equal(add_name(longest, 1025), -EINVAL);
  assert_int_equal(add_name(longest, UINT32_MAX), -EINVAL);
  assert_int_equal(add_name(longest, 1024), 0);
  assert_int_equal(add_name(".", 1), 32);
  assert_int_equal(add_name("..", 2), 32);
  struct virtiofs_dirent entry = {.name = "x", .len = 1, .next = (uint64_t)INT64_MAX + 1};
  assert_int_equal(add(&entry, NULL, ROOM, 0, 0), -EINVAL);
}

static void nothing_is_said_of_a_node_that_is_not_given(void **state) {
  (void)state;
  struct virtiofs_dirent entry = {.name = "x", .len = 1, .next = 1, .ino = 9};
  struct virtiofs_entry_out none = {.node = 0, .entry_valid_ns = 7, .attr = {.ino = 5, .mode = 1}};
  static const unsigned char zero[sizeof(struct fuse_entry_out)];
  assert_int_equal(add(&entry, &none, ROOM, 0, 0), 160);
  assert_memory_equal(listing, zero, sizeof zero);
}

static void a_node_that_is_given_has_sound_attributes(void **state) {
  (void)state;
  struct virtiofs_dirent entry = {.name = "x", .len = 1, .next = 1};
  struct virtiofs_entry_out bad = known;
  struct fuse_entry_out wire;
  bad.attr.mode = 0644;
  assert_int_equal(add(&entry, &bad, ROOM, 0, 0), -EINVAL);
  assert_int_equal(add(&entry, &known, ROOM, 0, 0), 160);
  memcpy(&wire, listing, sizeof wire);
  assert_int_equal(wire.nodeid, 77);
  assert_int_equal(wire.entry_valid, 1);
  assert_int_equal(wire.attr.ino, 5);
}

static void types_are_those_of_readdir(void **state) {
  (void)state;
  for (uint32_t type = 0; type < 16; type++) {
    struct virtiofs_dirent entry = {.name = "x", .len = 1, .next = 1, .type = type << 12 | 0777};
    struct fuse_dirent wire;
    assert_int_equal(add(&entry, NULL, ROOM, 0, 0), 32);
    memcpy(&wire, listing, sizeof wire);
    assert_int_equal(wire.type, type);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(sizes_are_multiples_of_eight),
      cmocka_unit_test(records_are_whole_however_the_room_is_cut),
      cmocka_unit_test(a_record_that_does_not_fit_is_not_begun),
      cmocka_unit_test(names_that_linux_refuses_are_refused),
      cmocka_unit_test(nothing_is_said_of_a_node_that_is_not_given),
      cmocka_unit_test(a_node_that_is_given_has_sound_attributes),
      cmocka_unit_test(types_are_those_of_readdir),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
