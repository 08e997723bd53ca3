/* SPDX-License-Identifier: BSD-3-Clause */
/** What is fixed about each opcode. */
#ifndef VIRTIOFS_LIB_FUSE_TABLE_H
#define VIRTIOFS_LIB_FUSE_TABLE_H

#include <stdbool.h>

#include <virtiofs/fuse.h>

#include "base/cursor.h"
#include "fuse/swap.h"
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
  struct virtiofs_wire_setxattr_in setxattr;
  struct virtiofs_wire_getxattr_in getxattr;
  struct virtiofs_wire_lk_in lk;
  struct virtiofs_wire_access_in access;
  struct virtiofs_wire_interrupt_in interrupt;
  struct virtiofs_wire_bmap_in bmap;
  struct virtiofs_wire_ioctl_in ioctl;
  struct virtiofs_wire_poll_in poll;
  struct virtiofs_wire_notify_retrieve_in notify_reply;
  struct virtiofs_wire_copy_file_range_in copy_file_range;
  struct virtiofs_wire_setupmapping_in setupmapping;
  struct virtiofs_wire_removemapping_in removemapping;
  struct virtiofs_wire_syncfs_in syncfs;
  struct virtiofs_wire_statx_in statx;
};

/* The fixed arguments of a reply. */
union virtiofs_wire_out {
  struct virtiofs_wire_init_out init;
  struct virtiofs_wire_entry_out entry;
  struct virtiofs_wire_attr_out attr;
  struct virtiofs_wire_open_out open;
  struct virtiofs_wire_create_out create;
  struct virtiofs_wire_write_out write;
  struct virtiofs_wire_statfs_out statfs;
  struct virtiofs_wire_lseek_out lseek;
  struct virtiofs_wire_getxattr_out xattr;
  struct virtiofs_wire_lk_out lk;
  struct virtiofs_wire_bmap_out bmap;
  struct virtiofs_wire_ioctl_out ioctl;
  struct virtiofs_wire_poll_out poll;
  struct virtiofs_wire_copy_file_range_out copy_file_range;
  struct virtiofs_wire_statx_out statx;
};

/* What a reply's arguments don't say themselves. */
struct virtiofs_fuse_reply {
  uint32_t size;    /* bytes of the arguments; what the table says, unless it depends on the reply */
  uint32_t more;    /* bytes of the variable part behind them; 0 before */
  const char *text; /* the variable part, if it isn't in its place already; NULL before */
};

/**
 * Fills the arguments, all bytes that the table says. They may lie in the guest: they are written and never read.
 * False, and nothing is written, if @out is not sound.
 */
typedef bool virtiofs_fuse_encode_fn(struct virtiofs_fuse_reply *reply, union virtiofs_wire_out *args,
                                     const union virtiofs_fuse_out *out, const struct virtiofs_fuse_proto *proto);

/* Where the decoding of one request stands. */
struct virtiofs_fuse_decoder {
  struct virtiofs_fuse_request *req;
  const struct virtiofs_fuse_proto *proto;
  const union virtiofs_wire_in *wire; /* in host order */
  struct virtiofs_cursor *cur;        /* behind the fixed part; ends before the extensions */
  struct iovec *iov;                  /* of the whole request */
  uint32_t extensions;                /* bytes of them, behind the cursor's end */
  size_t stored;                      /* bytes of the request's storage that are taken */
};

/* Fills the request's arguments. Returns 0 or -errno. */
typedef int virtiofs_fuse_decode_fn(struct virtiofs_fuse_decoder *dec);

struct virtiofs_fuse_op {
  const char *name; /* NULL: there is no such opcode */
  virtiofs_fuse_decode_fn *decode;
  virtiofs_fuse_encode_fn *encode; /* NULL: a reply is a bare header */
  virtiofs_wire_layout in_layout;  /* of the fixed part */
  virtiofs_wire_layout out_layout; /* of the fixed arguments of a reply */
  uint16_t in_size;                /* bytes of the fixed part, of a new driver */
  uint16_t out_size;               /* bytes of the fixed arguments of a reply, to a new driver */
  bool no_reply;
  bool extensions; /* may carry them at its end */
};

#define VIRTIOFS_FUSE_OPS (VIRTIOFS_FUSE_COPY_FILE_RANGE_64 + 1U)
extern const struct virtiofs_fuse_op virtiofs_fuse_ops[VIRTIOFS_FUSE_OPS] __attribute__((visibility("hidden")));

/* NULL for an opcode that there isn't. */
static inline const struct virtiofs_fuse_op *virtiofs_fuse_op(uint32_t opcode) {
  if (opcode >= VIRTIOFS_FUSE_OPS || virtiofs_fuse_ops[opcode].name == NULL)
    return NULL;
  return &virtiofs_fuse_ops[opcode];
}

/* The sizes for a driver that is older than the last growth of a struct, and for one that didn't agree to it. */
uint32_t virtiofs_fuse_old_in_size(const struct virtiofs_fuse_op *op, const struct virtiofs_fuse_proto *proto,
                                   uint32_t opcode);
uint32_t virtiofs_fuse_old_out_size(const struct virtiofs_fuse_op *op, const struct virtiofs_fuse_proto *proto,
                                    uint32_t opcode);

/* The same sizes for the driver at hand; what it doesn't send is zero. */
static inline uint32_t virtiofs_fuse_in_size(const struct virtiofs_fuse_op *op, const struct virtiofs_fuse_proto *proto,
                                             uint32_t opcode) {
  if (proto->minor >= 12 && opcode != VIRTIOFS_FUSE_SETXATTR)
    return op->in_size;
  return virtiofs_fuse_old_in_size(op, proto, opcode);
}

