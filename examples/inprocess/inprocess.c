/* SPDX-License-Identifier: BSD-3-Clause */
/* A device and its driver in one process, with no socket and no thread: files in a file system that is nowhere else.
 * cc inprocess.c -o inprocess $(pkg-config --cflags --libs libvirtiofs-daemon) && ./inprocess [TEXT...]
 *
 * A VMM has the device's half of this: it makes the calls of device.h where the client makes them here. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <virtiofs/client.h>
#include <virtiofs/device.h>
#include <virtiofs/memfs.h>

static int64_t must(int64_t rc, const char *what) {
  if (rc >= 0)
    return rc;
  (void)fprintf(stderr, "inprocess: %s: %s\n", what, strerror((int)-rc));
  exit(EXIT_FAILURE);
}

static void write_files(struct virtiofs_client_fs *fs, int count, const char *const *texts) {
  must(virtiofs_client_fs_mkdir(fs, "texts", 0755), "mkdir");
  for (int i = 0; i < count; i++) {
    struct virtiofs_client_file *file;
    char path[32];
    (void)snprintf(path, sizeof path, "texts/%d", i + 1);
    must(virtiofs_client_fs_open(fs, &file, path, O_WRONLY | O_CREAT | O_EXCL, 0644), "open");
    must(virtiofs_client_fs_pwrite(file, texts[i], strlen(texts[i]), 0), "write");
    must(virtiofs_client_fs_close(file), "close");
  }
}

static bool show_name(void *ctx, const struct virtiofs_dirent *entry) {
  (void)ctx;
  printf(" %.*s", (int)entry->len, entry->name);
  return true;
}

static void read_files(struct virtiofs_client_fs *fs, int count) {
  struct virtiofs_client_file *file;
  must(virtiofs_client_fs_open(fs, &file, "texts", O_RDONLY | O_DIRECTORY, 0), "open");
  printf("texts has");
  must(virtiofs_client_fs_list(file, show_name, NULL), "list");
  printf("\n");
  must(virtiofs_client_fs_close(file), "close");
  for (int i = 0; i < count; i++) {
    char path[32], text[256];
    (void)snprintf(path, sizeof path, "texts/%d", i + 1);
    must(virtiofs_client_fs_open(fs, &file, path, O_RDONLY, 0), "open");
    int64_t len = must(virtiofs_client_fs_pread(file, text, sizeof text, 0), "read");
    printf("%s: %.*s\n", path, (int)len, text);
    must(virtiofs_client_fs_close(file), "close");
  }
}

int main(int argc, char **argv) {
  static const char *const hello[] = {"hello", "world"};
  const char *const *texts = argc > 1 ? (const char *const *)argv + 1 : hello;
  const int count = argc > 1 ? argc - 1 : 2;
  struct virtiofs_memfs *memfs;
  struct virtiofs_device *dev;
  struct virtiofs_client *client;
  struct virtiofs_client_fs *fs;

  must(virtiofs_memfs_new(&memfs, NULL), "memfs");
  struct virtiofs_device_config device = {.size = sizeof device, .ops = virtiofs_memfs_ops(), .fs = memfs};
  must(virtiofs_device_new(&dev, &device), "device");
  struct virtiofs_client_config config = {
      .size = sizeof config, .transport = virtiofs_device_transport(), .device = dev};
  must(virtiofs_client_new(&client, &config), "client");
  must(virtiofs_client_init(client, NULL, NULL), "mount");
  must(virtiofs_client_fs_new(&fs, client, 1, 0), "view");

  write_files(fs, count, texts);
  read_files(fs, count);

  virtiofs_client_fs_free(fs);
  virtiofs_client_free(client);
  virtiofs_device_free(dev);
  virtiofs_memfs_free(memfs);
  return EXIT_SUCCESS;
}
