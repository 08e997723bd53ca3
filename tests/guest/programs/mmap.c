#define _GNU_SOURCE
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "probe.h"

static char *map_file(const char *path, size_t *len) {
  struct stat st;
  int fd = open(path, O_RDONLY);

  if (fd < 0 || fstat(fd, &st) < 0)
    return MAP_FAILED;
  *len = (size_t)st.st_size;
  return mmap(NULL, *len, PROT_READ, MAP_SHARED, fd, 0);
}

/* FILE EXPECTED: the same bytes in both, read through a mapping. */
int probe_mmap_read(int argc, char **argv) {
  size_t len, want_len;
  char *map, *want;

  (void)argc;
  map = map_file(argv[0], &len);
  if (map == MAP_FAILED)
    return probe_error("mmap");
  want = map_file(argv[1], &want_len);
  if (want == MAP_FAILED)
    return probe_error("mmap of the expected file");
  if (len != want_len)
    return probe_failed("the same size", "%zu in place of %zu", len, want_len);
  return probe_same("the mapped file", want, map, len) ? PROBE_OK : PROBE_FAILED;
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

/* Changes a file that is there through a shared mapping, a byte of each page; what pread(2) then gives must be the new
 * bytes. */
int probe_mmap_change(int argc, char **argv) {
  enum { page = 4096 };
  struct stat st;
  char *map, byte;
  int fd;

  (void)argc;
  fd = open(argv[0], O_RDWR);
  if (fd < 0 || fstat(fd, &st) < 0)
    return probe_error("open and fstat");
  map = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (map == MAP_FAILED)
    return probe_error("mmap");
  for (off_t at = 0; at < st.st_size; at += page)
    map[at] = (char)(at / page * 7);
  for (off_t at = 0; at < st.st_size; at += page) {
    if (pread(fd, &byte, 1, at) != 1)
      return probe_error("pread");
    if (byte != (char)(at / page * 7))
      return probe_failed("the new byte", "%d at %lld", byte, (long long)at);
  }
  if (msync(map, (size_t)st.st_size, MS_SYNC) < 0 || fsync(fd) < 0)
    return probe_error("msync and fsync");
  return munmap(map, (size_t)st.st_size) < 0 || close(fd) < 0 ? probe_error("munmap and close") : PROBE_OK;
}
