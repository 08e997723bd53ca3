/* SPDX-License-Identifier: BSD-3-Clause */
#include "fuse/table.h"

#define NAMED(op, text) [VIRTIOFS_FUSE_##op] = {.name = text}
#define IN(type) (uint8_t)sizeof(struct virtiofs_wire_##type##_in)
#define OUT(type) (uint8_t)sizeof(struct virtiofs_wire_##type##_out)

static const struct virtiofs_fuse_op ops[] = {
    [VIRTIOFS_FUSE_LOOKUP] = {"LOOKUP", virtiofs_fuse_decode_name, 0, OUT(entry), false, false},
    [VIRTIOFS_FUSE_FORGET] = {"FORGET", virtiofs_fuse_decode_forget, IN(forget), 0, true, false},
    [VIRTIOFS_FUSE_GETATTR] = {"GETATTR", virtiofs_fuse_decode_getattr, IN(getattr), OUT(attr), false, false},
    [VIRTIOFS_FUSE_SETATTR] = {"SETATTR", virtiofs_fuse_decode_setattr, IN(setattr), OUT(attr), false, false},
    [VIRTIOFS_FUSE_READLINK] = {"READLINK", virtiofs_fuse_decode_node, 0, 0, false, false},
    [VIRTIOFS_FUSE_SYMLINK] = {"SYMLINK", virtiofs_fuse_decode_symlink, 0, OUT(entry), false, true},
    [VIRTIOFS_FUSE_MKNOD] = {"MKNOD", virtiofs_fuse_decode_mknod, IN(mknod), OUT(entry), false, true},
    [VIRTIOFS_FUSE_MKDIR] = {"MKDIR", virtiofs_fuse_decode_mkdir, IN(mkdir), OUT(entry), false, true},
    [VIRTIOFS_FUSE_UNLINK] = {"UNLINK", virtiofs_fuse_decode_name, 0, 0, false, false},
    [VIRTIOFS_FUSE_RMDIR] = {"RMDIR", virtiofs_fuse_decode_name, 0, 0, false, false},
    [VIRTIOFS_FUSE_RENAME] = {"RENAME", virtiofs_fuse_decode_rename, IN(rename), 0, false, false},
    [VIRTIOFS_FUSE_LINK] = {"LINK", virtiofs_fuse_decode_link, IN(link), OUT(entry), false, false},
    [VIRTIOFS_FUSE_OPEN] = {"OPEN", virtiofs_fuse_decode_open, IN(open), OUT(open), false, false},
    [VIRTIOFS_FUSE_READ] = {"READ", virtiofs_fuse_decode_read, IN(read), 0, false, false},
    [VIRTIOFS_FUSE_WRITE] = {"WRITE", virtiofs_fuse_decode_write, IN(write), OUT(write), false, false},
    [VIRTIOFS_FUSE_STATFS] = {"STATFS", virtiofs_fuse_decode_node, 0, OUT(statfs), false, false},
    [VIRTIOFS_FUSE_RELEASE] = {"RELEASE", virtiofs_fuse_decode_release, IN(release), 0, false, false},
    [VIRTIOFS_FUSE_FSYNC] = {"FSYNC", virtiofs_fuse_decode_fsync, IN(fsync), 0, false, false},
    NAMED(SETXATTR, "SETXATTR"),
    NAMED(GETXATTR, "GETXATTR"),
    NAMED(LISTXATTR, "LISTXATTR"),
    NAMED(REMOVEXATTR, "REMOVEXATTR"),
    [VIRTIOFS_FUSE_FLUSH] = {"FLUSH", virtiofs_fuse_decode_flush, IN(flush), 0, false, false},
    [VIRTIOFS_FUSE_INIT] = {"INIT", virtiofs_fuse_decode_init, VIRTIOFS_FUSE_INIT_IN_MIN, OUT(init), false, false},
    [VIRTIOFS_FUSE_OPENDIR] = {"OPENDIR", virtiofs_fuse_decode_open, IN(open), OUT(open), false, false},
    [VIRTIOFS_FUSE_READDIR] = {"READDIR", virtiofs_fuse_decode_readdir, IN(read), 0, false, false},
    [VIRTIOFS_FUSE_RELEASEDIR] = {"RELEASEDIR", virtiofs_fuse_decode_release, IN(release), 0, false, false},
    [VIRTIOFS_FUSE_FSYNCDIR] = {"FSYNCDIR", virtiofs_fuse_decode_fsync, IN(fsync), 0, false, false},
    NAMED(GETLK, "GETLK"),
    NAMED(SETLK, "SETLK"),
    NAMED(SETLKW, "SETLKW"),
    NAMED(ACCESS, "ACCESS"),
    [VIRTIOFS_FUSE_CREATE] = {"CREATE", virtiofs_fuse_decode_create, IN(create), OUT(create), false, true},
    NAMED(INTERRUPT, "INTERRUPT"),
    NAMED(BMAP, "BMAP"),
    [VIRTIOFS_FUSE_DESTROY] = {"DESTROY", virtiofs_fuse_decode_node, 0, 0, false, false},
    NAMED(IOCTL, "IOCTL"),
    NAMED(POLL, "POLL"),
    [VIRTIOFS_FUSE_NOTIFY_REPLY] = {.name = "NOTIFY_REPLY", .no_reply = true},
    [VIRTIOFS_FUSE_BATCH_FORGET] = {"BATCH_FORGET", virtiofs_fuse_decode_batch_forget, IN(batch_forget), 0, true,
                                    false},
    [VIRTIOFS_FUSE_FALLOCATE] = {"FALLOCATE", virtiofs_fuse_decode_fallocate, IN(fallocate), 0, false, false},
    [VIRTIOFS_FUSE_READDIRPLUS] = {"READDIRPLUS", virtiofs_fuse_decode_readdir, IN(read), 0, false, false},
    [VIRTIOFS_FUSE_RENAME2] = {"RENAME2", virtiofs_fuse_decode_rename2, IN(rename2), 0, false, false},
    [VIRTIOFS_FUSE_LSEEK] = {"LSEEK", virtiofs_fuse_decode_lseek, IN(lseek), OUT(lseek), false, false},
    NAMED(COPY_FILE_RANGE, "COPY_FILE_RANGE"),
    NAMED(SETUPMAPPING, "SETUPMAPPING"),
    NAMED(REMOVEMAPPING, "REMOVEMAPPING"),
    NAMED(SYNCFS, "SYNCFS"),
    NAMED(TMPFILE, "TMPFILE"),
};

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

/* No size depends on the minor from VIRTIOFS_FUSE_MINOR_MIN on. */
uint32_t virtiofs_fuse_reply_room(const struct virtiofs_fuse_proto *proto, uint32_t opcode) {
  const struct virtiofs_fuse_op *op = virtiofs_fuse_op(opcode);
  (void)proto;
  if (!virtiofs_fuse_has_reply(opcode))
    return 0;
  return VIRTIOFS_FUSE_OUT_HEADER + (op != NULL ? op->out_size : 0U);
}
