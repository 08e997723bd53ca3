/* SPDX-License-Identifier: BSD-3-Clause */
/* A server whose answers are always the same: what a guest says to it is recorded as golden messages (record.sh).
 * It has an operation for each opcode that Linux sends over virtio-fs, and no regard for what a file system is for. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include <virtiofs/virtiofs.h>

enum { ROOT = 1, NODES = 32, HANDLE = 7, RECORDS = 2 };

static const char text[] = "golden\n";
static const char xattr_name[] = "user.golden";
static const struct virtiofs_time time = {.sec = 1582979696, .nsec = 123456789};

/* Node i has names[i], or is not there. */
static struct {
  char name[16];
  uint32_t mode;
} nodes[NODES] = {
    {"", 0}, {"", VIRTIOFS_S_IFDIR | 0777}, {"file", VIRTIOFS_S_IFREG | 0644}, {"dir", VIRTIOFS_S_IFDIR | 0755}};

static uint64_t find(const struct virtiofs_name *name) {
  for (uint64_t i = ROOT + 1; i < NODES; i++)
    if (nodes[i].mode != 0 && virtiofs_name_is(name, nodes[i].name))
      return i;
  return 0;
}

static struct virtiofs_attr attr_of(uint64_t node) {
  struct virtiofs_attr attr = {.ino = node,
                               .size = sizeof text - 1,
                               .blocks = 8,
                               .atime = time,
                               .mtime = time,
                               .ctime = time,
                               .mode = nodes[node].mode,
                               .nlink = 1,
                               .uid = 1000,
                               .gid = 1001,
                               .blksize = 4096};
  return attr;
}

static int give(uint64_t node, struct virtiofs_entry_out *out) {
  if (node == 0)
    return -ENOENT;
  out->node = node;
  out->attr = attr_of(node);
  return 0;
}

static int make(const struct virtiofs_name *name, uint32_t mode, struct virtiofs_entry_out *out) {
  uint64_t node = ROOT + 1;
  while (node < NODES && nodes[node].mode != 0)
    node++;
  if (node == NODES || name->len >= sizeof nodes[0].name)
    return -ENOSPC;
  (void)snprintf(nodes[node].name, sizeof nodes[0].name, "%s", name->str);
  nodes[node].mode = mode;
  return give(node, out);
}

static int drop(const struct virtiofs_name *name) {
  uint64_t node = find(name);
  if (node == 0)
    return -ENOENT;
  nodes[node].name[0] = 0;
  return 0;
}

/* ---- names ---- */

static int on_lookup(struct virtiofs_req *req, const struct virtiofs_lookup_in *in, struct virtiofs_entry_out *out) {
  (void)req;
  return give(find(&in->name), out);
}
static int on_symlink(struct virtiofs_req *req, const struct virtiofs_symlink_in *in, struct virtiofs_entry_out *out) {
  (void)req;
  return make(&in->name, VIRTIOFS_S_IFLNK | 0777, out);
}
static int on_mknod(struct virtiofs_req *req, const struct virtiofs_mknod_in *in, struct virtiofs_entry_out *out) {
  (void)req;
  return make(&in->name, in->mode, out);
}
static int on_mkdir(struct virtiofs_req *req, const struct virtiofs_mkdir_in *in, struct virtiofs_entry_out *out) {
  (void)req;
  return make(&in->name, VIRTIOFS_S_IFDIR | (in->mode & 07777), out);
}
static int on_create(struct virtiofs_req *req, const struct virtiofs_create_in *in, struct virtiofs_create_out *out) {
  (void)req;
  out->open.handle = HANDLE;
  return make(&in->name, VIRTIOFS_S_IFREG | (in->mode & 07777), &out->entry);
}
static int on_tmpfile(struct virtiofs_req *req, const struct virtiofs_tmpfile_in *in, struct virtiofs_create_out *out) {
  const struct virtiofs_name none = {.str = "", .len = 0};
  (void)req;
  out->open.handle = HANDLE;
  return make(&none, VIRTIOFS_S_IFREG | (in->mode & 07777), &out->entry);
}
static int on_link(struct virtiofs_req *req, const struct virtiofs_link_in *in, struct virtiofs_entry_out *out) {
  (void)req;
  (void)snprintf(nodes[in->node].name, sizeof nodes[0].name, "%s", in->name.str);
  return give(in->node, out);
}
static int on_rename(struct virtiofs_req *req, const struct virtiofs_rename_in *in) {
  uint64_t node = find(&in->name);
  (void)req;
  if (node == 0)
    return -ENOENT;
  (void)snprintf(nodes[node].name, sizeof nodes[0].name, "%s", in->new_name.str);
  return 0;
}
static int on_unlink(struct virtiofs_req *req, const struct virtiofs_unlink_in *in) {
  (void)req;
  return drop(&in->name);
}
static int on_rmdir(struct virtiofs_req *req, const struct virtiofs_rmdir_in *in) {
  (void)req;
  return drop(&in->name);
}
static int on_readlink(struct virtiofs_req *req, const struct virtiofs_readlink_in *in,
                       struct virtiofs_readlink_out *out) {
  (void)req;
  (void)in;
  out->len = 6;
  memcpy(out->target, "target", out->len);
  return 0;
}

