/* Room on disk: given beforehand, taken back, and found again. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "probe.h"

enum { piece = 256 * 1024 };

int probe_fallocate(int argc, char **argv) {
  struct stat st;
  int fd;

  (void)argc;
  fd = open(argv[0], O_RDWR | O_CREAT | O_TRUNC, 0644);
  if (fd < 0)
    return probe_error("open");
  if (fallocate(fd, 0, 0, piece) < 0)
    return probe_error("fallocate");
  if (fstat(fd, &st) < 0 || st.st_size != piece)
    return probe_failed("262144 bytes", "%ld", (long)st.st_size);
  if (fallocate(fd, FALLOC_FL_KEEP_SIZE, piece, piece) < 0)
    return probe_error("fallocate beyond the end");
  if (fstat(fd, &st) < 0 || st.st_size != piece)
    return probe_failed("an unchanged size of 262144", "%ld", (long)st.st_size);
  return close(fd) < 0 ? probe_error("close") : PROBE_OK;
}

int probe_punch_hole(int argc, char **argv) {
  static char data[2 * piece], want[2 * piece];
  int fd;

  (void)argc;
  memset(data, 'd', sizeof data);
  memcpy(want, data, sizeof data);
  memset(want + 4096, 0, piece);
  fd = open(argv[0], O_RDWR | O_CREAT | O_TRUNC, 0644);
  if (fd < 0 || write(fd, data, sizeof data) != sizeof data)
    return probe_error("open and write");
  if (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 4096, piece) < 0)
    return probe_error("punching a hole");
  if (pread(fd, data, sizeof data, 0) != sizeof data)
    return probe_error("pread");
  if (!probe_same("the file with a hole", want, data, sizeof data))
    return PROBE_FAILED;
  return close(fd) < 0 ? probe_error("close") : PROBE_OK;
}

/* The file was made on the host: 1 MiB of nothing, then data up to the end. */
int probe_seek_holes(int argc, char **argv) {
  struct stat st;
  off_t at;
  int fd;

  (void)argc;
  fd = open(argv[0], O_RDONLY);
  if (fd < 0 || fstat(fd, &st) < 0)
    return probe_error("open");
  at = lseek(fd, 0, SEEK_DATA);
  if (at < 0)
    return probe_error("SEEK_DATA");
  if (at != 1048576)
    return probe_failed("data at 1048576", "%ld", (long)at);
  at = lseek(fd, 0, SEEK_HOLE);
  if (at != 0)
    return probe_failed("a hole at 0", "%ld", (long)at);
  at = lseek(fd, 1048576, SEEK_HOLE);
  if (at != st.st_size)
    return probe_failed("the end as the next hole", "%ld", (long)at);
  if (lseek(fd, st.st_size, SEEK_DATA) != -1 || errno != ENXIO)
    return probe_failed("ENXIO beyond the end", "another answer");
  return close(fd) < 0 ? probe_error("close") : PROBE_OK;
}
