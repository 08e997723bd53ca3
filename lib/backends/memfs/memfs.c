/* SPDX-License-Identifier: BSD-3-Clause */
#include <virtiofs/memfs.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <unistd.h>

#include "backends/memfs/node.h"
#include "backends/memfs/ops.h"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U
#endif

#define MOST_BYTES (UINT64_C(1) << 62)
#define MOST_NODES (UINT64_C(1) << 30)

enum {
  DEFAULT_NODES = 1 << 20,
  DEFAULT_XATTR = 128 << 10,
  DEFAULT_MODE = 0755,
  PERMISSIONS = 07777,
  FD_RESERVE = 256, /* for the program itself */
};

/* A config of another release may be shorter or longer than ours; what we don't know must not be asked for. */
static int read_config(struct virtiofs_memfs_config *to, const struct virtiofs_memfs_config *from) {
  memset(to, 0, sizeof *to);
  if (from == NULL)
    return 0;
  if (from->size < sizeof from->size)
    return -EINVAL;
  for (size_t i = sizeof *to; i < from->size; i++) {
    if (((const unsigned char *)from)[i] != 0)
      return -E2BIG;
  }
  memcpy(to, from, from->size < sizeof *to ? from->size : sizeof *to);
  bool in_range = to->max_bytes <= MOST_BYTES && to->max_nodes <= MOST_NODES && to->mode <= PERMISSIONS &&
                  to->uid != UINT32_MAX && to->gid != UINT32_MAX && !(to->shared && to->writeback);
  return in_range ? 0 : -EINVAL;
}

static uint64_t half_of_memory(uint64_t page) {
  long pages = sysconf(_SC_PHYS_PAGES);
  return pages > 1 ? (uint64_t)pages / 2 * page : UINT64_C(1) << 30;
}

static uint64_t descriptors(void) {
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
    return FD_RESERVE;
  uint64_t soft = limit.rlim_cur;
  return soft - (soft / 4 < FD_RESERVE ? soft / 4 : FD_RESERVE);
}

static uint64_t or_default(uint64_t value, uint64_t if_zero) {
  return value != 0 ? value : if_zero;
}

static void configure(struct virtiofs_memfs *fs, const struct virtiofs_memfs_config *wanted) {
  fs->page = (uint64_t)sysconf(_SC_PAGESIZE);
  fs->max_bytes = or_default(wanted->max_bytes, half_of_memory(fs->page));
  fs->max_nodes = or_default(wanted->max_nodes, DEFAULT_NODES);
  fs->max_files = descriptors();
  fs->max_xattr = (uint32_t)or_default(wanted->max_xattr, DEFAULT_XATTR);
  fs->shared = wanted->shared;
  fs->writeback = wanted->writeback;
  fs->entry_valid_ns = wanted->shared ? wanted->entry_valid_ns : VIRTIOFS_FOREVER;
  fs->attr_valid_ns = wanted->shared ? wanted->attr_valid_ns : VIRTIOFS_FOREVER;
  fs->log = wanted->log;
  atomic_init(&fs->memfd_flags, MFD_CLOEXEC | MFD_NOEXEC_SEAL);
  /* Without it, names could be chosen that all fall into one bucket. */
  if (getrandom(&fs->seed, sizeof fs->seed, GRND_NONBLOCK) != sizeof fs->seed)
    fs->seed = (uint64_t)virtiofs_memfs_now(fs).nsec ^ (uintptr_t)fs;
}

int virtiofs_memfs_new(struct virtiofs_memfs **out, const struct virtiofs_memfs_config *config) {
  struct virtiofs_memfs_config wanted;
  *out = NULL;
  int rc = read_config(&wanted, config);
  if (rc != 0)
    return rc;
  struct virtiofs_memfs *fs = calloc(1, sizeof *fs);
  if (fs == NULL)
    return -ENOMEM;
  configure(fs, &wanted);
  if (pthread_mutex_init(&fs->moving, NULL) != 0) {
    free(fs);
    return -ENOMEM;
  }
  rc = virtiofs_memfs_node_new(fs, VIRTIOFS_S_IFDIR | (uint32_t)or_default(wanted.mode, DEFAULT_MODE), &fs->root);
  if (rc != 0) {
    virtiofs_memfs_free(fs);
    return rc;
  }
  fs->root->uid = wanted.uid;
  fs->root->gid = wanted.gid;
  *out = fs;
  return 0;
}

