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

static const struct virtiofs_dirent filler = {.name = "a name before", .len = 13, .next = 1};

/* What the listing has grown by: the record behind @before others. */
static size_t add(const struct virtiofs_dirent *entry, const struct virtiofs_entry_out *plus, size_t room,
                  size_t before, size_t way) {
  static const struct virtiofs_entry_out nothing;
  struct virtiofs_fuse_dirents list;
  struct shred shred;
  memset(listing, 0xa5, sizeof listing);
  shred_way(&shred, listing, room, way);
  struct virtiofs_data data = {.iov = shred.iov, .count = shred.count, .size = room};
  virtiofs_fuse_dirents_init(&list, &spoken, &data);
  for (size_t i = 0; i < before; i++)
    assert_true(virtiofs_fuse_dirents_add(&list, &filler, plus != NULL ? &nothing : NULL));
  size_t used = virtiofs_fuse_dirents_size(&list);
  bool added = virtiofs_fuse_dirents_add(&list, entry, plus);
  size_t size = virtiofs_fuse_dirents_size(&list) - used;
  assert_true(added == (size > 0));
  shred_join(&shred, listing);
  shred_free(&shred);
  return size;
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
static void check_record(uint32_t len, bool plus, size_t before, size_t way) {
  struct virtiofs_dirent entry = {
      .name = "abcdefghijklmnopqrstuvwxyzabcdefghijk", .len = len, .ino = 3, .type = 0100000, .next = INT64_MAX};
  size_t head = plus ? FUSE_NAME_OFFSET_DIRENTPLUS : FUSE_NAME_OFFSET;
  size_t size = FUSE_DIRENT_ALIGN(head + len), used = before * FUSE_DIRENT_ALIGN(head + filler.len);
  struct fuse_dirent wire;
  assert_int_equal(add(&entry, plus ? &known : NULL, ROOM, before, way), size);
  memcpy(&wire, listing + used + head - sizeof wire, sizeof wire);
  assert_int_equal(wire.ino, 3);
  assert_int_equal(wire.off, INT64_MAX);
  assert_int_equal(wire.namelen, len);
  assert_int_equal(wire.type, 8);
  assert_memory_equal(listing + used + head, entry.name, len);
  for (size_t i = head + len; i < size; i++)
    assert_int_equal(listing[used + i], 0);
  for (size_t i = used + size; i < ROOM; i++)
    assert_int_equal(listing[i], 0xa5);
  for (size_t i = 0; i < before; i++)
    assert_memory_equal(listing + i * (used / before) + head, filler.name, filler.len);
}

static void records_are_whole_however_the_room_is_cut(void **state) {
  (void)state;
  for (size_t way = 0; way < shred_ways(ROOM); way += 3)
    for (uint32_t len = 1; len <= 37; len += len < 18 ? 1 : 5) {
      check_record(len, false, 0, way);
      check_record(len, false, 2, way);
      check_record(len, true, 1, way);
    }
}

static void a_record_that_does_not_fit_is_not_begun(void **state) {
  (void)state;
  struct virtiofs_dirent entry = {.name = "name", .len = 4, .next = 1};
  for (int plus = 0; plus < 2; plus++) {
    size_t size = plus != 0 ? 160 : 32;
    for (size_t room = 0; room < size; room++) {
      assert_int_equal(add(&entry, plus != 0 ? &known : NULL, room, 0, 0), 0);
      assert_true(virtiofs_fuse_dirent_sound(&entry, &known));
      for (size_t i = 0; i < room; i++)
        assert_int_equal(listing[i], 0xa5);
    }
    assert_int_equal(add(&entry, plus != 0 ? &known : NULL, size, 0, 5), size);
    assert_int_equal(add(&entry, plus != 0 ? &known : NULL, 2 * size, 1, 0), 0);
    assert_int_equal(add(&entry, plus != 0 ? &known : NULL, 2 * size + 8, 1, 0), size);
  }
}

static bool is_refused(const char *name, uint32_t len) {
  struct virtiofs_dirent entry = {.name = name, .len = len, .next = 1};
  return add(&entry, NULL, ROOM, 0, 0) == 0 && !virtiofs_fuse_dirent_sound(&entry, NULL);
}

/* One of these would fail the whole listing in the guest. */
static void names_that_linux_refuses_are_refused(void **state) {
  (void)state;
  static char longest[1025];
  memset(longest, 'n', sizeof longest);
  assert_true(is_refused("", 0));
  assert_true(is_refused("a/b", 3));
  assert_true(is_refused("/", 1));
  assert_true(is_refused("a\0b", 3));
  assert_true(is_refused(longest, 1025));
  assert_true(is_refused(longest, UINT32_MAX));
  assert_false(is_refused(longest, 1024));
  assert_false(is_refused(".", 1));
  assert_false(is_refused("..", 2));
  struct virtiofs_dirent entry = {.name = "x", .len = 1, .next = (uint64_t)INT64_MAX + 1};
  assert_int_equal(add(&entry, NULL, ROOM, 0, 0), 0);
  assert_false(virtiofs_fuse_dirent_sound(&entry, NULL));
}

/* Wherever it stands in a name of any length. */
static void no_separator_is_overlooked(void **state) {
  (void)state;
  char name[40];
  for (uint32_t len = 1; len <= sizeof name; len++)
    for (uint32_t at = 0; at < len; at++) {
      memset(name, '.', sizeof name);
      assert_false(is_refused(name, len));
      name[at] = '/';
      assert_true(is_refused(name, len));
      name[at] = 0;
      assert_true(is_refused(name, len));
    }
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
  assert_int_equal(add(&entry, &bad, ROOM, 0, 0), 0);
  assert_false(virtiofs_fuse_dirent_sound(&entry, &bad));
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

/* Entries of a listing may be valid for different times, and each for two. */
static void times_are_each_entry_s_own(void **state) {
  (void)state;
  static const uint64_t times[] = {0, 1, 999999999, 1000000000, 1500000000, 1500000000, UINT64_MAX, 0};
  enum { COUNT = sizeof times / sizeof times[0] };
  static unsigned char bytes[COUNT * COUNT * 160];
  struct iovec iov = {.iov_base = bytes, .iov_len = sizeof bytes};
  struct virtiofs_data data = {.iov = &iov, .count = 1, .size = sizeof bytes};
  struct virtiofs_fuse_dirents list;
  struct virtiofs_dirent entry = {.name = "x", .len = 1, .next = 1};
  struct virtiofs_entry_out plus = known;
  virtiofs_fuse_dirents_init(&list, &spoken, &data);
  for (unsigned i = 0; i < COUNT * COUNT; i++) {
    plus.entry_valid_ns = times[i / COUNT];
    plus.attr_valid_ns = times[i % COUNT];
    assert_true(virtiofs_fuse_dirents_add(&list, &entry, &plus));
    struct fuse_entry_out wire;
    memcpy(&wire, bytes + (size_t)i * 160, sizeof wire);
    assert_int_equal(wire.entry_valid, plus.entry_valid_ns / 1000000000);
    assert_int_equal(wire.entry_valid_nsec, plus.entry_valid_ns % 1000000000);
    assert_int_equal(wire.attr_valid, plus.attr_valid_ns / 1000000000);
    assert_int_equal(wire.attr_valid_nsec, plus.attr_valid_ns % 1000000000);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(sizes_are_multiples_of_eight),
      cmocka_unit_test(records_are_whole_however_the_room_is_cut),
      cmocka_unit_test(a_record_that_does_not_fit_is_not_begun),
      cmocka_unit_test(names_that_linux_refuses_are_refused),
      cmocka_unit_test(no_separator_is_overlooked),
      cmocka_unit_test(times_are_each_entry_s_own),
      cmocka_unit_test(nothing_is_said_of_a_node_that_is_not_given),
      cmocka_unit_test(a_node_that_is_given_has_sound_attributes),
      cmocka_unit_test(types_are_those_of_readdir),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
