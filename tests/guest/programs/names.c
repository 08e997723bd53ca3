/* Names and directories: what the shell's tools can't ask for. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "probe.h"

static int read_text(const char *path, char *buf, size_t size) {
  int fd = open(path, O_RDONLY);
  ssize_t len = fd < 0 ? -1 : read(fd, buf, size - 1);

  if (fd >= 0)
    close(fd);
  buf[len < 0 ? 0 : len] = '\0';
  return len < 0 ? -1 : 0;
}

/* A holds "a", B holds "b". */
int probe_rename_noreplace(int argc, char **argv) {
  char text[8];

  (void)argc;
  if (renameat2(AT_FDCWD, argv[0], AT_FDCWD, argv[1], RENAME_NOREPLACE) == 0)
    return probe_failed("EEXIST", "a rename over the file");
  if (errno != EEXIST)
    return probe_error("RENAME_NOREPLACE over a file (with EEXIST)");
  if (read_text(argv[1], text, sizeof text) < 0 || strcmp(text, "b") != 0)
    return probe_failed("the target untouched", "'%s'", text);
  if (unlink(argv[1]) < 0 || renameat2(AT_FDCWD, argv[0], AT_FDCWD, argv[1], RENAME_NOREPLACE) < 0)
    return probe_error("RENAME_NOREPLACE to a free name");
  return PROBE_OK;
}

int probe_rename_exchange(int argc, char **argv) {
  char a[8], b[8];

  (void)argc;
  if (renameat2(AT_FDCWD, argv[0], AT_FDCWD, argv[1], RENAME_EXCHANGE) < 0)
    return probe_error("RENAME_EXCHANGE");
  if (read_text(argv[0], a, sizeof a) < 0 || read_text(argv[1], b, sizeof b) < 0)
    return probe_error("reading both");
  if (strcmp(a, "b") != 0 || strcmp(b, "a") != 0)
    return probe_failed("b and a", "%s and %s", a, b);
  return PROBE_OK;
}

static int count_entries(DIR *dir) {
  int count = 0;

  while (readdir(dir))
    count++;
  return count;
}

/* DIRECTORY COUNT: rewinding gives all again; seeking to where one stood gives the same rest. */
int probe_readdir_seek(int argc, char **argv) {
  DIR *dir = opendir(argv[0]);
  int want = atoi(argv[1]) + 2, got, rest;
  struct dirent *entry;
  char name[256] = "";
  long place;

  (void)argc;
  if (!dir)
    return probe_error("opendir");
  got = count_entries(dir);
  if (got != want)
    return probe_failed("all entries at first", "%d of %d", got, want);
  rewinddir(dir);
  for (int i = 0; i < want / 2; i++)
    readdir(dir);
  place = telldir(dir);
  entry = readdir(dir);
  if (entry)
    snprintf(name, sizeof name, "%s", entry->d_name);
  rest = count_entries(dir) + 1;
  if (rest != want - want / 2)
    return probe_failed("the second half", "%d of %d", rest, want - want / 2);
  seekdir(dir, place);
  entry = readdir(dir);
  if (!entry || strcmp(name, entry->d_name) != 0)
    return probe_failed(name, "%s after seekdir", entry ? entry->d_name : "nothing");
  if (count_entries(dir) + 1 != rest)
    return probe_failed("the same rest after seekdir", "another count");
  return closedir(dir) < 0 ? probe_error("closedir") : PROBE_OK;
}

/* DIRECTORY COUNT: removing each entry as it is listed must not lose any. */
int probe_readdir_remove(int argc, char **argv) {
  DIR *dir = opendir(argv[0]);
  int want = atoi(argv[1]), got = 0;
  struct dirent *entry;

  (void)argc;
  if (!dir)
    return probe_error("opendir");
  while ((entry = readdir(dir))) {
    if (entry->d_name[0] == '.')
      continue;
    if (unlinkat(dirfd(dir), entry->d_name, 0) < 0)
      return probe_error("unlinkat of a listed entry");
    got++;
  }
  closedir(dir);
  if (got != want)
    return probe_failed("to remove all entries", "%d of %d", got, want);
  return rmdir(argv[0]) < 0 ? probe_error("rmdir of the emptied directory") : PROBE_OK;
}

