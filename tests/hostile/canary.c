/* SPDX-License-Identifier: BSD-3-Clause */
#include "canary.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fanotify.h>
#include <sys/socket.h>
#include <unistd.h>

#include "hostile.h"

#define EVENTS (FAN_OPEN | FAN_OPEN_EXEC | FAN_ACCESS | FAN_MODIFY | FAN_CLOSE_WRITE | FAN_ONDIR)
/* What somebody does by a name in a directory. */
#define CHANGES (FAN_CREATE | FAN_DELETE | FAN_MOVED_FROM | FAN_MOVED_TO)

/* nftw(3) hands nothing on. */
static struct canary *walked;
static bool walks_share;

static int add(const char *path, const struct stat *st, int type, struct FTW *ftw) {
  (void)ftw;
  if (type == FTW_NS || type == FTW_DNR)
    fail("can't look at %s", path);
  if (walks_share && (S_ISREG(st->st_mode) || S_ISDIR(st->st_mode) || S_ISLNK(st->st_mode)))
    return 0;
  if (walked->count == CANARY_FILES)
    fail("more files than can be watched");
  struct canary_file *file = &walked->files[walked->count++];
  (void)snprintf(file->path, sizeof(file->path), "%s", path);
  file->in_share = walks_share;
  return 0;
}

static void add_parent(struct canary *canary, const char *share) {
  static const char *const names[] = {"", "/secret"};
  for (unsigned i = 0; i < 2; i++) {
    struct canary_file *file = &canary->files[canary->count++];
    (void)snprintf(file->path, sizeof(file->path), "%.*s%s", (int)(strrchr(share, '/') - share), share, names[i]);
    file->moves = i == 0;
  }
}

/* As <fcntl.h> has it, with room. */
union handle {
  struct file_handle handle;
  unsigned char bytes[sizeof(struct file_handle) + MAX_HANDLE_SZ];
};

