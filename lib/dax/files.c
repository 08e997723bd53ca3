/* SPDX-License-Identifier: BSD-3-Clause */
#include "dax/files.h"

#include <errno.h>
#include <stdlib.h>

static uint32_t *bucket_of(const struct virtiofs_dax_files *files, uint64_t key) {
  uint64_t h = (key ^ key >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
  return &files->buckets[(h ^ h >> 31) & (files->max - 1)];
}

int virtiofs_dax_files_init(struct virtiofs_dax_files *files, uint32_t max, void (*close_fn)(void *ctx, int fd),
                            void *ctx) {
  *files = (struct virtiofs_dax_files){.max = 1, .free = VIRTIOFS_DAX_NO_FILE, .close = close_fn, .ctx = ctx};
  while (files->max < max)
    files->max *= 2;
  files->files = calloc(files->max, sizeof(files->files[0]));
  files->buckets = malloc(files->max * sizeof(files->buckets[0]));
  if (files->files == NULL || files->buckets == NULL)
    return -ENOMEM;
  for (uint32_t i = 0; i < files->max; i++)
    files->buckets[i] = VIRTIOFS_DAX_NO_FILE;
  return 0;
}

void virtiofs_dax_files_fini(struct virtiofs_dax_files *files) {
  free(files->files);
  free(files->buckets);
}

uint32_t virtiofs_dax_files_find(const struct virtiofs_dax_files *files, uint64_t key, bool writable) {
  uint32_t i = *bucket_of(files, key);
  while (i != VIRTIOFS_DAX_NO_FILE && (files->files[i].key != key || files->files[i].writable != writable))
    i = files->files[i].next;
  return i;
}

uint32_t virtiofs_dax_files_add(struct virtiofs_dax_files *files, uint64_t key, bool writable, int fd) {
  uint32_t i = files->free;
  if (i != VIRTIOFS_DAX_NO_FILE)
    files->free = files->files[i].next;
  else if (files->fresh < files->max)
    i = files->fresh++;
  else
    return VIRTIOFS_DAX_NO_FILE;
  uint32_t *bucket = bucket_of(files, key);
  files->files[i] = (struct virtiofs_dax_file){.key = key, .users = 1, .next = *bucket, .fd = fd, .writable = writable};
  *bucket = i;
  return i;
}

void virtiofs_dax_files_ref(struct virtiofs_dax_files *files, uint32_t file) {
  files->files[file].users++;
}

void virtiofs_dax_files_unref(struct virtiofs_dax_files *files, uint32_t file) {
  struct virtiofs_dax_file *gone = &files->files[file];
  if (--gone->users > 0)
    return;
  uint32_t *link = bucket_of(files, gone->key);
  while (*link != file)
    link = &files->files[*link].next;
  *link = gone->next;
  gone->next = files->free;
  files->free = file;
  files->close(files->ctx, gone->fd);
}
