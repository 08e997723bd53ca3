/* SPDX-License-Identifier: BSD-3-Clause */
#include "fuse/table.h"

#define IN(type) sizeof(struct virtiofs_wire_##type##_in)
#define OUT(type) sizeof(struct virtiofs_wire_##type##_out)

const struct virtiofs_fuse_op virtiofs_fuse_ops[VIRTIOFS_FUSE_OPS] = {
    [VIRTIOFS_FUSE_LOOKUP] = {.name = "LOOKUP",
                              .decode = virtiofs_fuse_decode_name,
                              .encode = virtiofs_fuse_encode_lookup,
                              .out_layout = VIRTIOFS_LAYOUT_ENTRY,
                              .out_size = OUT(entry)},
    [VIRTIOFS_FUSE_FORGET] = {.name = "FORGET",
                              .decode = virtiofs_fuse_decode_forget,
                              .in_layout = "8",
                              .in_size = IN(forget),
                              .no_reply = true},
    [VIRTIOFS_FUSE_GETATTR] = {.name = "GETATTR",
                               .decode = virtiofs_fuse_decode_getattr,
                               .encode = virtiofs_fuse_encode_attr,
                               .in_layout = "448",
                               .out_layout = "844" VIRTIOFS_LAYOUT_ATTR,
                               .in_size = IN(getattr),
                               .out_size = OUT(attr)},
    [VIRTIOFS_FUSE_SETATTR] = {.name = "SETATTR",
                               .decode = virtiofs_fuse_decode_setattr,
                               .encode = virtiofs_fuse_encode_attr,
                               .in_layout = "448888884",
                               .out_layout = "844" VIRTIOFS_LAYOUT_ATTR,
                               .in_size = IN(setattr),
                               .out_size = OUT(attr)},
    [VIRTIOFS_FUSE_READLINK] = {.name = "READLINK",
                                .decode = virtiofs_fuse_decode_node,
                                .encode = virtiofs_fuse_encode_readlink},
    [VIRTIOFS_FUSE_SYMLINK] = {.name = "SYMLINK",
                               .decode = virtiofs_fuse_decode_symlink,
                               .encode = virtiofs_fuse_encode_made,
                               .out_layout = VIRTIOFS_LAYOUT_ENTRY,
                               .out_size = OUT(entry),
                               .extensions = true},
    [VIRTIOFS_FUSE_MKNOD] = {.name = "MKNOD",
                             .decode = virtiofs_fuse_decode_mknod,
                             .encode = virtiofs_fuse_encode_made,
                             .in_layout = "4",
                             .out_layout = VIRTIOFS_LAYOUT_ENTRY,
                             .in_size = IN(mknod),
                             .out_size = OUT(entry),
                             .extensions = true},
    [VIRTIOFS_FUSE_MKDIR] = {.name = "MKDIR",
                             .decode = virtiofs_fuse_decode_mkdir,
                             .encode = virtiofs_fuse_encode_made,
                             .in_layout = "4",
                             .out_layout = VIRTIOFS_LAYOUT_ENTRY,
                             .in_size = IN(mkdir),
                             .out_size = OUT(entry),
                             .extensions = true},
    [VIRTIOFS_FUSE_UNLINK] = {.name = "UNLINK", .decode = virtiofs_fuse_decode_name},
    [VIRTIOFS_FUSE_RMDIR] = {.name = "RMDIR", .decode = virtiofs_fuse_decode_name},
    [VIRTIOFS_FUSE_RENAME] = {.name = "RENAME",
                              .decode = virtiofs_fuse_decode_rename,
                              .in_layout = "8",
                              .in_size = IN(rename)},
    [VIRTIOFS_FUSE_LINK] = {.name = "LINK",
                            .decode = virtiofs_fuse_decode_link,
                            .encode = virtiofs_fuse_encode_made,
                            .in_layout = "8",
                            .out_layout = VIRTIOFS_LAYOUT_ENTRY,
                            .in_size = IN(link),
                            .out_size = OUT(entry)},
    [VIRTIOFS_FUSE_OPEN] = {.name = "OPEN",
                            .decode = virtiofs_fuse_decode_open,
                            .encode = virtiofs_fuse_encode_open,
                            .in_layout = "4",
                            .out_layout = "84",
                            .in_size = IN(open),
                            .out_size = OUT(open)},
    [VIRTIOFS_FUSE_READ] = {.name = "READ",
                            .decode = virtiofs_fuse_decode_read,
                            .encode = virtiofs_fuse_encode_read,
                            .in_layout = "884484",
                            .in_size = IN(read)},
    [VIRTIOFS_FUSE_WRITE] = {.name = "WRITE",
                             .decode = virtiofs_fuse_decode_write,
                             .encode = virtiofs_fuse_encode_write,
                             .in_layout = "884484",
                             .out_layout = "4",
                             .in_size = IN(write),
                             .out_size = OUT(write)},
    [VIRTIOFS_FUSE_STATFS] = {.name = "STATFS",
                              .decode = virtiofs_fuse_decode_node,
                              .encode = virtiofs_fuse_encode_statfs,
                              .out_layout = "888884",
                              .out_size = OUT(statfs)},
    [VIRTIOFS_FUSE_RELEASE] = {.name = "RELEASE",
                               .decode = virtiofs_fuse_decode_release,
                               .in_layout = "8448",
                               .in_size = IN(release)},
    [VIRTIOFS_FUSE_FSYNC] = {.name = "FSYNC",
                             .decode = virtiofs_fuse_decode_fsync,
                             .in_layout = "84",
                             .in_size = IN(fsync)},
    [VIRTIOFS_FUSE_SETXATTR] = {.name = "SETXATTR",
                                .decode = virtiofs_fuse_decode_setxattr,
                                .in_layout = "4",
                                .in_size = IN(setxattr)},
    [VIRTIOFS_FUSE_GETXATTR] = {.name = "GETXATTR",
                                .decode = virtiofs_fuse_decode_getxattr,
                                .encode = virtiofs_fuse_encode_xattr,
                                .in_layout = "4",
                                .out_layout = "4",
                                .in_size = IN(getxattr)},
    [VIRTIOFS_FUSE_LISTXATTR] = {.name = "LISTXATTR",
                                 .decode = virtiofs_fuse_decode_listxattr,
                                 .encode = virtiofs_fuse_encode_xattr,
                                 .in_layout = "4",
                                 .out_layout = "4",
                                 .in_size = IN(getxattr)},
    [VIRTIOFS_FUSE_REMOVEXATTR] = {.name = "REMOVEXATTR", .decode = virtiofs_fuse_decode_removexattr},
    [VIRTIOFS_FUSE_FLUSH] = {.name = "FLUSH",
                             .decode = virtiofs_fuse_decode_flush,
                             .in_layout = "8448",
                             .in_size = IN(flush)},
    [VIRTIOFS_FUSE_INIT] = {.name = "INIT",
                            .decode = virtiofs_fuse_decode_init,
                            .encode = virtiofs_fuse_encode_init,
                            .in_layout = "4",
                            .out_layout = "4444224422442",
                            .in_size = VIRTIOFS_FUSE_INIT_IN_MIN,
                            .out_size = OUT(init)},
    [VIRTIOFS_FUSE_OPENDIR] = {.name = "OPENDIR",
                               .decode = virtiofs_fuse_decode_open,
                               .encode = virtiofs_fuse_encode_open,
                               .in_layout = "4",
                               .out_layout = "84",
                               .in_size = IN(open),
                               .out_size = OUT(open)},
    [VIRTIOFS_FUSE_READDIR] = {.name = "READDIR",
                               .decode = virtiofs_fuse_decode_readdir,
                               .encode = virtiofs_fuse_encode_read,
                               .in_layout = "884484",
                               .in_size = IN(read)},
    [VIRTIOFS_FUSE_RELEASEDIR] = {.name = "RELEASEDIR",
                                  .decode = virtiofs_fuse_decode_release,
                                  .in_layout = "8448",
                                  .in_size = IN(release)},
    [VIRTIOFS_FUSE_FSYNCDIR] = {.name = "FSYNCDIR",
                                .decode = virtiofs_fuse_decode_fsync,
                                .in_layout = "84",
                                .in_size = IN(fsync)},
    [VIRTIOFS_FUSE_GETLK] = {.name = "GETLK",
                             .decode = virtiofs_fuse_decode_lk,
                             .encode = virtiofs_fuse_encode_getlk,
                             .in_layout = "88884",
                             .out_layout = "884",
                             .in_size = IN(lk),
                             .out_size = OUT(lk)},
    [VIRTIOFS_FUSE_SETLK] = {.name = "SETLK",
                             .decode = virtiofs_fuse_decode_lk,
                             .in_layout = "88884",
                             .in_size = IN(lk)},
    [VIRTIOFS_FUSE_SETLKW] = {.name = "SETLKW",
                              .decode = virtiofs_fuse_decode_lk,
                              .in_layout = "88884",
                              .in_size = IN(lk)},
    [VIRTIOFS_FUSE_ACCESS] = {.name = "ACCESS",
                              .decode = virtiofs_fuse_decode_access,
                              .in_layout = "4",
                              .in_size = IN(access)},
    [VIRTIOFS_FUSE_CREATE] = {.name = "CREATE",
                              .decode = virtiofs_fuse_decode_create,
                              .encode = virtiofs_fuse_encode_create,
                              .in_layout = "4",
                              .out_layout = VIRTIOFS_LAYOUT_CREATE_OUT,
                              .in_size = IN(create),
                              .out_size = OUT(create),
                              .extensions = true},
    [VIRTIOFS_FUSE_INTERRUPT] = {.name = "INTERRUPT",
                                 .decode = virtiofs_fuse_decode_interrupt,
                                 .in_layout = "8",
                                 .in_size = IN(interrupt)},
    [VIRTIOFS_FUSE_BMAP] = {.name = "BMAP",
                            .decode = virtiofs_fuse_decode_bmap,
                            .encode = virtiofs_fuse_encode_bmap,
                            .in_layout = "84",
                            .out_layout = "8",
                            .in_size = IN(bmap),
                            .out_size = OUT(bmap)},
    [VIRTIOFS_FUSE_DESTROY] = {.name = "DESTROY", .decode = virtiofs_fuse_decode_node},
    [VIRTIOFS_FUSE_IOCTL] = {.name = "IOCTL",
                             .decode = virtiofs_fuse_decode_ioctl,
                             .encode = virtiofs_fuse_encode_ioctl,
                             .in_layout = "84484",
                             .out_layout = "4",
                             .in_size = IN(ioctl),
                             .out_size = OUT(ioctl)},
    [VIRTIOFS_FUSE_POLL] = {.name = "POLL",
                            .decode = virtiofs_fuse_decode_poll,
                            .encode = virtiofs_fuse_encode_poll,
                            .in_layout = "884",
                            .out_layout = "4",
                            .in_size = IN(poll),
                            .out_size = OUT(poll)},
    [VIRTIOFS_FUSE_NOTIFY_REPLY] = {.name = "NOTIFY_REPLY",
                                    .decode = virtiofs_fuse_decode_notify_reply,
                                    .in_layout = "88448",
                                    .in_size = IN(notify_retrieve),
                                    .no_reply = true},
    [VIRTIOFS_FUSE_BATCH_FORGET] = {.name = "BATCH_FORGET",
                                    .decode = virtiofs_fuse_decode_batch_forget,
                                    .in_layout = "4",
                                    .in_size = IN(batch_forget),
                                    .no_reply = true},
    [VIRTIOFS_FUSE_FALLOCATE] = {.name = "FALLOCATE",
                                 .decode = virtiofs_fuse_decode_fallocate,
                                 .in_layout = "8884",
                                 .in_size = IN(fallocate)},
    [VIRTIOFS_FUSE_READDIRPLUS] = {.name = "READDIRPLUS",
                                   .decode = virtiofs_fuse_decode_readdir,
                                   .encode = virtiofs_fuse_encode_read,
                                   .in_layout = "884484",
                                   .in_size = IN(read)},
    [VIRTIOFS_FUSE_RENAME2] = {.name = "RENAME2",
                               .decode = virtiofs_fuse_decode_rename2,
                               .in_layout = "84",
                               .in_size = IN(rename2)},
    [VIRTIOFS_FUSE_LSEEK] = {.name = "LSEEK",
                             .decode = virtiofs_fuse_decode_lseek,
                             .encode = virtiofs_fuse_encode_lseek,
                             .in_layout = "884",
                             .out_layout = "8",
                             .in_size = IN(lseek),
                             .out_size = OUT(lseek)},
    [VIRTIOFS_FUSE_COPY_FILE_RANGE] = {.name = "COPY_FILE_RANGE",
                                       .decode = virtiofs_fuse_decode_copy_file_range,
                                       .encode = virtiofs_fuse_encode_copy_file_range,
                                       .in_layout = "8",
                                       .out_layout = "4",
                                       .in_size = IN(copy_file_range),
                                       .out_size = OUT(write)},
    [VIRTIOFS_FUSE_SETUPMAPPING] = {.name = "SETUPMAPPING",
                                    .decode = virtiofs_fuse_decode_setupmapping,
                                    .in_layout = "8",
                                    .in_size = IN(setupmapping)},
    [VIRTIOFS_FUSE_REMOVEMAPPING] = {.name = "REMOVEMAPPING",
                                     .decode = virtiofs_fuse_decode_removemapping,
                                     .in_layout = "4",
                                     .in_size = IN(removemapping)},
    [VIRTIOFS_FUSE_SYNCFS] = {.name = "SYNCFS",
                              .decode = virtiofs_fuse_decode_node,
                              .in_layout = "8",
                              .in_size = IN(syncfs)},
    [VIRTIOFS_FUSE_TMPFILE] = {.name = "TMPFILE",
                               .decode = virtiofs_fuse_decode_tmpfile,
                               .encode = virtiofs_fuse_encode_create,
                               .in_layout = "4",
                               .out_layout = VIRTIOFS_LAYOUT_CREATE_OUT,
                               .in_size = IN(create),
                               .out_size = OUT(create),
                               .extensions = true},
    [VIRTIOFS_FUSE_STATX] = {.name = "STATX",
                             .decode = virtiofs_fuse_decode_statx,
                             .encode = virtiofs_fuse_encode_statx,
                             .in_layout = "4484",
                             .out_layout = VIRTIOFS_LAYOUT_STATX,
                             .in_size = IN(statx),
                             .out_size = OUT(statx)},
    [VIRTIOFS_FUSE_COPY_FILE_RANGE_64] = {.name = "COPY_FILE_RANGE_64",
                                          .decode = virtiofs_fuse_decode_copy_file_range,
                                          .encode = virtiofs_fuse_encode_copy_file_range_64,
                                          .in_layout = "8",
                                          .out_layout = "8",
                                          .in_size = IN(copy_file_range),
                                          .out_size = OUT(copy_file_range)},
};

