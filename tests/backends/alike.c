/* SPDX-License-Identifier: BSD-3-Clause */
/* Does two file systems the same things and compares what they say: alike SEED STEPS DIR DIR [lazy].
 *
 * The first is the oracle. Operations are chosen by the seed, over few names, so that they meet each other; after each
 * one its result and the attributes of what it was about have to be the same. Run as root: some operations are done as
 * another user. With `lazy` what is written may take its space later, as in a write-back cache. */
#include <dirent.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#include "../support/seeded.h"

/* STATE: what is added about paths and files after each operation, at most. */
enum { FILES = 6, DATA = 70000, USER = 1000, FAR = 300000, TEXT = 1 << 16, STATE = 1000 };

/* One of the two. */
struct side {
  const char *dir;
  int files[FILES]; /* open; -1: not */
};

/* What to do; the same for both. */
struct task {
  char path[64], other[64];
  unsigned slot, other_slot;
  int flags;
  mode_t mode;
  uid_t uid;
  off_t offset, other_offset;
  size_t size;
  char xattr[32];
  struct timespec times[2];
  bool by_file;
  bool timed; /* the times are compared */
};

/* What came of it. */
struct outcome {
  long value; /* negative: -errno */
  size_t len; /* of @text */
  char text[TEXT];
};

static char data[DATA];
static bool lazy;

static long result(long rc) {
  return rc < 0 ? -errno : rc;
}

/* ---- operations ---- */

static void do_mkdir(struct side *s, const struct task *t, struct outcome *o) {
  (void)s;
  o->value = result(mkdir(t->path, t->mode & 07777));
}

static void do_rmdir(struct side *s, const struct task *t, struct outcome *o) {
  (void)s;
  o->value = result(rmdir(t->path));
}

static void do_mknod(struct side *s, const struct task *t, struct outcome *o) {
  static const mode_t types[] = {S_IFREG, S_IFIFO, S_IFCHR, S_IFBLK, S_IFSOCK};
  (void)s;
  o->value = result(mknod(t->path, types[t->size % 5] | (t->mode & 07777), makedev(300, 70000)));
}

static void do_symlink(struct side *s, const struct task *t, struct outcome *o) {
  (void)s;
  o->value = result(symlink(t->other, t->path));
}

static void do_readlink(struct side *s, const struct task *t, struct outcome *o) {
  (void)s;
  ssize_t n = readlink(t->path, o->text, sizeof o->text);
  o->value = result(n);
  o->len = n > 0 ? (size_t)n : 0;
}

static void do_link(struct side *s, const struct task *t, struct outcome *o) {
  char proc[64];
  (void)snprintf(proc, sizeof proc, "/proc/self/fd/%d", s->files[t->slot]);
  if (t->by_file)
    o->value = result(linkat(AT_FDCWD, proc, AT_FDCWD, t->other, AT_SYMLINK_FOLLOW));
  else
    o->value = result(link(t->path, t->other));
}

static void do_unlink(struct side *s, const struct task *t, struct outcome *o) {
  (void)s;
  o->value = result(unlink(t->path));
}

static void do_rename(struct side *s, const struct task *t, struct outcome *o) {
  static const unsigned flags[] = {0, 0, 0, 0, RENAME_NOREPLACE, RENAME_EXCHANGE, RENAME_WHITEOUT};
  (void)s;
  o->value = result(renameat2(AT_FDCWD, t->path, AT_FDCWD, t->other, flags[t->size % 7]));
}

static void do_open(struct side *s, const struct task *t, struct outcome *o) {
  int *file = &s->files[t->slot];
  if (*file >= 0)
    close(*file);
  *file = open(t->path, t->flags | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC, t->mode & 07777);
  o->value = *file < 0 ? -errno : 0;
}

static void do_write(struct side *s, const struct task *t, struct outcome *o) {
  o->value = result(pwrite(s->files[t->slot], data + t->offset % 1000, t->size % (DATA - 1000), t->offset));
}

static void do_read(struct side *s, const struct task *t, struct outcome *o) {
  ssize_t n = pread(s->files[t->slot], o->text, t->size % (sizeof o->text - STATE), t->offset);
  o->value = result(n);
  o->len = n > 0 ? (size_t)n : 0;
}

static void do_truncate(struct side *s, const struct task *t, struct outcome *o) {
  if (t->by_file)
    o->value = result(ftruncate(s->files[t->slot], t->offset));
  else
    o->value = result(truncate(t->path, t->offset));
}

static void do_fallocate(struct side *s, const struct task *t, struct outcome *o) {
  static const int modes[] = {0, FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE};
  o->value = result(fallocate(s->files[t->slot], modes[t->mode % 3], t->offset, (off_t)t->size + 1));
}

