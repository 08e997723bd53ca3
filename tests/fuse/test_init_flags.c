/* SPDX-License-Identifier: BSD-3-Clause */
/* The table of INIT's flags: every bit is a flag with a rule, or none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <string.h>

#include <cmocka.h>

#include <virtiofs/backend.h>

#include "fuse/init_flags.h"

#define OP(name) (UINT64_C(1) << VIRTIOFS_FUSE_##name)
#define ALL_OPS UINT64_MAX

enum { ALWAYS = 1, OPS, OPT_IN, REPLY, NOTIFY, NEVER };

/* By hand from the protocol's description. @semantics: what a backend says to have it. */
static const struct {
  uint64_t flag;
  const char *name;
  uint64_t semantics;
  uint8_t rule, since;
} known[] = {
    {VIRTIOFS_FUSE_ASYNC_READ, "ASYNC_READ", 0, ALWAYS, 6},
    {VIRTIOFS_FUSE_POSIX_LOCKS, "POSIX_LOCKS", 0, OPS, 7},
    {VIRTIOFS_FUSE_FILE_OPS, "FILE_OPS", 0, ALWAYS, 9},
    {VIRTIOFS_FUSE_ATOMIC_O_TRUNC, "ATOMIC_O_TRUNC", VIRTIOFS_SEMANTICS_ATOMIC_O_TRUNC, OPT_IN, 9},
    {VIRTIOFS_FUSE_EXPORT_SUPPORT, "EXPORT_SUPPORT", VIRTIOFS_SEMANTICS_EXPORT_SUPPORT, OPT_IN, 9},
    {VIRTIOFS_FUSE_BIG_WRITES, "BIG_WRITES", 0, ALWAYS, 9},
    {VIRTIOFS_FUSE_DONT_MASK, "DONT_MASK", VIRTIOFS_SEMANTICS_DONT_MASK, OPT_IN, 12},
    {VIRTIOFS_FUSE_SPLICE_WRITE, "SPLICE_WRITE", 0, NEVER, 14},
    {VIRTIOFS_FUSE_SPLICE_MOVE, "SPLICE_MOVE", 0, NEVER, 14},
    {VIRTIOFS_FUSE_SPLICE_READ, "SPLICE_READ", 0, NEVER, 14},
    {VIRTIOFS_FUSE_FLOCK_LOCKS, "FLOCK_LOCKS", VIRTIOFS_SEMANTICS_FLOCK_LOCKS, OPT_IN, 17},
    {VIRTIOFS_FUSE_HAS_IOCTL_DIR, "HAS_IOCTL_DIR", 0, OPS, 18},
    {VIRTIOFS_FUSE_AUTO_INVAL_DATA, "AUTO_INVAL_DATA", 0, ALWAYS, 20},
    {VIRTIOFS_FUSE_DO_READDIRPLUS, "DO_READDIRPLUS", 0, OPS, 21},
    {VIRTIOFS_FUSE_READDIRPLUS_AUTO, "READDIRPLUS_AUTO", 0, OPS, 21},
    {VIRTIOFS_FUSE_ASYNC_DIO, "ASYNC_DIO", 0, ALWAYS, 22},
    {VIRTIOFS_FUSE_WRITEBACK_CACHE, "WRITEBACK_CACHE", VIRTIOFS_SEMANTICS_WRITEBACK_CACHE, OPT_IN, 23},
    {VIRTIOFS_FUSE_NO_OPEN_SUPPORT, "NO_OPEN_SUPPORT", 0, OPS, 23},
    {VIRTIOFS_FUSE_PARALLEL_DIROPS, "PARALLEL_DIROPS", 0, ALWAYS, 25},
    {VIRTIOFS_FUSE_HANDLE_KILLPRIV, "HANDLE_KILLPRIV", VIRTIOFS_SEMANTICS_HANDLE_KILLPRIV, OPT_IN, 26},
    {VIRTIOFS_FUSE_POSIX_ACL, "POSIX_ACL", VIRTIOFS_SEMANTICS_POSIX_ACL, OPT_IN, 26},
    {VIRTIOFS_FUSE_ABORT_ERROR, "ABORT_ERROR", 0, NEVER, 27},
    {VIRTIOFS_FUSE_MAX_PAGES, "MAX_PAGES", 0, REPLY, 28},
    {VIRTIOFS_FUSE_CACHE_SYMLINKS, "CACHE_SYMLINKS", VIRTIOFS_SEMANTICS_CACHE_SYMLINKS, OPT_IN, 28},
    {VIRTIOFS_FUSE_NO_OPENDIR_SUPPORT, "NO_OPENDIR_SUPPORT", 0, OPS, 29},
    {VIRTIOFS_FUSE_EXPLICIT_INVAL_DATA, "EXPLICIT_INVAL_DATA", VIRTIOFS_SEMANTICS_EXPLICIT_INVAL_DATA, OPT_IN, 30},
    {VIRTIOFS_FUSE_MAP_ALIGNMENT, "MAP_ALIGNMENT", 0, REPLY, 31},
    {VIRTIOFS_FUSE_SUBMOUNTS, "SUBMOUNTS", VIRTIOFS_SEMANTICS_SUBMOUNTS, OPT_IN, 32},
    {VIRTIOFS_FUSE_HANDLE_KILLPRIV_V2, "HANDLE_KILLPRIV_V2", VIRTIOFS_SEMANTICS_HANDLE_KILLPRIV_V2, OPT_IN, 33},
    {VIRTIOFS_FUSE_SETXATTR_EXT, "SETXATTR_EXT", VIRTIOFS_SEMANTICS_SETXATTR_EXT, OPT_IN, 33},
    {VIRTIOFS_FUSE_INIT_EXT, "INIT_EXT", 0, REPLY, 36},
    {VIRTIOFS_FUSE_INIT_RESERVED, "INIT_RESERVED", 0, NEVER, 36},
    {VIRTIOFS_FUSE_SECURITY_CTX, "SECURITY_CTX", VIRTIOFS_SEMANTICS_SECURITY_CTX, OPT_IN, 36},
    {VIRTIOFS_FUSE_HAS_INODE_DAX, "HAS_INODE_DAX", VIRTIOFS_SEMANTICS_HAS_INODE_DAX, OPT_IN, 36},
    {VIRTIOFS_FUSE_CREATE_SUPP_GROUP, "CREATE_SUPP_GROUP", VIRTIOFS_SEMANTICS_CREATE_SUPP_GROUP, OPT_IN, 38},
    {VIRTIOFS_FUSE_HAS_EXPIRE_ONLY, "HAS_EXPIRE_ONLY", 0, NOTIFY, 38},
    {VIRTIOFS_FUSE_DIRECT_IO_ALLOW_MMAP, "DIRECT_IO_ALLOW_MMAP", VIRTIOFS_SEMANTICS_DIRECT_IO_ALLOW_MMAP, OPT_IN, 39},
    {VIRTIOFS_FUSE_PASSTHROUGH, "PASSTHROUGH", 0, NEVER, 40},
    {VIRTIOFS_FUSE_NO_EXPORT_SUPPORT, "NO_EXPORT_SUPPORT", VIRTIOFS_SEMANTICS_NO_EXPORT_SUPPORT, OPT_IN, 40},
    {VIRTIOFS_FUSE_HAS_RESEND, "HAS_RESEND", 0, NOTIFY, 40},
    {VIRTIOFS_FUSE_ALLOW_IDMAP, "ALLOW_IDMAP", VIRTIOFS_SEMANTICS_ALLOW_IDMAP, OPT_IN, 41},
    {VIRTIOFS_FUSE_OVER_IO_URING, "OVER_IO_URING", 0, NEVER, 42},
    {VIRTIOFS_FUSE_REQUEST_TIMEOUT, "REQUEST_TIMEOUT", 0, REPLY, 43},
};