/* ---- attributes ---- */

static int on_getattr(struct virtiofs_req *req, const struct virtiofs_getattr_in *in, struct virtiofs_attr_out *out) {
  (void)req;
  out->attr = attr_of(in->node);
  return 0;
}
static int on_setattr(struct virtiofs_req *req, const struct virtiofs_setattr_in *in, struct virtiofs_attr_out *out) {
  (void)req;
  out->attr = attr_of(in->node);
  return 0;
}
static int on_statx(struct virtiofs_req *req, const struct virtiofs_statx_in *in, struct virtiofs_statx_out *out) {
  (void)req;
  out->statx = (struct virtiofs_statx){.attr = attr_of(in->node), .btime = time, .mask = 0xfff};
  return 0;
}
static int on_statfs(struct virtiofs_req *req, const struct virtiofs_statfs_in *in, struct virtiofs_statfs_out *out) {
  (void)req;
  (void)in;
  *out = (struct virtiofs_statfs_out){1000, 900, 800, 70, 60, 4096, 4096, 255};
  return 0;
}
static int on_setxattr(struct virtiofs_req *req, const struct virtiofs_setxattr_in *in) {
  (void)req;
  (void)in;
  return 0;
}
static int on_getxattr(struct virtiofs_req *req, const struct virtiofs_getxattr_in *in,
                       struct virtiofs_xattr_out *out) {
  (void)req;
  if (!virtiofs_name_is(&in->name, xattr_name))
    return -ENODATA;
  out->size = sizeof text - 1;
  if (!out->size_only && virtiofs_data_fill(&in->data, 0, text, out->size) < out->size)
    return -ERANGE;
  return 0;
}
static int on_listxattr(struct virtiofs_req *req, const struct virtiofs_listxattr_in *in,
                        struct virtiofs_xattr_out *out) {
  (void)req;
  out->size = sizeof xattr_name;
  if (!out->size_only && virtiofs_data_fill(&in->data, 0, xattr_name, out->size) < out->size)
    return -ERANGE;
  return 0;
}
static int on_removexattr(struct virtiofs_req *req, const struct virtiofs_removexattr_in *in) {
  (void)req;
  (void)in;
  return 0;
}

/* ---- open files ---- */

