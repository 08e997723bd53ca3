/* SPDX-License-Identifier: BSD-3-Clause */
/* Security contexts and groups at the end of requests that make something. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <virtiofs/fuse.h>

#include "support/raw_request.h"
#include "support/shred.h"

#define AGREED (VIRTIOFS_FUSE_SECURITY_CTX | VIRTIOFS_FUSE_CREATE_SUPP_GROUP)

static struct virtiofs_fuse_proto spoken = {.agreed = true, .minor = 38, .flags = AGREED};
static const struct virtiofs_fuse_proto swapped = {.agreed = true, .minor = 38, .swapped = true, .flags = AGREED};
static struct virtiofs_fuse_request got;

/* ---- builds the bytes of extensions, in host order ---- */

static struct {
  _Alignas(8) unsigned char bytes[16384];
  size_t len;
} ext;

static void put(const void *bytes, size_t len) {
  assert_true(len <= sizeof ext.bytes - ext.len);
  memcpy(ext.bytes + ext.len, bytes, len);
  ext.len += len;
}

static void put_words(uint32_t a, uint32_t b) {
  put((uint32_t[]){a, b}, 8);
}

static void pad(void) {
  while (ext.len % 8 != 0)
    put("", 1);
}

static void put_context(const char *name, const char *value) {
  put_words((uint32_t)strlen(value), 0);
  put(name, strlen(name) + 1);
  put(value, strlen(value));
  pad();
}

/* The header of an extension that has begun at @begin. */
static void close_ext(size_t begin, uint32_t type) {
  uint32_t head[] = {(uint32_t)(ext.len - begin), type};
  memcpy(ext.bytes + begin, head, sizeof head);
}

static void put_groups(uint32_t count) {
  size_t begin = ext.len;
  put_words(0, 0);
  put(&count, 4);
  for (uint32_t i = 0; i < count; i++)
    put((uint32_t[]){1000 + i}, 4);
  pad();
  close_ext(begin, 32);
}

static void put_two_contexts(void) {
  size_t begin = ext.len;
  put_words(0, 0);
  put_context("security.selinux", "system_u:object_r:user_t");
  put_context("security.smack", "");
  close_ext(begin, 2);
}

static void put_unknown(void) {
  put_words(16, 33);
  put_words(1, 2);
}

static void begin(void) {
  ext.len = 0;
}

/* ---- decodes them behind a MKDIR ---- */

static struct fuse_request req;

static void build(void) {
  fuse_request_begin(&req, VIRTIOFS_FUSE_MKDIR);
  fuse_request_add(&req, (uint32_t[]){0755, 022}, 8);
  fuse_request_name(&req, "dir");
  fuse_request_add(&req, ext.bytes, ext.len);
  fuse_request_extlen(&req, (uint16_t)(ext.len / 8));
}

static int decode_way(size_t way) {
  struct shred shred;
  shred_way(&shred, req.bytes, req.len, way);
  memset(&got, 0xee, sizeof got);
  int rc = virtiofs_fuse_request_decode(&got, &spoken, shred.iov, shred.count);
  shred_free(&shred);
  return rc;
}

static int decode(void) {
  build();
  return decode_way(0);
}

static void assert_end(struct virtiofs_extensions *all) {
  struct virtiofs_extension one;
  assert_false(virtiofs_extensions_next(all, &one));
  assert_false(virtiofs_extensions_next(all, &one));
}

static void assert_context(struct virtiofs_extensions *all, const char *name, const char *value) {
  struct virtiofs_extension one;
  assert_true(virtiofs_extensions_next(all, &one));
  assert_int_equal(one.kind, VIRTIOFS_EXTENSION_SECURITY);
  assert_string_equal(one.name.str, name);
  assert_int_equal(one.name.len, strlen(name));
  assert_int_equal(one.size, strlen(value));
  assert_memory_equal(one.value, value, one.size);
}

static void assert_groups(struct virtiofs_extensions *all, uint32_t count) {
  struct virtiofs_extension one;
  assert_true(virtiofs_extensions_next(all, &one));
  assert_int_equal(one.kind, VIRTIOFS_EXTENSION_GROUPS);
  assert_int_equal(one.count, count);
  for (uint32_t i = 0; i < count && i < 32; i++)
    assert_int_equal(one.groups[i], 1000 + i);
}