const char *virtiofs_fuse_opcode_name(uint32_t opcode) {
  const struct virtiofs_fuse_op *op = virtiofs_fuse_op(opcode);
  return op != NULL ? op->name : "?";
}

bool virtiofs_fuse_has_reply(uint32_t opcode) {
  const struct virtiofs_fuse_op *op = virtiofs_fuse_op(opcode);
  return op == NULL || !op->no_reply;
}

/* When a struct has grown: the minor before which it ended at @size bytes. */
struct growth {
  uint32_t opcode;
  uint16_t minor, size;
};

#define ENTRY_7_8 120U
#define ATTR_7_8 96U
#define CREATE_7_8 (ENTRY_7_8 + sizeof(struct virtiofs_wire_open_out))

static uint32_t before(const struct growth *growths, size_t count, uint32_t opcode, uint32_t minor, uint32_t size) {
  for (size_t i = 0; i < count; i++)
    if (growths[i].opcode == opcode && minor < growths[i].minor)
      return growths[i].size;
  return size;
}

uint32_t virtiofs_fuse_old_in_size(const struct virtiofs_fuse_op *op, const struct virtiofs_fuse_proto *proto,
                                   uint32_t opcode) {
  static const struct growth growths[] = {
      {VIRTIOFS_FUSE_RELEASE, 8, 16}, {VIRTIOFS_FUSE_RELEASEDIR, 8, 16}, {VIRTIOFS_FUSE_GETATTR, 9, 0},
      {VIRTIOFS_FUSE_READ, 9, 24},    {VIRTIOFS_FUSE_READDIR, 9, 24},    {VIRTIOFS_FUSE_WRITE, 9, 24},
      {VIRTIOFS_FUSE_GETLK, 9, 40},   {VIRTIOFS_FUSE_SETLK, 9, 40},      {VIRTIOFS_FUSE_SETLKW, 9, 40},
      {VIRTIOFS_FUSE_MKNOD, 12, 8},   {VIRTIOFS_FUSE_CREATE, 12, 8},     {VIRTIOFS_FUSE_TMPFILE, 12, 8},
  };
  if (opcode == VIRTIOFS_FUSE_SETXATTR && (proto->flags & VIRTIOFS_FUSE_SETXATTR_EXT) == 0)
    return 8;
  if (proto->minor >= 12)
    return op->in_size;
  return before(growths, sizeof(growths) / sizeof(growths[0]), opcode, proto->minor, op->in_size);
}