static void do_seek(struct side *s, const struct task *t, struct outcome *o) {
  struct stat st;
  o->value = 0;
  if (fstat(s->files[t->slot], &st) != 0 || !S_ISREG(st.st_mode))
    return; /* directories are the kernel's own business */
  if (lazy)
    (void)fsync(s->files[t->slot]); /* Linux asks the server for holes of what it hasn't told it yet */
  o->value = result(lseek(s->files[t->slot], t->offset, t->by_file ? SEEK_DATA : SEEK_HOLE));
}

static void do_copy(struct side *s, const struct task *t, struct outcome *o) {
  off_t from = t->offset, to = t->other_offset;
  o->value = result(copy_file_range(s->files[t->slot], &from, s->files[t->other_slot], &to, t->size, 0));
}

static void do_chmod(struct side *s, const struct task *t, struct outcome *o) {
  (void)s;
  o->value = result(chmod(t->path, t->mode & 07777));
}

/* One of both at least: FUSE doesn't tell the server of a chown that sets nothing. */
static void do_chown(struct side *s, const struct task *t, struct outcome *o) {
  uid_t uid = t->by_file && t->mode % 3 != 0 ? (uid_t)-1 : t->uid;
  (void)s;
  o->value = result(lchown(t->path, uid, t->mode % 3 == 0 ? (gid_t)-1 : t->mode % 3 == 1 ? 0 : USER));
}

static void do_times(struct side *s, const struct task *t, struct outcome *o) {
  (void)s;
  o->value = result(utimensat(AT_FDCWD, t->path, t->times, AT_SYMLINK_NOFOLLOW));
}

static void do_setxattr(struct side *s, const struct task *t, struct outcome *o) {
  static const int flags[] = {0, 0, XATTR_CREATE, XATTR_REPLACE};
  (void)s;
  o->value = result(lsetxattr(t->path, t->xattr, data, t->size % 500, flags[t->mode % 4]));
}

static void do_getxattr(struct side *s, const struct task *t, struct outcome *o) {
  (void)s;
  ssize_t n = lgetxattr(t->path, t->xattr, o->text, t->mode % 4 == 0 ? 0 : t->mode % 4 == 1 ? 10 : sizeof o->text);
  o->value = result(n);
  o->len = n > 0 && t->mode % 4 != 0 ? (size_t)n : 0;
}

static void do_removexattr(struct side *s, const struct task *t, struct outcome *o) {
  (void)s;
  o->value = result(lremovexattr(t->path, t->xattr));
}

