/* SPDX-License-Identifier: BSD-3-Clause */
/* The nine notifications, there and back. Offsets are those of fuse.h. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <virtiofs/fuse.h>

#include "support/shred.h"

#define NAME(text) {.str = (text), .len = sizeof(text) - 1}

static const struct {
  const char *text;
  uint32_t since, size; /* bytes that are written */
  uint32_t behind;      /* bytes that the caller puts behind */
  struct virtiofs_fuse_notify notify;
} kinds[] = {
    {"POLL", 11, 24, 0, {.code = 1, .kh = 0x0102030405060708}},
    {"INVAL_INODE", 12, 40, 0, {.code = 2, .node = 5, .offset = -1, .length = 0}},
    {"INVAL_ENTRY", 12, 37, 0, {.code = 3, .flags = VIRTIOFS_FUSE_EXPIRE_ONLY, .node = 6, .name = NAME("name")}},
    {"STORE", 15, 40, 21, {.code = 4, .node = 7, .offset = 4096, .size = 21}},
    {"RETRIEVE", 15, 48, 0, {.code = 5, .unique = 9, .node = 8, .offset = 8192, .size = 65536}},
    {"DELETE", 18, 44, 0, {.code = 6, .node = 9, .child = 10, .name = NAME("gon")}},
    {"RESEND", 40, 16, 0, {.code = 7}},
    {"INC_EPOCH", 44, 16, 0, {.code = 8}},
    {"PRUNE", 45, 32, 24, {.code = 9, .size = 3}},
};

enum { KINDS = sizeof kinds / sizeof kinds[0] };

static unsigned char bytes[4096];
static char storage[VIRTIOFS_FUSE_NAME_MAX + 1];

static struct virtiofs_fuse_proto proto_of(uint32_t minor, bool swapped) {
  return (struct virtiofs_fuse_proto){.agreed = true, .minor = minor, .swapped = swapped};
}

/* All of it, with what comes behind. */
static size_t encode(size_t kind, bool swapped) {
  struct virtiofs_fuse_proto proto = proto_of(45, swapped);
  struct iovec iov = {.iov_base = bytes, .iov_len = sizeof bytes};
  memset(bytes, 0xee, sizeof bytes);
  assert_int_equal(virtiofs_fuse_notify_encode(&proto, &kinds[kind].notify, &iov, 1), kinds[kind].size);
  return kinds[kind].size + kinds[kind].behind;
}

static ssize_t decode(struct virtiofs_fuse_notify *notify, bool swapped, size_t len, size_t used) {
  struct virtiofs_fuse_proto proto = proto_of(45, swapped);
  struct shred shred;
  shred_two(&shred, bytes, len, len);
  ssize_t rc = virtiofs_fuse_notify_decode(&proto, notify, storage, shred.iov, shred.count, used);
  shred_free(&shred);
  return rc;
}

static void assert_same(const struct virtiofs_fuse_notify *a, const struct virtiofs_fuse_notify *b) {
  assert_int_equal(a->code, b->code);
  assert_int_equal(a->flags, b->flags);
  assert_int_equal(a->kh, b->kh);
  assert_int_equal(a->node, b->node);
  assert_int_equal(a->child, b->child);
  assert_int_equal(a->unique, b->unique);
  assert_int_equal(a->offset, b->offset);
  assert_int_equal(a->length, b->length);
  assert_int_equal(a->size, b->size);
  assert_int_equal(a->name.len, b->name.len);
  if (a->name.len > 0)
    assert_string_equal(a->name.str, b->name.str);
}

static void each_goes_there_and_back_however_it_is_cut(void **state) {
  (void)state;
  for (size_t kind = 0; kind < KINDS; kind++) {
    for (int swapped = 0; swapped < 2; swapped++) {
      struct virtiofs_fuse_proto proto = proto_of(45, swapped != 0);
      size_t len = encode(kind, swapped != 0);
      for (size_t way = 0; way < shred_ways(len); way++) {
        struct virtiofs_fuse_notify back;
        struct shred shred;
        unsigned char again[4096];
        shred_way(&shred, bytes, len, way);
        assert_int_equal(virtiofs_fuse_notify_decode(&proto, &back, storage, shred.iov, shred.count, len),
                         kinds[kind].size);
        assert_same(&back, &kinds[kind].notify);
        assert_int_equal(virtiofs_fuse_notify_encode(&proto, &back, shred.iov, shred.count), kinds[kind].size);
        shred_join(&shred, again);
        assert_memory_equal(again, bytes, kinds[kind].size);
        shred_free(&shred);
      }
    }
  }
}