uint32_t virtiofs_fuse_old_out_size(const struct virtiofs_fuse_op *op, const struct virtiofs_fuse_proto *proto,
                                    uint32_t opcode) {
  static const struct growth growths[] = {
      {VIRTIOFS_FUSE_INIT, 5, 8},
      {VIRTIOFS_FUSE_INIT, 23, 24},
      {VIRTIOFS_FUSE_STATFS, 4, 48},
      {VIRTIOFS_FUSE_LOOKUP, 9, ENTRY_7_8},
      {VIRTIOFS_FUSE_SYMLINK, 9, ENTRY_7_8},
      {VIRTIOFS_FUSE_MKNOD, 9, ENTRY_7_8},
      {VIRTIOFS_FUSE_MKDIR, 9, ENTRY_7_8},
      {VIRTIOFS_FUSE_LINK, 9, ENTRY_7_8},
      {VIRTIOFS_FUSE_GETATTR, 9, ATTR_7_8},
      {VIRTIOFS_FUSE_SETATTR, 9, ATTR_7_8},
      {VIRTIOFS_FUSE_CREATE, 9, CREATE_7_8},
      {VIRTIOFS_FUSE_TMPFILE, 9, CREATE_7_8},
  };
  return before(growths, sizeof(growths) / sizeof(growths[0]), opcode, proto->minor, op->out_size);
}

