/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <virtiofs/fuse.h>

#include "fuse/table.h"
#include "support/seeded.h"

static struct virtiofs_fuse_request req;
static char line[20000];

static struct virtiofs_name name_of(const char *text) {
  return (struct virtiofs_name){.str = text, .len = (uint32_t)strlen(text)};
}

static void begin(uint32_t opcode, uint64_t node) {
  memset(&req, 0, sizeof req);
  req.header =
      (struct virtiofs_fuse_header){.opcode = opcode, .unique = 42, .nodeid = node, .uid = 1000, .gid = 100, .pid = 7};
  req.in.nodeid = node;
}

static void says(const char *text) {
  size_t len = virtiofs_fuse_request_format(&req, line, sizeof line);
  assert_string_equal(line, text);
  assert_int_equal(len, strlen(text));
}

static void requests(void **state) {
  (void)state;
  begin(VIRTIOFS_FUSE_LOOKUP, 0x1f);
  req.in.lookup.name = name_of("a file");
  says("#42 LOOKUP node=1f name=\"a file\" by=1000:100:7");
  begin(VIRTIOFS_FUSE_READ, 2);
  req.in.read = (struct virtiofs_read_in){.node = 2, .handle = 0x30, .offset = 4096, .size = 512};
  says("#42 READ node=2 handle=30 offset=4096 size=512 by=1000:100:7");
  begin(VIRTIOFS_FUSE_RENAME2, 1);
  req.in.rename = (struct virtiofs_rename_in){
      .parent = 1, .new_parent = 5, .name = name_of("x"), .new_name = name_of("y"), .flags = 2};
  says("#42 RENAME2 node=1 name=\"x\" new_parent=5 new_name=\"y\" flags=EXCHANGE by=1000:100:7");
  begin(VIRTIOFS_FUSE_SETATTR, 3);
  req.in.setattr =
      (struct virtiofs_setattr_in){.node = 3, .valid = VIRTIOFS_SET_MODE | VIRTIOFS_SET_SIZE, .mode = 0644, .size = 10};
  says("#42 SETATTR node=3 valid=MODE|SIZE mode=644 size=10 by=1000:100:7");
  begin(VIRTIOFS_FUSE_FORGET, 3);
  req.in.forget.nlookup = 2;
  says("#42 FORGET node=3 nlookup=2");
  begin(4711, 0);
  says("#42 ?(4711) by=1000:100:7");
}

static void flags_are_names(void **state) {
  (void)state;
  begin(VIRTIOFS_FUSE_OPEN, 2);
  req.in.open = (struct virtiofs_open_in){.node = 2, .flags = 0};
  says("#42 OPEN node=2 flags=O_RDONLY by=1000:100:7");
  req.in.open.flags = 02 | 01000 | 02000 | 04000000 | 010000 | 0x20000000;
  says("#42 OPEN node=2 flags=O_RDWR|O_TRUNC|O_APPEND|O_SYNC|0x20000000 by=1000:100:7");
  req.in.open.flags = 01 | 010000;
  says("#42 OPEN node=2 flags=O_WRONLY|O_DSYNC by=1000:100:7");
  begin(VIRTIOFS_FUSE_CREATE, 2);
  req.in.create = (struct virtiofs_create_in){
      .parent = 2, .name = name_of("f"), .flags = 01 | 0100 | 0200 | O_DIRECTORY, .mode = 0100644, .umask = 022};
  says("#42 CREATE node=2 name=\"f\" flags=O_WRONLY|O_CREAT|O_EXCL|O_DIRECTORY mode=100644 umask=22 by=1000:100:7");
  begin(VIRTIOFS_FUSE_INIT, 0);
  req.in.init.major = 7;
  req.in.init.minor = 38;
  req.in.init.flags =
      VIRTIOFS_FUSE_ASYNC_READ | VIRTIOFS_FUSE_INIT_EXT | VIRTIOFS_FUSE_SECURITY_CTX | UINT64_C(1) << 63;
  says("#42 INIT version=7.38 max_readahead=0 flags=ASYNC_READ|INIT_EXT|SECURITY_CTX|0x8000000000000000 by=1000:100:7");
  req.in.init.flags = 0;
  says("#42 INIT version=7.38 max_readahead=0 flags=0 by=1000:100:7");
  begin(VIRTIOFS_FUSE_WRITE, 2);
  req.in.write.write_flags = 5;
  says("#42 WRITE node=2 handle=0 offset=0 size=0 write_flags=CACHE|KILL_SUIDGID by=1000:100:7");
  begin(VIRTIOFS_FUSE_RELEASE, 2);
  req.in.release.release_flags = 2;
  says("#42 RELEASE node=2 handle=0 release_flags=FLOCK_UNLOCK by=1000:100:7");
  begin(VIRTIOFS_FUSE_ACCESS, 2);
  req.in.access.mask = 5;
  says("#42 ACCESS node=2 mask=X_OK|R_OK by=1000:100:7");
  begin(VIRTIOFS_FUSE_SETUPMAPPING, 2);
  req.in.setupmapping.flags = 3;
  says("#42 SETUPMAPPING node=2 offset=0 size=0 window_offset=0 flags=WRITE|READ by=1000:100:7");
  begin(VIRTIOFS_FUSE_FALLOCATE, 2);
  req.in.fallocate.mode = 3;
  says("#42 FALLOCATE node=2 handle=0 offset=0 size=0 mode=KEEP_SIZE|PUNCH_HOLE by=1000:100:7");
  begin(VIRTIOFS_FUSE_SETXATTR, 2);
  req.in.setxattr = (struct virtiofs_setxattr_in){.node = 2, .name = name_of("user.a"), .flags = 2};
  says("#42 SETXATTR node=2 name=\"user.a\" size=0 flags=REPLACE by=1000:100:7");
}