static inline uint32_t virtiofs_fuse_out_size(const struct virtiofs_fuse_op *op,
                                              const struct virtiofs_fuse_proto *proto, uint32_t opcode) {
  return proto->minor >= 23 ? op->out_size : virtiofs_fuse_old_out_size(op, proto, opcode);
}

/* How the fixed arguments of a reply are laid out for that driver. */
virtiofs_wire_layout virtiofs_fuse_out_layout(const struct virtiofs_fuse_op *op,
                                              const struct virtiofs_fuse_proto *proto, uint32_t opcode);

/* Bytes of an entry in a reply. */
uint32_t virtiofs_fuse_entry_size(const struct virtiofs_fuse_proto *proto);

#define VIRTIOFS_FUSE_INIT_IN_MIN 8U

/* ---- for the decoders ---- */

/* Copies a file's name into the request's storage. */
int virtiofs_fuse_get_name(struct virtiofs_fuse_decoder *dec, struct virtiofs_name *name);
/* The same for any text of 1 .. @max bytes. */
int virtiofs_fuse_get_text(struct virtiofs_fuse_decoder *dec, struct virtiofs_name *name, size_t max);
/* The @size bytes at the cursor, which stay where they are; they must be all that is left. */
int virtiofs_fuse_get_data(struct virtiofs_fuse_decoder *dec, struct virtiofs_data *data, size_t size);
/* -EINVAL for an offset past INT64_MAX, -EFBIG for an end past it. */
int virtiofs_fuse_check_range(uint64_t offset, uint64_t size);
/* A word of a request that means something if a flag was agreed on, and is 0 otherwise. */
static inline uint32_t virtiofs_fuse_if_agreed(const struct virtiofs_fuse_decoder *dec, uint64_t flag, uint32_t word) {
  return (dec->proto->flags & flag) != 0 ? word : 0;
}
/* What stands behind the names of requests that make something. */
int virtiofs_fuse_get_extensions(struct virtiofs_fuse_decoder *dec, struct virtiofs_extensions *extensions);

/* Which byte order extensions are in, and are to be in. */
enum virtiofs_fuse_order { VIRTIOFS_FUSE_HOST, VIRTIOFS_FUSE_TO_HOST, VIRTIOFS_FUSE_FROM_HOST };
/* Since when there are any: before, the header's field is padding. */
#define VIRTIOFS_FUSE_EXTENSIONS_SINCE 38U
/* All of a request's extensions, which are swapped on the way. False if they are malformed or not agreed on. */
bool virtiofs_fuse_check_extensions(const struct virtiofs_fuse_proto *proto, unsigned char *bytes, uint32_t size,
                                    enum virtiofs_fuse_order order);

virtiofs_fuse_decode_fn virtiofs_fuse_decode_access, virtiofs_fuse_decode_batch_forget, virtiofs_fuse_decode_bmap,
    virtiofs_fuse_decode_copy_file_range, virtiofs_fuse_decode_create, virtiofs_fuse_decode_fallocate,
    virtiofs_fuse_decode_flush, virtiofs_fuse_decode_forget, virtiofs_fuse_decode_fsync, virtiofs_fuse_decode_getattr,
    virtiofs_fuse_decode_getxattr, virtiofs_fuse_decode_init, virtiofs_fuse_decode_interrupt,
    virtiofs_fuse_decode_ioctl, virtiofs_fuse_decode_link, virtiofs_fuse_decode_listxattr, virtiofs_fuse_decode_lk,
    virtiofs_fuse_decode_lseek, virtiofs_fuse_decode_mkdir, virtiofs_fuse_decode_mknod, virtiofs_fuse_decode_name,
    virtiofs_fuse_decode_node, virtiofs_fuse_decode_notify_reply, virtiofs_fuse_decode_open, virtiofs_fuse_decode_poll,
    virtiofs_fuse_decode_read, virtiofs_fuse_decode_readdir, virtiofs_fuse_decode_release,
    virtiofs_fuse_decode_removemapping, virtiofs_fuse_decode_removexattr, virtiofs_fuse_decode_rename,
    virtiofs_fuse_decode_rename2, virtiofs_fuse_decode_setattr, virtiofs_fuse_decode_setupmapping,
    virtiofs_fuse_decode_setxattr, virtiofs_fuse_decode_statx, virtiofs_fuse_decode_symlink,
    virtiofs_fuse_decode_tmpfile, virtiofs_fuse_decode_write;

virtiofs_fuse_encode_fn virtiofs_fuse_encode_attr, virtiofs_fuse_encode_bmap, virtiofs_fuse_encode_copy_file_range,
    virtiofs_fuse_encode_copy_file_range_64, virtiofs_fuse_encode_create, virtiofs_fuse_encode_getlk,
    virtiofs_fuse_encode_init, virtiofs_fuse_encode_ioctl, virtiofs_fuse_encode_lookup, virtiofs_fuse_encode_lseek,
    virtiofs_fuse_encode_made, virtiofs_fuse_encode_open, virtiofs_fuse_encode_poll, virtiofs_fuse_encode_read,
    virtiofs_fuse_encode_readlink, virtiofs_fuse_encode_statfs, virtiofs_fuse_encode_statx, virtiofs_fuse_encode_write,
    virtiofs_fuse_encode_xattr;

#endif