/* The open file stands where an old driver's entry ends, which is inside of a new one's. */
#define OLD_CREATE "8888448888884444444484"

virtiofs_wire_layout virtiofs_fuse_out_layout(const struct virtiofs_fuse_op *op,
                                              const struct virtiofs_fuse_proto *proto, uint32_t opcode) {
  bool old = virtiofs_fuse_entry_size(proto) < sizeof(struct virtiofs_wire_entry_out);
  bool opens = opcode == VIRTIOFS_FUSE_CREATE || opcode == VIRTIOFS_FUSE_TMPFILE;
  return old && opens ? OLD_CREATE : op->out_layout;
}

uint32_t virtiofs_fuse_entry_size(const struct virtiofs_fuse_proto *proto) {
  return proto->minor < 9 ? ENTRY_7_8 : (uint32_t)sizeof(struct virtiofs_wire_entry_out);
}

uint32_t virtiofs_fuse_reply_room(const struct virtiofs_fuse_proto *proto, uint32_t opcode) {
  const struct virtiofs_fuse_op *op = virtiofs_fuse_op(opcode);
  if (!virtiofs_fuse_has_reply(opcode))
    return 0;
  return VIRTIOFS_FUSE_OUT_HEADER + (op != NULL ? virtiofs_fuse_out_size(op, proto, opcode) : 0U);
}