enum { KNOWN = sizeof known / sizeof known[0] };

static void every_bit_has_a_rule_or_no_name(void **state) {
  (void)state;
  for (unsigned bit = 0; bit < 64; bit++) {
    const struct virtiofs_fuse_init_flag *row = virtiofs_fuse_init_flag(bit);
    if (bit >= KNOWN) {
      assert_null(row->name);
      assert_int_equal(row->rule, VIRTIOFS_FUSE_INIT_UNKNOWN);
      assert_string_equal(virtiofs_fuse_init_flag_name(bit), "?");
      continue;
    }
    assert_true(known[bit].flag == UINT64_C(1) << bit);
    assert_string_equal(row->name, known[bit].name);
    assert_string_equal(virtiofs_fuse_init_flag_name(bit), known[bit].name);
    assert_int_equal(row->rule, known[bit].rule);
    assert_int_equal(row->since, known[bit].since);
    assert_true(row->needs >= 6);
    assert_true(bit < 32 || row->needs >= 23);
    assert_true(known[bit].semantics == (row->rule == VIRTIOFS_FUSE_INIT_OPT_IN ? known[bit].flag : 0));
  }
  assert_string_equal(virtiofs_fuse_init_flag_name(64), "?");
  assert_string_equal(virtiofs_fuse_init_flag_name(UINT32_MAX), "?");
}