static bool mark_all(struct canary *canary) {
  uint64_t events = canary->by_path ? EVENTS : EVENTS | CHANGES;
  canary->fd = fanotify_init(FAN_CLASS_NOTIF | FAN_CLOEXEC | FAN_NONBLOCK | (canary->by_path ? 0U : FAN_REPORT_FID),
                             O_RDONLY | O_CLOEXEC | O_LARGEFILE);
  if (canary->fd < 0)
    return false;
  for (unsigned i = 0; i < canary->count; i++) {
    struct canary_file *file = &canary->files[i];
    union handle handle = {.handle = {.handle_bytes = MAX_HANDLE_SZ}};
    int mount;
    /* Times of a file that a guest may know are its to set, and look like reads and writes. */
    if (fanotify_mark(canary->fd, FAN_MARK_ADD | FAN_MARK_DONT_FOLLOW,
                      file->in_share ? (uint64_t)FAN_OPEN | FAN_OPEN_EXEC : events, AT_FDCWD, file->path) != 0) {
      canary_end(canary);
      return false;
    }
    memset(file->handle, 0, CANARY_HANDLE);
    if (name_to_handle_at(AT_FDCWD, file->path, &handle.handle, &mount, 0) == 0)
      memcpy(file->handle, handle.handle.f_handle, handle.handle.handle_bytes);
    file->fd = open(file->path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (file->fd < 0 || fstat(file->fd, &file->st) != 0)
      fail("%s: %s", file->path, strerror(errno));
  }
  return true;
}

bool canary_watch(struct canary *canary, const char *outside, const char *share, pid_t server) {
  memset(canary, 0, sizeof(*canary));
  canary->server = server;
  walked = canary;
  walks_share = false;
  if (nftw(outside, add, 8, FTW_PHYS) != 0)
    fail("can't walk through %s", outside);
  add_parent(canary, share);
  walks_share = true;
  if (nftw(share, add, 8, FTW_PHYS | FTW_MOUNT) != 0)
    fail("can't walk through %s", share);
  for (unsigned i = 0; i < canary->count; i++)
    canary->files[i].fd = -1;
  if (mark_all(canary))
    return true;
  canary->by_path = true;
  return mark_all(canary);
}

/* Which it was, where fanotify gives no descriptor of it: @info is what follows the event. */
static const char *file_of(const struct canary *canary, const char *info, size_t len) {
  struct file_handle handle;
  const size_t head = offsetof(struct fanotify_event_info_fid, handle);
  if (len < head + sizeof(handle))
    return NULL;
  memcpy(&handle, info + head, sizeof(handle));
  if (handle.handle_bytes > CANARY_HANDLE || len < head + sizeof(handle) + handle.handle_bytes)
    return NULL;
  for (unsigned i = 0; i < canary->count; i++)
    if (memcmp(canary->files[i].handle, info + head + sizeof(handle), handle.handle_bytes) == 0)
      return canary->files[i].path;
  return NULL;
}

static void report(const struct fanotify_event_metadata *event, const char *known) {
  char link[64], path[512] = "a file", command[64] = "?";
  if (event->fd >= 0) {
    (void)snprintf(link, sizeof(link), "/proc/self/fd/%d", event->fd);
    ssize_t len = readlink(link, path, sizeof(path) - 1);
    path[len > 0 ? len : 1] = 0;
  } else if (known != NULL) {
    (void)snprintf(path, sizeof(path), "%s", known);
  }
  (void)snprintf(link, sizeof(link), "/proc/%d/comm", (int)event->pid);
  int fd = open(link, O_RDONLY | O_CLOEXEC);
  ssize_t len = fd >= 0 ? read(fd, command, sizeof(command) - 1) : 0;
  command[len > 1 ? len - 1 : 1] = 0;
  fail("%s (process %d) has touched %s, which is not in the share, or not to be opened: events %#llx", command,
       (int)event->pid, path, (unsigned long long)event->mask);
}

/* 0: it has ended, or is none that we see. */
static pid_t parent_of(pid_t pid) {
  char path[64], stat[512];
  int parent = 0;
  (void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  ssize_t len = fd >= 0 ? read(fd, stat, sizeof(stat) - 1) : 0;
  if (fd >= 0)
    close(fd);
  stat[len > 0 ? len : 0] = 0;
  /* The name before it may have anything in it. */
  const char *rest = strrchr(stat, ')');
  return rest != NULL && sscanf(rest, ") %*c %d", &parent) == 1 ? parent : 0;
}

/* The server's processes stay until it ends, which run.sh would notice. */
static bool counts(const struct canary *canary, pid_t pid) {
  if (pid == getpid())
    return false;
  if (canary->server == 0)
    return true;
  while (pid > 1 && pid != canary->server)
    pid = parent_of(pid);
  return pid == canary->server;
}

/* Events are not aligned. */
static void read_events(struct canary *canary) {
  struct fanotify_event_metadata event;
  char buffer[8192];
  ssize_t len;
  while ((len = read(canary->fd, buffer, sizeof(buffer))) > 0) {
    for (const char *at = buffer; at + sizeof(event) <= buffer + len; at += event.event_len) {
      memcpy(&event, at, sizeof(event));
      if (event.event_len < sizeof(event) || (event.mask & FAN_Q_OVERFLOW) != 0)
        fail("more was touched than can be told");
      if (counts(canary, event.pid))
        report(&event, file_of(canary, at + sizeof(event), event.event_len - sizeof(event)));
      if (event.fd >= 0)
        close(event.fd);
    }
  }
}

static bool is_same(const struct stat *a, const struct stat *b) {
  return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_mode == b->st_mode && a->st_nlink == b->st_nlink &&
         a->st_uid == b->st_uid && a->st_gid == b->st_gid && a->st_size == b->st_size &&
         a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec &&
         a->st_ctim.tv_sec == b->st_ctim.tv_sec && a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

void canary_check(struct canary *canary) {
  read_events(canary);
  for (unsigned i = 0; i < canary->count; i++) {
    const struct canary_file *file = &canary->files[i];
    struct stat st;
    if (file->in_share || file->moves)
      continue;
    if (fstat(file->fd, &st) != 0)
      fail("%s: %s", file->path, strerror(errno));
    if (!is_same(&st, &file->st))
      fail("%s has changed, which is not in the share", file->path);
  }
}

bool canary_has_ino(const struct canary *canary, uint64_t ino) {
  for (unsigned i = 0; i < canary->count; i++)
    if (!canary->files[i].in_share && canary->files[i].st.st_ino == ino)
      return true;
  return false;
}

void canary_end(struct canary *canary) {
  if (canary->fd >= 0)
    close(canary->fd);
  canary->fd = -1;
  for (unsigned i = 0; i < canary->count; i++) {
    if (canary->files[i].fd >= 0)
      close(canary->files[i].fd);
    canary->files[i].fd = -1;
  }
}
