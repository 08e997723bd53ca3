/* Many things at once: open files, writers, locks, sockets. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "probe.h"

/* DIRECTORY, empty: 300 files open at the same time, each still its own. */
int probe_open_many(int argc, char **argv) {
  enum { many = 300 };
  struct rlimit limit = {many + 50, many + 50};
  static int fds[many];
  char name[32], got[32];

  (void)argc;
  if (setrlimit(RLIMIT_NOFILE, &limit) < 0 || chdir(argv[0]) < 0)
    return probe_error("setrlimit and chdir");
  for (int i = 0; i < many; i++) {
    int len = snprintf(name, sizeof name, "open-%d", i);

    fds[i] = open(name, O_RDWR | O_CREAT | O_EXCL, 0644);
    if (fds[i] < 0 || write(fds[i], name, (size_t)len) != len)
      return probe_error("open and write");
  }
  for (int i = 0; i < many; i++) {
    int len = snprintf(name, sizeof name, "open-%d", i);

    if (pread(fds[i], got, sizeof got, 0) != len || memcmp(name, got, (size_t)len) != 0)
      return probe_failed(name, "other content of open file %d", i);
    if (close(fds[i]) < 0 || unlink(name) < 0)
      return probe_error("close and unlink");
  }
  return PROBE_OK;
}

/* Past the page cache: a block written and read back with O_DIRECT. */
int probe_direct(int argc, char **argv) {
  enum { size = 256 * 1024 };
  void *want, *got;
  int fd;

  (void)argc;
  if (posix_memalign(&want, 4096, size) != 0 || posix_memalign(&got, 4096, size) != 0)
    return probe_failed("memory", "none");
  for (int i = 0; i < size; i++)
    ((char *)want)[i] = (char)(i * 7 + i / 251);
  fd = open(argv[0], O_RDWR | O_CREAT | O_TRUNC | O_DIRECT, 0644);
  if (fd < 0)
    return probe_error("open with O_DIRECT");
  if (pwrite(fd, want, size, 4096) != size || pread(fd, got, size, 4096) != size)
    return probe_error("pwrite and pread with O_DIRECT");
  if (!probe_same("the file", want, got, size))
    return PROBE_FAILED;
  return close(fd) < 0 ? probe_error("close") : PROBE_OK;
}

static int writer(int number, int files) {
  char name[64], block[8192], got[8192];

  memset(block, 'A' + number, sizeof block);
  for (int i = 0; i < files; i++) {
    int fd;

    snprintf(name, sizeof name, "writer-%d-%d", number, i);
    fd = open(name, O_RDWR | O_CREAT | O_EXCL, 0644);
    if (fd < 0 || write(fd, block, sizeof block) != sizeof block || close(fd) < 0)
      return probe_error("open, write and close");
    fd = open(name, O_RDONLY);
    if (fd < 0 || read(fd, got, sizeof got) != sizeof got || close(fd) < 0)
      return probe_error("open, read and close");
    if (!probe_same(name, block, got, sizeof got))
      return PROBE_FAILED;
    if (unlink(name) < 0)
      return probe_error("unlink");
  }
  return PROBE_OK;
}

/* DIRECTORY: four processes make, read and remove files side by side. */
int probe_parallel(int argc, char **argv) {
  enum { writers = 4, files = 50 };
  int status, result = PROBE_OK;

  (void)argc;
  if (chdir(argv[0]) < 0)
    return probe_error("chdir");
  fflush(stdout);
  for (int i = 0; i < writers; i++)
    if (fork() == 0)
      exit(writer(i, files));
  while (wait(&status) > 0)
    if (status != 0)
      result = PROBE_FAILED;
  return result;
}

/* Somebody has locked it. */
int probe_flock_refused(int argc, char **argv) {
  int fd = open(argv[0], O_RDWR);

  (void)argc;
  if (fd < 0)
    return probe_error("open");
  if (flock(fd, LOCK_EX | LOCK_NB) == 0)
    return probe_failed("EAGAIN for a file that somebody has locked", "%s", "the lock");
  return errno == EWOULDBLOCK ? PROBE_OK : probe_error("flock, or EAGAIN of it,");
}

/* Until nobody has locked it. */
int probe_flock_wait(int argc, char **argv) {
  int fd = open(argv[0], O_RDWR);

  (void)argc;
  if (fd < 0)
    return probe_error("open");
  return flock(fd, LOCK_EX) < 0 ? probe_error("flock") : PROBE_OK;
}

/* A second process must not get a write lock that the first one holds. */
int probe_locks(int argc, char **argv) {
  struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 10, .l_len = 10};
  int fd = open(argv[0], O_RDWR | O_CREAT, 0644), status;

  (void)argc;
  if (fd < 0 || fcntl(fd, F_SETLK, &lock) < 0)
    return probe_error("open and F_SETLK");
  fflush(stdout);
  if (fork() == 0)
    _exit(fcntl(fd, F_SETLK, &lock) == 0 ? 0 : errno);
  wait(&status);
  if (WEXITSTATUS(status) != EAGAIN && WEXITSTATUS(status) != EACCES)
    return probe_failed("EAGAIN for a lock that is held", "%s",
                        status ? strerrorname_np(WEXITSTATUS(status)) : "the lock");
  lock.l_type = F_UNLCK;
  if (fcntl(fd, F_SETLK, &lock) < 0)
    return probe_error("F_UNLCK");
  return close(fd) < 0 ? probe_error("close") : PROBE_OK;
}

/* A socket's name lies on the share, what goes through it doesn't. */
int probe_socket(int argc, char **argv) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  int server = socket(AF_UNIX, SOCK_STREAM, 0), client = socket(AF_UNIX, SOCK_STREAM, 0);

  (void)argc;
  snprintf(address.sun_path, sizeof address.sun_path, "%s", argv[0]);
  if (bind(server, (struct sockaddr *)&address, sizeof address) < 0 || listen(server, 1) < 0)
    return probe_error("bind and listen");
  if (connect(client, (struct sockaddr *)&address, sizeof address) < 0)
    return probe_error("connect");
  close(server);
  close(client);
  return unlink(argv[0]) < 0 ? probe_error("unlink of a socket") : PROBE_OK;
}