/* What one look at each row relies on. */
static void no_rule_hangs_on_another_that_hangs(void **state) {
  (void)state;
  for (unsigned bit = 0; bit < 64; bit++) {
    const struct virtiofs_fuse_init_flag *row = virtiofs_fuse_init_flag(bit);
    for (unsigned on = 0; on < 64; on++) {
      const struct virtiofs_fuse_init_flag *other = virtiofs_fuse_init_flag(on);
      if (((row->demands | row->yields) >> on & 1) != 0)
        assert_true(other->name != NULL && other->demands == 0 && other->yields == 0);
      if ((row->against >> on & 1) != 0)
        assert_true((other->against >> bit & 1) != 0);
    }
  }
}

static void operations_offer_what_they_are_for(void **state) {
  (void)state;
  const uint64_t always = VIRTIOFS_FUSE_ASYNC_READ | VIRTIOFS_FUSE_FILE_OPS | VIRTIOFS_FUSE_BIG_WRITES |
                          VIRTIOFS_FUSE_AUTO_INVAL_DATA | VIRTIOFS_FUSE_ASYNC_DIO | VIRTIOFS_FUSE_PARALLEL_DIROPS;
  const uint64_t plus = VIRTIOFS_FUSE_DO_READDIRPLUS | VIRTIOFS_FUSE_READDIRPLUS_AUTO;
  const uint64_t opens = OP(OPEN) | OP(OPENDIR), locks = OP(GETLK) | OP(SETLK) | OP(SETLKW);
  assert_true(virtiofs_fuse_init_wanted(opens, 0) == always);
  assert_true(virtiofs_fuse_init_wanted(0, 0) ==
              (always | VIRTIOFS_FUSE_NO_OPEN_SUPPORT | VIRTIOFS_FUSE_NO_OPENDIR_SUPPORT));
  assert_true(virtiofs_fuse_init_wanted(OP(OPEN), 0) == (always | VIRTIOFS_FUSE_NO_OPENDIR_SUPPORT));
  assert_true(virtiofs_fuse_init_wanted(OP(OPENDIR), 0) == (always | VIRTIOFS_FUSE_NO_OPEN_SUPPORT));
  assert_true(virtiofs_fuse_init_wanted(opens | OP(READDIRPLUS), 0) == (always | plus));
  assert_true(virtiofs_fuse_init_wanted(opens | OP(IOCTL), 0) == (always | VIRTIOFS_FUSE_HAS_IOCTL_DIR));
  assert_true(virtiofs_fuse_init_wanted(opens | locks, 0) == (always | VIRTIOFS_FUSE_POSIX_LOCKS));
  for (unsigned bit = 0; bit < 64; bit++)
    if ((locks >> bit & 1) != 0)
      assert_true(virtiofs_fuse_init_wanted(opens | (locks & ~(UINT64_C(1) << bit)), 0) == always);
  assert_true(virtiofs_fuse_init_wanted(ALL_OPS, 0) ==
              (always | plus | VIRTIOFS_FUSE_POSIX_LOCKS | VIRTIOFS_FUSE_HAS_IOCTL_DIR));
}

/* A promise is wanted; nothing else becomes so by being called one. */
static void promises_are_wanted(void **state) {
  (void)state;
  for (unsigned bit = 0; bit < 64; bit++) {
    uint64_t flag = UINT64_C(1) << bit, none = virtiofs_fuse_init_wanted(ALL_OPS, 0);
    bool promise = bit < KNOWN && known[bit].rule == OPT_IN;
    assert_true(virtiofs_fuse_init_wanted(ALL_OPS, flag) == (promise ? none | flag : none));
  }
}

/* Operations that a promise is about. */
static const struct {
  uint64_t promise, ops;
} about[] = {
    {VIRTIOFS_SEMANTICS_ATOMIC_O_TRUNC, OP(OPEN)},
    {VIRTIOFS_SEMANTICS_EXPORT_SUPPORT, OP(LOOKUP)},
    {VIRTIOFS_SEMANTICS_FLOCK_LOCKS, OP(SETLK) | OP(SETLKW)},
    {VIRTIOFS_SEMANTICS_WRITEBACK_CACHE, OP(READ) | OP(WRITE) | OP(SETATTR)},
    {VIRTIOFS_SEMANTICS_POSIX_ACL, OP(GETXATTR) | OP(SETXATTR)},
    {VIRTIOFS_SEMANTICS_CACHE_SYMLINKS, OP(READLINK)},
    {VIRTIOFS_SEMANTICS_SETXATTR_EXT, OP(SETXATTR)},
};

static uint64_t ops_of(uint64_t promise) {
  for (size_t i = 0; i < sizeof about / sizeof about[0]; i++)
    if (about[i].promise == promise)
      return about[i].ops;
  return 0;
}

