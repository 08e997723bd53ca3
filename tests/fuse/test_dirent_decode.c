/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <errno.h>
#include <string.h>

#include <cmocka.h>

#include <virtiofs/fuse.h>

#include "support/shred.h"

enum { ROOM = 1200, NAMES = 6 };

static struct virtiofs_fuse_proto spoken = {.agreed = true, .minor = 38};
static unsigned char listing[ROOM];

static const struct virtiofs_dirent entries[NAMES] = {
    {.name = ".", .len = 1, .ino = 1, .type = VIRTIOFS_S_IFDIR, .next = 1},
    {.name = "..", .len = 2, .ino = UINT64_MAX, .type = VIRTIOFS_S_IFDIR, .next = 2},
    {.name = "eight888", .len = 8, .ino = 3, .type = VIRTIOFS_S_IFREG, .next = INT64_MAX},
    {.name = "a name of more than sixteen bytes", .len = 33, .ino = 4, .type = VIRTIOFS_S_IFLNK, .next = 0},
    {.name = "seventeen bytes..", .len = 17, .ino = 5, .type = 0, .next = 77},
    {.name = "x", .len = 1, .ino = 6, .type = VIRTIOFS_S_IFSOCK, .next = 78},
};

static struct virtiofs_entry_out plus_of(int i) {
  struct virtiofs_entry_out plus = {.node = (uint64_t)i};
  if (i != 0)
    plus = (struct virtiofs_entry_out){
        .node = (uint64_t)i,
        .entry_valid_ns = 5000000007,
        .attr_valid_ns = 3,
        .attr = {
            .ino = entries[i].ino, .mode = VIRTIOFS_S_IFBLK | 07123, .rdev_major = 8, .rdev_minor = 300, .uid = 5}};
  return plus;
}

static size_t build(bool plus) {
  struct iovec iov = {.iov_base = listing, .iov_len = ROOM};
  struct virtiofs_data data = {.iov = &iov, .count = 1, .size = ROOM};
  struct virtiofs_fuse_dirents list;
  virtiofs_fuse_dirents_init(&list, &spoken, &data);
  for (int i = 0; i < NAMES; i++) {
    struct virtiofs_entry_out known = plus_of(i);
    assert_true(virtiofs_fuse_dirents_add(&list, &entries[i], plus ? &known : NULL));
  }
  return virtiofs_fuse_dirents_size(&list);
}

static void check(const struct virtiofs_dirent *got, const struct virtiofs_entry_out *plus, int i) {
  struct virtiofs_entry_out known = plus_of(i);
  assert_int_equal(got->len, entries[i].len);
  assert_memory_equal(got->name, entries[i].name, got->len);
  assert_int_equal(got->ino, entries[i].ino);
  assert_int_equal(got->type, entries[i].type);
  assert_int_equal(got->next, entries[i].next);
  if (plus == NULL)
    return;
  assert_int_equal(plus->node, known.node);
  assert_int_equal(plus->entry_valid_ns, known.entry_valid_ns);
  assert_int_equal(plus->attr_valid_ns, known.attr_valid_ns);
  assert_int_equal(plus->attr.ino, known.attr.ino);
  assert_int_equal(plus->attr.mode, known.attr.mode);
  assert_int_equal(plus->attr.rdev_minor, known.attr.rdev_minor);
  assert_int_equal(plus->attr.uid, known.attr.uid);
}

/* How many records are read from the first @size bytes, cut in way number @way. */
static int read_all(size_t size, bool plus, size_t way) {
  struct shred shred;
  shred_way(&shred, listing, size, way);
  struct virtiofs_data data = {.iov = shred.iov, .count = shred.count, .size = size};
  size_t at = 0;
  int count = 0;
  for (;; count++) {
    char name[VIRTIOFS_FUSE_NAME_MAX];
    struct virtiofs_dirent got;
    struct virtiofs_entry_out known;
    ssize_t len = virtiofs_fuse_dirent_decode(&spoken, &data, at, name, &got, plus ? &known : NULL);
    if (len == 0)
      break;
    assert_int_equal(len, virtiofs_fuse_dirent_size(&spoken, got.len, plus));
    assert_ptr_equal(got.name, name);
    check(&got, plus ? &known : NULL, count);
    at += (size_t)len;
  }
  shred_free(&shred);
  return count;
}