#define AT(type, offset) (*(const type *)memcpy(&(type){0}, bytes + (offset), sizeof(type)))

static void fields_are_where_linux_looks_for_them(void **state) {
  (void)state;
  for (size_t kind = 0; kind < KINDS; kind++) {
    size_t len = encode(kind, false);
    assert_int_equal(AT(uint32_t, 0), len);
    assert_int_equal(AT(uint32_t, 4), kinds[kind].notify.code);
    assert_int_equal(AT(uint64_t, 8), 0);
  }
  encode(0, false);
  assert_int_equal(AT(uint64_t, 16), 0x0102030405060708);
  encode(1, false);
  assert_int_equal(AT(uint64_t, 16), 5);
  assert_int_equal(AT(uint64_t, 24), UINT64_MAX);
  encode(2, false);
  assert_int_equal(AT(uint32_t, 24), 4);
  assert_int_equal(AT(uint32_t, 28), VIRTIOFS_FUSE_EXPIRE_ONLY);
  assert_string_equal((char *)bytes + 32, "name");
  encode(3, false);
  assert_int_equal(AT(uint64_t, 24), 4096);
  assert_int_equal(AT(uint32_t, 32), 21);
  encode(4, false);
  assert_int_equal(AT(uint64_t, 16), 9);
  assert_int_equal(AT(uint64_t, 24), 8);
  assert_int_equal(AT(uint32_t, 40), 65536);
  encode(5, false);
  assert_int_equal(AT(uint64_t, 24), 10);
  assert_int_equal(AT(uint32_t, 32), 3);
  assert_string_equal((char *)bytes + 40, "gon");
  encode(8, false);
  assert_int_equal(AT(uint32_t, 16), 3);
}

static void an_old_driver_gets_what_it_knows(void **state) {
  (void)state;
  for (size_t kind = 0; kind < KINDS; kind++) {
    for (uint32_t minor = 0; minor <= 45; minor++) {
      struct virtiofs_fuse_proto proto = proto_of(minor, false);
      struct iovec iov = {.iov_base = bytes, .iov_len = sizeof bytes};
      ssize_t expected = minor < kinds[kind].since ? -EINVAL : (ssize_t)kinds[kind].size;
      assert_int_equal(virtiofs_fuse_notify_encode(&proto, &kinds[kind].notify, &iov, 1), expected);
    }
  }
}

static void names_of_codes(void **state) {
  (void)state;
  for (size_t kind = 0; kind < KINDS; kind++)
    assert_string_equal(virtiofs_fuse_notify_name(kinds[kind].notify.code), kinds[kind].text);
  assert_string_equal(virtiofs_fuse_notify_name(0), "?");
  assert_string_equal(virtiofs_fuse_notify_name(10), "?");
  assert_string_equal(virtiofs_fuse_notify_name(UINT32_MAX), "?");
}

static void there_has_to_be_room_for_all(void **state) {
  (void)state;
  for (size_t kind = 0; kind < KINDS; kind++) {
    struct virtiofs_fuse_proto proto = proto_of(45, false);
    size_t all = encode(kind, false);
    for (size_t room = 0; room < all; room++) {
      memset(bytes, 0xee, sizeof bytes);
      struct iovec iov = {.iov_base = bytes, .iov_len = room};
      assert_int_equal(virtiofs_fuse_notify_encode(&proto, &kinds[kind].notify, &iov, room > 0), -ENOSPC);
      assert_int_equal(bytes[0], 0xee);
    }
  }
  struct virtiofs_fuse_proto proto = proto_of(45, false);
  struct virtiofs_fuse_notify prune = {.code = 9, .size = UINT32_MAX};
  struct iovec iov = {.iov_base = bytes, .iov_len = sizeof bytes};
  assert_int_equal(virtiofs_fuse_notify_encode(&proto, &prune, &iov, 1), -ENOSPC);
}

