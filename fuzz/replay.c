/* SPDX-License-Identifier: BSD-3-Clause */
/* Runs a target on each file of the folders that are named; fails if there is none. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "target.h"

static int replay_file(const char *path) {
  struct stat st;
  FILE *file = fopen(path, "rb");
  if (file == NULL || fstat(fileno(file), &st) != 0) {
    perror(path);
    exit(EXIT_FAILURE);
  }
  if (!S_ISREG(st.st_mode)) {
    (void)fclose(file);
    return 0;
  }
  size_t size = (size_t)st.st_size;
  uint8_t *data = malloc(size != 0 ? size : 1);
  if (data == NULL || fread(data, 1, size, file) != size) {
    perror(path);
    exit(EXIT_FAILURE);
  }
  (void)fclose(file);
  (void)LLVMFuzzerTestOneInput(data, size);
  free(data);
  return 1;
}

static int replay_folder(const char *folder) {
  int files = 0;
  char path[4096];
  struct dirent *entry;
  DIR *dir = opendir(folder);
  if (dir == NULL) {
    perror(folder);
    exit(EXIT_FAILURE);
  }
  while ((entry = readdir(dir)) != NULL) {
    (void)snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
    files += replay_file(path);
  }
  (void)closedir(dir);
  return files;
}

int main(int argc, char **argv) {
  int files = 0;
  for (int i = 1; i < argc; i++)
    files += replay_folder(argv[i]);
  (void)printf("%d files replayed\n", files);
  return files > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