static void assert_everything(void) {
  struct virtiofs_extensions all = got.in.mkdir.extensions;
  assert_string_equal(got.in.mkdir.name.str, "dir");
  assert_context(&all, "security.selinux", "system_u:object_r:user_t");
  assert_context(&all, "security.smack", "");
  assert_groups(&all, 3);
  assert_end(&all);
}

static void all_kinds_are_read_however_they_are_cut(void **state) {
  (void)state;
  begin();
  put_unknown();
  put_two_contexts();
  put_unknown();
  put_groups(3);
  build();
  for (size_t way = 0; way < shred_ways(req.len); way++) {
    assert_int_equal(decode_way(way), 0);
    assert_everything();
  }
}

static void they_begin_at_the_end_less_their_length(void **state) {
  (void)state;
  begin();
  put_two_contexts();
  put_groups(3);
  fuse_request_begin(&req, VIRTIOFS_FUSE_MKDIR);
  fuse_request_add(&req, (uint32_t[]){0755, 022}, 8);
  fuse_request_name(&req, "dir");
  fuse_request_fill(&req, 'x', 5); /* means nothing */
  fuse_request_add(&req, ext.bytes, ext.len);
  fuse_request_extlen(&req, (uint16_t)(ext.len / 8));
  assert_int_equal(decode_way(0), 0);
  assert_everything();
}

static void there_may_be_none(void **state) {
  (void)state;
  begin();
  assert_int_equal(decode(), 0);
  assert_int_equal(got.in.mkdir.extensions.size, 0);
  assert_end(&got.in.mkdir.extensions);
  put_words(8, 0); /* no context */
  assert_int_equal(decode(), 0);
  assert_end(&got.in.mkdir.extensions);
  begin();
  put_words(16, 0);
  put_words(1, 2);
  put_groups(1);
  assert_int_equal(decode(), 0);
  assert_groups(&got.in.mkdir.extensions, 1);
  assert_end(&got.in.mkdir.extensions);
}

static void as_many_contexts_as_there_can_be(void **state) {
  (void)state;
  begin();
  put_words(0, 0);
  for (int i = 0; i < 31; i++)
    put_context("a", "b");
  close_ext(0, 31);
  assert_int_equal(decode(), 0);
  for (int i = 0; i < 31; i++)
    assert_context(&got.in.mkdir.extensions, "a", "b");
  assert_end(&got.in.mkdir.extensions);
  close_ext(0, 30); /* one too many for what is said */
  assert_int_equal(decode(), -EINVAL);
}

static void groups_are_counted(void **state) {
  (void)state;
  for (uint32_t count = 1; count <= 40; count++) {
    begin();
    put_groups(count);
    assert_int_equal(decode(), 0);
    assert_groups(&got.in.mkdir.extensions, count);
    assert_end(&got.in.mkdir.extensions);
  }
  static const uint32_t lies[] = {0, 43, 1U << 30, UINT32_MAX};
  for (size_t i = 0; i < 4; i++) {
    begin();
    put_groups(41); /* room for 41, as 8 + 4 + 164 is a multiple of 8 */
    memcpy(ext.bytes + 8, &lies[i], 4);
    assert_int_equal(decode(), -EINVAL);
  }
}

static void a_kind_comes_once(void **state) {
  (void)state;
  begin();
  put_groups(1);
  put_groups(1);
  assert_int_equal(decode(), -EINVAL);
  begin();
  put_two_contexts();
  put_two_contexts();
  assert_int_equal(decode(), -EINVAL);
  begin();
  put_words(8, 0);
  put_two_contexts();
  assert_int_equal(decode(), -EINVAL);
  begin();
  put_unknown();
  put_unknown();
  assert_int_equal(decode(), 0);
  assert_end(&got.in.mkdir.extensions);
}

