/* SPDX-License-Identifier: BSD-3-Clause */
/* Operations, step by step. A step that failed ends its operation; the run counts it. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "bench.h"

#define PAGE 4096U
#define LIST_BYTES 65536U

static uint64_t next_random(struct slot *slot) {
  slot->random ^= slot->random << 13;
  slot->random ^= slot->random >> 7;
  slot->random ^= slot->random << 17;
  return slot->random;
}

static union virtiofs_fuse_in *request(struct slot *slot, uint32_t opcode) {
  slot->req->fuse.header.opcode = opcode;
  memset(&slot->req->fuse.in, 0, sizeof(slot->req->fuse.in));
  return &slot->req->fuse.in;
}

static struct virtiofs_name name_of(const char *text) {
  return (struct virtiofs_name){.str = text, .len = (uint32_t)strlen(text)};
}

/* A name that no other slot has. */
static struct virtiofs_name new_name(struct slot *slot, char *to, const char *kind) {
  (void)snprintf(to, NAME_MAX_BYTES, "%s-%u-%llu", kind, slot->number, (unsigned long long)(next_random(slot) >> 32));
  return name_of(to);
}

static bool getattr(struct slot *slot) {
  if (slot->step > 0)
    return false;
  request(slot, VIRTIOFS_FUSE_GETATTR)->getattr.node = slot->files->file;
  return true;
}

static bool lookup(struct slot *slot) {
  if (slot->step > 0) {
    forget(slot->forgets, slot->req->out.entry.node);
    return false;
  }
  struct virtiofs_lookup_in *in = &request(slot, VIRTIOFS_FUSE_LOOKUP)->lookup;
  in->parent = slot->files->root;
  in->name = name_of("file");
  return true;
}

static bool release(struct slot *slot, uint64_t node, uint64_t handle) {
  struct virtiofs_release_in *in = &request(slot, VIRTIOFS_FUSE_RELEASE)->release;
  in->node = node;
  in->handle = handle;
  return true;
}

static bool open_close(struct slot *slot) {
  if (slot->step == 1)
    return release(slot, slot->files->file, slot->req->out.open.handle);
  if (slot->step > 1)
    return false;
  struct virtiofs_open_in *in = &request(slot, VIRTIOFS_FUSE_OPEN)->open;
  in->node = slot->files->file;
  in->flags = O_RDWR;
  return true;
}

static uint64_t next_offset(struct slot *slot) {
  uint32_t bytes = slot->op->bytes;
  uint64_t blocks = slot->files->file_size / bytes;
  if (slot->op->random)
    return next_random(slot) % blocks * bytes;
  slot->offset += bytes;
  if (slot->offset + bytes > slot->files->file_size)
    slot->offset = 0;
  return slot->offset;
}

static bool read_some(struct slot *slot) {
  if (slot->step > 0)
    return false;
  struct virtiofs_read_in *in = &request(slot, VIRTIOFS_FUSE_READ)->read;
  in->node = slot->files->file;
  in->handle = slot->files->handle;
  in->offset = next_offset(slot);
  in->size = slot->op->bytes;
  return true;
}

static bool write_some(struct slot *slot) {
  if (slot->step > 0)
    return false;
  struct virtiofs_write_in *in = &request(slot, VIRTIOFS_FUSE_WRITE)->write;
  in->node = slot->files->file;
  in->handle = slot->files->handle;
  in->offset = next_offset(slot);
  in->size = slot->op->bytes;
  in->data.size = slot->op->bytes;
  return true;
}

static bool unlink_name(struct slot *slot, uint32_t opcode, const char *name) {
  struct virtiofs_unlink_in *in = &request(slot, opcode)->unlink;
  in->parent = slot->files->root;
  in->name = name_of(name);
  return true;
}

static bool create(struct slot *slot) {
  struct virtiofs_create_in *in;
  switch (slot->step) {
  case 0:
    in = &request(slot, VIRTIOFS_FUSE_CREATE)->create;
    in->parent = slot->files->root;
    in->name = new_name(slot, slot->name, "created");
    in->flags = O_CREAT | O_EXCL | O_RDWR;
    in->mode = 0100644;
    return true;
  case 1:
    slot->node = slot->req->out.create.entry.node;
    return release(slot, slot->node, slot->req->out.create.open.handle);
  case 2:
    return unlink_name(slot, VIRTIOFS_FUSE_UNLINK, slot->name);
  default:
    forget(slot->forgets, slot->node);
    return false;
  }
}

static bool make_dir(struct slot *slot) {
  struct virtiofs_mkdir_in *in;
  switch (slot->step) {
  case 0:
    in = &request(slot, VIRTIOFS_FUSE_MKDIR)->mkdir;
    in->parent = slot->files->root;
    in->name = new_name(slot, slot->name, "made");
    in->mode = 0755;
    return true;
  case 1:
    slot->node = slot->req->out.entry.node;
    return unlink_name(slot, VIRTIOFS_FUSE_RMDIR, slot->name);
  default:
    forget(slot->forgets, slot->node);
    return false;
  }
}