/* All flags of INIT fit into a line of the log. */
static void an_init_with_everything_is_short_enough(void **state) {
  (void)state;
  begin(VIRTIOFS_FUSE_INIT, 0);
  req.in.init.flags = UINT64_MAX;
  req.in.init.major = req.in.init.minor = req.in.init.max_readahead = UINT32_MAX;
  size_t len = virtiofs_fuse_request_format(&req, line, sizeof line);
  assert_true(len < 1024);
  for (unsigned bit = 0; bit < 64; bit++) {
    if (strcmp(virtiofs_fuse_init_flag_name(bit), "?") != 0)
      assert_non_null(strstr(line, virtiofs_fuse_init_flag_name(bit)));
  }
  assert_non_null(strstr(line, "|0xfffff80000000000 "));
}

/* Whatever a guest calls its files: one line, and no quote that ends the name. */
static void names_are_escaped(void **state) {
  (void)state;
  begin(VIRTIOFS_FUSE_UNLINK, 1);
  req.in.unlink.name = name_of("a\"b\\c\nd\x7f\x1b[2J");
  says("#42 UNLINK node=1 name=\"a\\\"b\\\\c\\x0ad\\x7f\\x1b[2J\" by=1000:100:7");
}

static void long_lines_are_cut(void **state) {
  (void)state;
  char small[20];
  begin(VIRTIOFS_FUSE_LOOKUP, 1);
  req.in.lookup.name = name_of("quite a long name");
  size_t whole = virtiofs_fuse_request_format(&req, line, sizeof line);
  memset(small, 'x', sizeof small);
  assert_int_equal(virtiofs_fuse_request_format(&req, small, 10), whole);
  assert_string_equal(small, "#42 LOOKU");
  assert_int_equal(small[10], 'x');
  assert_int_equal(virtiofs_fuse_request_format(&req, NULL, 0), whole);
}