static void sizes_are_not_believed(void **state) {
  (void)state;
  static const uint32_t sizes[] = {0, 1, 7, 9, 12, 0x80000000, 0xfffffff8, UINT32_MAX};
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
    for (uint32_t type = 0; type < 35; type++) {
      begin();
      put_words(sizes[i], type);
      put_words(1, 1);
      assert_int_equal(decode(), -EINVAL);
    }
  }
  /* The value's size: past the extension, past 32 bits with what stands before. */
  static const uint32_t values[] = {25, 100, 0x7fffffff, 0xfffffff0, UINT32_MAX};
  for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
    begin();
    put_words(0, 0);
    put_context("security.selinux", "123456781234567");
    close_ext(0, 1);
    memcpy(ext.bytes + 8, &values[i], 4);
    assert_int_equal(decode(), -EINVAL);
  }
}

static void a_context_has_a_name_that_ends(void **state) {
  (void)state;
  begin();
  put_words(0, 0);
  put_context("", "value");
  close_ext(0, 1);
  assert_int_equal(decode(), -EINVAL);
  begin();
  put_words(24, 1);
  put_words(0, 0);
  put("nonulhere", 8);
  assert_int_equal(decode(), -EINVAL);
  static char name[VIRTIOFS_FUSE_NAME_MAX + 2];
  for (size_t len = VIRTIOFS_FUSE_NAME_MAX; len <= VIRTIOFS_FUSE_NAME_MAX + 1; len++) {
    begin();
    memset(name, 'n', len);
    put_words(0, 0);
    put_context(name, "v");
    close_ext(0, 1);
    assert_int_equal(decode(), len > VIRTIOFS_FUSE_NAME_MAX ? -EINVAL : 0);
  }
}

/* Whatever is cut off, the rest is no set of extensions, or a smaller one. */
static void truncation_is_seen(void **state) {
  (void)state;
  begin();
  put_two_contexts();
  size_t contexts = ext.len;
  put_groups(3);
  size_t whole = ext.len;
  for (size_t len = 8; len < whole; len += 8) {
    ext.len = len;
    assert_int_equal(decode(), len == contexts ? 0 : -EINVAL);
  }
  ext.len = whole;
  for (uint32_t units = 0; units <= (whole + 64) / 8; units++) {
    build();
    fuse_request_extlen(&req, (uint16_t)units);
    int rc = decode_way(0);
    assert_true(rc == -EINVAL || units == whole / 8 || units == 0 || units == (whole - contexts) / 8);
  }
  build();
  size_t length = req.len;
  for (size_t len = 40; len < length; len++) {
    fuse_request_lie(&req, (uint32_t)len);
    int rc = decode_way(0);
    assert_int_equal(rc, -EINVAL);
  }
}

static void there_is_a_limit(void **state) {
  (void)state;
  begin();
  for (size_t len = 0; len <= VIRTIOFS_FUSE_EXTENSIONS_MAX; len += 16) {
    put_unknown();
    if (ext.len == VIRTIOFS_FUSE_EXTENSIONS_MAX)
      assert_int_equal(decode(), 0);
  }
  assert_int_equal(decode(), -E2BIG);
}

/* ---- the other way, in both byte orders ---- */

static ssize_t encode(const struct virtiofs_fuse_proto *proto, unsigned char *bytes, size_t size) {
  struct virtiofs_fuse_header header = {.opcode = VIRTIOFS_FUSE_MKDIR, .unique = 2};
  union virtiofs_fuse_in in = {.mkdir = {.parent = 1,
                                         .name = {.str = "dir", .len = 3},
                                         .extensions = {.bytes = ext.bytes, .size = (uint32_t)ext.len}}};
  return virtiofs_fuse_request_encode(proto, &header, &in, bytes, size);
}

