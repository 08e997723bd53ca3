/* SPDX-License-Identifier: BSD-3-Clause */
/* The messages of golden/: each is read, has the fields that its file names, and is an error or less when it is cut. */
#include <ctype.h>
#include <dirent.h>
#include <endian.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <virtiofs/fuse.h>

#include "support/shred.h"

static const struct field {
  const char *name;
  size_t offset, width;
} fields[] = {
#define F(member) {#member, offsetof(union virtiofs_fuse_in, member), sizeof(((union virtiofs_fuse_in *)NULL)->member)}
    /* clang-format off */
    F(access.mask), F(batch_forget.count), F(bmap.block), F(bmap.blocksize), F(copy_file_range.handle),
    F(copy_file_range.handle_out), F(copy_file_range.len), F(copy_file_range.node_out),
    F(copy_file_range.offset), F(copy_file_range.offset_out), F(create.extensions.size), F(create.flags),
    F(create.mode), F(create.umask), F(fallocate.handle), F(fallocate.length), F(fallocate.mode),
    F(fallocate.offset), F(flush.handle), F(flush.lock_owner), F(forget.nlookup), F(fsync.data_only),
    F(fsync.handle), F(getattr.handle), F(getattr.has_handle), F(getxattr.size), F(init.flags), F(init.major),
    F(init.max_readahead), F(init.minor), F(interrupt.unique), F(ioctl.arg), F(ioctl.cmd), F(ioctl.data.size),
    F(ioctl.flags), F(ioctl.handle), F(ioctl.out_size), F(link.node), F(listxattr.size), F(lk.flock),
    F(lk.handle), F(lk.lock.end), F(lk.lock.pid), F(lk.lock.start), F(lk.lock.type), F(lk.owner),
    F(lseek.handle), F(lseek.offset), F(lseek.whence), F(mkdir.mode), F(mkdir.umask), F(mknod.mode),
    F(mknod.rdev_major), F(mknod.rdev_minor), F(mknod.umask), F(notify_reply.offset), F(notify_reply.size),
    F(open.flags), F(open.open_flags), F(opendir.flags), F(poll.events), F(poll.flags), F(poll.handle),
    F(poll.kh), F(read.flags), F(read.handle), F(read.offset), F(read.size), F(readdir.handle),
    F(readdir.offset), F(readdir.size), F(release.flags), F(release.handle), F(release.lock_owner),
    F(release.release_flags), F(removemapping.count), F(rename.flags), F(rename.new_parent),
    F(setattr.atime.sec), F(setattr.ctime.nsec), F(setattr.gid), F(setattr.handle), F(setattr.mode),
    F(setattr.mtime.sec), F(setattr.size), F(setattr.uid), F(setattr.valid), F(setupmapping.flags),
    F(setupmapping.handle), F(setupmapping.len), F(setupmapping.offset), F(setupmapping.window_offset),
    F(setxattr.flags), F(setxattr.setxattr_flags), F(setxattr.value.size), F(statx.flags), F(statx.handle),
    F(statx.has_handle), F(statx.mask), F(tmpfile.mode), F(tmpfile.umask), F(write.flags), F(write.handle),
    F(write.offset), F(write.size), F(write.write_flags),
    /* clang-format on */
};

static const struct field names[] = {
    /* clang-format off */
    F(create.name), F(getxattr.name), F(link.name), F(lookup.name), F(mkdir.name), F(mknod.name),
    F(removexattr.name), F(rename.name), F(rename.new_name), F(rmdir.name), F(setxattr.name), F(symlink.name),
    F(symlink.target), F(unlink.name),
    /* clang-format on */
};

enum { EXPECTATIONS = 16 };

struct golden {
  char file[300];
  char expected[EXPECTATIONS][100]; /* "field value" */
  size_t expectations;
  struct virtiofs_fuse_proto proto;
  unsigned char bytes[1024];
  size_t len;
};

static struct virtiofs_fuse_request got;

static void add_bytes(struct golden *golden, const char *line) {
  char *end;
  while (isxdigit((unsigned char)*line)) {
    assert_true(golden->len < sizeof golden->bytes);
    golden->bytes[golden->len++] = (unsigned char)strtoul(line, &end, 16);
    line = end + (*end == ' ');
  }
}

static void load(struct golden *golden, const char *path) {
  char line[200];
  bool bytes = false;
  FILE *file = fopen(path, "r");
  assert_non_null(file);
  memset(golden, 0, sizeof *golden);
  /* They are from a little-endian driver, and read on any machine. */
  golden->proto = (struct virtiofs_fuse_proto){.agreed = true,
                                               .minor = VIRTIOFS_FUSE_MINOR,
                                               .swapped = __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__,
                                               .flags = ~VIRTIOFS_FUSE_SETXATTR_EXT};
  while (fgets(line, sizeof line, file) != NULL) {
    line[strcspn(line, "\n")] = 0;
    if (bytes) {
      add_bytes(golden, line);
    } else if (strcmp(line, "bytes") == 0) {
      bytes = true;
    } else if (strcmp(line, "setxattr_ext") == 0) {
      golden->proto.flags |= VIRTIOFS_FUSE_SETXATTR_EXT;
    } else if (line[0] != '#') {
      assert_true(golden->expectations < EXPECTATIONS);
      (void)snprintf(golden->expected[golden->expectations++], sizeof golden->expected[0], "%.99s", line);
    }
  }
  (void)fclose(file);
  assert_true(golden->len >= 40);
}

