/* SPDX-License-Identifier: BSD-3-Clause */
#include <virtiofs/null.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/** Set by virtiofs_null_new() and constant from then on, so that any thread may read it. */
struct virtiofs_null {
  struct virtiofs_null_config config;
};

#define DEFAULT_FILE_SIZE (UINT64_C(1) << 30)
#define MOST_ENTRIES UINT64_C(1000000000000)

enum {
  PERMISSIONS = 07777,
  NAME_LONGEST = 255,
  ENTRY_DIGITS = 12,
  BLOCK = 4096,
};

/* ---- nodes ---- */

/*
 * A node is a number made of its name's and its parent's, with its type in the low four bits as dirents have it: what
 * is needed to answer for it is in the node itself.
 */
#define TYPE_BITS 4
#define TYPE_MASK UINT64_C(15)
#define ROOT (UINT64_C(1) << TYPE_BITS | VIRTIOFS_S_IFDIR >> 12)

static uint64_t node_of(uint64_t parent, const char *name, uint32_t len, uint32_t mode) {
  uint64_t hash = parent ^ UINT64_C(0xcbf29ce484222325);
  for (uint32_t i = 0; i < len; i++)
    hash = (hash ^ (unsigned char)name[i]) * UINT64_C(0x100000001b3);
  hash ^= hash >> 29;
  uint64_t node = (hash << TYPE_BITS & INT64_MAX) | (mode & VIRTIOFS_S_IFMT) >> 12;
  return node >> TYPE_BITS <= 1 ? node + (UINT64_C(2) << TYPE_BITS) : node; /* neither 0 nor the root */
}

static uint32_t type_of(uint64_t node) {
  return (uint32_t)(node & TYPE_MASK) << 12;
}

static struct virtiofs_attr attributes(const struct virtiofs_null *fs, uint64_t node) {
  uint32_t type = type_of(node);
  struct virtiofs_attr attr = {.ino = node >> TYPE_BITS, .mode = type | 0777, .nlink = 1, .blksize = BLOCK};
  if (type == VIRTIOFS_S_IFDIR)
    attr.nlink = 2;
  if (type == VIRTIOFS_S_IFREG) {
    attr.size = fs->config.file_size;
    attr.blocks = attr.size / 512 + (attr.size % 512 != 0);
  }
  return attr;
}

static void fill_entry(const struct virtiofs_null *fs, uint64_t node, struct virtiofs_entry_out *out) {
  out->node = node;
  out->entry_valid_ns = fs->config.entry_valid_ns;
  out->attr_valid_ns = fs->config.attr_valid_ns;
  out->attr = attributes(fs, node);
}

static int give(struct virtiofs_req *req, uint64_t parent, const struct virtiofs_name *name, uint32_t mode,
                struct virtiofs_entry_out *out) {
  if (type_of(parent) != VIRTIOFS_S_IFDIR)
    return -ENOTDIR;
  if (name->len > NAME_LONGEST)
    return -ENAMETOOLONG;
  fill_entry(virtiofs_req_fs(req), node_of(parent, name->str, name->len, mode), out);
  return 0;
}

/* ---- operations ---- */

static int init(struct virtiofs_req *req, const struct virtiofs_init_in *in, struct virtiofs_init_out *out) {
  (void)req;
  (void)in;
  out->root = ROOT;
  return 0;
}

static int lookup(struct virtiofs_req *req, const struct virtiofs_lookup_in *in, struct virtiofs_entry_out *out) {
  if (in->name.len >= 3 && memcmp(in->name.str, "new", 3) == 0)
    return -ENOENT;
  return give(req, in->parent, &in->name, in->name.str[0] == 'd' ? VIRTIOFS_S_IFDIR : VIRTIOFS_S_IFREG, out);
}

static int getattr(struct virtiofs_req *req, const struct virtiofs_getattr_in *in, struct virtiofs_attr_out *out) {
  const struct virtiofs_null *fs = virtiofs_req_fs(req);
  out->attr_valid_ns = fs->config.attr_valid_ns;
  out->attr = attributes(fs, in->node);
  return 0;
}

static int setattr(struct virtiofs_req *req, const struct virtiofs_setattr_in *in, struct virtiofs_attr_out *out) {
  const struct virtiofs_null *fs = virtiofs_req_fs(req);
  out->attr_valid_ns = fs->config.attr_valid_ns;
  out->attr = attributes(fs, in->node);
  return 0;
}

static int readlink(struct virtiofs_req *req, const struct virtiofs_readlink_in *in,
                    struct virtiofs_readlink_out *out) {
  (void)req;
  if (type_of(in->node) != VIRTIOFS_S_IFLNK)
    return -EINVAL;
  out->target[0] = '.';
  out->len = 1;
  return 0;
}

static int symlink(struct virtiofs_req *req, const struct virtiofs_symlink_in *in, struct virtiofs_entry_out *out) {
  return give(req, in->parent, &in->name, VIRTIOFS_S_IFLNK, out);
}