/* Bytes of a reply's variable part at the most. */
static uint64_t variable_max(const struct virtiofs_fuse_request *req) {
  switch (req->header.opcode) {
  case VIRTIOFS_FUSE_READ:
    return req->in.read.size;
  case VIRTIOFS_FUSE_READDIR:
  case VIRTIOFS_FUSE_READDIRPLUS:
    return req->in.readdir.size;
  case VIRTIOFS_FUSE_READLINK:
    return VIRTIOFS_TARGET_MAX;
  case VIRTIOFS_FUSE_GETXATTR:
    return req->in.getxattr.size != 0 ? req->in.getxattr.size : sizeof(struct virtiofs_wire_getxattr_out);
  case VIRTIOFS_FUSE_LISTXATTR:
    return req->in.listxattr.size != 0 ? req->in.listxattr.size : sizeof(struct virtiofs_wire_getxattr_out);
  case VIRTIOFS_FUSE_IOCTL:
    return req->in.ioctl.out_size;
  default:
    return 0;
  }
}

uint64_t virtiofs_fuse_reply_max(const struct virtiofs_fuse_proto *proto, const struct virtiofs_fuse_request *req) {
  /* How large INIT's is, only the answer says. */
  struct virtiofs_fuse_proto newest = {.minor = VIRTIOFS_FUSE_MINOR};
  bool init = req->header.opcode == VIRTIOFS_FUSE_INIT;
  uint64_t fixed = virtiofs_fuse_reply_room(init ? &newest : proto, req->header.opcode);
  return fixed != 0 ? fixed + variable_max(req) : 0;
}
