/* SPDX-License-Identifier: BSD-3-Clause */
/* READ, WRITE. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "check.h"

/* ---- READ ---- */

static void read_all(struct test *t) {
  struct file file = new_file(t, "file", "contents");
  good(t, fs_read(t, file, 0, 4096));
  holds(t, "contents");
}

static void read_part(struct test *t) {
  struct file file = new_file(t, "file", "0123456789");
  good(t, fs_read(t, file, 3, 4));
  holds(t, "3456");
}

static void read_at_end(struct test *t) {
  struct file file = new_file(t, "file", "0123456789");
  good(t, fs_read(t, file, 10, 100));
  is(t, "the reply's length", t->len, 16);
}

static void read_past_end(struct test *t) {
  struct file file = new_file(t, "file", "0123456789");
  good(t, fs_read(t, file, 1000000, 100));
  is(t, "the reply's length", t->len, 16);
}

static void read_short(struct test *t) {
  struct file file = new_file(t, "file", "0123456789");
  good(t, fs_read(t, file, 7, 100));
  holds(t, "789");
}

static void read_none(struct test *t) {
  struct file file = new_file(t, "file", "0123456789");
  good(t, fs_read(t, file, 2, 0));
  is(t, "the reply's length", t->len, 16);
}

static void read_of_empty(struct test *t) {
  struct file file = new_file(t, "file", "");
  good(t, fs_read(t, file, 0, 4096));
  is(t, "the reply's length", t->len, 16);
}

static void read_less_room(struct test *t) {
  struct file file = new_file(t, "file", "0123456789");
  struct virtiofs_read_in *in = &begin(t, VIRTIOFS_FUSE_READ)->read;
  *in = (struct virtiofs_read_in){.node = file.node, .handle = file.handle, .size = 10, .data.size = 10};
  encode(t, NULL, 0);
  t->room = 16 + 4;
  int rc = send_raw(t);
  if (rc == 0) /* what fits; or an error */
    holds(t, "0123");
}

static void read_more_room(struct test *t) {
  struct file file = new_file(t, "file", "0123456789");
  struct virtiofs_read_in *in = &begin(t, VIRTIOFS_FUSE_READ)->read;
  *in = (struct virtiofs_read_in){.node = file.node, .handle = file.handle, .size = 4, .data.size = 4};
  encode(t, NULL, 0);
  t->room = 16 + 100;
  good(t, send_raw(t));
  holds(t, "0123");
}

static void read_dir_handle(struct test *t) {
  uint64_t node = make_dir(t, "dir");
  struct file dir = open_dir(t, node);
  bad(t, fs_read(t, dir, 0, 100));
}

static void read_unknown_handle(struct test *t) {
  struct file file = new_file(t, "file", "abc");
  file.handle ^= UINT64_C(1) << 62;
  bad(t, fs_read(t, file, 0, 100));
}

static void read_hole(struct test *t) {
  static const char zeros[4096];
  struct file file = new_file(t, "file", "");
  good(t, fs_write(t, file, 100000, "end", 3));
  good(t, fs_read(t, file, 5000, 4096));
  is(t, "the bytes read", t->size, 4096);
  expect(t, memcmp(t->bytes, zeros, 4096) == 0, "a hole does not read as zeros");
}

static void read_unaligned(struct test *t) {
  enum { SIZE = 20000 };
  char *data = malloc(SIZE);
  if (data == NULL)
    fail(t, "no memory");
  for (int i = 0; i < SIZE; i++)
    data[i] = (char)(i * 7 % 251);
  struct file file = new_file(t, "file", "");
  int rc = fs_write(t, file, 0, data, SIZE);
  bool same = rc == 0;
  for (uint32_t at = 1; same && at < SIZE; at += 4095) {
    uint32_t size = at + 4095 <= SIZE ? 4095 : SIZE - at;
    rc = fs_read(t, file, at, size);
    same = rc == 0 && t->size == size && memcmp(t->bytes, data + at, size) == 0;
  }
  free(data);
  good(t, rc);
  expect(t, same, "not what was written");
}

