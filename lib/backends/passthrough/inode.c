/* SPDX-License-Identifier: BSD-3-Clause */
#include "backends/passthrough/inode.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backends/passthrough/handle.h"
#include "backends/passthrough/share.h"

enum { FIRST_BUCKETS = 16, MINOR_BITS = 20 };

struct key {
  uint64_t ino, mnt_id;
  uint32_t dev;
  uint16_t type; /* a file system that reuses a number of a file still open must at least not change a node's type */
};

uint64_t virtiofs_passthrough_mnt_id(const struct statx *stx) {
  return (stx->stx_mask & STATX_MNT_ID) != 0 ? stx->stx_mnt_id : 0;
}

uint32_t virtiofs_passthrough_dev(const struct statx *stx) {
  return stx->stx_dev_major << MINOR_BITS | stx->stx_dev_minor;
}

static struct key key_of(const struct statx *stx) {
  return (struct key){.ino = stx->stx_ino,
                      .mnt_id = virtiofs_passthrough_mnt_id(stx),
                      .dev = virtiofs_passthrough_dev(stx),
                      .type = (uint16_t)(stx->stx_mode & VIRTIOFS_S_IFMT)};
}

static struct key key_of_inode(const struct inode *inode) {
  return (struct key){.ino = inode->ino, .mnt_id = inode->mount->id, .dev = inode->dev, .type = inode->type};
}

static bool same_key(const struct key *a, const struct key *b) {
  return a->ino == b->ino && a->mnt_id == b->mnt_id && a->dev == b->dev && a->type == b->type;
}

bool virtiofs_passthrough_same_file(const struct statx *a, const struct statx *b) {
  struct key key_a = key_of(a), key_b = key_of(b);
  return same_key(&key_a, &key_b);
}

bool virtiofs_passthrough_inode_is(const struct inode *inode, const struct statx *stx) {
  struct key key = key_of(stx), own = key_of_inode(inode);
  return same_key(&key, &own);
}

/* Of two files with one key at most one is still there, and it is that one if a descriptor holds it. */
static bool is_it(const struct inode *inode, const struct key *key, const struct handle *handle) {
  struct key own = key_of_inode(inode);
  if (!same_key(&own, key))
    return false;
  if (handle == NULL || inode->handle_len == 0)
    return virtiofs_passthrough_fd_own(inode);
  return inode->handle_len == handle->len && inode->handle_type == handle->type &&
         memcmp(inode->handle, handle->bytes, handle->len) == 0;
}