/* There and back, each one operation: the file that files_make() made for this slot. */
static bool rename_file(struct slot *slot) {
  if (slot->step > 0)
    return false;
  struct virtiofs_rename_in *in = &request(slot, VIRTIOFS_FUSE_RENAME)->rename;
  (void)snprintf(slot->name, sizeof(slot->name), "rename-%u", slot->number);
  (void)snprintf(slot->other, sizeof(slot->other), "renamed-%u", slot->number);
  bool there = slot->node == 0;
  in->parent = in->new_parent = slot->files->root;
  in->name = name_of(there ? slot->name : slot->other);
  in->new_name = name_of(there ? slot->other : slot->name);
  slot->node = there;
  return true;
}

/* A whole listing: one operation is all of its pages. */
static bool list(struct slot *slot) {
  struct virtiofs_readdir_in *in;
  if (slot->step == 0) {
    request(slot, VIRTIOFS_FUSE_OPENDIR)->opendir.node = slot->files->dir;
    return true;
  }
  if (slot->req->fuse.header.opcode == VIRTIOFS_FUSE_RELEASEDIR)
    return false;
  if (slot->step == 1) {
    slot->handle = slot->req->out.open.handle;
    slot->offset = 0;
  } else {
    const struct iovec iov = {.iov_base = slot->req->data, .iov_len = slot->req->out.read.size};
    struct virtiofs_data page = {.iov = &iov, .count = 1, .size = iov.iov_len};
    char name[1024];
    struct virtiofs_dirent entry;
    struct virtiofs_entry_out plus;
    const struct virtiofs_fuse_proto *proto = virtiofs_client_proto(slot->req->client);
    size_t at = 0;
    ssize_t len;
    while ((len = virtiofs_fuse_dirent_decode(proto, &page, at, name, &entry, &plus)) > 0) {
      at += (size_t)len;
      slot->offset = entry.next;
      if (plus.node != 0)
        forget(slot->forgets, plus.node);
    }
    if (at == 0) {
      struct virtiofs_release_in *end = &request(slot, VIRTIOFS_FUSE_RELEASEDIR)->release;
      end->node = slot->files->dir;
      end->handle = slot->handle;
      return true;
    }
  }
  in = &request(slot, VIRTIOFS_FUSE_READDIRPLUS)->readdir;
  in->node = slot->files->dir;
  in->handle = slot->handle;
  in->offset = slot->offset;
  in->size = LIST_BYTES;
  return true;
}

static bool fsync_file(struct slot *slot) {
  if (slot->step > 0)
    return false;
  struct virtiofs_fsync_in *in = &request(slot, VIRTIOFS_FUSE_FSYNC)->fsync;
  in->node = slot->files->file;
  in->handle = slot->files->handle;
  return true;
}

static bool statfs(struct slot *slot) {
  if (slot->step > 0)
    return false;
  request(slot, VIRTIOFS_FUSE_STATFS)->statfs.node = slot->files->root;
  return true;
}

/* Of ten: four reads, two writes, two lookups, a getattr, a create with all that follows. */
static bool mixed(struct slot *slot) {
  static bool (*const parts[10])(struct slot * slot) = {read_some,  read_some, read_some, read_some, write_some,
                                                        write_some, lookup,    lookup,    getattr,   create};
  if (slot->step == 0)
    slot->handle = next_random(slot) % 10;
  return parts[slot->handle](slot);
}

const struct op ops[] = {
    {.name = "getattr", .next = getattr},
    {.name = "lookup", .next = lookup},
    {.name = "open", .next = open_close},
    {.name = "read4k", .bytes = PAGE, .random = true, .next = read_some},
    {.name = "write4k", .bytes = PAGE, .random = true, .writes = true, .next = write_some},
    {.name = "seqread4k", .bytes = PAGE, .next = read_some},
    {.name = "seqwrite4k", .bytes = PAGE, .writes = true, .next = write_some},
    {.name = "read64k", .bytes = 16 * PAGE, .random = true, .next = read_some},
    {.name = "write64k", .bytes = 16 * PAGE, .random = true, .writes = true, .next = write_some},
    {.name = "read1m", .bytes = 256 * PAGE, .random = true, .next = read_some},
    {.name = "write1m", .bytes = 256 * PAGE, .random = true, .writes = true, .next = write_some},
    {.name = "seqread1m", .bytes = 256 * PAGE, .next = read_some},
    {.name = "seqwrite1m", .bytes = 256 * PAGE, .writes = true, .next = write_some},
    {.name = "create", .next = create},
    {.name = "mkdir", .next = make_dir},
    {.name = "rename", .next = rename_file},
    {.name = "readdirplus", .next = list},
    {.name = "fsync", .next = fsync_file},
    {.name = "statfs", .next = statfs},
    {.name = "mixed", .bytes = PAGE, .random = true, .next = mixed},
};
const unsigned ops_count = sizeof(ops) / sizeof(ops[0]);