static int mknod(struct virtiofs_req *req, const struct virtiofs_mknod_in *in, struct virtiofs_entry_out *out) {
  uint32_t type = in->mode & VIRTIOFS_S_IFMT;
  return give(req, in->parent, &in->name, type != 0 ? type : VIRTIOFS_S_IFREG, out);
}

static int mkdir(struct virtiofs_req *req, const struct virtiofs_mkdir_in *in, struct virtiofs_entry_out *out) {
  return give(req, in->parent, &in->name, VIRTIOFS_S_IFDIR, out);
}

static int unlink(struct virtiofs_req *req, const struct virtiofs_unlink_in *in) {
  (void)req;
  return type_of(in->parent) == VIRTIOFS_S_IFDIR ? 0 : -ENOTDIR;
}

static int rmdir(struct virtiofs_req *req, const struct virtiofs_rmdir_in *in) {
  (void)req;
  return type_of(in->parent) == VIRTIOFS_S_IFDIR ? 0 : -ENOTDIR;
}

static int rename(struct virtiofs_req *req, const struct virtiofs_rename_in *in) {
  (void)req;
  bool dirs = type_of(in->parent) == VIRTIOFS_S_IFDIR && type_of(in->new_parent) == VIRTIOFS_S_IFDIR;
  return dirs ? 0 : -ENOTDIR;
}

static int link(struct virtiofs_req *req, const struct virtiofs_link_in *in, struct virtiofs_entry_out *out) {
  if (type_of(in->node) == VIRTIOFS_S_IFDIR)
    return -EPERM;
  fill_entry(virtiofs_req_fs(req), in->node, out);
  return 0;
}

static int open(struct virtiofs_req *req, const struct virtiofs_open_in *in, struct virtiofs_open_out *out) {
  (void)req;
  out->handle = in->node;
  return type_of(in->node) == VIRTIOFS_S_IFREG ? 0 : -EINVAL;
}

static int create(struct virtiofs_req *req, const struct virtiofs_create_in *in, struct virtiofs_create_out *out) {
  int rc = give(req, in->parent, &in->name, VIRTIOFS_S_IFREG, &out->entry);
  out->open.handle = out->entry.node;
  return rc;
}

static int read(struct virtiofs_req *req, const struct virtiofs_read_in *in, struct virtiofs_read_out *out) {
  const struct virtiofs_null *fs = virtiofs_req_fs(req);
  uint64_t left = in->offset < fs->config.file_size ? fs->config.file_size - in->offset : 0;
  out->size = left < in->size ? (uint32_t)left : in->size;
  if (fs->config.leave_bytes)
    return 0;
  size_t todo = out->size;
  for (uint32_t i = 0; todo > 0; i++) {
    size_t len = in->data.iov[i].iov_len < todo ? in->data.iov[i].iov_len : todo;
    memset(in->data.iov[i].iov_base, 0, len);
    todo -= len;
  }
  return 0;
}

static int write(struct virtiofs_req *req, const struct virtiofs_write_in *in, struct virtiofs_write_out *out) {
  (void)req;
  out->size = in->size;
  return 0;
}

static int statfs(struct virtiofs_req *req, const struct virtiofs_statfs_in *in, struct virtiofs_statfs_out *out) {
  (void)req;
  (void)in;
  const uint64_t many = UINT64_C(1) << 40;
  *out = (struct virtiofs_statfs_out){.blocks = many,
                                      .bfree = many,
                                      .bavail = many,
                                      .files = many,
                                      .ffree = many,
                                      .bsize = BLOCK,
                                      .frsize = BLOCK,
                                      .namelen = NAME_LONGEST};
  return 0;
}

static int sync_nothing(struct virtiofs_req *req, const struct virtiofs_fsync_in *in) {
  (void)req;
  (void)in;
  return 0;
}

static int flush(struct virtiofs_req *req, const struct virtiofs_flush_in *in) {
  (void)req;
  (void)in;
  return 0;
}

static int opendir(struct virtiofs_req *req, const struct virtiofs_opendir_in *in, struct virtiofs_open_out *out) {
  (void)req;
  out->handle = in->node;
  return type_of(in->node) == VIRTIOFS_S_IFDIR ? 0 : -ENOTDIR;
}

static void release(struct virtiofs_req *req, const struct virtiofs_release_in *in) {
  (void)req;
  (void)in;
}

/* "entry-" and the number with so many digits that all names are of one length. */
static uint32_t entry_name(char *name, uint64_t number) {
  static const char prefix[] = "entry-";
  const uint32_t len = sizeof prefix - 1 + ENTRY_DIGITS;
  memcpy(name, prefix, sizeof prefix - 1);
  for (uint32_t at = len; at > sizeof prefix - 1; number /= 10)
    name[--at] = (char)('0' + number % 10);
  return len;
}