/* Numbers of files made one after the other differ in their low bits only: spread them over all bits. */
static uint64_t hash_of(const struct key *key) {
  uint64_t h = key->ino ^ (uint64_t)key->dev << 32 ^ key->mnt_id << 48;
  h = (h ^ h >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
  h = (h ^ h >> 27) * UINT64_C(0x94d049bb133111eb);
  return h ^ h >> 31;
}

static struct inode_shard *shard_of(struct virtiofs_passthrough *fs, uint64_t hash) {
  return &fs->table.shards[hash % PASSTHROUGH_SHARDS];
}

static struct inode **bucket_of(const struct inode_shard *shard, uint64_t hash) {
  return &shard->buckets[hash / PASSTHROUGH_SHARDS & (shard->bucket_count - 1)];
}

/* Without memory the table stays as it is: only slower, or larger, than it could be. */
static void resize(struct inode_shard *shard, size_t bucket_count) {
  struct inode_shard next = {.buckets = calloc(bucket_count, sizeof(struct inode *)), .bucket_count = bucket_count};
  if (next.buckets == NULL)
    return;
  for (size_t i = 0; i < shard->bucket_count; i++) {
    struct inode *inode = shard->buckets[i];
    while (inode != NULL) {
      struct inode *rest = inode->next;
      struct key key = key_of_inode(inode);
      struct inode **bucket = bucket_of(&next, hash_of(&key));
      inode->next = *bucket;
      *bucket = inode;
      inode = rest;
    }
  }
  free(shard->buckets);
  shard->buckets = next.buckets;
  shard->bucket_count = next.bucket_count;
}

int virtiofs_passthrough_table_init(struct inode_table *table) {
  for (unsigned i = 0; i < PASSTHROUGH_SHARDS; i++) {
    struct inode_shard *shard = &table->shards[i];
    shard->inode_count = 0;
    shard->bucket_count = FIRST_BUCKETS;
    shard->buckets = calloc(FIRST_BUCKETS, sizeof(struct inode *));
    if (shard->buckets == NULL || pthread_mutex_init(&shard->lock, NULL) != 0) {
      free(shard->buckets);
      while (i-- > 0) {
        free(table->shards[i].buckets);
        pthread_mutex_destroy(&table->shards[i].lock);
      }
      return -ENOMEM;
    }
  }
  return 0;
}

static void inode_free(struct virtiofs_passthrough *fs, struct inode *inode) {
  struct mount *mount = inode->mount;
  virtiofs_passthrough_quota_forgotten(fs, inode);
  virtiofs_passthrough_fd_drop(fs, inode);
  free(inode);
  virtiofs_passthrough_mount_put(fs, mount);
}

void virtiofs_passthrough_table_fini(struct virtiofs_passthrough *fs) {
  for (unsigned i = 0; i < PASSTHROUGH_SHARDS; i++) {
    struct inode_shard *shard = &fs->table.shards[i];
    for (size_t b = 0; b < shard->bucket_count; b++) {
      while (shard->buckets[b] != NULL) {
        struct inode *inode = shard->buckets[b];
        shard->buckets[b] = inode->next;
        inode_free(fs, inode);
      }
    }
    free(shard->buckets);
    pthread_mutex_destroy(&shard->lock);
  }
}

/* Find and count under one lock, so that a forget on another thread either sees the count or has removed it before. */
static struct inode *find_locked(const struct inode_shard *shard, const struct key *key, uint64_t hash,
                                 const struct handle *handle) {
  for (struct inode *inode = *bucket_of(shard, hash); inode != NULL; inode = inode->next) {
    if (is_it(inode, key, handle)) {
      inode->replies++;
      return inode;
    }
  }
  return NULL;
}

struct inode *virtiofs_passthrough_inode_find(struct virtiofs_passthrough *fs, const struct statx *stx,
                                              const struct handle *handle) {
  struct key key = key_of(stx);
  uint64_t hash = hash_of(&key);
  struct inode_shard *shard = shard_of(fs, hash);
  pthread_mutex_lock(&shard->lock);
  struct inode *inode = find_locked(shard, &key, hash, handle);
  pthread_mutex_unlock(&shard->lock);
  return inode;
}

static struct inode *inode_new(const struct inode_parts *parts, const struct key *key) {
  unsigned len = parts->handle != NULL ? parts->handle->len : 0;
  struct inode *inode = malloc(sizeof *inode + len);
  if (inode == NULL)
    return NULL;
  *inode = (struct inode){.mount = parts->mount,
                          .ino = key->ino,
                          .replies = 1,
                          .size = UINT64_MAX,
                          .dev = key->dev,
                          .type = key->type,
                          .handle_len = (uint8_t)len,
                          .flags = parts->flags};
  if (len != 0) {
    inode->handle_type = parts->handle->type;
    memcpy(inode->handle, parts->handle->bytes, len);
  } else {
    virtiofs_passthrough_fd_keep(inode, parts->fd);
  }
  return inode;
}

int virtiofs_passthrough_inode_enter(struct virtiofs_passthrough *fs, const struct inode_parts *parts,
                                     struct inode **out) {
  struct key key = key_of(parts->stx);
  uint64_t hash = hash_of(&key);
  struct inode_shard *shard = shard_of(fs, hash);
  struct inode *made = inode_new(parts, &key);
  if (made == NULL) {
    if (parts->handle == NULL)
      virtiofs_passthrough_fd_close(fs, parts->fd);
    virtiofs_passthrough_mount_put(fs, parts->mount);
    return -ENOMEM;
  }
  pthread_mutex_lock(&shard->lock);
  *out = find_locked(shard, &key, hash, parts->handle);
  if (*out == NULL) {
    if (shard->inode_count >= shard->bucket_count)
      resize(shard, shard->bucket_count * 2);
    struct inode **bucket = bucket_of(shard, hash);
    made->next = *bucket;
    *bucket = made;
    shard->inode_count++;
    *out = made;
    made = NULL;
  }
  pthread_mutex_unlock(&shard->lock);
  if (made != NULL)
    inode_free(fs, made);
  return 0;
}

void virtiofs_passthrough_inode_get(struct virtiofs_passthrough *fs, struct inode *inode) {
  struct key key = key_of_inode(inode);
  struct inode_shard *shard = shard_of(fs, hash_of(&key));
  pthread_mutex_lock(&shard->lock);
  inode->replies++;
  pthread_mutex_unlock(&shard->lock);
}

static void remove_locked(struct inode_shard *shard, struct inode *inode, uint64_t hash) {
  struct inode **link = bucket_of(shard, hash);
  while (*link != inode)
    link = &(*link)->next;
  *link = inode->next;
  shard->inode_count--;
  if (shard->bucket_count > FIRST_BUCKETS && shard->inode_count < shard->bucket_count / 8)
    resize(shard, shard->bucket_count / 4);
}

void virtiofs_passthrough_inode_put(struct virtiofs_passthrough *fs, struct inode *inode, uint64_t replies) {
  if (inode == fs->root)
    return;
  struct key key = key_of_inode(inode);
  uint64_t hash = hash_of(&key);
  struct inode_shard *shard = shard_of(fs, hash);
  pthread_mutex_lock(&shard->lock);
  bool too_many = replies > inode->replies;
  inode->replies = too_many ? 0 : inode->replies - replies;
  bool gone = inode->replies == 0;
  if (gone)
    remove_locked(shard, inode, hash);
  pthread_mutex_unlock(&shard->lock);
  if (too_many)
    virtiofs_log_write(&fs->log, VIRTIOFS_LOG_ERROR, "passthrough", "inode %ju: forgot more replies than there were",
                       (uintmax_t)key.ino);
  if (gone)
    inode_free(fs, inode);
}
