/* SPDX-License-Identifier: BSD-3-Clause */
/* Names that are remembered, for as long as the server allows. */
#include "client/fs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define DEFAULT_ENTRIES 1024U
#define NS_PER_SEC 1000000000

static int64_t now_ns(void) {
  struct timespec ts;
  clock_gettime(CLOCK_MONOTONIC, &ts);
  return (int64_t)ts.tv_sec * NS_PER_SEC + ts.tv_nsec;
}

static int64_t until(int64_t now, uint64_t valid_ns) {
  return valid_ns > (uint64_t)(INT64_MAX - now) ? INT64_MAX : now + (int64_t)valid_ns;
}

union virtiofs_fuse_in *virtiofs_client_fs_request(struct virtiofs_client_fs *fs, uint32_t opcode) {
  struct virtiofs_client_request *req = fs->req;
  req->fuse.header = (struct virtiofs_fuse_header){.opcode = opcode, .uid = fs->uid, .gid = fs->gid, .pid = fs->pid};
  memset(&req->fuse.in, 0, sizeof(req->fuse.in));
  return &req->fuse.in;
}

int virtiofs_client_fs_ask(struct virtiofs_client_fs *fs) {
  return virtiofs_client_request_run(fs->req);
}

/* FNV-1a over the name and the directory's number. */
static struct virtiofs_client_dentry *place_of(const struct virtiofs_client_fs *fs, uint64_t parent,
                                               const struct virtiofs_name *name) {
  uint64_t hash = (UINT64_C(0xcbf29ce484222325) ^ parent) * UINT64_C(0x100000001b3);
  for (uint32_t i = 0; i < name->len; i++)
    hash = (hash ^ (unsigned char)name->str[i]) * UINT64_C(0x100000001b3);
  return &fs->dentries[(hash ^ hash >> 32) % fs->count];
}

static bool is_it(const struct virtiofs_client_dentry *dentry, uint64_t parent, const struct virtiofs_name *name) {
  return dentry->parent == parent && dentry->len == name->len && memcmp(dentry->name, name->str, name->len) == 0;
}

/* Several views have one queue for it. */
static void send_forgets(struct virtiofs_client_fs *fs) {
  struct virtiofs_client *client = fs->client;
  while (fs->forget_count > 0) {
    uint32_t count = fs->forget_count < VIRTIOFS_CLIENT_BATCH ? fs->forget_count : VIRTIOFS_CLIENT_BATCH;
    fs->forget_count -= count;
    pthread_mutex_lock(&client->forget_lock);
    struct virtiofs_client_request *req = virtiofs_client_request_take(client, 0);
    if (req != NULL) {
      req->fuse.header.opcode = VIRTIOFS_FUSE_BATCH_FORGET;
      req->fuse.in.batch_forget.count = count;
      memcpy(req->data, &fs->forgets[2 * fs->forget_count], (size_t)count * 2 * sizeof(fs->forgets[0]));
      (void)virtiofs_client_request_run(req);
      virtiofs_client_request_give(req);
    }
    pthread_mutex_unlock(&client->forget_lock);
  }
}

static void drop(struct virtiofs_client_fs *fs, struct virtiofs_client_dentry *dentry) {
  if (dentry->parent != 0 && dentry->node != 0) {
    /* Whoever walks may still stand on it, so it isn't sent at once. */
    if (fs->forget_count == VIRTIOFS_CLIENT_FORGETS)
      send_forgets(fs);
    fs->forgets[2 * fs->forget_count] = dentry->node;
    fs->forgets[2 * fs->forget_count + 1] = dentry->lookups;
    fs->forget_count++;
  }
  dentry->parent = 0;
}

int virtiofs_client_fs_end(struct virtiofs_client_fs *fs, int rc) {
  if (fs->forget_count >= VIRTIOFS_CLIENT_BATCH)
    send_forgets(fs);
  return rc;
}

