/* SPDX-License-Identifier: BSD-3-Clause */
/** What is fixed about each opcode. */
#ifndef VIRTIOFS_LIB_FUSE_TABLE_H
#define VIRTIOFS_LIB_FUSE_TABLE_H

#include <stdbool.h>

#include <virtiofs/fuse.h>

#include "base/cursor.h"
#include "fuse/wire.h"

/* The fixed part of a request, behind the header. */
union virtiofs_wire_in {
  struct virtiofs_wire_init_in init;
  struct virtiofs_wire_forget_in forget;
  struct virtiofs_wire_batch_forget_in batch_forget;
  struct virtiofs_wire_getattr_in getattr;
  struct virtiofs_wire_setattr_in setattr;
  struct virtiofs_wire_mknod_in mknod;
  struct virtiofs_wire_mkdir_in mkdir;
  struct virtiofs_wire_rename_in rename;
  struct virtiofs_wire_rename2_in rename2;
  struct virtiofs_wire_link_in link;
  struct virtiofs_wire_open_in open;
  struct virtiofs_wire_create_in create;
  struct virtiofs_wire_read_in read;
  struct virtiofs_wire_write_in write;
  struct virtiofs_wire_release_in release;
  struct virtiofs_wire_flush_in flush;
  struct virtiofs_wire_fsync_in fsync;
  struct virtiofs_wire_fallocate_in fallocate;
  struct virtiofs_wire_lseek_in lseek;
};

/* Where the decoding of one request stands. */
struct virtiofs_fuse_decoder {
  struct virtiofs_fuse_request *req;
  const union virtiofs_wire_in *wire;
  struct virtiofs_cursor *cur; /* behind the fixed part; ends before the extensions */
  struct iovec *iov;           /* of the whole request */
  size_t stored;               /* bytes of the request's storage that are taken */
};

/* Fills the request's arguments. Returns 0 or -errno. */
typedef int virtiofs_fuse_decode_fn(struct virtiofs_fuse_decoder *dec);

struct virtiofs_fuse_op {
  const char *name;
  virtiofs_fuse_decode_fn *decode; /* NULL: this library has no operation for it */
  uint8_t in_size;                 /* bytes of the fixed part */
  uint8_t out_size;                /* bytes of the fixed arguments of a reply */
  bool no_reply;
  bool extensions; /* may carry them at its end */
};

/* NULL for an opcode without a name. */
const struct virtiofs_fuse_op *virtiofs_fuse_op(uint32_t opcode);

#define VIRTIOFS_FUSE_INIT_IN_MIN 8U

virtiofs_fuse_decode_fn virtiofs_fuse_decode_batch_forget, virtiofs_fuse_decode_create, virtiofs_fuse_decode_fallocate,
    virtiofs_fuse_decode_flush, virtiofs_fuse_decode_forget, virtiofs_fuse_decode_fsync, virtiofs_fuse_decode_getattr,
    virtiofs_fuse_decode_init, virtiofs_fuse_decode_link, virtiofs_fuse_decode_lseek, virtiofs_fuse_decode_mkdir,
    virtiofs_fuse_decode_mknod, virtiofs_fuse_decode_name, virtiofs_fuse_decode_node, virtiofs_fuse_decode_open,
    virtiofs_fuse_decode_read, virtiofs_fuse_decode_readdir, virtiofs_fuse_decode_release, virtiofs_fuse_decode_rename,
    virtiofs_fuse_decode_rename2, virtiofs_fuse_decode_setattr, virtiofs_fuse_decode_symlink,
    virtiofs_fuse_decode_write;

#endif