static int on_open(struct virtiofs_req *req, const struct virtiofs_open_in *in, struct virtiofs_open_out *out) {
  (void)req;
  (void)in;
  out->handle = HANDLE;
  /* The guest's page cache would ask for whole pages. */
  out->flags = VIRTIOFS_OPEN_DIRECT_IO;
  return 0;
}
static int on_opendir(struct virtiofs_req *req, const struct virtiofs_opendir_in *in, struct virtiofs_open_out *out) {
  (void)req;
  (void)in;
  out->handle = HANDLE;
  return 0;
}
static int on_read(struct virtiofs_req *req, const struct virtiofs_read_in *in, struct virtiofs_read_out *out) {
  (void)req;
  if (in->offset < sizeof text - 1)
    out->size = (uint32_t)virtiofs_data_fill(&in->data, 0, text + in->offset, sizeof text - 1 - in->offset);
  return 0;
}
static int on_write(struct virtiofs_req *req, const struct virtiofs_write_in *in, struct virtiofs_write_out *out) {
  (void)req;
  out->size = in->size;
  return 0;
}
static int on_flush(struct virtiofs_req *req, const struct virtiofs_flush_in *in) {
  (void)req;
  (void)in;
  return 0;
}
static int on_fsync(struct virtiofs_req *req, const struct virtiofs_fsync_in *in) {
  (void)req;
  (void)in;
  return 0;
}
static int on_fallocate(struct virtiofs_req *req, const struct virtiofs_fallocate_in *in) {
  (void)req;
  (void)in;
  return 0;
}
static int on_lseek(struct virtiofs_req *req, const struct virtiofs_lseek_in *in, struct virtiofs_lseek_out *out) {
  (void)req;
  (void)in;
  out->offset = sizeof text - 1;
  return 0;
}
static int on_copy_file_range(struct virtiofs_req *req, const struct virtiofs_copy_file_range_in *in,
                              struct virtiofs_copy_file_range_out *out) {
  (void)req;
  out->size = in->len;
  return 0;
}
static int on_getlk(struct virtiofs_req *req, const struct virtiofs_lk_in *in, struct virtiofs_getlk_out *out) {
  (void)req;
  out->lock = (struct virtiofs_lock){.start = in->lock.start, .end = in->lock.end, .type = in->lock.type, .pid = 42};
  return 0;
}
static int on_setlk(struct virtiofs_req *req, const struct virtiofs_lk_in *in) {
  (void)req;
  (void)in;
  return 0;
}
static int on_ioctl(struct virtiofs_req *req, const struct virtiofs_ioctl_in *in, struct virtiofs_ioctl_out *out) {
  (void)req;
  out->size = (uint32_t)virtiofs_data_fill(&in->out, 0, text, sizeof text - 1);
  return 0;
}
static int on_poll(struct virtiofs_req *req, const struct virtiofs_poll_in *in, struct virtiofs_poll_out *out) {
  (void)req;
  (void)in;
  out->revents = POLLIN | POLLOUT;
  return 0;
}
static int on_syncfs(struct virtiofs_req *req, const struct virtiofs_syncfs_in *in) {
  (void)req;
  (void)in;
  return 0;
}

/* ---- listings: "file" at first, then "dir", so that there is more than one ---- */

static int list(const struct virtiofs_readdir_in *in, struct virtiofs_readdir_out *out, bool plus) {
  uint64_t node = ROOT + 1 + in->offset;
  if (in->offset >= RECORDS)
    return 0;
  struct virtiofs_dirent entry = {.name = nodes[node].name,
                                  .len = (uint32_t)strlen(nodes[node].name),
                                  .ino = node,
                                  .type = nodes[node].mode,
                                  .next = in->offset + 1};
  struct virtiofs_entry_out more = {.node = node, .attr = attr_of(node)};
  bool added = plus ? virtiofs_readdirplus_add(out, &entry, &more) : virtiofs_readdir_add(out, &entry);
  return added ? 0 : -EINVAL;
}
static int on_readdir(struct virtiofs_req *req, const struct virtiofs_readdir_in *in,
                      struct virtiofs_readdir_out *out) {
  (void)req;
  return list(in, out, false);
}
static int on_readdirplus(struct virtiofs_req *req, const struct virtiofs_readdir_in *in,
                          struct virtiofs_readdir_out *out) {
  (void)req;
  return list(in, out, true);
}

int main(int argc, char **argv) {
  const struct virtiofs_ops ops = {
      .size = sizeof ops,
      .lookup = on_lookup,
      .getattr = on_getattr,
      .setattr = on_setattr,
      .readlink = on_readlink,
      .symlink = on_symlink,
      .mknod = on_mknod,
      .mkdir = on_mkdir,
      .unlink = on_unlink,
      .rmdir = on_rmdir,
      .rename = on_rename,
      .link = on_link,
      .open = on_open,
      .read = on_read,
      .write = on_write,
      .statfs = on_statfs,
      .fsync = on_fsync,
      .flush = on_flush,
      .opendir = on_opendir,
      .readdir = on_readdir,
      .readdirplus = on_readdirplus,
      .fsyncdir = on_fsync,
      .create = on_create,
      .fallocate = on_fallocate,
      .lseek = on_lseek,
      .setxattr = on_setxattr,
      .getxattr = on_getxattr,
      .listxattr = on_listxattr,
      .removexattr = on_removexattr,
      .getlk = on_getlk,
      .setlk = on_setlk,
      .setlkw = on_setlk,
      .ioctl = on_ioctl,
      .poll = on_poll,
      .copy_file_range = on_copy_file_range,
      .syncfs = on_syncfs,
      .tmpfile = on_tmpfile,
      .statx = on_statx,
  };
  return virtiofs_main(argc, argv, &ops, NULL);
}
