/* SPDX-License-Identifier: BSD-3-Clause */
#include "fuse/table.h"

#define IN(type) sizeof(struct virtiofs_wire_##type##_in)
#define OUT(type) sizeof(struct virtiofs_wire_##type##_out)

/* clang-format off: one line for each opcode */
static const struct virtiofs_fuse_op ops[] = {
    [VIRTIOFS_FUSE_LOOKUP] = {"LOOKUP", virtiofs_fuse_decode_name, NULL, VIRTIOFS_LAYOUT_ENTRY, 0, OUT(entry), false,
                              false},
    [VIRTIOFS_FUSE_FORGET] = {"FORGET", virtiofs_fuse_decode_forget, "8", NULL, IN(forget), 0, true, false},
    [VIRTIOFS_FUSE_GETATTR] = {"GETATTR", virtiofs_fuse_decode_getattr, "448", "844" VIRTIOFS_LAYOUT_ATTR, IN(getattr),
                               OUT(attr), false, false},
    [VIRTIOFS_FUSE_SETATTR] = {"SETATTR", virtiofs_fuse_decode_setattr, "448888884", "844" VIRTIOFS_LAYOUT_ATTR,
                               IN(setattr), OUT(attr), false, false},
    [VIRTIOFS_FUSE_READLINK] = {"READLINK", virtiofs_fuse_decode_node, NULL, NULL, 0, 0, false, false},
    [VIRTIOFS_FUSE_SYMLINK] = {"SYMLINK", virtiofs_fuse_decode_symlink, NULL, VIRTIOFS_LAYOUT_ENTRY, 0, OUT(entry),
                               false, true},
    [VIRTIOFS_FUSE_MKNOD] = {"MKNOD", virtiofs_fuse_decode_mknod, "4", VIRTIOFS_LAYOUT_ENTRY, IN(mknod), OUT(entry),
                             false, true},
    [VIRTIOFS_FUSE_MKDIR] = {"MKDIR", virtiofs_fuse_decode_mkdir, "4", VIRTIOFS_LAYOUT_ENTRY, IN(mkdir), OUT(entry),
                             false, true},
    [VIRTIOFS_FUSE_UNLINK] = {"UNLINK", virtiofs_fuse_decode_name, NULL, NULL, 0, 0, false, false},
    [VIRTIOFS_FUSE_RMDIR] = {"RMDIR", virtiofs_fuse_decode_name, NULL, NULL, 0, 0, false, false},
    [VIRTIOFS_FUSE_RENAME] = {"RENAME", virtiofs_fuse_decode_rename, "8", NULL, IN(rename), 0, false, false},
    [VIRTIOFS_FUSE_LINK] = {"LINK", virtiofs_fuse_decode_link, "8", VIRTIOFS_LAYOUT_ENTRY, IN(link), OUT(entry), false,
                            false},
    [VIRTIOFS_FUSE_OPEN] = {"OPEN", virtiofs_fuse_decode_open, "4", "84", IN(open), OUT(open), false, false},
    [VIRTIOFS_FUSE_READ] = {"READ", virtiofs_fuse_decode_read, "884484", NULL, IN(read), 0, false, false},
    [VIRTIOFS_FUSE_WRITE] = {"WRITE", virtiofs_fuse_decode_write, "884484", "4", IN(write), OUT(write), false, false},
    [VIRTIOFS_FUSE_STATFS] = {"STATFS", virtiofs_fuse_decode_node, NULL, "888884", 0, OUT(statfs), false, false},
    [VIRTIOFS_FUSE_RELEASE] = {"RELEASE", virtiofs_fuse_decode_release, "8448", NULL, IN(release), 0, false, false},
    [VIRTIOFS_FUSE_FSYNC] = {"FSYNC", virtiofs_fuse_decode_fsync, "84", NULL, IN(fsync), 0, false, false},
    [VIRTIOFS_FUSE_SETXATTR] = {"SETXATTR", virtiofs_fuse_decode_setxattr, "4", NULL, IN(setxattr), 0, false, false},
    [VIRTIOFS_FUSE_GETXATTR] = {"GETXATTR", virtiofs_fuse_decode_getxattr, "4", NULL, IN(getxattr), 0, false, false},
    [VIRTIOFS_FUSE_LISTXATTR] = {"LISTXATTR", virtiofs_fuse_decode_listxattr, "4", NULL, IN(getxattr), 0, false, false},
    [VIRTIOFS_FUSE_REMOVEXATTR] = {"REMOVEXATTR", virtiofs_fuse_decode_removexattr, NULL, NULL, 0, 0, false, false},
    [VIRTIOFS_FUSE_FLUSH] = {"FLUSH", virtiofs_fuse_decode_flush, "8448", NULL, IN(flush), 0, false, false},
    [VIRTIOFS_FUSE_INIT] = {"INIT", virtiofs_fuse_decode_init, "4", "4444224422442", VIRTIOFS_FUSE_INIT_IN_MIN,
                            OUT(init), false, false},
    [VIRTIOFS_FUSE_OPENDIR] = {"OPENDIR", virtiofs_fuse_decode_open, "4", "84", IN(open), OUT(open), false, false},
    [VIRTIOFS_FUSE_READDIR] = {"READDIR", virtiofs_fuse_decode_readdir, "884484", NULL, IN(read), 0, false, false},
    [VIRTIOFS_FUSE_RELEASEDIR] = {"RELEASEDIR", virtiofs_fuse_decode_release, "8448", NULL, IN(release), 0, false,
                                  false},
    [VIRTIOFS_FUSE_FSYNCDIR] = {"FSYNCDIR", virtiofs_fuse_decode_fsync, "84", NULL, IN(fsync), 0, false, false},
    [VIRTIOFS_FUSE_GETLK] = {"GETLK", virtiofs_fuse_decode_lk, "88884", "884", IN(lk), OUT(lk), false, false},
    [VIRTIOFS_FUSE_SETLK] = {"SETLK", virtiofs_fuse_decode_lk, "88884", NULL, IN(lk), 0, false, false},
    [VIRTIOFS_FUSE_SETLKW] = {"SETLKW", virtiofs_fuse_decode_lk, "88884", NULL, IN(lk), 0, false, false},
    [VIRTIOFS_FUSE_ACCESS] = {"ACCESS", virtiofs_fuse_decode_access, "4", NULL, IN(access), 0, false, false},
    [VIRTIOFS_FUSE_CREATE] = {"CREATE", virtiofs_fuse_decode_create, "4", VIRTIOFS_LAYOUT_CREATE_OUT, IN(create),
                              OUT(create), false, true},
    [VIRTIOFS_FUSE_INTERRUPT] = {"INTERRUPT", virtiofs_fuse_decode_interrupt, "8", NULL, IN(interrupt), 0, false,
                                 false},
    [VIRTIOFS_FUSE_BMAP] = {"BMAP", virtiofs_fuse_decode_bmap, "84", "8", IN(bmap), OUT(bmap), false, false},
    [VIRTIOFS_FUSE_DESTROY] = {"DESTROY", virtiofs_fuse_decode_node, NULL, NULL, 0, 0, false, false},
    [VIRTIOFS_FUSE_IOCTL] = {"IOCTL", virtiofs_fuse_decode_ioctl, "84484", "4", IN(ioctl), OUT(ioctl), false, false},
    [VIRTIOFS_FUSE_POLL] = {"POLL", virtiofs_fuse_decode_poll, "884", "4", IN(poll), OUT(poll), false, false},
    [VIRTIOFS_FUSE_NOTIFY_REPLY] = {"NOTIFY_REPLY", virtiofs_fuse_decode_notify_reply, "88448", NULL,
                                    IN(notify_retrieve), 0, true, false},
    [VIRTIOFS_FUSE_BATCH_FORGET] = {"BATCH_FORGET", virtiofs_fuse_decode_batch_forget, "4", NULL, IN(batch_forget), 0,
                                    true, false},
    [VIRTIOFS_FUSE_FALLOCATE] = {"FALLOCATE", virtiofs_fuse_decode_fallocate, "8884", NULL, IN(fallocate), 0, false,
                                 false},
    [VIRTIOFS_FUSE_READDIRPLUS] = {"READDIRPLUS", virtiofs_fuse_decode_readdir, "884484", NULL, IN(read), 0, false,
                                   false},
    [VIRTIOFS_FUSE_RENAME2] = {"RENAME2", virtiofs_fuse_decode_rename2, "84", NULL, IN(rename2), 0, false, false},
    [VIRTIOFS_FUSE_LSEEK] = {"LSEEK", virtiofs_fuse_decode_lseek, "884", "8", IN(lseek), OUT(lseek), false, false},
    [VIRTIOFS_FUSE_COPY_FILE_RANGE] = {"COPY_FILE_RANGE", virtiofs_fuse_decode_copy_file_range, "8", "4",
                                       IN(copy_file_range), OUT(write), false, false},
    [VIRTIOFS_FUSE_SETUPMAPPING] = {"SETUPMAPPING", virtiofs_fuse_decode_setupmapping, "8", NULL, IN(setupmapping), 0,
                                    false, false},
    [VIRTIOFS_FUSE_REMOVEMAPPING] = {"REMOVEMAPPING", virtiofs_fuse_decode_removemapping, "4", NULL, IN(removemapping),
                                     0, false, false},
    [VIRTIOFS_FUSE_SYNCFS] = {"SYNCFS", virtiofs_fuse_decode_node, "8", NULL, IN(syncfs), 0, false, false},
    [VIRTIOFS_FUSE_TMPFILE] = {"TMPFILE", virtiofs_fuse_decode_tmpfile, "4", VIRTIOFS_LAYOUT_CREATE_OUT, IN(create),
                               OUT(create), false, true},
    [VIRTIOFS_FUSE_STATX] = {"STATX", virtiofs_fuse_decode_statx, "4484", VIRTIOFS_LAYOUT_STATX, IN(statx), OUT(statx),
                             false, false},
    [VIRTIOFS_FUSE_COPY_FILE_RANGE_64] = {"COPY_FILE_RANGE_64", virtiofs_fuse_decode_copy_file_range, "8", "8",
                                          IN(copy_file_range), OUT(copy_file_range), false, false},
};
/* clang-format on */