static const struct field *find(const struct field *table, size_t count, const char *name, size_t len) {
  for (size_t i = 0; i < count; i++)
    if (strlen(table[i].name) == len && strncmp(table[i].name, name, len) == 0)
      return &table[i];
  return NULL;
}

static uint64_t number(const struct field *field) {
  uint64_t value = 0;
  const unsigned char *at = (const unsigned char *)&got.in + field->offset;
  if (field->width == 8)
    memcpy(&value, at, 8);
  else if (field->width == 4)
    value = *(const uint32_t *)(const void *)at;
  else
    value = *at;
  return value;
}

static void check(const char *expected) {
  size_t len = strcspn(expected, " ");
  const char *value = expected + len + 1;
  const struct field *field = find(names, sizeof names / sizeof names[0], expected, len);
  if (field != NULL) {
    struct virtiofs_name name;
    memcpy(&name, (unsigned char *)&got.in + field->offset, sizeof name);
    assert_string_equal(name.str, value);
    return;
  }
  uint64_t wanted = strtoull(value, NULL, 0);
  if (strncmp(expected, "nodeid", len) == 0) {
    assert_int_equal(got.header.nodeid, wanted);
    return;
  }
  field = find(fields, sizeof fields / sizeof fields[0], expected, len);
  assert_non_null(field);
  assert_int_equal(number(field), wanted);
}

static int decode(const struct golden *golden, const unsigned char *bytes, size_t len, size_t way) {
  struct shred shred;
  shred_way(&shred, bytes, len, way);
  memset(&got, 0xee, sizeof got);
  int rc = virtiofs_fuse_request_decode(&got, &golden->proto, shred.iov, shred.count);
  shred_free(&shred);
  return rc;
}

static void check_whole(const struct golden *golden) {
  for (size_t way = 0; way < shred_ways(golden->len); way++) {
    assert_int_equal(decode(golden, golden->bytes, golden->len, way), 0);
    for (size_t i = 0; i < golden->expectations; i++)
      check(golden->expected[i]);
  }
  assert_int_equal(got.header.uid, 1000);
  assert_int_equal(got.header.gid, 1001);
  assert_int_equal(got.header.pid, 4242);
}

/* INIT's length says which fields there are; nothing else is whole when it is shorter. */
static void check_cut(const struct golden *golden) {
  unsigned char bytes[sizeof golden->bytes];
  memcpy(bytes, golden->bytes, golden->len);
  for (uint32_t len = 0; len < golden->len; len++) {
    assert_int_equal(decode(golden, golden->bytes, len, 0), -EPROTO);
    uint32_t wire = htole32(len);
    memcpy(bytes, &wire, sizeof wire);
    int rc = decode(golden, bytes, len, len / 2);
    bool init = strstr(golden->file, "/init") != NULL && len >= 48;
    assert_int_equal(rc, len < 40 ? -EPROTO : init ? 0 : -EINVAL);
  }
}

static uint32_t opcodes_seen[64];

static void each_is_read_and_no_part_of_it(void **state) {
  (void)state;
  static struct golden golden;
  struct dirent *entry;
  DIR *dir = opendir(GOLDEN_DIR);
  assert_non_null(dir);
  while ((entry = readdir(dir)) != NULL) {
    char path[300];
    if (strstr(entry->d_name, ".hex") == NULL)
      continue;
    (void)snprintf(path, sizeof path, "%s/%s", GOLDEN_DIR, entry->d_name);
    load(&golden, path);
    memcpy(golden.file, path, sizeof path);
    check_whole(&golden);
    assert_true(got.header.opcode < 64);
    opcodes_seen[got.header.opcode]++;
    check_cut(&golden);
  }
  (void)closedir(dir);
}

static void ranges_of_a_window_are_read_one_by_one(void **state) {
  (void)state;
  static struct golden golden;
  struct virtiofs_window_range range;
  load(&golden, GOLDEN_DIR "/removemapping.hex");
  struct iovec iov = {.iov_base = golden.bytes, .iov_len = golden.len};
  assert_int_equal(virtiofs_fuse_request_decode(&got, &golden.proto, &iov, 1), 0);
  assert_true(virtiofs_removemapping_next(&got.in.removemapping, &range));
  assert_int_equal(range.offset, 0x400000);
  assert_int_equal(range.len, 0x200000);
  assert_false(virtiofs_removemapping_next(&got.in.removemapping, &range));
}

static void each_opcode_has_one(void **state) {
  (void)state;
  for (uint32_t opcode = 0; opcode < 64; opcode++)
    assert_int_equal(opcodes_seen[opcode] > 0, strcmp(virtiofs_fuse_opcode_name(opcode), "?") != 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(each_is_read_and_no_part_of_it),
      cmocka_unit_test(each_opcode_has_one),
      cmocka_unit_test(ranges_of_a_window_are_read_one_by_one),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
