/* SPDX-License-Identifier: BSD-3-Clause */
/* What the operations work on: made before, and removed after. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bench.h"

#define BLOCK 65536U

static struct virtiofs_name name_of(const char *text) {
  return (struct virtiofs_name){.str = text, .len = (uint32_t)strlen(text)};
}

void forget(struct forgets *forgets, uint64_t node) {
  forgets->nodes[forgets->count++] = node;
  if (forgets->count == FORGETS)
    forget_all(forgets);
}

/* All threads have one queue for it. */
void forget_all(struct forgets *forgets) {
  static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
  if (forgets->count == 0)
    return;
  pthread_mutex_lock(&lock);
  struct virtiofs_client_request *req = virtiofs_client_request_take(forgets->client, 0);
  if (req != NULL) {
    uint64_t *pair = req->data;
    req->fuse.header.opcode = VIRTIOFS_FUSE_BATCH_FORGET;
    req->fuse.in.batch_forget.count = forgets->count;
    for (unsigned i = 0; i < forgets->count; i++) {
      *pair++ = forgets->nodes[i];
      *pair++ = 1;
    }
    (void)virtiofs_client_request_run(req);
    virtiofs_client_request_give(req);
  }
  pthread_mutex_unlock(&lock);
  forgets->count = 0;
}

/* One request after the other on the first queue. */
struct asker {
  struct virtiofs_client_request *req;
  const char *what; /* that was asked for last */
};

static union virtiofs_fuse_in *prepare(struct asker *asker, uint32_t opcode) {
  asker->what = virtiofs_fuse_opcode_name(opcode);
  asker->req->fuse.header.opcode = opcode;
  memset(&asker->req->fuse.in, 0, sizeof(asker->req->fuse.in));
  return &asker->req->fuse.in;
}

static int make_dir(struct asker *asker, uint64_t parent, const char *name, uint64_t *node) {
  struct virtiofs_mkdir_in *in = &prepare(asker, VIRTIOFS_FUSE_MKDIR)->mkdir;
  in->parent = parent;
  in->name = name_of(name);
  in->mode = 0755;
  int rc = virtiofs_client_request_run(asker->req);
  *node = asker->req->out.entry.node;
  return rc;
}

static int make_file(struct asker *asker, uint64_t parent, const char *name, uint64_t *node, uint64_t *handle) {
  struct virtiofs_create_in *in = &prepare(asker, VIRTIOFS_FUSE_CREATE)->create;
  in->parent = parent;
  in->name = name_of(name);
  in->flags = O_CREAT | O_EXCL | O_RDWR;
  in->mode = 0100644;
  int rc = virtiofs_client_request_run(asker->req);
  *node = asker->req->out.create.entry.node;
  *handle = asker->req->out.create.open.handle;
  return rc;
}

static int close_file(struct asker *asker, uint64_t node, uint64_t handle) {
  struct virtiofs_release_in *in = &prepare(asker, VIRTIOFS_FUSE_RELEASE)->release;
  in->node = node;
  in->handle = handle;
  return virtiofs_client_request_run(asker->req);
}

static int fill(struct asker *asker, const struct files *files) {
  for (uint64_t offset = 0; offset < files->file_size; offset += BLOCK) {
    struct virtiofs_write_in *in = &prepare(asker, VIRTIOFS_FUSE_WRITE)->write;
    in->node = files->file;
    in->handle = files->handle;
    in->offset = offset;
    in->size = BLOCK;
    in->data.size = BLOCK;
    memset(asker->req->data, (int)(offset / BLOCK), BLOCK);
    int rc = virtiofs_client_request_run(asker->req);
    if (rc != 0)
      return rc;
  }
  return 0;
}

