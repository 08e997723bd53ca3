/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A conformance test of a directory's file system.
 *
 *   posix DIR [xattr] [acl] [interrupt]
 *
 * The words ask for what a file system need not have, too. Runs as root, in new directories below DIR. TAP on standard
 * output; status 0 if all is as it should be.
 */
#include "posix.h"

#include <ftw.h>
#include <grp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <time.h>

const struct user root = {0, 0}, alice = {ALICE_ID, ALICE_ID}, bob = {BOB_ID, BOB_ID};
long as_result;

static const char *test_name;
static char topic_name[128];
static unsigned count, failures;

static void need(bool right, const char *what) {
  if (right)
    return;
  printf("Bail out! %s: %s\n", what, strerror(errno));
  exit(2);
}

void be(const struct user *user) {
  const gid_t team = TEAM_ID;
  need(seteuid(0) == 0 && setegid(0) == 0, "being root again");
  need(setgroups(user == &alice ? 1 : 0, &team) == 0, "groups");
  need(setegid(user->gid) == 0 && seteuid(user->uid) == 0, "being somebody else");
}

void topic(const char *format, ...) {
  va_list args;
  va_start(args, format);
  vsnprintf(topic_name, sizeof topic_name, format, args);
  va_end(args);
}

static const char *show(long value, char *buf, size_t size) {
  const char *name = value < 0 && value > -4096 ? strerrorname_np((int)-value) : NULL;
  snprintf(buf, size, "%ld", value);
  return name != NULL ? name : buf;
}

void is(const char *text, long got, long want) {
  char a[24], b[24];
  count++;
  if (got == want) {
    printf("ok %u - %s: %s: %s is %s\n", count, test_name, topic_name, text, show(want, a, sizeof a));
    return;
  }
  failures++;
  printf("not ok %u - %s: %s: %s is %s, not %s\n", count, test_name, topic_name, text, show(want, a, sizeof a),
         show(got, b, sizeof b));
}

long e(long rc) {
  return rc < 0 ? -errno : rc;
}

long opens(const char *path, int flags, mode_t mode) {
  int fd = open(path, flags | O_CLOEXEC, mode);
  if (fd < 0)
    return -errno;
  close(fd);
  return 0;
}

long file(const char *path, mode_t mode) {
  int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0)
    return -errno;
  long rc = e(fchmod(fd, mode));
  close(fd);
  return rc;
}

long fill(const char *path, const char *text) {
  int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (fd < 0)
    return -errno;
  ssize_t n = write(fd, text, strlen(text));
  long rc = n == (ssize_t)strlen(text) ? 0 : n < 0 ? -errno : -EIO;
  close(fd);
  return rc;
}

long dir(const char *path, mode_t mode) {
  long rc = e(mkdir(path, 0700));
  return rc == 0 ? e(chmod(path, mode)) : rc;
}

static struct stat stat_of(const char *path, long *rc) {
  struct stat st = {.st_mode = 0};
  *rc = e(lstat(path, &st));
  return st;
}

#define FIELD(name, value)                                                                                             \
  long name(const char *path) {                                                                                        \
    long rc;                                                                                                           \
    struct stat st = stat_of(path, &rc);                                                                               \
    return rc == 0 ? (long)(value) : rc;                                                                               \
  }
FIELD(mode_of, st.st_mode & 07777)
FIELD(type_of, st.st_mode &S_IFMT)
FIELD(size_of, st.st_size)
FIELD(links_of, st.st_nlink)
FIELD(uid_of, st.st_uid)
FIELD(gid_of, st.st_gid)
FIELD(inode_of, st.st_ino)

long same_file(const char *one, const char *other) {
  struct stat a, b;
  if (lstat(one, &a) != 0 || lstat(other, &b) != 0)
    return -errno;
  return a.st_ino == b.st_ino && a.st_dev == b.st_dev;
}

bool holds(const char *path, const char *text) {
  char buf[256] = "";
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  ssize_t n = fd < 0 ? -1 : read(fd, buf, sizeof buf);
  if (fd >= 0)
    close(fd);
  return n == (ssize_t)strlen(text) && memcmp(buf, text, strlen(text)) == 0;
}

long access_as(const char *path, int mode) {
  return e(faccessat(AT_FDCWD, path, mode, AT_EACCESS));
}