static void promises_are_such_as_can_be_kept(void **state) {
  (void)state;
  for (unsigned bit = 0; bit < 64; bit++) {
    uint64_t flag = UINT64_C(1) << bit, with = flag;
    if (bit >= KNOWN || known[bit].rule != OPT_IN) {
      assert_true(virtiofs_fuse_init_unfit(ALL_OPS, flag) == flag);
      continue;
    }
    if (flag == VIRTIOFS_SEMANTICS_POSIX_ACL) {
      assert_true(virtiofs_fuse_init_unfit(ALL_OPS, flag) == flag);
      with |= VIRTIOFS_SEMANTICS_DONT_MASK;
    }
    assert_true(virtiofs_fuse_init_unfit(ALL_OPS, with) == 0);
    assert_true(virtiofs_fuse_init_unfit(ops_of(flag), with) == 0);
    for (unsigned op = 0; op < 64; op++)
      if ((ops_of(flag) >> op & 1) != 0)
        assert_true(virtiofs_fuse_init_unfit(~(UINT64_C(1) << op), with) == flag);
  }
  uint64_t both = VIRTIOFS_SEMANTICS_EXPORT_SUPPORT | VIRTIOFS_SEMANTICS_NO_EXPORT_SUPPORT;
  assert_true(virtiofs_fuse_init_unfit(ALL_OPS, both) == VIRTIOFS_SEMANTICS_EXPORT_SUPPORT);
  assert_true(virtiofs_fuse_init_unfit(0, 0) == 0);
}

static void flags_that_hang_on_others(void **state) {
  (void)state;
  assert_true(virtiofs_fuse_init_agreeable(VIRTIOFS_FUSE_POSIX_ACL, 45) == 0);
  assert_true(virtiofs_fuse_init_agreeable(VIRTIOFS_FUSE_READDIRPLUS_AUTO, 45) == 0);
  assert_true(virtiofs_fuse_init_agreeable(VIRTIOFS_FUSE_HAS_INODE_DAX, 45) == 0);
  uint64_t acl = VIRTIOFS_FUSE_POSIX_ACL | VIRTIOFS_FUSE_DONT_MASK;
  assert_true(virtiofs_fuse_init_agreeable(acl, 45) == acl);
  assert_true(virtiofs_fuse_init_agreeable(acl, 11) == 0);
  assert_true(virtiofs_fuse_init_agreeable(VIRTIOFS_FUSE_AUTO_INVAL_DATA | VIRTIOFS_FUSE_EXPLICIT_INVAL_DATA, 45) ==
              VIRTIOFS_FUSE_EXPLICIT_INVAL_DATA);
  assert_true(virtiofs_fuse_init_agreeable(VIRTIOFS_FUSE_HANDLE_KILLPRIV | VIRTIOFS_FUSE_HANDLE_KILLPRIV_V2, 45) ==
              VIRTIOFS_FUSE_HANDLE_KILLPRIV_V2);
  assert_true(virtiofs_fuse_init_agreeable(VIRTIOFS_FUSE_HANDLE_KILLPRIV, 45) == VIRTIOFS_FUSE_HANDLE_KILLPRIV);
}

/* A flag counts if it is offered, whatever the minor, as flags are backported; but not where there is no room for it.
 */
static void old_messages_have_no_room_for_some(void **state) {
  (void)state;
  const uint64_t tail = VIRTIOFS_FUSE_MAX_PAGES | VIRTIOFS_FUSE_MAP_ALIGNMENT | VIRTIOFS_FUSE_INIT_EXT;
  const uint64_t extensions = VIRTIOFS_FUSE_SECURITY_CTX | VIRTIOFS_FUSE_CREATE_SUPP_GROUP;
  for (uint32_t minor = 0; minor <= 45; minor++) {
    for (unsigned bit = 0; bit < KNOWN; bit++) {
      uint64_t flag = UINT64_C(1) << bit, company = virtiofs_fuse_init_flag(bit)->demands;
      uint64_t got = virtiofs_fuse_init_agreeable(flag | company, minor);
      if (minor < 6)
        assert_true(got == 0);
      else if (minor < 23 && (bit >= 32 || (flag & tail) != 0))
        assert_true((got & flag) == 0);
      else if (minor < 38 && (flag & extensions) != 0)
        assert_true((got & flag) == 0);
      else if (minor >= 23)
        assert_true((got & flag) != 0);
    }
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_bit_has_a_rule_or_no_name),    cmocka_unit_test(no_rule_hangs_on_another_that_hangs),
      cmocka_unit_test(operations_offer_what_they_are_for), cmocka_unit_test(promises_are_wanted),
      cmocka_unit_test(promises_are_such_as_can_be_kept),   cmocka_unit_test(flags_that_hang_on_others),
      cmocka_unit_test(old_messages_have_no_room_for_some),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