static const struct check read_checks[] = {
    {"all", "FUSE READ gives what is there", read_all, MOUNTED, 0, 0},
    {"part", "FUSE READ: as many bytes as asked for, from the offset on", read_part, MOUNTED, 0, 0},
    {"at-end", "FUSE READ: at the end of the file there is nothing, and that is no error", read_at_end, MOUNTED, 0, 0},
    {"past-end", "FUSE READ: past the end of the file there is nothing, and that is no error", read_past_end, MOUNTED,
     0, 0},
    {"short", "FUSE READ: less than asked for only where the file ends", read_short, MOUNTED, 0, 0},
    {"nothing", "FUSE READ of 0 bytes gives 0 bytes", read_none, MOUNTED, 0, 0},
    {"empty-file", "FUSE READ of an empty file gives 0 bytes", read_of_empty, MOUNTED, 0, 0},
    {"less-room", "FUSE READ: never more than there is room for; the size counts as the smaller of both",
     read_less_room, MOUNTED, 0, 0},
    {"more-room", "FUSE READ: the room is not the size: never more than was asked for", read_more_room, MOUNTED, 0, 0},
    {"dir-handle", "FUSE ids: a directory's handle is no file's", read_dir_handle, MOUNTED, 0, 0},
    {"unknown-handle", "FUSE ids: a handle that the server never gave is refused", read_unknown_handle, MOUNTED, 0, 0},
    {"hole", "POSIX: what was never written reads as zeros", read_hole, MOUNTED, 0, 0},
    {"unaligned", "FUSE READ: any offset and any size", read_unaligned, MOUNTED, 0, 0},
};
const struct group read_group = CHECKS("read", read_checks);

/* ---- WRITE ---- */

static void write_reply(struct test *t) {
  struct file file = new_file(t, "file", "");
  good(t, fs_write(t, file, 0, "abc", 3));
  is(t, "the reply's length", t->len, 16 + 8);
  is(t, "the size written", t->got.write.size, 3);
}

static void write_middle(struct test *t) {
  struct file file = new_file(t, "file", "0123456789");
  good(t, fs_write(t, file, 4, "XY", 2));
  good(t, fs_read(t, file, 0, 100));
  holds(t, "0123XY6789");
}

static void write_extends(struct test *t) {
  struct file file = new_file(t, "file", "0123");
  good(t, fs_write(t, file, 3, "XYZ", 3));
  is(t, "the size", attr_of(t, file.node).size, 6);
}

static void write_none(struct test *t) {
  struct file file = new_file(t, "file", "0123");
  good(t, fs_write(t, file, 100, "", 0));
  is(t, "the size written", t->got.write.size, 0);
  is(t, "the file's size", attr_of(t, file.node).size, 4);
}

static void write_largest(struct test *t) {
  uint32_t size = t->server->init.max_write;
  if (size > DATA_MAX)
    size = DATA_MAX;
  unsigned char *data = malloc(size);
  if (data == NULL)
    fail(t, "no memory");
  for (uint32_t i = 0; i < size; i++)
    data[i] = (unsigned char)(i * 31 + (i >> 8));
  struct file file = new_file(t, "file", "");
  int rc = fs_write(t, file, 0, data, size);
  uint32_t written = t->got.write.size;
  int read_rc = rc == 0 ? fs_read(t, file, 0, size) : 0;
  bool same = t->size == size && memcmp(t->bytes, data, size) == 0;
  free(data);
  good(t, rc);
  is(t, "the size written", written, size);
  good(t, read_rc);
  expect(t, same, "what is read is not what was written");
}

static void write_seen_elsewhere(struct test *t) {
  struct file one = new_file(t, "file", "0123"), two = open_file(t, one.node, O_RDONLY);
  good(t, fs_write(t, one, 1, "X", 1));
  good(t, fs_read(t, two, 0, 100));
  holds(t, "0X23");
}

static void write_far(struct test *t) {
  struct file file = new_file(t, "file", "");
  uint64_t offset = UINT64_C(5) << 32;
  int rc = fs_write(t, file, offset, "far", 3);
  if (rc == -EFBIG)
    skip(t, "the file system has no files of 20 GiB");
  good(t, rc);
  is(t, "the size", attr_of(t, file.node).size, offset + 3);
  good(t, fs_read(t, file, offset, 10));
  holds(t, "far");
}

static int write_raw(struct test *t, struct file file, uint64_t offset, uint32_t size, uint32_t there) {
  raw_begin(t, VIRTIOFS_FUSE_WRITE, file.node);
  raw_u64(t, file.handle);
  raw_u64(t, offset);
  raw_u32(t, size);
  raw_zeros(t, 20);
  raw_zeros(t, there);
  return send_raw(t);
}

