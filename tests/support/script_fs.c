/* SPDX-License-Identifier: BSD-3-Clause */
#include "support/script_fs.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <linux/fuse.h>

#define CHECK(cond)                                                                                                    \
  do {                                                                                                                 \
    if (!(cond)) {                                                                                                     \
      (void)fprintf(stderr, "script_fs: %s:%d: %s\n", __FILE__, __LINE__, #cond);                                      \
      abort();                                                                                                         \
    }                                                                                                                  \
  } while (0)

/* What an operation works on and gives. */
struct call {
  unsigned opcode;
  uint64_t node, other, handle;
  uint64_t *gives_node, *gives_handle;
  void *out;
  struct script_later self;
};

static bool is_node(uint64_t value) {
  return value >= 1 && value < SCRIPT_NODES;
}

/* The node must be one that the guest holds now, and it is in use from here on. */
static void use(struct script_fs *fs, uint64_t node, int by) {
  if (node == 0)
    return;
  CHECK(is_node(node));
  CHECK(node == VIRTIOFS_ROOT_NODE || fs->given[node] > 0);
  fs->busy[node] += by;
  CHECK(fs->busy[node] >= 0);
}

static void use_handle(struct script_fs *fs, uint64_t handle, int by) {
  if (handle == 0)
    return;
  CHECK(handle >= SCRIPT_NODES && handle < SCRIPT_NODES + SCRIPT_HANDLES);
  CHECK(fs->open[handle - SCRIPT_NODES]);
  fs->used[handle - SCRIPT_NODES] += by;
}

static void use_all(struct script_fs *fs, const struct script_later *later, int by) {
  use(fs, later->busy[0], by);
  use(fs, later->busy[1], by);
  use_handle(fs, later->busy[2], by);
}

/* With the lock held: what a success gives is the guest's now. */
static void give(struct script_fs *fs, const struct script_later *later) {
  if (later->node != 0) {
    CHECK(is_node(later->node));
    fs->given[later->node]++;
  }
  if (later->handle != 0) {
    CHECK(!fs->open[later->handle - SCRIPT_NODES]);
    fs->open[later->handle - SCRIPT_NODES] = true;
  }
}

static void begin(struct script_fs *fs, struct call *call) {
  pthread_mutex_lock(&fs->lock);
  fs->calls[call->opcode]++;
  call->self.busy[0] = call->node;
  call->self.busy[1] = call->other;
  call->self.busy[2] = call->handle;
  use_all(fs, &call->self, 1);
  if (call->gives_handle != NULL) {
    CHECK(fs->handles < SCRIPT_HANDLES);
    *call->gives_handle = SCRIPT_NODES + fs->handles++;
  }
  pthread_cond_broadcast(&fs->changed);
  pthread_mutex_unlock(&fs->lock);
}

static int end(struct virtiofs_req *req, struct call *call, int rc) {
  struct script_fs *fs = virtiofs_req_fs(req);
  call->self.req = req;
  call->self.opcode = call->opcode;
  call->self.node = call->gives_node != NULL ? *call->gives_node : 0;
  call->self.handle = call->gives_handle != NULL ? *call->gives_handle : 0;
  pthread_mutex_lock(&fs->lock);
  script_fs_hook *hook = fs->hook;
  bool pend = (fs->pend >> call->opcode & 1) != 0;
  pthread_mutex_unlock(&fs->lock);
  if (rc == 0 && pend)
    rc = VIRTIOFS_PENDING;
  if (rc == VIRTIOFS_PENDING) {
    /* On the list first: the hook, or another thread, may answer it at once. */
    pthread_mutex_lock(&fs->lock);
    CHECK(fs->later_count < SCRIPT_LATER);
    fs->later[fs->later_count++] = call->self;
    pthread_cond_broadcast(&fs->changed);
    pthread_mutex_unlock(&fs->lock);
    return hook != NULL ? hook(fs, req, call->opcode, rc, call->out) : rc;
  }
  if (hook != NULL)
    rc = hook(fs, req, call->opcode, rc, call->out);
  CHECK(rc != VIRTIOFS_PENDING);
  pthread_mutex_lock(&fs->lock);
  /* The hook may have chosen another one. */
  call->self.node = call->gives_node != NULL ? *call->gives_node : 0;
  use_all(fs, &call->self, -1);
  if (rc == 0)
    give(fs, &call->self);
  pthread_mutex_unlock(&fs->lock);
  return rc;
}

static void fill_attr(struct virtiofs_attr *attr, uint64_t node) {
  bool dir = node == VIRTIOFS_ROOT_NODE || node >= SCRIPT_DIRS;
  *attr = (struct virtiofs_attr){
      .ino = node, .mode = (dir ? VIRTIOFS_S_IFDIR : VIRTIOFS_S_IFREG) | 0644U, .nlink = 1, .size = SCRIPT_FILE_SIZE};
}

static int find(const struct virtiofs_name *name, struct virtiofs_entry_out *out) {
  CHECK(strlen(name->str) == name->len);
  if (virtiofs_name_is(name, "never")) {
    out->entry_valid_ns = VIRTIOFS_FOREVER;
    return 0;
  }
  unsigned long node = strtoul(name->str, NULL, 10);
  if (!is_node(node))
    return -ENOENT;
  out->node = node;
  fill_attr(&out->attr, node);
  return 0;
}

/* Operations that give a node by a name. */
static int name_op(struct virtiofs_req *req, unsigned opcode, uint64_t parent, const struct virtiofs_name *name,
                   uint64_t other, struct virtiofs_entry_out *out) {
  struct call call = {.opcode = opcode, .node = parent, .other = other, .gives_node = &out->node, .out = out};
  begin(virtiofs_req_fs(req), &call);
  return end(req, &call, find(name, out));
}

static int lookup(struct virtiofs_req *req, const struct virtiofs_lookup_in *in, struct virtiofs_entry_out *out) {
  return name_op(req, FUSE_LOOKUP, in->parent, &in->name, 0, out);
}
static int symlink_(struct virtiofs_req *req, const struct virtiofs_symlink_in *in, struct virtiofs_entry_out *out) {
  return name_op(req, FUSE_SYMLINK, in->parent, &in->name, 0, out);
}
static int mknod_(struct virtiofs_req *req, const struct virtiofs_mknod_in *in, struct virtiofs_entry_out *out) {
  return name_op(req, FUSE_MKNOD, in->parent, &in->name, 0, out);
}
static int mkdir_(struct virtiofs_req *req, const struct virtiofs_mkdir_in *in, struct virtiofs_entry_out *out) {
  return name_op(req, FUSE_MKDIR, in->parent, &in->name, 0, out);
}
static int link_(struct virtiofs_req *req, const struct virtiofs_link_in *in, struct virtiofs_entry_out *out) {
  return name_op(req, FUSE_LINK, in->new_parent, &in->name, in->node, out);
}

/* Operations that give nothing. */
static int plain_op(struct virtiofs_req *req, unsigned opcode, uint64_t node, uint64_t handle, void *out) {
  struct call call = {.opcode = opcode, .node = node, .handle = handle, .out = out};
  begin(virtiofs_req_fs(req), &call);
  return end(req, &call, 0);
}

static int getattr(struct virtiofs_req *req, const struct virtiofs_getattr_in *in, struct virtiofs_attr_out *out) {
  CHECK(in->has_handle || in->handle == 0);
  fill_attr(&out->attr, in->node);
  return plain_op(req, FUSE_GETATTR, in->node, in->has_handle ? in->handle : 0, out);
}
static int setattr(struct virtiofs_req *req, const struct virtiofs_setattr_in *in, struct virtiofs_attr_out *out) {
  CHECK(in->has_handle || in->handle == 0);
  fill_attr(&out->attr, in->node);
  return plain_op(req, FUSE_SETATTR, in->node, in->has_handle ? in->handle : 0, out);
}
static int readlink_(struct virtiofs_req *req, const struct virtiofs_readlink_in *in,
                     struct virtiofs_readlink_out *out) {
  memset(out->target, 't', VIRTIOFS_TARGET_MAX);
  out->len = 100;
  return plain_op(req, FUSE_READLINK, in->node, 0, out);
}
static int unlink_(struct virtiofs_req *req, const struct virtiofs_unlink_in *in) {
  return plain_op(req, FUSE_UNLINK, in->parent, 0, NULL);
}
static int rmdir_(struct virtiofs_req *req, const struct virtiofs_rmdir_in *in) {
  return plain_op(req, FUSE_RMDIR, in->parent, 0, NULL);
}
static int rename_(struct virtiofs_req *req, const struct virtiofs_rename_in *in) {
  struct call call = {.opcode = FUSE_RENAME, .node = in->parent, .other = in->new_parent};
  begin(virtiofs_req_fs(req), &call);
  return end(req, &call, 0);
}
static int statfs_(struct virtiofs_req *req, const struct virtiofs_statfs_in *in, struct virtiofs_statfs_out *out) {
  out->blocks = 77;
  return plain_op(req, FUSE_STATFS, in->node, 0, out);
}
static int fsync_(struct virtiofs_req *req, const struct virtiofs_fsync_in *in) {
  return plain_op(req, FUSE_FSYNC, in->node, in->handle, NULL);
}
static int fsyncdir(struct virtiofs_req *req, const struct virtiofs_fsync_in *in) {
  return plain_op(req, FUSE_FSYNCDIR, in->node, in->handle, NULL);
}
static int flush(struct virtiofs_req *req, const struct virtiofs_flush_in *in) {
  return plain_op(req, FUSE_FLUSH, in->node, in->handle, NULL);
}
static int fallocate_(struct virtiofs_req *req, const struct virtiofs_fallocate_in *in) {
  return plain_op(req, FUSE_FALLOCATE, in->node, in->handle, NULL);
}
static int lseek_(struct virtiofs_req *req, const struct virtiofs_lseek_in *in, struct virtiofs_lseek_out *out) {
  out->offset = in->offset;
  return plain_op(req, FUSE_LSEEK, in->node, in->handle, out);
}

static int open_op(struct virtiofs_req *req, unsigned opcode, uint64_t node, struct virtiofs_open_out *out) {
  struct call call = {.opcode = opcode, .node = node, .gives_handle = &out->handle, .out = out};
  begin(virtiofs_req_fs(req), &call);
  return end(req, &call, 0);
}
static int open_(struct virtiofs_req *req, const struct virtiofs_open_in *in, struct virtiofs_open_out *out) {
  return open_op(req, FUSE_OPEN, in->node, out);
}
static int opendir_(struct virtiofs_req *req, const struct virtiofs_opendir_in *in, struct virtiofs_open_out *out) {
  return open_op(req, FUSE_OPENDIR, in->node, out);
}
static int create(struct virtiofs_req *req, const struct virtiofs_create_in *in, struct virtiofs_create_out *out) {
  struct call call = {.opcode = FUSE_CREATE,
                      .node = in->parent,
                      .gives_node = &out->entry.node,
                      .gives_handle = &out->open.handle,
                      .out = out};
  begin(virtiofs_req_fs(req), &call);
  return end(req, &call, find(&in->name, &out->entry));
}

unsigned char script_fs_byte(uint64_t offset) {
  return (unsigned char)(offset * 7 + offset / 251);
}

static int read_(struct virtiofs_req *req, const struct virtiofs_read_in *in, struct virtiofs_read_out *out) {
  struct script_fs *fs = virtiofs_req_fs(req);
  CHECK(in->size == in->data.size);
  uint64_t left = in->offset < SCRIPT_FILE_SIZE ? SCRIPT_FILE_SIZE - in->offset : 0;
  uint32_t size = left < in->size ? (uint32_t)left : in->size;
  for (uint32_t at = 0; at < size;) {
    unsigned char piece[512];
    uint32_t here = size - at < sizeof piece ? size - at : (uint32_t)sizeof piece;
    for (uint32_t i = 0; i < here; i++)
      piece[i] = script_fs_byte(in->offset + at + i);
    CHECK(virtiofs_data_fill(&in->data, at, piece, here) == here);
    at += here;
  }
  out->size = size;
  pthread_mutex_lock(&fs->lock);
  fs->max_size = in->size > fs->max_size ? in->size : fs->max_size;
  pthread_mutex_unlock(&fs->lock);
  return plain_op(req, FUSE_READ, in->node, in->handle, out);
}

/* The data has to be what a READ at its place would give. */
static int write_(struct virtiofs_req *req, const struct virtiofs_write_in *in, struct virtiofs_write_out *out) {
  unsigned char piece[512];
  CHECK(in->size == in->data.size);
  for (uint32_t at = 0; at < in->size; at += (uint32_t)sizeof piece) {
    size_t here = virtiofs_data_copy(&in->data, at, piece, sizeof piece);
    for (size_t i = 0; i < here; i++)
      CHECK(piece[i] == script_fs_byte(in->offset + at + i));
  }
  out->size = in->size;
  return plain_op(req, FUSE_WRITE, in->node, in->handle, out);
}

static int list(struct virtiofs_req *req, unsigned opcode, const struct virtiofs_readdir_in *in,
                struct virtiofs_readdir_out *out) {
  struct script_fs *fs = virtiofs_req_fs(req);
  bool more = true;
  for (uint64_t i = in->offset; i < fs->records && more; i++) {
    char name[24];
    int len = snprintf(name, sizeof name, "%llu", (unsigned long long)i);
    struct virtiofs_dirent entry = {.name = name, .len = (uint32_t)len, .ino = i + 1, .next = i + 1};
    if (opcode == FUSE_READDIR || i <= 1 || i >= SCRIPT_NODES) {
      more = virtiofs_readdir_add(out, &entry);
      continue;
    }
    struct virtiofs_entry_out plus = {.node = i};
    fill_attr(&plus.attr, i);
    pthread_mutex_lock(&fs->lock);
    fs->given[i]++;
    pthread_mutex_unlock(&fs->lock);
    more = virtiofs_readdirplus_add(out, &entry, &plus);
  }
  return plain_op(req, opcode, in->node, in->handle, out);
}
static int readdir_(struct virtiofs_req *req, const struct virtiofs_readdir_in *in, struct virtiofs_readdir_out *out) {
  return list(req, FUSE_READDIR, in, out);
}
static int readdirplus(struct virtiofs_req *req, const struct virtiofs_readdir_in *in,
                       struct virtiofs_readdir_out *out) {
  return list(req, FUSE_READDIRPLUS, in, out);
}

static void close_handle(struct virtiofs_req *req, const struct virtiofs_release_in *in, unsigned opcode) {
  struct script_fs *fs = virtiofs_req_fs(req);
  CHECK(in->handle >= SCRIPT_NODES && in->handle < SCRIPT_NODES + SCRIPT_HANDLES);
  uint64_t index = in->handle - SCRIPT_NODES;
  pthread_mutex_lock(&fs->lock);
  CHECK(fs->open[index] && fs->released[index] == 0 && fs->used[index] == 0);
  fs->open[index] = false;
  fs->released[index]++;
  fs->calls[opcode]++;
  fs->last_release = *in;
  pthread_cond_broadcast(&fs->changed);
  pthread_mutex_unlock(&fs->lock);
}
static void release(struct virtiofs_req *req, const struct virtiofs_release_in *in) {
  close_handle(req, in, FUSE_RELEASE);
}
static void releasedir(struct virtiofs_req *req, const struct virtiofs_release_in *in) {
  close_handle(req, in, FUSE_RELEASEDIR);
}

static void forget(struct virtiofs_req *req, const struct virtiofs_forget_in *in) {
  struct script_fs *fs = virtiofs_req_fs(req);
  pthread_mutex_lock(&fs->lock);
  /* May be asked at any time, also of a node that a late answer gave; nothing is promised here. */
  CHECK(virtiofs_req_semantics(req) == 0);
  CHECK(is_node(in->node) && in->replies >= 1 && (int64_t)in->replies <= fs->given[in->node]);
  fs->given[in->node] -= (int64_t)in->replies;
  /* Only when no reply is left that has given it is it certain that nothing works on it. */
  CHECK(fs->given[in->node] > 0 || fs->busy[in->node] == 0 || in->node == VIRTIOFS_ROOT_NODE);
  fs->forgets[in->node]++;
  fs->last_replies[in->node] = in->replies;
  fs->calls[FUSE_FORGET]++;
  pthread_cond_broadcast(&fs->changed);
  pthread_mutex_unlock(&fs->lock);
}

static int init(struct virtiofs_req *req, const struct virtiofs_init_in *in, struct virtiofs_init_out *out) {
  struct script_fs *fs = virtiofs_req_fs(req);
  CHECK(in->major == 7);
  pthread_mutex_lock(&fs->lock);
  fs->calls[FUSE_INIT]++;
  if (fs->root != 0)
    out->root = fs->root;
  script_fs_hook *hook = fs->hook;
  pthread_cond_broadcast(&fs->changed);
  pthread_mutex_unlock(&fs->lock);
  return hook != NULL ? hook(fs, req, FUSE_INIT, 0, out) : 0;
}

static void destroy(struct virtiofs_req *req) {
  struct script_fs *fs = virtiofs_req_fs(req);
  pthread_mutex_lock(&fs->lock);
  fs->calls[FUSE_DESTROY]++;
  pthread_cond_broadcast(&fs->changed);
  pthread_mutex_unlock(&fs->lock);
}

const struct virtiofs_ops script_fs_ops = {
    .size = sizeof script_fs_ops,
    .init = init,
    .destroy = destroy,
    .lookup = lookup,
    .forget = forget,
    .getattr = getattr,
    .setattr = setattr,
    .readlink = readlink_,
    .symlink = symlink_,
    .mknod = mknod_,
    .mkdir = mkdir_,
    .unlink = unlink_,
    .rmdir = rmdir_,
    .rename = rename_,
    .link = link_,
    .open = open_,
    .read = read_,
    .write = write_,
    .statfs = statfs_,
    .release = release,
    .fsync = fsync_,
    .flush = flush,
    .opendir = opendir_,
    .readdir = readdir_,
    .readdirplus = readdirplus,
    .releasedir = releasedir,
    .fsyncdir = fsyncdir,
    .create = create,
    .fallocate = fallocate_,
    .lseek = lseek_,
};

void script_fs_init(struct script_fs *fs) {
  memset(fs, 0, sizeof *fs);
  pthread_mutex_init(&fs->lock, NULL);
  pthread_cond_init(&fs->changed, NULL);
}

void script_fs_fini(struct script_fs *fs) {
  CHECK(fs->later_count == 0);
  for (unsigned i = 0; i < SCRIPT_NODES; i++)
    CHECK(fs->given[i] == 0 && fs->busy[i] == 0);
  for (unsigned i = 0; i < SCRIPT_HANDLES; i++)
    CHECK(!fs->open[i] && fs->used[i] == 0);
  pthread_cond_destroy(&fs->changed);
  pthread_mutex_destroy(&fs->lock);
}

void script_fs_pend(struct script_fs *fs, uint64_t opcodes) {
  pthread_mutex_lock(&fs->lock);
  fs->pend = opcodes;
  pthread_mutex_unlock(&fs->lock);
}

void script_fs_set_hook(struct script_fs *fs, script_fs_hook *hook, void *ctx) {
  pthread_mutex_lock(&fs->lock);
  fs->hook = hook;
  fs->hook_ctx = ctx;
  pthread_mutex_unlock(&fs->lock);
}

unsigned script_fs_forgets(struct script_fs *fs, uint64_t node) {
  pthread_mutex_lock(&fs->lock);
  unsigned forgets = fs->forgets[node];
  pthread_mutex_unlock(&fs->lock);
  return forgets;
}

unsigned script_fs_calls(struct script_fs *fs, unsigned opcode) {
  pthread_mutex_lock(&fs->lock);
  unsigned calls = fs->calls[opcode];
  pthread_mutex_unlock(&fs->lock);
  return calls;
}

/* With the lock held: until *@value is at least @least. */
static void wait_for(struct script_fs *fs, const unsigned *value, unsigned least) {
  struct timespec deadline;
  clock_gettime(CLOCK_REALTIME, &deadline);
  deadline.tv_sec += 60;
  while (*value < least)
    CHECK(pthread_cond_timedwait(&fs->changed, &fs->lock, &deadline) == 0);
}

void script_fs_wait_calls(struct script_fs *fs, unsigned opcode, unsigned count) {
  pthread_mutex_lock(&fs->lock);
  wait_for(fs, &fs->calls[opcode], count);
  pthread_mutex_unlock(&fs->lock);
}

unsigned script_fs_pending(struct script_fs *fs) {
  pthread_mutex_lock(&fs->lock);
  unsigned count = fs->later_count;
  pthread_mutex_unlock(&fs->lock);
  return count;
}

void script_fs_wait_pending(struct script_fs *fs, unsigned count) {
  pthread_mutex_lock(&fs->lock);
  wait_for(fs, &fs->later_count, count);
  pthread_mutex_unlock(&fs->lock);
}

static void answer_at(struct script_fs *fs, unsigned index, int rc) {
  CHECK(index < fs->later_count);
  struct script_later later = fs->later[index];
  memmove(&fs->later[index], &fs->later[index + 1], (--fs->later_count - index) * sizeof later);
  use_all(fs, &later, -1);
  if (rc == 0)
    give(fs, &later);
  pthread_mutex_unlock(&fs->lock);
  virtiofs_req_complete(later.req, rc);
}

void script_fs_answer(struct script_fs *fs, int rc) {
  pthread_mutex_lock(&fs->lock);
  answer_at(fs, 0, rc);
}

void script_fs_answer_req(struct script_fs *fs, struct virtiofs_req *req, int rc) {
  unsigned index = 0;
  pthread_mutex_lock(&fs->lock);
  while (index < fs->later_count && fs->later[index].req != req)
    index++;
  answer_at(fs, index, rc);
}
