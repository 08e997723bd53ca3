/* SPDX-License-Identifier: BSD-3-Clause */
/** The descriptors that mappings use: one for each file and kind of access, counted. */
#ifndef VIRTIOFS_LIB_DAX_FILES_H
#define VIRTIOFS_LIB_DAX_FILES_H

#include <stdbool.h>
#include <stdint.h>

#define VIRTIOFS_DAX_NO_FILE UINT32_MAX

struct virtiofs_dax_file {
  uint64_t key;
  uint32_t users; /* 0: it is free */
  uint32_t next;  /* in its bucket, or of the free ones */
  int fd;
  bool writable;
};

struct virtiofs_dax_files {
  struct virtiofs_dax_file *files;
  uint32_t *buckets; /* as many as files */
  uint32_t max;      /* a power of two */
  uint32_t fresh, free;
  void (*close)(void *ctx, int fd);
  void *ctx;
};

/* 0 or -ENOMEM. */
int virtiofs_dax_files_init(struct virtiofs_dax_files *files, uint32_t max, void (*close_fn)(void *ctx, int fd),
                            void *ctx);

/* Nobody uses any. */
void virtiofs_dax_files_fini(struct virtiofs_dax_files *files);

/* Its number, or VIRTIOFS_DAX_NO_FILE. */
uint32_t virtiofs_dax_files_find(const struct virtiofs_dax_files *files, uint64_t key, bool writable);

/* The number of a file with one user; VIRTIOFS_DAX_NO_FILE: there are too many, and @fd is the caller's. */
uint32_t virtiofs_dax_files_add(struct virtiofs_dax_files *files, uint64_t key, bool writable, int fd);

/* One user more, or less: the last closes it. */
void virtiofs_dax_files_ref(struct virtiofs_dax_files *files, uint32_t file);
void virtiofs_dax_files_unref(struct virtiofs_dax_files *files, uint32_t file);

#endif