/* Down and up by the parents' pointers: a guest can nest directories deeper than any stack. */
static void free_tree(struct virtiofs_memfs *fs) {
  struct node *dir = fs->root;
  while (dir != NULL) {
    struct entry *entry = virtiofs_memfs_names_any(&dir->dir.names);
    if (entry == NULL) {
      struct node *parent = dir->dir.parent;
      virtiofs_memfs_node_put(fs, dir, 1);
      dir = parent;
      continue;
    }
    struct node *node = entry->node;
    virtiofs_memfs_names_remove(&dir->dir.names, entry);
    free(entry);
    if (node->type == VIRTIOFS_S_IFDIR)
      dir = node;
    else
      virtiofs_memfs_node_put(fs, node, 1);
  }
}

void virtiofs_memfs_free(struct virtiofs_memfs *fs) {
  if (fs == NULL)
    return;
  if (fs->root != NULL)
    free_tree(fs);
  pthread_mutex_destroy(&fs->moving);
  free(fs);
}

static int init(struct virtiofs_req *req, const struct virtiofs_init_in *in, struct virtiofs_init_out *out) {
  (void)in;
  const struct virtiofs_memfs *fs = virtiofs_req_fs(req);
  out->root = (uintptr_t)fs->root;
  if (!fs->shared)
    out->semantics |= VIRTIOFS_SEMANTICS_EXPLICIT_INVAL_DATA;
  if (fs->writeback)
    out->semantics |= VIRTIOFS_SEMANTICS_WRITEBACK_CACHE;
  return 0;
}

/*
 * Nothing waits but what may move many pages. Left out: flush and access, as there is nothing to do; locks, which the
 * guest keeps as well.
 */
static const struct virtiofs_ops ops = {
    .size = sizeof(struct virtiofs_ops),
    .blocking = VIRTIOFS_BLOCKING_FALLOCATE | VIRTIOFS_BLOCKING_COPY_FILE_RANGE,
    .semantics = VIRTIOFS_SEMANTICS_ATOMIC_O_TRUNC | VIRTIOFS_SEMANTICS_DONT_MASK |
                 VIRTIOFS_SEMANTICS_HANDLE_KILLPRIV_V2 | VIRTIOFS_SEMANTICS_CACHE_SYMLINKS |
                 VIRTIOFS_SEMANTICS_SECURITY_CTX | VIRTIOFS_SEMANTICS_CREATE_SUPP_GROUP,
    .init = init,
    .lookup = virtiofs_memfs_lookup,
    .forget = virtiofs_memfs_forget,
    .getattr = virtiofs_memfs_getattr,
    .setattr = virtiofs_memfs_setattr,
    .readlink = virtiofs_memfs_readlink,
    .symlink = virtiofs_memfs_symlink,
    .mknod = virtiofs_memfs_mknod,
    .mkdir = virtiofs_memfs_mkdir,
    .unlink = virtiofs_memfs_unlink,
    .rmdir = virtiofs_memfs_rmdir,
    .rename = virtiofs_memfs_rename,
    .link = virtiofs_memfs_link,
    .open = virtiofs_memfs_open,
    .setupmapping = virtiofs_memfs_setupmapping,
    .read = virtiofs_memfs_read,
    .write = virtiofs_memfs_write,
    .statfs = virtiofs_memfs_statfs,
    .release = virtiofs_memfs_release,
    .fsync = virtiofs_memfs_fsync,
    .opendir = virtiofs_memfs_opendir,
    .readdir = virtiofs_memfs_readdir,
    .readdirplus = virtiofs_memfs_readdirplus,
    .releasedir = virtiofs_memfs_releasedir,
    .fsyncdir = virtiofs_memfs_fsyncdir,
    .create = virtiofs_memfs_create,
    .fallocate = virtiofs_memfs_fallocate,
    .lseek = virtiofs_memfs_lseek,
    .setxattr = virtiofs_memfs_setxattr,
    .getxattr = virtiofs_memfs_getxattr,
    .listxattr = virtiofs_memfs_listxattr,
    .removexattr = virtiofs_memfs_removexattr,
    .copy_file_range = virtiofs_memfs_copy_file_range,
    .syncfs = virtiofs_memfs_syncfs,
    .tmpfile = virtiofs_memfs_tmpfile,
    .statx = virtiofs_memfs_statx,
};

const struct virtiofs_ops *virtiofs_memfs_ops(void) {
  return &ops;
}
