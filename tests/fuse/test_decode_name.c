/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <errno.h>
#include <linux/fuse.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <virtiofs/fuse.h>

#include "support/raw_request.h"
#include "support/shred.h"

/* What a request's names may be, for each opcode that has any. */

static struct virtiofs_fuse_proto spoken = {.agreed = true, .minor = 38};
static struct virtiofs_fuse_request got;
static struct fuse_request req;

/* The first @len bytes in way number @way. */
static int decode(size_t len, size_t way) {
  struct shred shred;
  shred_way(&shred, req.bytes, len, way);
  memset(&got, 0xee, sizeof got);
  int rc = virtiofs_fuse_request_decode(&got, &spoken, shred.iov, shred.count);
  shred_free(&shred);
  return rc;
}

static const struct named {
  uint32_t opcode;
  size_t fixed; /* bytes before the first name */
  int names;    /* how many are file names */
  bool target;  /* and a link's target behind them */
} named[] = {
    {FUSE_LOOKUP, 0, 1, false},
    {FUSE_UNLINK, 0, 1, false},
    {FUSE_RMDIR, 0, 1, false},
    {FUSE_MKNOD, sizeof(struct fuse_mknod_in), 1, false},
    {FUSE_MKDIR, sizeof(struct fuse_mkdir_in), 1, false},
    {FUSE_LINK, sizeof(struct fuse_link_in), 1, false},
    {FUSE_CREATE, sizeof(struct fuse_create_in), 1, false},
    {FUSE_SYMLINK, 0, 1, true},
    {FUSE_RENAME, sizeof(struct fuse_rename_in), 2, false},
    {FUSE_RENAME2, sizeof(struct fuse_rename2_in), 2, false},
};

/* All names are "ok" but number @which, which is @len bytes of @text. */
static void build_named(const struct named *kind, int which, const char *text, size_t len) {
  fuse_request_begin(&req, kind->opcode);
  fuse_request_fill(&req, 0, kind->fixed);
  for (int i = 0; i < kind->names + kind->target; i++) {
    if (i == which)
      fuse_request_add(&req, text, len);
    else
      fuse_request_name(&req, "ok");
  }
}

static void names_that_lead_elsewhere_are_refused(void **state) {
  (void)state;
  static const char *const bad[] = {"", ".", "..", "/", "a/b", "/etc", "a/", "../x", "./x", "..//", "a/../../b"};
  static const char *const good[] = {"...", ".a", "..a", "a.", " ", "\n", "\xff\xfe", "a\\b", "-rf"};
  for (size_t k = 0; k < sizeof named / sizeof named[0]; k++)
    for (int which = 0; which < named[k].names; which++) {
      for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        build_named(&named[k], which, bad[i], strlen(bad[i]) + 1);
        assert_int_equal(decode(req.len, i), -EINVAL);
      }
      for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        build_named(&named[k], which, good[i], strlen(good[i]) + 1);
        assert_int_equal(decode(req.len, i), 0);
      }
    }
}

/* "." and ".." are found by LOOKUP alone, and only if that was agreed on. */
static void dots_are_looked_up_where_files_are_exported(void **state) {
  (void)state;
  static const char *const dots[] = {".", ".."}, *const never[] = {"", "/", "../", "./", "../..", "a/."};
  for (size_t k = 0; k < sizeof named / sizeof named[0]; k++)
    for (int which = 0; which < named[k].names; which++) {
      spoken.flags = VIRTIOFS_FUSE_EXPORT_SUPPORT;
      for (size_t i = 0; i < 2; i++) {
        build_named(&named[k], which, dots[i], strlen(dots[i]) + 1);
        assert_int_equal(decode(req.len, i), named[k].opcode == FUSE_LOOKUP ? 0 : -EINVAL);
        if (named[k].opcode == FUSE_LOOKUP)
          assert_string_equal(got.in.lookup.name.str, dots[i]);
      }
      for (size_t i = 0; i < sizeof never / sizeof never[0]; i++) {
        build_named(&named[k], which, never[i], strlen(never[i]) + 1);
        assert_int_equal(decode(req.len, i), -EINVAL);
      }
      spoken.flags = ~VIRTIOFS_FUSE_EXPORT_SUPPORT;
      for (size_t i = 0; i < 2; i++) {
        build_named(&named[k], which, dots[i], strlen(dots[i]) + 1);
        assert_int_equal(decode(req.len, i), -EINVAL);
      }
      spoken.flags = 0;
    }
}