/* What wasn't agreed on is an error, unknown kinds are passed over. */
static void each_kind_is_agreed_on(void **state) {
  (void)state;
  static unsigned char bytes[16384];
  static const uint64_t flags[] = {0, VIRTIOFS_FUSE_SECURITY_CTX, VIRTIOFS_FUSE_CREATE_SUPP_GROUP, AGREED, ~AGREED};
  for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++)
    for (unsigned kinds = 0; kinds < 8; kinds++) {
      begin();
      if ((kinds & 1) != 0)
        put_two_contexts();
      if ((kinds & 2) != 0)
        put_groups(1);
      if ((kinds & 4) != 0)
        put_unknown();
      bool context = (kinds & 1) == 0 || (flags[i] & VIRTIOFS_FUSE_SECURITY_CTX) != 0;
      bool group = (kinds & 2) == 0 || (flags[i] & VIRTIOFS_FUSE_CREATE_SUPP_GROUP) != 0;
      spoken.flags = flags[i];
      assert_int_equal(decode(), context && group ? 0 : -EINVAL);
      assert_int_equal(encode(&spoken, bytes, sizeof bytes) > 0, context && group);
      spoken.flags = AGREED;
    }
}

/* Before 7.38 the field that says where they begin is padding, whatever is in it. */
static void old_drivers_have_none(void **state) {
  (void)state;
  static unsigned char bytes[16384];
  begin();
  put_groups(1);
  for (spoken.minor = 9; spoken.minor < 38; spoken.minor++) {
    build();
    for (unsigned units = 0; units < 3; units++) {
      fuse_request_extlen(&req, (uint16_t)(units * 4711));
      assert_int_equal(decode_way(0), 0);
      assert_int_equal(got.in.mkdir.extensions.size, 0);
      assert_string_equal(got.in.mkdir.name.str, "dir");
    }
    assert_int_equal(encode(&spoken, bytes, sizeof bytes), -EINVAL);
  }
  assert_int_equal(decode(), 0);
  assert_int_equal(got.in.mkdir.extensions.size, ext.len);
}

static void they_are_written_in_the_order_of_the_server(void **state) {
  (void)state;
  static unsigned char bytes[16384];
  begin();
  put_unknown();
  put_two_contexts();
  put_groups(3);
  ssize_t len = encode(&spoken, bytes, sizeof bytes);
  assert_true(len > 0);
  struct iovec iov = {.iov_base = bytes, .iov_len = (size_t)len};
  assert_int_equal(virtiofs_fuse_request_decode(&got, &spoken, &iov, 1), 0);
  assert_everything();

  assert_int_equal(encode(&swapped, bytes, sizeof bytes), len);
  const unsigned char head[] = {0, 0, 0, 16, 0, 0, 0, 33}; /* big-endian, as this machine isn't */
  if (*(const unsigned char *)&(const uint16_t){1} == 1)
    assert_memory_equal(bytes + 40 + 8 + 4, head, sizeof head);
  iov.iov_len = (size_t)len;
  assert_int_equal(virtiofs_fuse_request_decode(&got, &swapped, &iov, 1), 0);
  assert_everything();
}

static void malformed_ones_are_not_written(void **state) {
  (void)state;
  static unsigned char bytes[16384];
  for (int i = 0; i < 2; i++) {
    const struct virtiofs_fuse_proto *proto = i == 0 ? &spoken : &swapped;
    begin();
    put_groups(1);
    ext.len -= 4;
    assert_int_equal(encode(proto, bytes, sizeof bytes), -EINVAL);
    begin();
    put_groups(1);
    put_groups(1);
    assert_int_equal(encode(proto, bytes, sizeof bytes), -EINVAL);
    begin();
    while (ext.len <= VIRTIOFS_FUSE_EXTENSIONS_MAX)
      put_unknown();
    assert_int_equal(encode(proto, bytes, sizeof bytes), -EINVAL);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(all_kinds_are_read_however_they_are_cut),
      cmocka_unit_test(they_begin_at_the_end_less_their_length),
      cmocka_unit_test(there_may_be_none),
      cmocka_unit_test(as_many_contexts_as_there_can_be),
      cmocka_unit_test(groups_are_counted),
      cmocka_unit_test(a_kind_comes_once),
      cmocka_unit_test(sizes_are_not_believed),
      cmocka_unit_test(a_context_has_a_name_that_ends),
      cmocka_unit_test(truncation_is_seen),
      cmocka_unit_test(there_is_a_limit),
      cmocka_unit_test(each_kind_is_agreed_on),
      cmocka_unit_test(old_drivers_have_none),
      cmocka_unit_test(they_are_written_in_the_order_of_the_server),
      cmocka_unit_test(malformed_ones_are_not_written),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