/* Empty files, which are kept where @forgets is NULL: some servers rename only what has been looked up. */
static int make_empty(struct asker *asker, struct forgets *forgets, uint64_t parent, const char *kind, uint32_t count) {
  for (uint32_t i = 0; i < count; i++) {
    char name[NAME_MAX_BYTES];
    uint64_t node, handle;
    (void)snprintf(name, sizeof(name), "%s-%u", kind, i);
    int rc = make_file(asker, parent, name, &node, &handle);
    if (rc == 0)
      rc = close_file(asker, node, handle);
    if (rc != 0)
      return rc;
    if (forgets != NULL)
      forget(forgets, node);
  }
  return 0;
}

int files_make(struct virtiofs_client *client, struct files *files, uint64_t file_size, uint32_t dir_entries) {
  struct asker asker = {.req = virtiofs_client_request_take(client, 1)};
  struct forgets forgets = {.client = client};
  if (asker.req == NULL)
    return -EBUSY;
  *files = (struct files){.file_size = (file_size + BLOCK - 1) / BLOCK * BLOCK, .dir_entries = dir_entries};
  (void)snprintf(files->name, sizeof(files->name), "virtiofs-bench.%ld", (long)getpid());
  int rc = make_dir(&asker, VIRTIOFS_FUSE_ROOT, files->name, &files->root);
  if (rc == 0)
    rc = make_file(&asker, files->root, "file", &files->file, &files->handle);
  if (rc == 0)
    rc = fill(&asker, files);
  if (rc == 0)
    rc = make_empty(&asker, NULL, files->root, "rename", SLOTS_MAX);
  if (rc == 0)
    rc = make_dir(&asker, files->root, "dir", &files->dir);
  if (rc == 0)
    rc = make_empty(&asker, &forgets, files->dir, "an-entry-of-the-directory", dir_entries);
  if (rc != 0)
    (void)fprintf(stderr, "virtiofs-bench: cannot prepare: %s: %s\n", asker.what, strerror(-rc));
  virtiofs_client_request_give(asker.req);
  forget_all(&forgets);
  return rc;
}

static void unlink_name(struct asker *asker, uint32_t opcode, uint64_t parent, const char *name) {
  struct virtiofs_unlink_in *in = &prepare(asker, opcode)->unlink;
  in->parent = parent;
  in->name = name_of(name);
  (void)virtiofs_client_request_run(asker->req);
}

/* Some servers remove only what has been looked up. */
static void unlink_all(struct asker *asker, struct forgets *forgets, uint64_t parent, const char *kind,
                       uint32_t count) {
  char name[NAME_MAX_BYTES];
  for (uint32_t i = 0; i < count; i++) {
    (void)snprintf(name, sizeof(name), "%s-%u", kind, i);
    struct virtiofs_lookup_in *in = &prepare(asker, VIRTIOFS_FUSE_LOOKUP)->lookup;
    in->parent = parent;
    in->name = name_of(name);
    if (virtiofs_client_request_run(asker->req) != 0 || asker->req->out.entry.node == 0)
      continue;
    uint64_t node = asker->req->out.entry.node;
    unlink_name(asker, VIRTIOFS_FUSE_UNLINK, parent, name);
    forget(forgets, node);
  }
}

void files_remove(struct virtiofs_client *client, const struct files *files) {
  struct asker asker = {.req = virtiofs_client_request_take(client, 1)};
  struct forgets forgets = {.client = client};
  if (asker.req == NULL || files->root == 0)
    return;
  if (files->handle != 0 || files->file != 0)
    (void)close_file(&asker, files->file, files->handle);
  unlink_name(&asker, VIRTIOFS_FUSE_UNLINK, files->root, "file");
  unlink_all(&asker, &forgets, files->root, "rename", SLOTS_MAX);
  unlink_all(&asker, &forgets, files->root, "renamed", SLOTS_MAX);
  if (files->dir != 0)
    unlink_all(&asker, &forgets, files->dir, "an-entry-of-the-directory", files->dir_entries);
  unlink_name(&asker, VIRTIOFS_FUSE_RMDIR, files->root, "dir");
  unlink_name(&asker, VIRTIOFS_FUSE_RMDIR, VIRTIOFS_FUSE_ROOT, files->name);
  forget_all(&forgets);
  virtiofs_client_request_give(asker.req);
}