struct virtiofs_client_dentry *virtiofs_client_fs_learn(struct virtiofs_client_fs *fs, uint64_t parent,
                                                        const struct virtiofs_name *name,
                                                        const struct virtiofs_entry_out *entry) {
  struct virtiofs_client_dentry *dentry = place_of(fs, parent, name);
  int64_t now = now_ns();
  bool same = is_it(dentry, parent, name) && dentry->node == entry->node;
  if (!same)
    drop(fs, dentry);
  dentry->lookups = same ? dentry->lookups + (entry->node != 0) : 1;
  dentry->parent = parent;
  dentry->node = entry->node;
  dentry->entry_until = until(now, entry->entry_valid_ns);
  dentry->attr_until = until(now, entry->attr_valid_ns);
  dentry->changes = fs->changes;
  dentry->attr = entry->attr;
  dentry->len = name->len;
  memcpy(dentry->name, name->str, name->len);
  return dentry;
}

void virtiofs_client_fs_unlearn(struct virtiofs_client_fs *fs, uint64_t parent, const struct virtiofs_name *name) {
  struct virtiofs_client_dentry *dentry = place_of(fs, parent, name);
  if (is_it(dentry, parent, name))
    drop(fs, dentry);
}

static int refresh(struct virtiofs_client_fs *fs, struct virtiofs_client_dentry *dentry) {
  virtiofs_client_fs_request(fs, VIRTIOFS_FUSE_GETATTR)->getattr.node = dentry->node;
  int rc = virtiofs_client_fs_ask(fs);
  if (rc == 0) {
    dentry->attr = fs->req->out.attr.attr;
    dentry->attr_until = until(now_ns(), fs->req->out.attr.attr_valid_ns);
    dentry->changes = fs->changes;
  }
  return rc;
}

int virtiofs_client_fs_lookup(struct virtiofs_client_fs *fs, uint64_t parent, const struct virtiofs_name *name,
                              struct virtiofs_client_dentry **found) {
  struct virtiofs_client_dentry *dentry = place_of(fs, parent, name);
  int64_t now = now_ns();
  *found = dentry;
  if (is_it(dentry, parent, name) && now < dentry->entry_until)
    return dentry->node == 0 || (now < dentry->attr_until && dentry->changes == fs->changes) ? 0 : refresh(fs, dentry);
  struct virtiofs_lookup_in *in = &virtiofs_client_fs_request(fs, VIRTIOFS_FUSE_LOOKUP)->lookup;
  in->parent = parent;
  in->name = *name;
  int rc = virtiofs_client_fs_ask(fs);
  if (rc == 0) {
    *found = virtiofs_client_fs_learn(fs, parent, name, &fs->req->out.entry);
  } else if (rc == -ENOENT) {
    virtiofs_client_fs_unlearn(fs, parent, name);
    *found = NULL;
    rc = 0;
  }
  return rc;
}

int virtiofs_client_fs_new(struct virtiofs_client_fs **out, struct virtiofs_client *client, uint32_t queue,
                           uint32_t entries) {
  *out = NULL;
  if (entries == 0)
    entries = DEFAULT_ENTRIES;
  if (queue == 0 || queue >= client->count || entries < 16 || entries > 65536)
    return -EINVAL;
  struct virtiofs_client_fs *fs = calloc(1, sizeof(*fs));
  if (fs == NULL)
    return -ENOMEM;
  fs->client = client;
  fs->count = entries;
  fs->dentries = calloc(entries, sizeof(fs->dentries[0]));
  fs->req = fs->dentries != NULL ? virtiofs_client_request_take(client, queue) : NULL;
  if (fs->req == NULL) {
    int rc = fs->dentries == NULL ? -ENOMEM : -EBUSY;
    free(fs->dentries);
    free(fs);
    return rc;
  }
  *out = fs;
  return 0;
}

void virtiofs_client_fs_free(struct virtiofs_client_fs *fs) {
  if (fs == NULL)
    return;
  for (uint32_t i = 0; i < fs->count; i++)
    drop(fs, &fs->dentries[i]);
  send_forgets(fs);
  virtiofs_client_request_give(fs->req);
  free(fs->dentries);
  free(fs);
}

void virtiofs_client_fs_caller(struct virtiofs_client_fs *fs, uint32_t uid, uint32_t gid, uint32_t pid) {
  fs->uid = uid;
  fs->gid = gid;
  fs->pid = pid;
}