static void replies(void **state) {
  (void)state;
  struct virtiofs_fuse_header header = {.opcode = VIRTIOFS_FUSE_LOOKUP, .unique = 42};
  union virtiofs_fuse_out out;
  memset(&out, 0, sizeof out);
  virtiofs_fuse_reply_format(&header, -ENOENT, NULL, line, sizeof line);
  assert_string_equal(line, "#42 LOOKUP = ENOENT");
  out.entry = (struct virtiofs_entry_out){.node = 0x20, .attr = {.ino = 9, .mode = 0100644, .nlink = 1, .size = 3}};
  virtiofs_fuse_reply_format(&header, 0, &out, line, sizeof line);
  assert_string_equal(line, "#42 LOOKUP = 0 node=20 ino=9 mode=100644 nlink=1 uid=0 gid=0 size=3");
  out.entry.attr.flags = 3;
  virtiofs_fuse_reply_format(&header, 0, &out, line, sizeof line);
  assert_string_equal(line,
                      "#42 LOOKUP = 0 node=20 ino=9 mode=100644 nlink=1 uid=0 gid=0 size=3 attr_flags=SUBMOUNT|DAX");
  header.opcode = VIRTIOFS_FUSE_OPEN;
  out.open = (struct virtiofs_open_out){.handle = 5};
  virtiofs_fuse_reply_format(&header, 0, &out, line, sizeof line);
  assert_string_equal(line, "#42 OPEN = 0 handle=5");
  out.open.flags = VIRTIOFS_OPEN_DIRECT_IO | VIRTIOFS_OPEN_NOFLUSH | 1U << 7;
  virtiofs_fuse_reply_format(&header, 0, &out, line, sizeof line);
  assert_string_equal(line, "#42 OPEN = 0 handle=5 open_flags=DIRECT_IO|NOFLUSH|0x80");
  header.opcode = VIRTIOFS_FUSE_INIT;
  out.init =
      (struct virtiofs_fuse_init_out){.major = 7, .minor = 45, .max_write = 4096, .flags = VIRTIOFS_FUSE_POSIX_ACL};
  virtiofs_fuse_reply_format(&header, 0, &out, line, sizeof line);
  assert_string_equal(line, "#42 INIT = 0 version=7.45 max_write=4096 flags=POSIX_ACL");
  header.opcode = VIRTIOFS_FUSE_UNLINK;
  virtiofs_fuse_reply_format(&header, 0, NULL, line, sizeof line);
  assert_string_equal(line, "#42 UNLINK = 0");
}

/* Bytes that are 0 or 1, as a bool must be one of them. */
static void fill(void *bytes, size_t len) {
  for (size_t i = 0; i < len; i++)
    ((unsigned char *)bytes)[i] = (unsigned char)seeded_below(2);
}

/* The name stands at the same place in all of these. */
static bool is_named(uint32_t opcode) {
  static const uint32_t named[] = {VIRTIOFS_FUSE_LOOKUP,   VIRTIOFS_FUSE_UNLINK,   VIRTIOFS_FUSE_RMDIR,
                                   VIRTIOFS_FUSE_MKNOD,    VIRTIOFS_FUSE_MKDIR,    VIRTIOFS_FUSE_CREATE,
                                   VIRTIOFS_FUSE_SETXATTR, VIRTIOFS_FUSE_GETXATTR, VIRTIOFS_FUSE_REMOVEXATTR};
  for (unsigned i = 0; i < sizeof named / sizeof named[0]; i++)
    if (named[i] == opcode)
      return true;
  return false;
}

/* Every opcode has a line, with whatever in it. */
static void anything(void **state) {
  (void)state;
  struct virtiofs_name name = name_of("name");
  for (uint32_t opcode = 0; opcode < 60; opcode++) {
    begin(opcode, seeded_any());
    fill(&req.in, sizeof req.in);
    /* The only pointers that are followed. */
    if (opcode == VIRTIOFS_FUSE_SYMLINK)
      req.in.symlink.name = req.in.symlink.target = name;
    else if (opcode == VIRTIOFS_FUSE_RENAME || opcode == VIRTIOFS_FUSE_RENAME2)
      req.in.rename.name = req.in.rename.new_name = name;
    else if (opcode == VIRTIOFS_FUSE_LINK)
      req.in.link.name = name;
    else if (is_named(opcode))
      req.in.lookup.name = name;
    req.in.nodeid = req.header.nodeid;
    assert_true(virtiofs_fuse_request_format(&req, line, sizeof line) < sizeof line);
    assert_null(strchr(line, '\n'));
    assert_non_null(strstr(line, virtiofs_fuse_opcode_name(opcode)));
    union virtiofs_fuse_out out;
    fill(&out, sizeof out);
    assert_true(virtiofs_fuse_reply_format(&req.header, 0, &out, line, sizeof line) < sizeof line);
    assert_null(strchr(line, '\n'));
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(requests),
      cmocka_unit_test(names_are_escaped),
      cmocka_unit_test(long_lines_are_cut),
      cmocka_unit_test(replies),
      cmocka_unit_test(anything),
      cmocka_unit_test(flags_are_names),
      cmocka_unit_test(an_init_with_everything_is_short_enough),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