static void write_less_there(struct test *t) {
  struct file file = new_file(t, "file", "0123456789");
  bad(t, write_raw(t, file, 0, 8, 4));
  good(t, fs_read(t, file, 0, 100));
  holds(t, "0123456789");
}

static void write_more_there(struct test *t) {
  struct file file = new_file(t, "file", "0123456789");
  int rc = write_raw(t, file, 0, 4, 8);
  if (rc == 0)
    is(t, "the size written", reply_u32(t, 0), 4);
  good(t, fs_read(t, file, 4, 100));
  holds(t, "456789");
}

static void write_past_max(struct test *t) {
  struct file file = new_file(t, "file", "0123");
  REFUSED(t, write_raw(t, file, INT64_MAX, 8, 8), EFBIG, EINVAL, EOVERFLOW);
  REFUSED(t, write_raw(t, file, UINT64_MAX - 3, 8, 8), EFBIG, EINVAL, EOVERFLOW);
  is(t, "the file's size", attr_of(t, file.node).size, 4);
}

static void read_past_max(struct test *t) {
  struct file file = new_file(t, "file", "0123");
  int rc = fs_read(t, file, UINT64_MAX - 3, 8);
  expect(t, rc != 0 || t->size == 0, "READ at 2^64 - 4 gave %zu bytes", t->size);
}

static void write_dir_handle(struct test *t) {
  struct file dir = open_dir(t, make_dir(t, "dir"));
  bad(t, fs_write(t, dir, 0, "x", 1));
}

static void write_kill(struct test *t) {
  struct file file = new_file(t, "file", "abc");
  struct virtiofs_setattr_in mode = {.node = file.node, .valid = VIRTIOFS_SET_MODE, .mode = S_IFREG | 06777};
  good(t, fs_setattr(t, &mode));
  struct virtiofs_write_in *in = &begin(t, VIRTIOFS_FUSE_WRITE)->write;
  *in = (struct virtiofs_write_in){
      .node = file.node, .handle = file.handle, .size = 1, .write_flags = VIRTIOFS_WRITE_KILL_SUIDGID, .data.size = 1};
  good(t, call(t, "X", 1));
  is(t, "the mode", attr_of(t, file.node).mode & 07777, 0777);
}

static const struct check write_checks[] = {
    {"reply", "FUSE WRITE says how many bytes it has written", write_reply, MOUNTED, 0, 0},
    {"middle", "FUSE WRITE changes the bytes at its offset and no others", write_middle, MOUNTED, 0, 0},
    {"extends", "POSIX pwrite: a write past the end makes the file longer", write_extends, MOUNTED, 0, 0},
    {"nothing", "POSIX pwrite of 0 bytes changes nothing", write_none, MOUNTED, 0, 0},
    {"largest", "FUSE INIT: a WRITE and a READ of max_write bytes (or 1 MiB) are done whole", write_largest, MOUNTED, 0,
     0},
    {"seen-elsewhere", "POSIX: what one handle has written another reads", write_seen_elsewhere, MOUNTED, 0, 0},
    {"far", "FUSE WRITE: offsets have 64 bits", write_far, MOUNTED, 0, 0},
    {"less-data", "FUSE WRITE: a size larger than what is there is refused, and nothing is written", write_less_there,
     MOUNTED | HOSTILE, 0, 0},
    {"more-data", "FUSE WRITE: bytes behind its size are never written", write_more_there, MOUNTED | HOSTILE, 0, 0},
    {"past-2^63", "FUSE ranges: a range past INT64_MAX is refused", write_past_max, MOUNTED | HOSTILE, 0, 0},
    {"read-past-2^63", "FUSE ranges: a READ past INT64_MAX gives an error or nothing", read_past_max, MOUNTED | HOSTILE,
     0, 0},
    {"dir-handle", "FUSE ids: a directory's handle is no file's", write_dir_handle, MOUNTED, 0, 0},
    {"kill-suidgid", "FUSE INIT: with HANDLE_KILLPRIV_V2, WRITE_KILL_SUIDGID clears set-user-id and set-group-id",
     write_kill, MOUNTED, 0, VIRTIOFS_FUSE_HANDLE_KILLPRIV_V2},
};
const struct group write_group = CHECKS("write", write_checks);