/* The last name of each request, without its NUL. */
static void a_name_has_to_end(void **state) {
  (void)state;
  for (size_t k = 0; k < sizeof named / sizeof named[0]; k++) {
    build_named(&named[k], named[k].names + named[k].target - 1, "name", 4);
    for (size_t way = 0; way < shred_ways(req.len); way++)
      assert_int_equal(decode(req.len, way), -EINVAL);
    uint32_t len = (uint32_t)req.len;
    fuse_request_fill(&req, 0, 1); /* a NUL behind the message's end */
    fuse_request_lie(&req, len);
    assert_int_equal(decode(req.len, 0), -EINVAL);
  }
}

static char long_name[VIRTIOFS_TARGET_MAX + 8];

static void names_are_limited_in_length(void **state) {
  (void)state;
  for (size_t k = 0; k < sizeof named / sizeof named[0]; k++)
    for (int which = 0; which < named[k].names; which++) {
      memset(long_name, 'n', sizeof long_name);
      long_name[VIRTIOFS_FUSE_NAME_MAX] = 0;
      build_named(&named[k], which, long_name, VIRTIOFS_FUSE_NAME_MAX + 1);
      assert_int_equal(decode(req.len, 0), 0);
      long_name[VIRTIOFS_FUSE_NAME_MAX] = 'n';
      long_name[VIRTIOFS_FUSE_NAME_MAX + 1] = 0;
      build_named(&named[k], which, long_name, VIRTIOFS_FUSE_NAME_MAX + 2);
      assert_int_equal(decode(req.len, 0), -ENAMETOOLONG);
      build_named(&named[k], which, long_name, VIRTIOFS_FUSE_NAME_MAX + 1);
      if (which == named[k].names + named[k].target - 1)
        assert_int_equal(decode(req.len, 0), -ENAMETOOLONG);
    }
}

/* The largest names of all at once fill the request's storage to its last byte. */
static void a_target_may_be_as_long_as_a_path(void **state) {
  (void)state;
  memset(long_name, 't', sizeof long_name);
  long_name[VIRTIOFS_TARGET_MAX] = 0;
  fuse_request_begin(&req, FUSE_SYMLINK);
  fuse_request_fill(&req, 'n', VIRTIOFS_FUSE_NAME_MAX);
  fuse_request_fill(&req, 0, 1);
  fuse_request_add(&req, long_name, VIRTIOFS_TARGET_MAX + 1);
  assert_int_equal(decode(req.len, 0), 0);
  assert_int_equal(got.in.symlink.name.len, VIRTIOFS_FUSE_NAME_MAX);
  assert_int_equal(got.in.symlink.target.len, VIRTIOFS_TARGET_MAX);
  assert_string_equal(got.in.symlink.target.str, long_name);
  assert_ptr_equal(got.in.symlink.target.str + VIRTIOFS_TARGET_MAX + 1, got.storage + sizeof got.storage);

  build_named(&named[7], 1, long_name, VIRTIOFS_TARGET_MAX); /* no NUL, but no room for more either */
  assert_int_equal(decode(req.len, 0), -EINVAL);
  long_name[VIRTIOFS_TARGET_MAX] = 't';
  long_name[VIRTIOFS_TARGET_MAX + 1] = 0;
  build_named(&named[7], 1, long_name, VIRTIOFS_TARGET_MAX + 2);
  assert_int_equal(decode(req.len, 0), -ENAMETOOLONG);
  build_named(&named[7], 1, "", 1);
  assert_int_equal(decode(req.len, 0), -EINVAL);
  build_named(&named[7], 1, "/", 2);
  assert_int_equal(decode(req.len, 0), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(names_that_lead_elsewhere_are_refused),
      cmocka_unit_test(dots_are_looked_up_where_files_are_exported),
      cmocka_unit_test(a_name_has_to_end),
      cmocka_unit_test(names_are_limited_in_length),
      cmocka_unit_test(a_target_may_be_as_long_as_a_path),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
