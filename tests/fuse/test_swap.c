/* SPDX-License-Identifier: BSD-3-Clause */
/* The other byte order: each layout swaps each field once, and whole messages come from and go to such a driver. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <virtiofs/fuse.h>

#include "fuse/table.h"

struct field {
  uint16_t offset, width;
};

#define F(type, member)                                                                                                \
  {offsetof(struct virtiofs_wire_##type, member), sizeof(((struct virtiofs_wire_##type *)NULL)->member)}

/* Every field that means something; padding is zero in both orders. */
/* clang-format off */
static const struct field of_in_header[] = {
    F(in_header, len), F(in_header, opcode), F(in_header, unique), F(in_header, nodeid), F(in_header, uid),
    F(in_header, gid), F(in_header, pid), F(in_header, total_extlen)
};
static const struct field of_out_header[] = {
    F(out_header, len), F(out_header, error), F(out_header, unique)
};
static const struct field of_entry_out[] = {
    F(entry_out, nodeid), F(entry_out, generation), F(entry_out, entry_valid), F(entry_out, attr_valid),
    F(entry_out, entry_valid_nsec), F(entry_out, attr_valid_nsec), F(entry_out, attr.ino), F(entry_out, attr.size),
    F(entry_out, attr.blocks), F(entry_out, attr.atime), F(entry_out, attr.mtime), F(entry_out, attr.ctime),
    F(entry_out, attr.atimensec), F(entry_out, attr.mtimensec), F(entry_out, attr.ctimensec), F(entry_out,
    attr.mode), F(entry_out, attr.nlink), F(entry_out, attr.uid), F(entry_out, attr.gid), F(entry_out, attr.rdev),
    F(entry_out, attr.blksize), F(entry_out, attr.flags)
};
static const struct field of_attr_out[] = {
    F(attr_out, attr_valid), F(attr_out, attr_valid_nsec), F(attr_out, attr.ino), F(attr_out, attr.size),
    F(attr_out, attr.blocks), F(attr_out, attr.atime), F(attr_out, attr.mtime), F(attr_out, attr.ctime), F(attr_out,
    attr.atimensec), F(attr_out, attr.mtimensec), F(attr_out, attr.ctimensec), F(attr_out, attr.mode), F(attr_out,
    attr.nlink), F(attr_out, attr.uid), F(attr_out, attr.gid), F(attr_out, attr.rdev), F(attr_out, attr.blksize),
    F(attr_out, attr.flags)
};
static const struct field of_create_out[] = {
    F(create_out, entry.nodeid), F(create_out, entry.generation), F(create_out, entry.entry_valid), F(create_out,
    entry.attr_valid), F(create_out, entry.entry_valid_nsec), F(create_out, entry.attr_valid_nsec), F(create_out,
    entry.attr.ino), F(create_out, entry.attr.size), F(create_out, entry.attr.blocks), F(create_out,
    entry.attr.atime), F(create_out, entry.attr.mtime), F(create_out, entry.attr.ctime), F(create_out,
    entry.attr.atimensec), F(create_out, entry.attr.mtimensec), F(create_out, entry.attr.ctimensec), F(create_out,
    entry.attr.mode), F(create_out, entry.attr.nlink), F(create_out, entry.attr.uid), F(create_out, entry.attr.gid),
    F(create_out, entry.attr.rdev), F(create_out, entry.attr.blksize), F(create_out, entry.attr.flags),
    F(create_out, open.fh), F(create_out, open.open_flags), F(create_out, open.backing_id)
};
static const struct field of_direntplus[] = {
    F(direntplus, entry.nodeid), F(direntplus, entry.generation), F(direntplus, entry.entry_valid), F(direntplus,
    entry.attr_valid), F(direntplus, entry.entry_valid_nsec), F(direntplus, entry.attr_valid_nsec), F(direntplus,
    entry.attr.ino), F(direntplus, entry.attr.size), F(direntplus, entry.attr.blocks), F(direntplus,
    entry.attr.atime), F(direntplus, entry.attr.mtime), F(direntplus, entry.attr.ctime), F(direntplus,
    entry.attr.atimensec), F(direntplus, entry.attr.mtimensec), F(direntplus, entry.attr.ctimensec), F(direntplus,
    entry.attr.mode), F(direntplus, entry.attr.nlink), F(direntplus, entry.attr.uid), F(direntplus, entry.attr.gid),
    F(direntplus, entry.attr.rdev), F(direntplus, entry.attr.blksize), F(direntplus, entry.attr.flags),
    F(direntplus, dirent.ino), F(direntplus, dirent.off), F(direntplus, dirent.namelen), F(direntplus, dirent.type)
};
static const struct field of_open_out[] = {
    F(open_out, fh), F(open_out, open_flags), F(open_out, backing_id)
};
static const struct field of_statfs_out[] = {
    F(statfs_out, blocks), F(statfs_out, bfree), F(statfs_out, bavail), F(statfs_out, files), F(statfs_out, ffree),
    F(statfs_out, bsize), F(statfs_out, namelen), F(statfs_out, frsize)
};
static const struct field of_write_out[] = {
    F(write_out, size)
};
static const struct field of_lseek_out[] = {
    F(lseek_out, offset)
};
static const struct field of_lk_out[] = {
    F(lk_out, lk.start), F(lk_out, lk.end), F(lk_out, lk.type), F(lk_out, lk.pid)
};
static const struct field of_bmap_out[] = {
    F(bmap_out, block)
};
static const struct field of_ioctl_out[] = {
    F(ioctl_out, result), F(ioctl_out, flags), F(ioctl_out, in_iovs), F(ioctl_out, out_iovs)
};
static const struct field of_poll_out[] = {
    F(poll_out, revents)
};
static const struct field of_copy_file_range_out[] = {
    F(copy_file_range_out, bytes_copied)
};
static const struct field of_init_out[] = {
    F(init_out, major), F(init_out, minor), F(init_out, max_readahead), F(init_out, flags), F(init_out,
    max_background), F(init_out, congestion_threshold), F(init_out, max_write), F(init_out, time_gran), F(init_out,
    max_pages), F(init_out, map_alignment), F(init_out, flags2), F(init_out, max_stack_depth), F(init_out,
    request_timeout)
};
static const struct field of_statx_out[] = {
    F(statx_out, attr_valid), F(statx_out, attr_valid_nsec), F(statx_out, flags), F(statx_out, stat.mask),
    F(statx_out, stat.blksize), F(statx_out, stat.attributes), F(statx_out, stat.nlink), F(statx_out, stat.uid),
    F(statx_out, stat.gid), F(statx_out, stat.mode), F(statx_out, stat.ino), F(statx_out, stat.size), F(statx_out,
    stat.blocks), F(statx_out, stat.attributes_mask), F(statx_out, stat.atime.sec), F(statx_out, stat.atime.nsec),
    F(statx_out, stat.btime.sec), F(statx_out, stat.btime.nsec), F(statx_out, stat.ctime.sec), F(statx_out,
    stat.ctime.nsec), F(statx_out, stat.mtime.sec), F(statx_out, stat.mtime.nsec), F(statx_out, stat.rdev_major),
    F(statx_out, stat.rdev_minor), F(statx_out, stat.dev_major), F(statx_out, stat.dev_minor)
};
static const struct field of_init_in[] = {
    F(init_in, major), F(init_in, minor), F(init_in, max_readahead), F(init_in, flags), F(init_in, flags2)
};
static const struct field of_forget_in[] = {
    F(forget_in, nlookup)
};
static const struct field of_batch_forget_in[] = {
    F(batch_forget_in, count)
};
static const struct field of_getattr_in[] = {
    F(getattr_in, getattr_flags), F(getattr_in, fh)
};
static const struct field of_setattr_in[] = {
    F(setattr_in, valid), F(setattr_in, fh), F(setattr_in, size), F(setattr_in, lock_owner), F(setattr_in, atime),
    F(setattr_in, mtime), F(setattr_in, ctime), F(setattr_in, atimensec), F(setattr_in, mtimensec), F(setattr_in,
    ctimensec), F(setattr_in, mode), F(setattr_in, uid), F(setattr_in, gid)
};
static const struct field of_mknod_in[] = {
    F(mknod_in, mode), F(mknod_in, rdev), F(mknod_in, umask)
};
static const struct field of_mkdir_in[] = {
    F(mkdir_in, mode), F(mkdir_in, umask)
};
static const struct field of_rename_in[] = {
    F(rename_in, newdir)
};
static const struct field of_rename2_in[] = {
    F(rename2_in, newdir), F(rename2_in, flags)
};
static const struct field of_link_in[] = {
    F(link_in, oldnodeid)
};
static const struct field of_open_in[] = {
    F(open_in, flags), F(open_in, open_flags)
};
static const struct field of_create_in[] = {
    F(create_in, flags), F(create_in, mode), F(create_in, umask), F(create_in, open_flags)
};
static const struct field of_read_in[] = {
    F(read_in, fh), F(read_in, offset), F(read_in, size), F(read_in, read_flags), F(read_in, lock_owner), F(read_in,
    flags)
};
static const struct field of_write_in[] = {
    F(write_in, fh), F(write_in, offset), F(write_in, size), F(write_in, write_flags), F(write_in, lock_owner),
    F(write_in, flags)
};
static const struct field of_release_in[] = {
    F(release_in, fh), F(release_in, flags), F(release_in, release_flags), F(release_in, lock_owner)
};
static const struct field of_flush_in[] = {
    F(flush_in, fh), F(flush_in, lock_owner)
};
static const struct field of_fsync_in[] = {
    F(fsync_in, fh), F(fsync_in, fsync_flags)
};
static const struct field of_fallocate_in[] = {
    F(fallocate_in, fh), F(fallocate_in, offset), F(fallocate_in, length), F(fallocate_in, mode)
};
static const struct field of_lseek_in[] = {
    F(lseek_in, fh), F(lseek_in, offset), F(lseek_in, whence)
};
static const struct field of_setxattr_in[] = {
    F(setxattr_in, size), F(setxattr_in, flags), F(setxattr_in, setxattr_flags)
};
static const struct field of_getxattr_in[] = {
    F(getxattr_in, size)
};
static const struct field of_getxattr_out[] = {
    F(getxattr_out, size)
};
static const struct field of_lk_in[] = {
    F(lk_in, fh), F(lk_in, owner), F(lk_in, lk.start), F(lk_in, lk.end), F(lk_in, lk.type), F(lk_in, lk.pid),
    F(lk_in, lk_flags)
};
static const struct field of_access_in[] = {
    F(access_in, mask)
};
static const struct field of_interrupt_in[] = {
    F(interrupt_in, unique)
};
static const struct field of_bmap_in[] = {
    F(bmap_in, block), F(bmap_in, blocksize)
};
static const struct field of_ioctl_in[] = {
    F(ioctl_in, fh), F(ioctl_in, flags), F(ioctl_in, cmd), F(ioctl_in, arg), F(ioctl_in, in_size), F(ioctl_in,
    out_size)
};
static const struct field of_poll_in[] = {
    F(poll_in, fh), F(poll_in, kh), F(poll_in, flags), F(poll_in, events)
};
static const struct field of_notify_retrieve_in[] = {
    F(notify_retrieve_in, offset), F(notify_retrieve_in, size)
};
static const struct field of_copy_file_range_in[] = {
    F(copy_file_range_in, fh_in), F(copy_file_range_in, off_in), F(copy_file_range_in, nodeid_out),
    F(copy_file_range_in, fh_out), F(copy_file_range_in, off_out), F(copy_file_range_in, len), F(copy_file_range_in,
    flags)
};
static const struct field of_setupmapping_in[] = {
    F(setupmapping_in, fh), F(setupmapping_in, foffset), F(setupmapping_in, len), F(setupmapping_in, flags),
    F(setupmapping_in, moffset)
};
static const struct field of_removemapping_in[] = {
    F(removemapping_in, count)
};
static const struct field of_syncfs_in[] = {
    F(syncfs_in, padding)
};
static const struct field of_statx_in[] = {
    F(statx_in, getattr_flags), F(statx_in, fh), F(statx_in, sx_flags), F(statx_in, sx_mask)
};