const struct virtiofs_fuse_op *virtiofs_fuse_op(uint32_t opcode) {
  if (opcode >= sizeof(ops) / sizeof(ops[0]) || ops[opcode].name == NULL)
    return NULL;
  return &ops[opcode];
}

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

uint32_t virtiofs_fuse_in_size(const struct virtiofs_fuse_op *op, const struct virtiofs_fuse_proto *proto,
                               uint32_t opcode) {
  static const struct growth growths[] = {
      {VIRTIOFS_FUSE_RELEASE, 8, 16}, {VIRTIOFS_FUSE_RELEASEDIR, 8, 16}, {VIRTIOFS_FUSE_GETATTR, 9, 0},
      {VIRTIOFS_FUSE_READ, 9, 24},    {VIRTIOFS_FUSE_READDIR, 9, 24},    {VIRTIOFS_FUSE_WRITE, 9, 24},
      {VIRTIOFS_FUSE_GETLK, 9, 40},   {VIRTIOFS_FUSE_SETLK, 9, 40},      {VIRTIOFS_FUSE_SETLKW, 9, 40},
      {VIRTIOFS_FUSE_MKNOD, 12, 8},   {VIRTIOFS_FUSE_CREATE, 12, 8},     {VIRTIOFS_FUSE_TMPFILE, 12, 8},
  };
  if (opcode == VIRTIOFS_FUSE_SETXATTR && !proto->setxattr_ext)
    return 8;
  if (proto->minor >= 12)
    return op->in_size;
  return before(growths, sizeof(growths) / sizeof(growths[0]), opcode, proto->minor, op->in_size);
}

uint32_t virtiofs_fuse_out_size(const struct virtiofs_fuse_op *op, const struct virtiofs_fuse_proto *proto,
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
  if (proto->minor >= 23)
    return op->out_size;
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
