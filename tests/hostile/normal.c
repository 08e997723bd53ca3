/* SPDX-License-Identifier: BSD-3-Clause */
/* A guest that keeps to the rules: the server serves. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "hostile.h"

static void must(int rc, const char *what) {
  if (rc != 0)
    fail("%s: %s", what, strerror(-rc));
}

static bool count_name(void *ctx, const struct virtiofs_dirent *entry) {
  unsigned *count = ctx;
  if (entry->len == 4 && memcmp(entry->name, "file", 4) == 0)
    (*count)++;
  return true;
}

static void use_tree(struct virtiofs_client_fs *fs) {
  static const char text[] = "what a guest writes";
  struct virtiofs_client_file *file;
  char got[sizeof(text)] = "";
  unsigned count = 0;
  must(virtiofs_client_fs_mkdir(fs, "normal", 0755), "mkdir");
  must(virtiofs_client_fs_open(fs, &file, "normal/file", O_RDWR | O_CREAT | O_EXCL, 0644), "create");
  if (virtiofs_client_fs_pwrite(file, text, sizeof(text), 0) != sizeof(text) ||
      virtiofs_client_fs_pread(file, got, sizeof(got), 0) != sizeof(got) || memcmp(got, text, sizeof(text)) != 0)
    fail("what was written is not what is read");
  must(virtiofs_client_fs_fsync(file, false), "fsync");
  must(virtiofs_client_fs_close(file), "close");
  must(virtiofs_client_fs_open(fs, &file, "normal", O_RDONLY | O_DIRECTORY, 0), "opendir");
  must(virtiofs_client_fs_list(file, count_name, &count), "list");
  must(virtiofs_client_fs_close(file), "close");
  if (count != 1)
    fail("the file is listed %u times", count);
  must(virtiofs_client_fs_rename(fs, "normal/file", "normal/other"), "rename");
  must(virtiofs_client_fs_unlink(fs, "normal/other"), "unlink");
  must(virtiofs_client_fs_rmdir(fs, "normal"), "rmdir");
}

void attack_normal(struct hostile *h) {
  struct virtiofs_client_fs *fs;
  session_begin(h);
  must(virtiofs_client_fs_new(&fs, h->client, 1, 0), "a view of the files");
  use_tree(fs);
  virtiofs_client_fs_free(fs);
  session_end(h);
}