struct args {
  uint32_t opcode;
  size_t size, count;
  const struct field *fields;
};

#define ARGS(op, type)                                                                                                 \
  {VIRTIOFS_FUSE_##op, sizeof(struct virtiofs_wire_##type), sizeof of_##type / sizeof(struct field), of_##type}

static const struct args requests[] = {
    ARGS(FORGET, forget_in), ARGS(GETATTR, getattr_in), ARGS(SETATTR, setattr_in), ARGS(MKNOD, mknod_in),
    ARGS(MKDIR, mkdir_in), ARGS(RENAME, rename_in), ARGS(LINK, link_in), ARGS(OPEN, open_in), ARGS(READ, read_in),
    ARGS(WRITE, write_in), ARGS(RELEASE, release_in), ARGS(FSYNC, fsync_in), ARGS(SETXATTR, setxattr_in),
    ARGS(GETXATTR, getxattr_in), ARGS(LISTXATTR, getxattr_in), ARGS(FLUSH, flush_in), ARGS(INIT, init_in),
    ARGS(OPENDIR, open_in), ARGS(READDIR, read_in), ARGS(RELEASEDIR, release_in), ARGS(FSYNCDIR, fsync_in),
    ARGS(GETLK, lk_in), ARGS(SETLK, lk_in), ARGS(SETLKW, lk_in), ARGS(ACCESS, access_in), ARGS(CREATE, create_in),
    ARGS(INTERRUPT, interrupt_in), ARGS(BMAP, bmap_in), ARGS(IOCTL, ioctl_in), ARGS(POLL, poll_in),
    ARGS(NOTIFY_REPLY, notify_retrieve_in), ARGS(BATCH_FORGET, batch_forget_in), ARGS(FALLOCATE, fallocate_in),
    ARGS(READDIRPLUS, read_in), ARGS(RENAME2, rename2_in), ARGS(LSEEK, lseek_in), ARGS(COPY_FILE_RANGE,
    copy_file_range_in), ARGS(SETUPMAPPING, setupmapping_in), ARGS(REMOVEMAPPING, removemapping_in), ARGS(SYNCFS,
    syncfs_in), ARGS(TMPFILE, create_in), ARGS(STATX, statx_in), ARGS(COPY_FILE_RANGE_64, copy_file_range_in)
};

static const struct args replies[] = {
    ARGS(LOOKUP, entry_out), ARGS(SYMLINK, entry_out), ARGS(MKNOD, entry_out), ARGS(MKDIR, entry_out), ARGS(LINK,
    entry_out), ARGS(GETATTR, attr_out), ARGS(SETATTR, attr_out), ARGS(OPEN, open_out), ARGS(OPENDIR, open_out),
    ARGS(WRITE, write_out), ARGS(STATFS, statfs_out), ARGS(INIT, init_out), ARGS(GETLK, lk_out), ARGS(CREATE,
    create_out), ARGS(TMPFILE, create_out), ARGS(BMAP, bmap_out), ARGS(IOCTL, ioctl_out), ARGS(POLL, poll_out),
    ARGS(LSEEK, lseek_out), ARGS(COPY_FILE_RANGE, write_out), ARGS(COPY_FILE_RANGE_64, copy_file_range_out),
    ARGS(STATX, statx_out), ARGS(GETXATTR, getxattr_out), ARGS(LISTXATTR, getxattr_out)
};
/* clang-format on */

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void check(virtiofs_wire_layout layout, size_t size, const struct field *fields, size_t count) {
  unsigned char before[512], after[512];
  assert_true(size <= sizeof before);
  for (size_t i = 0; i < size; i++)
    before[i] = (unsigned char)(i * 7 + 1);
  memcpy(after, before, size);
  virtiofs_wire_swap(after, size, layout);
  for (size_t i = 0; i < count; i++)
    for (size_t byte = 0, width = fields[i].width; byte < width; byte++)
      assert_int_equal(after[fields[i].offset + byte], before[fields[i].offset + width - 1 - byte]);
  virtiofs_wire_swap(after, size, layout);
  assert_memory_equal(after, before, size);
}

static void each_field_of_a_request_is_swapped_once(void **state) {
  (void)state;
  size_t with_fields = 0;
  for (size_t i = 0; i < COUNT(requests); i++) {
    const struct virtiofs_fuse_op *op = virtiofs_fuse_op(requests[i].opcode);
    assert_non_null(op->in_layout);
    check(op->in_layout, requests[i].size, requests[i].fields, requests[i].count);
  }
  for (uint32_t opcode = 0; opcode < 60; opcode++)
    with_fields += virtiofs_fuse_op(opcode) != NULL && virtiofs_fuse_op(opcode)->in_layout != NULL;
  assert_int_equal(with_fields, COUNT(requests));
  check(VIRTIOFS_LAYOUT_IN_HEADER, sizeof(struct virtiofs_wire_in_header), of_in_header, COUNT(of_in_header));
}

static void each_field_of_a_reply_is_swapped_once(void **state) {
  (void)state;
  size_t with_fields = 0;
  for (size_t i = 0; i < COUNT(replies); i++) {
    const struct virtiofs_fuse_op *op = virtiofs_fuse_op(replies[i].opcode);
    /* A value has no arguments before it, and its size alone has. */
    if (replies[i].fields != of_getxattr_out)
      assert_int_equal(op->out_size, replies[i].size);
    check(op->out_layout, replies[i].size, replies[i].fields, replies[i].count);
  }
  for (uint32_t opcode = 0; opcode < 60; opcode++)
    with_fields += virtiofs_fuse_op(opcode) != NULL && virtiofs_fuse_op(opcode)->out_layout != NULL;
  assert_int_equal(with_fields, COUNT(replies));
  check(VIRTIOFS_LAYOUT_OUT_HEADER, sizeof(struct virtiofs_wire_out_header), of_out_header, COUNT(of_out_header));
  check(VIRTIOFS_LAYOUT_DIRENTPLUS, sizeof(struct virtiofs_wire_direntplus), of_direntplus, COUNT(of_direntplus));
}

/* A field that isn't whole is left alone: older structs end before it. */
static void half_a_field_is_none(void **state) {
  (void)state;
  unsigned char bytes[16] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
  const unsigned char expected[16] = {4, 3, 2, 1, 12, 11, 10, 9, 8, 7, 6, 5, 13, 14, 15, 16};
  virtiofs_wire_swap(bytes, 15, "48");
  assert_memory_equal(bytes, expected, sizeof bytes);
  virtiofs_wire_swap(bytes, 3, "48");
  assert_memory_equal(bytes, expected, sizeof bytes);
}

/* ---- INIT says which order it is ---- */

static int decode(struct virtiofs_fuse_request *req, const struct virtiofs_fuse_proto *proto, uint32_t opcode,
                  bool swapped, size_t args) {
  static unsigned char bytes[256];
  struct virtiofs_wire_in_header head = {.len = (uint32_t)(sizeof head + args), .opcode = opcode, .unique = 0x0102};
  memset(bytes, 0, sizeof bytes);
  uint32_t init[] = {7, 38, 4096, 1U << 30, 4};
  if (swapped) {
    virtiofs_wire_swap(&head, sizeof head, VIRTIOFS_LAYOUT_IN_HEADER);
    virtiofs_wire_swap(init, sizeof init, "4");
  }
  memcpy(bytes, &head, sizeof head);
  memcpy(bytes + sizeof head, init, sizeof init);
  struct iovec iov = {.iov_base = bytes, .iov_len = sizeof head + args};
  return virtiofs_fuse_request_decode(req, proto, &iov, 1);
}

static void init_is_known_in_either_order(void **state) {
  (void)state;
  static struct virtiofs_fuse_request req;
  for (int was = 0; was < 2; was++) {
    struct virtiofs_fuse_proto proto = {.agreed = was != 0, .minor = 38, .swapped = was != 0};
    for (int now = 0; now < 2; now++) {
      assert_int_equal(decode(&req, &proto, VIRTIOFS_FUSE_INIT, now != 0, 64), 0);
      assert_int_equal(req.header.opcode, VIRTIOFS_FUSE_INIT);
      assert_int_equal(req.header.swapped, now);
      assert_int_equal(req.header.unique, 0x0102);
      assert_int_equal(req.in.init.major, 7);
      assert_int_equal(req.in.init.minor, 38);
      assert_int_equal(req.in.init.max_readahead, 4096);
      assert_int_equal(req.in.init.flags, UINT64_C(4) << 32 | VIRTIOFS_FUSE_INIT_EXT);
    }
  }
}

static void what_is_no_init_follows_the_session(void **state) {
  (void)state;
  static struct virtiofs_fuse_request req;
  struct virtiofs_fuse_proto proto = {.agreed = true, .minor = 38, .swapped = true};
  assert_int_equal(decode(&req, &proto, VIRTIOFS_FUSE_STATFS, true, 0), 0);
  assert_true(req.header.swapped);
  assert_int_equal(decode(&req, &proto, VIRTIOFS_FUSE_STATFS, false, 0), -EPROTO); /* its length is huge */
  proto.swapped = false;
  assert_int_equal(decode(&req, &proto, VIRTIOFS_FUSE_STATFS, false, 0), 0);
  assert_false(req.header.swapped);
  assert_int_equal(decode(&req, &proto, VIRTIOFS_FUSE_STATFS, true, 0), -EPROTO);
  proto.agreed = false;
  assert_int_equal(decode(&req, &proto, VIRTIOFS_FUSE_STATFS, false, 0), -EIO);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(each_field_of_a_request_is_swapped_once),
      cmocka_unit_test(each_field_of_a_reply_is_swapped_once),
      cmocka_unit_test(half_a_field_is_none),
      cmocka_unit_test(init_is_known_in_either_order),
      cmocka_unit_test(what_is_no_init_follows_the_session),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