static int list(struct virtiofs_req *req, const struct virtiofs_readdir_in *in, bool plus,
                struct virtiofs_readdir_out *out) {
  const struct virtiofs_null *fs = virtiofs_req_fs(req);
  char name[sizeof "entry-" + ENTRY_DIGITS];
  for (uint64_t i = in->offset; i < fs->config.entries; i++) {
    uint32_t len = entry_name(name, i);
    uint64_t node = node_of(in->node, name, len, VIRTIOFS_S_IFREG);
    struct virtiofs_dirent entry = {
        .name = name, .len = len, .ino = node >> TYPE_BITS, .type = VIRTIOFS_S_IFREG, .next = i + 1};
    if (!plus) {
      if (!virtiofs_readdir_add(out, &entry))
        break;
      continue;
    }
    struct virtiofs_entry_out with = {0};
    if (!virtiofs_readdir_fits(out, len))
      break;
    fill_entry(fs, node, &with);
    if (!virtiofs_readdirplus_add(out, &entry, &with))
      break;
  }
  return 0;
}

static int readdir(struct virtiofs_req *req, const struct virtiofs_readdir_in *in, struct virtiofs_readdir_out *out) {
  return list(req, in, false, out);
}

static int readdirplus(struct virtiofs_req *req, const struct virtiofs_readdir_in *in,
                       struct virtiofs_readdir_out *out) {
  return list(req, in, true, out);
}

static int fallocate(struct virtiofs_req *req, const struct virtiofs_fallocate_in *in) {
  (void)req;
  (void)in;
  return 0;
}

static int copy_file_range(struct virtiofs_req *req, const struct virtiofs_copy_file_range_in *in,
                           struct virtiofs_copy_file_range_out *out) {
  const struct virtiofs_null *fs = virtiofs_req_fs(req);
  uint64_t left = in->offset < fs->config.file_size ? fs->config.file_size - in->offset : 0;
  out->size = in->len < left ? in->len : left;
  return 0;
}

static int lseek(struct virtiofs_req *req, const struct virtiofs_lseek_in *in, struct virtiofs_lseek_out *out) {
  enum { SEEK_TO_DATA = 3, SEEK_TO_HOLE = 4 };
  const struct virtiofs_null *fs = virtiofs_req_fs(req);
  if (in->whence != SEEK_TO_DATA && in->whence != SEEK_TO_HOLE)
    return -EINVAL;
  if (in->offset >= fs->config.file_size)
    return -ENXIO;
  out->offset = in->whence == SEEK_TO_DATA ? in->offset : fs->config.file_size;
  return 0;
}

/* Extended attributes, locks, ACCESS, IOCTL, POLL, TMPFILE and STATX are left to the guest, as most backends do. */
static const struct virtiofs_ops ops = {
    .size = sizeof(struct virtiofs_ops),
    .init = init,
    .lookup = lookup,
    .getattr = getattr,
    .setattr = setattr,
    .readlink = readlink,
    .symlink = symlink,
    .mknod = mknod,
    .mkdir = mkdir,
    .unlink = unlink,
    .rmdir = rmdir,
    .rename = rename,
    .link = link,
    .open = open,
    .read = read,
    .write = write,
    .statfs = statfs,
    .release = release,
    .fsync = sync_nothing,
    .flush = flush,
    .opendir = opendir,
    .readdir = readdir,
    .readdirplus = readdirplus,
    .releasedir = release,
    .fsyncdir = sync_nothing,
    .create = create,
    .fallocate = fallocate,
    .lseek = lseek,
    .copy_file_range = copy_file_range,
};

const struct virtiofs_ops *virtiofs_null_ops(void) {
  return &ops;
}

/* ---- life ---- */

/* A config of another release may be shorter or longer than ours; what we don't know must not be asked for. */
static int read_config(struct virtiofs_null_config *to, const struct virtiofs_null_config *from) {
  memset(to, 0, sizeof *to);
  if (from != NULL) {
    if (from->size < sizeof from->size)
      return -EINVAL;
    for (size_t i = sizeof *to; i < from->size; i++) {
      if (((const unsigned char *)from)[i] != 0)
        return -E2BIG;
    }
    memcpy(to, from, from->size < sizeof *to ? from->size : sizeof *to);
  }
  if (to->file_size == 0)
    to->file_size = DEFAULT_FILE_SIZE;
  return to->file_size > INT64_MAX || to->entries > MOST_ENTRIES ? -EINVAL : 0;
}

int virtiofs_null_new(struct virtiofs_null **out, const struct virtiofs_null_config *config) {
  struct virtiofs_null_config wanted;
  *out = NULL;
  int rc = read_config(&wanted, config);
  if (rc != 0)
    return rc;
  struct virtiofs_null *fs = malloc(sizeof *fs);
  if (fs == NULL)
    return -ENOMEM;
  fs->config = wanted;
  *out = fs;
  return 0;
}

void virtiofs_null_free(struct virtiofs_null *fs) {
  free(fs);
}