/* Times to the nanosecond, one set, the other left alone. */
int probe_times(int argc, char **argv) {
  struct timespec both[2] = {{1000000000, 123456789}, {1100000000, 987654321}};
  struct timespec one[2] = {{0, UTIME_OMIT}, {1200000000, 1}};
  struct stat st;

  (void)argc;
  if (utimensat(AT_FDCWD, argv[0], both, 0) < 0 || utimensat(AT_FDCWD, argv[0], one, 0) < 0)
    return probe_error("utimensat");
  if (stat(argv[0], &st) < 0)
    return probe_error("stat");
  if (st.st_atim.tv_sec != 1000000000 || st.st_atim.tv_nsec != 123456789 || st.st_mtim.tv_sec != 1200000000 ||
      st.st_mtim.tv_nsec != 1)
    return probe_failed("1000000000.123456789 and 1200000000.000000001", "%ld.%09ld and %ld.%09ld",
                        (long)st.st_atim.tv_sec, st.st_atim.tv_nsec, (long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
  return PROBE_OK;
}

static int expect_errno(const char *what, int rc, int want) {
  if (rc != -1 || errno != want) {
    printf("expected %s to give %s, got %s\n", what, strerrorname_np(want),
           rc != -1 ? "success" : strerrorname_np(errno));
    return 0;
  }
  return 1;
}

/* DIRECTORY, empty: what must be refused, and with which error. */
int probe_errors(int argc, char **argv) {
  char longest[257];

  (void)argc;
  memset(longest, 'n', sizeof longest - 1);
  longest[sizeof longest - 1] = '\0';
  if (chdir(argv[0]) < 0)
    return probe_error("chdir");
  if (!expect_errno("open of nothing", open("nothing", O_RDONLY), ENOENT) ||
      !expect_errno("a name of 256 bytes", open(longest, O_WRONLY | O_CREAT, 0644), ENAMETOOLONG))
    return PROBE_FAILED;
  longest[255] = '\0';
  if (close(open(longest, O_WRONLY | O_CREAT | O_EXCL, 0644)) < 0 || unlink(longest) < 0)
    return probe_error("a name of 255 bytes");
  if (mkdir("d", 0755) < 0 || mkdir("e", 0755) < 0 || close(open("d/f", O_WRONLY | O_CREAT, 0644)) < 0 ||
      symlink("loop", "loop") < 0)
    return probe_error("mkdir, open and symlink");
  if (!expect_errno("mkdir over a directory", mkdir("d", 0755), EEXIST) ||
      !expect_errno("O_EXCL over a file", open("d/f", O_WRONLY | O_CREAT | O_EXCL, 0644), EEXIST) ||
      !expect_errno("rmdir of a non-empty directory", rmdir("d"), ENOTEMPTY) ||
      !expect_errno("rmdir of a file", rmdir("d/f"), ENOTDIR) ||
      !expect_errno("unlink of a directory", unlink("d"), EISDIR) ||
      !expect_errno("a file as a directory", open("d/f/x", O_RDONLY), ENOTDIR) ||
      !expect_errno("writing a directory", open("d", O_WRONLY), EISDIR) ||
      !expect_errno("a directory into itself", rename("d", "d/x"), EINVAL) ||
      !expect_errno("a directory over a file", rename("d", "loop"), ENOTDIR) ||
      !expect_errno("a directory over a full one", rename("e", "d"), ENOTEMPTY) ||
      !expect_errno("a loop of symbolic links", open("loop", O_RDONLY), ELOOP))
    return PROBE_FAILED;
  if (unlink("d/f") < 0 || rmdir("d") < 0 || rmdir("e") < 0 || unlink("loop") < 0)
    return probe_error("removing it all");
  return PROBE_OK;
}