static void what_cannot_be_told_is_refused(void **state) {
  (void)state;
  static char longer[VIRTIOFS_FUSE_NAME_MAX + 2];
  memset(longer, 'n', sizeof longer - 1);
  const struct virtiofs_name names[] = {
      NAME(""), NAME("a/b"), NAME("a\0b"), {.str = longer, .len = VIRTIOFS_FUSE_NAME_MAX + 1}};
  struct virtiofs_fuse_proto proto = proto_of(45, false);
  struct iovec iov = {.iov_base = bytes, .iov_len = sizeof bytes};
  for (size_t i = 0; i < 4; i++) {
    struct virtiofs_fuse_notify notify = {.code = VIRTIOFS_FUSE_NOTIFY_INVAL_ENTRY, .node = 1, .name = names[i]};
    assert_int_equal(virtiofs_fuse_notify_encode(&proto, &notify, &iov, 1), -EINVAL);
  }
  for (uint32_t code = 0; code < 20; code = code == 0 ? 10 : code + 1)
    assert_int_equal(virtiofs_fuse_notify_encode(&proto, &(struct virtiofs_fuse_notify){.code = code}, &iov, 1),
                     -EINVAL);
}

static void what_is_not_whole_is_refused(void **state) {
  (void)state;
  struct virtiofs_fuse_notify back;
  for (size_t kind = 0; kind < KINDS; kind++) {
    size_t len = encode(kind, false);
    for (size_t cut = 0; cut < len; cut++) {
      encode(kind, false);
      assert_int_equal(decode(&back, false, cut, cut), -EPROTO); /* the header says more */
      assert_int_equal(decode(&back, false, cut, len), -EPROTO); /* there is less than what is said */
      uint32_t lie = (uint32_t)cut;
      memcpy(bytes, &lie, 4);
      assert_int_equal(decode(&back, false, cut, cut), -EPROTO);
      assert_int_equal(decode(&back, false, len, len), -EPROTO);
    }
    encode(kind, false);
    uint32_t more = (uint32_t)len + 1;
    memcpy(bytes, &more, 4);
    assert_int_equal(decode(&back, false, len + 1, len + 1), -EPROTO);
  }
}

static void lies_are_refused(void **state) {
  (void)state;
  struct virtiofs_fuse_notify back;
  size_t len = encode(6, false);
  static const int32_t codes[] = {0, -1, 10, INT32_MAX, INT32_MIN};
  for (size_t i = 0; i < 5; i++) {
    memcpy(bytes + 4, &codes[i], 4);
    assert_int_equal(decode(&back, false, len, len), -EPROTO);
  }
  encode(6, false);
  bytes[15] = 1; /* unique: a reply */
  assert_int_equal(decode(&back, false, len, len), -EPROTO);
  assert_int_equal(decode(&back, true, len, len), -EPROTO);
  static const uint32_t lengths[] = {0, 1, 3, 5, 1024, 1025, 0x7fffffff, UINT32_MAX};
  for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
    len = encode(2, false);
    memcpy(bytes + 24, &lengths[i], 4);
    assert_int_equal(decode(&back, false, len, len), -EPROTO);
    len = encode(8, false);
    memcpy(bytes + 16, &lengths[i], 4);
    if (lengths[i] != 3)
      assert_int_equal(decode(&back, false, len, len), -EPROTO);
  }
  len = encode(2, false);
  bytes[33] = '/';
  assert_int_equal(decode(&back, false, len, len), -EPROTO);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(each_goes_there_and_back_however_it_is_cut),
      cmocka_unit_test(fields_are_where_linux_looks_for_them),
      cmocka_unit_test(an_old_driver_gets_what_it_knows),
      cmocka_unit_test(names_of_codes),
      cmocka_unit_test(there_has_to_be_room_for_all),
      cmocka_unit_test(what_cannot_be_told_is_refused),
      cmocka_unit_test(what_is_not_whole_is_refused),
      cmocka_unit_test(lies_are_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
