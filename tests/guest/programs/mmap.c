#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "probe.h"

/* Writes the file's bytes to standard output out of a mapping: the caller compares them. */
int probe_mmap_read(int argc, char **argv) {
  struct stat st;
  char *map;
  int fd;

  (void)argc;
  fd = open(argv[0], O_RDONLY);
  if (fd < 0 || fstat(fd, &st) < 0)
    return probe_error("open and fstat");
  map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
  if (map == MAP_FAILED)
    return probe_error("mmap");
  /* write(2) from the mapping would read the pages inside the kernel: touch each one from here. */
  for (off_t at = 0; at < st.st_size;) {
    char copy[4096];
    size_t len = st.st_size - at < (off_t)sizeof copy ? (size_t)(st.st_size - at) : sizeof copy;

    memcpy(copy, map + at, len);
    if (write(STDOUT_FILENO, copy, len) != (ssize_t)len)
      return PROBE_FAILED;
    at += (off_t)len;
  }
  return PROBE_OK;
}

/* Changes a file through a shared mapping; what pread(2) then gives must be the new bytes. */
int probe_mmap_write(int argc, char **argv) {
  enum { size = 3 * 4096 };
  char buf[size];
  char *map;
  int fd;

  (void)argc;
  fd = open(argv[0], O_RDWR | O_CREAT | O_TRUNC, 0644);
  if (fd < 0 || ftruncate(fd, size) < 0)
    return probe_error("open and ftruncate");
  map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (map == MAP_FAILED)
    return probe_error("mmap");
  for (int i = 0; i < size; i++)
    map[i] = (char)('a' + i % 26);
  if (msync(map, size, MS_SYNC) < 0)
    return probe_error("msync");
  if (pread(fd, buf, size, 0) != size)
    return probe_error("pread");
  if (!probe_same("the file", map, buf, size))
    return PROBE_FAILED;
  return munmap(map, size) < 0 || close(fd) < 0 ? probe_error("munmap and close") : PROBE_OK;
}
