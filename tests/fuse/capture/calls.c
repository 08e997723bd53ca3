/* SPDX-License-Identifier: BSD-3-Clause */
/* System calls whose FUSE requests are the golden messages: `calls DIR`, as an ordinary user, on a mount of sample.c.
 * Each is made once, with arguments that goldens.py knows. A call that this kernel doesn't have may fail. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#define SAMPLE_IOCTL _IOWR('v', 1, char[8])

static int must(const char *what, long rc) {
  if (rc >= 0)
    return (int)rc;
  (void)fprintf(stderr, "%s: %s\n", what, strerror(errno));
  exit(EXIT_FAILURE);
}

static void names(void) {
  char target[16];
  int fd = must("create", open("new", O_RDWR | O_CREAT | O_EXCL, 0640));
  must("close", close(fd));
  must("symlink", symlink("target", "link"));
  must("readlink", readlink("link", target, sizeof target));
  must("mknod", mknod("fifo", S_IFIFO | 0600, 0));
  must("mkdir", mkdir("sub", 0750));
  must("rmdir", rmdir("sub"));
  must("link", link("new", "hard"));
  must("rename", rename("hard", "moved"));
  must("renameat2", renameat2(AT_FDCWD, "moved", AT_FDCWD, "again", RENAME_NOREPLACE));
  must("unlink", unlink("again"));
  fd = open(".", O_TMPFILE | O_RDWR, 0600);
  if (fd >= 0)
    must("close", close(fd));
}

static void attributes(void) {
  const struct timespec times[2] = {{1000000000, 5}, {1000000001, 6}};
  char value[32], list[64];
  struct statfs fs;
  struct stat st;
  must("stat", stat("file", &st));
  must("utimensat", utimensat(AT_FDCWD, "file", times, 0));
  must("truncate", truncate("file", 3));
  must("statfs", statfs(".", &fs));
  must("setxattr", setxattr("file", "user.golden", "value", 5, XATTR_CREATE));
  must("getxattr", getxattr("file", "user.golden", value, sizeof value));
  must("getxattr", getxattr("file", "user.golden", NULL, 0));
  must("listxattr", listxattr("file", list, sizeof list));
  must("listxattr", listxattr("file", NULL, 0));
  must("removexattr", removexattr("file", "user.golden"));
}

static void locks(int fd) {
  struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 1, .l_len = 9};
  must("getlk", fcntl(fd, F_GETLK, &lock));
  lock = (struct flock){.l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = 2, .l_len = 8};
  must("setlk", fcntl(fd, F_SETLK, &lock));
  lock.l_type = F_WRLCK;
  must("setlkw", fcntl(fd, F_SETLKW, &lock));
}

static void files(void) {
  char buf[16] = "in data";
  struct pollfd ready = {.events = POLLIN | POLLPRI};
  struct statx stx;
  off_t from = 1, to = 2;
  int fd = must("open", open("file", O_RDWR));
  ready.fd = fd;
  must("fstat", fstat(fd, (struct stat *)&(struct stat){0}));
  must("pread", pread(fd, buf, 5, 1));
  must("pwrite", pwrite(fd, "hello", 5, 10));
  must("ftruncate", ftruncate(fd, 4));
  must("fsync", fsync(fd));
  must("fdatasync", fdatasync(fd));
  must("fallocate", fallocate(fd, FALLOC_FL_KEEP_SIZE, 4096, 8192));
  must("lseek", lseek(fd, 2, SEEK_HOLE));
  must("copy_file_range", copy_file_range(fd, &from, fd, &to, 1, 0));
  memcpy(buf, "in data", 8);
  must("ioctl", ioctl(fd, SAMPLE_IOCTL, buf));
  must("poll", poll(&ready, 1, 0));
  must("syncfs", syncfs(fd));
  must("statx", statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS | STATX_BTIME, &stx));
  locks(fd);
  must("close", close(fd));
}

static void directories(void) {
  char buf[4096];
  int fd = must("open .", open("dir", O_RDONLY | O_DIRECTORY));
  while (must("getdents64", syscall(SYS_getdents64, fd, buf, sizeof buf)) > 0)
    continue;
  must("fsync .", fsync(fd));
  must("close", close(fd));
}

int main(int argc, char **argv) {
  if (argc != 2)
    return EXIT_FAILURE;
  must("chdir", chdir(argv[1]));
  must("setgroups", syscall(SYS_setgroups, 0, NULL));
  must("setgid", setresgid(1001, 1001, 1001));
  must("setuid", setresuid(1000, 1000, 1000));
  umask(027);
  names();
  attributes();
  files();
  directories();
  return EXIT_SUCCESS;
}