static void what_is_written_is_read(void **state) {
  (void)state;
  for (int kind = 0; kind < 4; kind++) {
    bool plus = (kind & 1) != 0;
    spoken.swapped = (kind & 2) != 0;
    size_t size = build(plus);
    for (size_t way = 0; way < shred_ways(size); way++)
      assert_int_equal(read_all(size, plus, way), NAMES);
  }
  spoken.swapped = false;
}

/* As Linux does: what isn't whole is not there. */
static void a_part_of_a_record_is_the_end(void **state) {
  (void)state;
  for (int plus = 0; plus < 2; plus++) {
    size_t size = build(plus != 0), at = 0;
    int whole = 0;
    for (size_t cut = 0; cut < size; cut++) {
      if (cut == at + virtiofs_fuse_dirent_size(&spoken, entries[whole].len, plus != 0))
        at += virtiofs_fuse_dirent_size(&spoken, entries[whole++].len, plus != 0);
      assert_int_equal(read_all(cut, plus != 0, 0), whole);
    }
  }
}

static ssize_t decode_first(size_t size, bool plus) {
  char name[VIRTIOFS_FUSE_NAME_MAX];
  struct virtiofs_dirent got;
  struct virtiofs_entry_out known;
  struct iovec iov = {.iov_base = listing, .iov_len = size};
  struct virtiofs_data data = {.iov = &iov, .count = 1, .size = size};
  return virtiofs_fuse_dirent_decode(&spoken, &data, 0, name, &got, plus ? &known : NULL);
}

static void put32(size_t at, uint32_t value) {
  memcpy(listing + at, &value, sizeof value);
}

static void lies_are_found(void **state) {
  (void)state;
  size_t size = build(false);
  put32(16, 0); /* no name */
  assert_int_equal(decode_first(size, false), -EPROTO);
  put32(16, 1025);
  assert_int_equal(decode_first(size, false), -EPROTO);
  put32(16, UINT32_MAX);
  assert_int_equal(decode_first(size, false), -EPROTO);
  put32(16, 1024); /* longer than the listing? Then a part of it. */
  assert_int_equal(decode_first(size, false), 0);
  put32(16, 1);
  put32(20, 16);
  assert_int_equal(decode_first(size, false), -EPROTO);
  put32(20, 15);
  assert_int_equal(decode_first(size, false), 32);
  listing[24] = '/';
  assert_int_equal(decode_first(size, false), -EPROTO);
  listing[24] = 0;
  assert_int_equal(decode_first(size, false), -EPROTO);
  listing[24] = 'n';
  memset(listing + 8, 0xff, 8); /* a position that is no offset */
  assert_int_equal(decode_first(size, false), -EPROTO);
}

static void attributes_are_checked(void **state) {
  (void)state;
  static const struct virtiofs_dirent entry = {.name = "x", .len = 1};
  struct virtiofs_entry_out known = plus_of(3);
  struct iovec iov = {.iov_base = listing, .iov_len = ROOM};
  struct virtiofs_data data = {.iov = &iov, .count = 1, .size = ROOM};
  struct virtiofs_fuse_dirents list;
  virtiofs_fuse_dirents_init(&list, &spoken, &data);
  assert_true(virtiofs_fuse_dirents_add(&list, &entry, &known));
  assert_int_equal(decode_first(160, true), 160);
  put32(32, 1000000000); /* entry_valid_nsec */
  assert_int_equal(decode_first(160, true), -EPROTO);
  put32(32, 0);
  put32(100, 0644); /* a mode without a type */
  assert_int_equal(decode_first(160, true), -EPROTO);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(what_is_written_is_read),
      cmocka_unit_test(a_part_of_a_record_is_the_end),
      cmocka_unit_test(lies_are_found),
      cmocka_unit_test(attributes_are_checked),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