static int by_text(const void *a, const void *b) {
  return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Adds @count texts in order. */
static void add_sorted(struct outcome *o, char **texts, size_t count) {
  qsort(texts, count, sizeof *texts, by_text);
  for (size_t i = 0; i < count; i++)
    o->len += (size_t)snprintf(o->text + o->len, sizeof o->text - o->len, "%s\n", texts[i]);
}

static void do_listxattr(struct side *s, const struct task *t, struct outcome *o) {
  static char list[TEXT];
  char *names[64];
  size_t count = 0;
  (void)s;
  ssize_t n = llistxattr(t->path, list, sizeof list);
  o->value = result(n);
  for (char *at = list; at < list + n && count < 64; at += strlen(at) + 1)
    names[count++] = at;
  add_sorted(o, names, count);
}

static void do_list(struct side *s, const struct task *t, struct outcome *o) {
  char *names[256];
  size_t count = 0;
  const struct dirent *entry;
  (void)s;
  DIR *dir = opendir(t->path);
  o->value = dir == NULL ? -errno : 0;
  if (dir == NULL)
    return;
  while (count < 256 && (entry = readdir(dir)) != NULL) {
    if (asprintf(&names[count], "%s %d", entry->d_name, entry->d_type) > 0)
      count++;
  }
  closedir(dir);
  add_sorted(o, names, count);
  while (count > 0)
    free(names[--count]);
}

static void do_fsync(struct side *s, const struct task *t, struct outcome *o) {
  o->value = result(t->by_file ? fsync(s->files[t->slot]) : fdatasync(s->files[t->slot]));
}

typedef void operation(struct side *s, const struct task *t, struct outcome *o);
static const struct {
  const char *name;
  operation *run;
  unsigned weight;
} operations[] = {
    {"mkdir", do_mkdir, 6},         {"rmdir", do_rmdir, 3},       {"mknod", do_mknod, 4},
    {"symlink", do_symlink, 3},     {"readlink", do_readlink, 2}, {"link", do_link, 5},
    {"unlink", do_unlink, 5},       {"rename", do_rename, 10},    {"open", do_open, 20},
    {"write", do_write, 12},        {"read", do_read, 12},        {"truncate", do_truncate, 5},
    {"fallocate", do_fallocate, 6}, {"seek", do_seek, 5},         {"copy", do_copy, 4},
    {"chmod", do_chmod, 5},         {"chown", do_chown, 4},       {"times", do_times, 3},
    {"setxattr", do_setxattr, 5},   {"getxattr", do_getxattr, 4}, {"removexattr", do_removexattr, 2},
    {"listxattr", do_listxattr, 3}, {"list", do_list, 5},         {"fsync", do_fsync, 1},
};
enum { OPERATIONS = sizeof operations / sizeof operations[0] };

/* ---- what to do ---- */

static void choose_path(char path[64]) {
  static const char *const first[] = {"d0", "d1", "d2", "d3", "a"};
  static const char *const more[] = {"d0", "d1", "a", "b", "c"};
  size_t len = (size_t)snprintf(path, 64, "%s", first[seeded_below(5)]);
  for (uint64_t depth = seeded_below(4); depth > 0; depth--)
    len += (size_t)snprintf(path + len, 64 - len, "/%s", more[seeded_below(5)]);
}

static int choose_flags(void) {
  static const int access[] = {O_RDONLY, O_WRONLY, O_RDWR, O_RDWR};
  static const int more[] = {0, O_CREAT, O_CREAT, O_CREAT | O_EXCL, O_TRUNC, O_CREAT | O_TRUNC, O_APPEND, O_NOATIME};
  if (seeded_below(8) == 0)
    return O_TMPFILE | O_RDWR | (seeded_below(3) == 0 ? O_EXCL : 0);
  return access[seeded_below(4)] | more[seeded_below(8)] | (seeded_below(6) == 0 ? O_APPEND : 0);
}

static struct task choose_task(void) {
  static const char *const xattrs[] = {"user.a", "user.bb", "trusted.c", "security.d", "system.e", "user."};
  struct task t = {.slot = (unsigned)seeded_below(FILES), .other_slot = (unsigned)seeded_below(FILES)};
  choose_path(t.path);
  choose_path(t.other);
  t.flags = choose_flags();
  t.mode = seeded_below(3) == 0 ? 0777 | (mode_t)(seeded_below(8) << 9) : (mode_t)seeded_below(010000) | 0700;
  if ((t.mode & S_ISGID) != 0) /* without, who writes is told apart by groups that FUSE doesn't tell of */
    t.mode |= S_IXGRP;
  t.uid = seeded_below(2) == 0 ? 0 : USER;
  t.offset = (off_t)seeded_below(seeded_below(2) == 0 ? FAR : 5000);
  t.other_offset = (off_t)seeded_below(FAR);
  t.size = seeded_below(seeded_below(2) == 0 ? DATA : 5000);
  t.by_file = seeded_below(2) == 0;
  t.timed = seeded_below(16) == 0;
  (void)snprintf(t.xattr, sizeof t.xattr, "%s", xattrs[seeded_below(6)]);
  for (int i = 0; i < 2; i++) {
    t.times[i].tv_sec = (time_t)seeded_below(4000000000U) - 1000000000;
    t.times[i].tv_nsec = seeded_below(4) == 0   ? UTIME_NOW
                         : seeded_below(4) == 0 ? UTIME_OMIT
                                                : (long)seeded_below(1000000000);
  }
  return t;
}

static unsigned choose_operation(void) {
  unsigned all = 0, at = 0;
  for (unsigned i = 0; i < OPERATIONS; i++)
    all += operations[i].weight;
  for (uint64_t left = seeded_below(all); left >= operations[at].weight; at++)
    left -= operations[at].weight;
  return at;
}

/* ---- comparing ---- */

/* What stat shows; times as what @before they were, since both clocks go on. */
static void show(char *text, size_t size, int rc, const struct stat *now, const struct stat *before) {
  if (rc != 0) {
    (void)snprintf(text, size, "%s", strerrorname_np(errno));
    return;
  }
  const bool counted = S_ISREG(now->st_mode) && !lazy;
  int len = snprintf(text, size, "mode %o links %ju owner %u:%u size %jd blocks %jd rdev %x:%x", now->st_mode,
                     (uintmax_t)now->st_nlink, now->st_uid, now->st_gid,
                     S_ISDIR(now->st_mode) ? (intmax_t)0 : (intmax_t)now->st_size,
                     counted ? (intmax_t)now->st_blocks : 0, major(now->st_rdev), minor(now->st_rdev));
  if (before != NULL && before->st_ino == now->st_ino) /* only a new number tells that it is another file */
    (void)snprintf(text + len, size - (size_t)len, "%s%s",
                   memcmp(&before->st_mtim, &now->st_mtim, sizeof now->st_mtim) != 0 ? " mtime" : "",
                   memcmp(&before->st_ctim, &now->st_ctim, sizeof now->st_ctim) != 0 ? " ctime" : "");
}

/* Of a path, the directory above it, another path and an open file. */
struct looks {
  struct stat st[4];
  int rc[4], error[4];
};

static void look(const struct side *s, const struct task *t, struct looks *l) {
  char above[64];
  (void)snprintf(above, sizeof above, "%s", t->path);
  char *slash = strrchr(above, '/');
  (void)snprintf(slash != NULL ? slash : above, 2, "%s", slash != NULL ? "" : ".");
  l->rc[0] = lstat(t->path, &l->st[0]);
  l->error[0] = errno;
  l->rc[1] = lstat(above, &l->st[1]);
  l->error[1] = errno;
  l->rc[2] = lstat(t->other, &l->st[2]);
  l->error[2] = errno;
  l->rc[3] = fstat(s->files[t->slot], &l->st[3]);
  l->error[3] = errno;
}

/*
 * The kernel's clock for files stands still for some ms: what is changed twice meanwhile looks unchanged. Some files
 * get the exact time instead, and after that none an earlier one.
 */
static void await_tick(void) {
  struct timespec began, now;
  clock_gettime(CLOCK_REALTIME, &began);
  do
    clock_gettime(CLOCK_REALTIME_COARSE, &now);
  while (now.tv_sec != began.tv_sec ? now.tv_sec < began.tv_sec : now.tv_nsec <= began.tv_nsec);
}

static void do_both(struct side sides[2], unsigned op, const struct task *t, struct outcome out[2]) {
  struct looks before, after;
  const bool as_user = t->mode % 5 == 0;
  if (t->timed)
    await_tick();
  for (int i = 0; i < 2; i++) {
    if (chdir(sides[i].dir) != 0)
      err(2, "%s", sides[i].dir);
    out[i].len = 0;
    look(&sides[i], t, &before);
    if (as_user && (setegid(USER) != 0 || seteuid(USER) != 0))
      err(2, "seteuid");
    operations[op].run(&sides[i], t, &out[i]);
    if (as_user && (seteuid(0) != 0 || setegid(0) != 0))
      err(2, "seteuid");
    look(&sides[i], t, &after);
    for (int k = 0; k < 4; k++) {
      char line[200];
      errno = after.error[k];
      show(line, sizeof line, after.rc[k], &after.st[k], t->timed && before.rc[k] == 0 ? &before.st[k] : NULL);
      out[i].len += (size_t)snprintf(out[i].text + out[i].len, sizeof out[i].text - out[i].len, "\n[%d] %s", k, line);
    }
  }
}

static bool same(const struct outcome *a, const struct outcome *b) {
  return a->value == b->value && a->len == b->len && memcmp(a->text, b->text, a->len) == 0;
}

static void complain(uint64_t step, unsigned op, const struct task *t, const struct outcome out[2]) {
  printf("step %ju: %s path %s other %s slot %u:%u flags %#x mode %o uid %u offset %jd:%jd size %zu xattr %s file %d\n",
         (uintmax_t)step, operations[op].name, t->path, t->other, t->slot, t->other_slot, (unsigned)t->flags, t->mode,
         t->uid, (intmax_t)t->offset, (intmax_t)t->other_offset, t->size, t->xattr, t->by_file);
  for (int i = 0; i < 2; i++) {
    size_t at = out[i].len > 600 ? out[i].len - 600 : 0;
    printf("%s: %ld, %zu bytes, ending in %.*s\n", i == 0 ? "expected" : "got", out[i].value, out[i].len,
           (int)(out[i].len - at), out[i].text + at);
  }
}

int main(int argc, char **argv) {
  static struct outcome out[2];
  struct side sides[2];
  lazy = argc == 6 && strcmp(argv[5], "lazy") == 0;
  if (argc != 5 && !lazy)
    errx(2, "usage: alike SEED STEPS DIR DIR [lazy]");
  seeded_state = strtoull(argv[1], NULL, 10) * 2654435761U + 1;
  const uint64_t steps = strtoull(argv[2], NULL, 10);
  for (int i = 0; i < 2; i++) {
    sides[i].dir = argv[3 + i];
    for (int k = 0; k < FILES; k++)
      sides[i].files[k] = -1;
  }
  umask(022);
  seeded_fill(data, sizeof data);
  for (uint64_t step = 0; step < steps; step++) {
    unsigned op = choose_operation();
    struct task t = choose_task();
    do_both(sides, op, &t, out);
    if (!same(&out[0], &out[1])) {
      complain(step, op, &t, out);
      return 1;
    }
  }
  printf("%ju steps\n", (uintmax_t)steps);
  return 0;
}