enum { LONG_AGO = 1000000000 };
static struct timespec noted;

void age(const char *path) {
  const struct timespec times[2] = {{.tv_sec = LONG_AGO}, {.tv_sec = LONG_AGO}};
  need(utimensat(AT_FDCWD, path, times, AT_SYMLINK_NOFOLLOW) == 0, path);
}

FIELD(mtime_moved, st.st_mtim.tv_sec != LONG_AGO)

static bool is_later(struct timespec a, struct timespec b) {
  return a.tv_sec != b.tv_sec ? a.tv_sec > b.tv_sec : a.tv_nsec > b.tv_nsec;
}

/*
 * Returns when the kernel's coarse clock for files is beyond all that files have been given, some milliseconds. That
 * it has gone on isn't enough: a newer kernel gives some files the exact time, and then no file an earlier one.
 */
void note_ctime(const char *path) {
  long rc;
  struct timespec start, now;
  noted = stat_of(path, &rc).st_ctim;
  clock_gettime(CLOCK_REALTIME, &start);
  do
    clock_gettime(CLOCK_REALTIME_COARSE, &now);
  while (!is_later(now, start));
}

FIELD(ctime_moved, st.st_ctim.tv_sec != noted.tv_sec || st.st_ctim.tv_nsec != noted.tv_nsec)

const char *name_of(size_t length) {
  static char names[4][5000];
  static unsigned next;
  char *name = names[next++ % 4];
  memset(name, 'n', length);
  name[length] = '\0';
  return name;
}

const struct kind kinds[KINDS] = {
    {"file", S_IFREG}, {"directory", S_IFDIR}, {"fifo", S_IFIFO}, {"socket", S_IFSOCK}, {"symlink", S_IFLNK}};

long make_kind(const char *path, mode_t type, mode_t mode) {
  if (type == S_IFDIR)
    return dir(path, mode);
  if (type == S_IFLNK)
    return e(symlink("target", path));
  long rc = e(mknod(path, type | 0600, 0));
  return rc == 0 ? e(chmod(path, mode)) : rc;
}

static int remove_it(const char *path, const struct stat *st, int type, struct FTW *ftw) {
  (void)st, (void)type, (void)ftw;
  return remove(path);
}

static void run(const char *name, void (*test)(void)) {
  char path[64];
  snprintf(path, sizeof path, "posix-%s", name);
  test_name = name;
  need(mkdir(path, 0755) == 0 && chdir(path) == 0, path);
  test();
  be(&root);
  need(chdir("..") == 0, "..");
  topic("the end");
  IS(nftw(path, remove_it, 16, FTW_DEPTH | FTW_PHYS), 0);
}

int main(int argc, char **argv) {
  static const struct {
    const char *name;
    void (*test)(void);
  } tests[] = {
      {"open", test_open},       {"open-flags", test_open_flags},
      {"io", test_io},           {"link", test_link},
      {"unlink", test_unlink},   {"rename", test_rename},
      {"symlink", test_symlink}, {"rename-users", test_rename_users},
      {"mkdir", test_mkdir},     {"rmdir", test_rmdir},
      {"mknod", test_mknod},     {"chmod", test_chmod},
      {"chown", test_chown},     {"truncate", test_truncate},
      {"utimens", test_utimens}, {"access", test_access},
      {"sticky", test_sticky},   {"limits", test_limits},
      {"readdir", test_readdir}, {"umask", test_umask},
      {"tmpfile", test_tmpfile}, {"privs", test_privs},
      {"locks", test_locks},
  };
  if (argc < 2 || geteuid() != 0) {
    printf("1..0 # SKIP usage: posix DIR [xattr] [acl] [interrupt], as root\n");
    return 77;
  }
  setvbuf(stdout, NULL, _IOLBF, 0);
  umask(0);
  need(chdir(argv[1]) == 0, argv[1]);
  be(&root);
  for (size_t i = 0; i < sizeof tests / sizeof *tests; i++)
    run(tests[i].name, tests[i].test);
  for (int i = 2; i < argc; i++)
    run(argv[i], strcmp(argv[i], "acl") == 0         ? test_acl
                 : strcmp(argv[i], "interrupt") == 0 ? test_interrupt
                                                     : test_xattr);
  printf("1..%u\n# %u of %u failed\n", count, failures, count);
  return failures == 0 ? 0 : 1;
}
