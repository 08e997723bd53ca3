/* What an open file must do whatever becomes of its name. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "probe.h"

/* Two O_APPEND writers: neither overwrites the other, wherever each one's position stands. */
int probe_append(int argc, char **argv) {
  static const char want[] = "one two three four ";
  char got[sizeof want] = "";
  int a, b;

  (void)argc;
  a = open(argv[0], O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 0644);
  b = open(argv[0], O_RDWR | O_APPEND);
  if (a < 0 || b < 0)
    return probe_error("open");
  if (write(a, "one ", 4) != 4 || write(b, "two ", 4) != 4 || write(a, "three ", 6) != 6)
    return probe_error("write");
  if (lseek(b, 0, SEEK_SET) != 0 || write(b, "four ", 5) != 5)
    return probe_error("lseek and write");
  if (pread(b, got, sizeof got - 1, 0) != sizeof got - 1 || strcmp(got, want) != 0)
    return probe_failed(want, "%s", got);
  return close(a) < 0 || close(b) < 0 ? probe_error("close") : PROBE_OK;
}

/* A file without a name left: it can still be written, read, cut and looked at. */
int probe_unlinked(int argc, char **argv) {
  char got[6] = "";
  struct stat st;
  int fd;

  (void)argc;
  fd = open(argv[0], O_RDWR | O_CREAT | O_EXCL, 0600);
  if (fd < 0 || write(fd, "before", 6) != 6 || unlink(argv[0]) < 0)
    return probe_error("open, write and unlink");
  if (write(fd, " after", 6) != 6 || pread(fd, got, 6, 6) != 6)
    return probe_error("write and read of an unlinked file");
  if (!probe_same("the unlinked file", " after", got, 6))
    return PROBE_FAILED;
  if (ftruncate(fd, 3) < 0 || fchmod(fd, 0640) < 0 || fstat(fd, &st) < 0)
    return probe_error("ftruncate, fchmod and fstat of an unlinked file");
  if (st.st_size != 3 || st.st_nlink != 0 || (st.st_mode & 07777) != 0640)
    return probe_failed("3 bytes, no link, mode 640", "%ld bytes, %lu links, mode %o", (long)st.st_size,
                        (unsigned long)st.st_nlink, st.st_mode & 07777);
  if (access(argv[0], F_OK) == 0 || errno != ENOENT)
    return probe_failed("ENOENT for the name", "another answer");
  return close(fd) < 0 ? probe_error("close") : PROBE_OK;
}

/* Shrinking and growing through a descriptor: what was cut off must read as zeros afterwards. */
int probe_truncate_open(int argc, char **argv) {
  char want[10000] = {0}, got[10000];
  struct stat st;
  int fd;

  (void)argc;
  fd = open(argv[0], O_RDWR | O_CREAT | O_TRUNC, 0644);
  memset(got, 'x', sizeof got);
  memset(want, 'x', 5000);
  if (fd < 0 || write(fd, got, sizeof got) != sizeof got)
    return probe_error("open and write");
  if (ftruncate(fd, 5000) < 0 || fstat(fd, &st) < 0)
    return probe_error("ftruncate to less");
  if (st.st_size != 5000)
    return probe_failed("5000 bytes", "%ld", (long)st.st_size);
  if (ftruncate(fd, sizeof got) < 0 || pread(fd, got, sizeof got, 0) != sizeof got)
    return probe_error("ftruncate to more and pread");
  if (!probe_same("the grown file", want, got, sizeof got))
    return PROBE_FAILED;
  return close(fd) < 0 ? probe_error("close") : PROBE_OK;
}

/* Reads and writes at odd places: across pages, at the end and beyond it. */
int probe_positions(int argc, char **argv) {
  static const struct {
    off_t at;
    const char *text;
  } pieces[] = {{4090, "across a page"}, {0, "start"}, {131070, "across 128 KiB"}, {1048573, "across 1 MiB"}};
  char got[32];
  int fd;

  (void)argc;
  fd = open(argv[0], O_RDWR | O_CREAT | O_TRUNC, 0644);
  if (fd < 0)
    return probe_error("open");
  for (int i = 0; i < 4; i++)
    if (pwrite(fd, pieces[i].text, strlen(pieces[i].text), pieces[i].at) != (ssize_t)strlen(pieces[i].text))
      return probe_error("pwrite");
  if (posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED) != 0 || fsync(fd) < 0)
    return probe_error("fsync");
  for (int i = 0; i < 4; i++) {
    size_t len = strlen(pieces[i].text);

    if (pread(fd, got, len, pieces[i].at) != (ssize_t)len)
      return probe_error("pread");
    if (!probe_same(pieces[i].text, pieces[i].text, got, len))
      return PROBE_FAILED;
  }
  if (pread(fd, got, sizeof got, 1048573 + 5) != 7)
    return probe_failed("7 bytes before the end", "another count");
  if (pread(fd, got, sizeof got, 1 << 21) != 0)
    return probe_failed("nothing beyond the end", "something");
  return close(fd) < 0 ? probe_error("close") : PROBE_OK;
}

int probe_fsync(int argc, char **argv) {
  int fd = open(argv[0], O_WRONLY | O_CREAT, 0644), dir = open(".", O_RDONLY | O_DIRECTORY);

  (void)argc;
  if (fd < 0 || dir < 0)
    return probe_error("open");
  if (write(fd, "x", 1) != 1 || fsync(fd) < 0)
    return probe_error("fsync");
  if (fdatasync(fd) < 0)
    return probe_error("fdatasync");
  if (fsync(dir) < 0)
    return probe_error("fsync of a directory");
  return close(fd) < 0 || close(dir) < 0 ? probe_error("close") : PROBE_OK;
}
