/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A user namespace. Its maps are written from outside: by a child that was forked before, which has still what the
 * process had, or by newuidmap(1) and newgidmap(1), which that child runs.
 */
#include <virtiofs/sandbox.h>

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/config.h"

#define TAG "sandbox"
enum { LINE_MAX_LEN = 40, WORDS = 3, WORD_LEN = 12 };

/** Users or groups. */
struct map {
  const char *file, *program; /* of /proc/PID, and who writes it for those who may not */
  const struct virtiofs_sandbox_ids *ids;
  size_t count;
  struct virtiofs_sandbox_ids fallback;
  uint32_t own;
  bool may; /* map what it likes */
};

static bool has_cap(int number) {
  struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
  struct __user_cap_data_struct caps[_LINUX_CAPABILITY_U32S_3] = {{0}};
  return syscall(SYS_capget, &header, caps) == 0 && (caps[0].effective >> number & 1) != 0;
}

static void set_fallback(struct map *map) {
  if (map->count > 0)
    return;
  map->fallback = map->may ? (struct virtiofs_sandbox_ids){.count = UINT32_MAX}
                           : (struct virtiofs_sandbox_ids){.outside = map->own, .count = 1};
  map->ids = &map->fallback;
  map->count = 1;
}

static bool overlap(uint32_t a, uint32_t b, const struct virtiofs_sandbox_ids *one,
                    const struct virtiofs_sandbox_ids *other) {
  return a < (uint64_t)b + other->count && b < (uint64_t)a + one->count;
}

/* What Linux would refuse too, and not say why. */
static const char *check(const struct map *map) {
  bool root = false, own = false;
  if (map->count > VIRTIOFS_SANDBOX_IDS_MAX)
    return "too many ranges";
  for (size_t i = 0; i < map->count; i++) {
    const struct virtiofs_sandbox_ids *ids = &map->ids[i];
    if (ids->count == 0 || (uint64_t)ids->inside + ids->count > UINT32_MAX ||
        (uint64_t)ids->outside + ids->count > UINT32_MAX)
      return "a range is empty or goes beyond the last id, 4294967294";
    root |= ids->inside == 0;
    own |= map->own >= ids->outside && map->own - ids->outside < ids->count;
    for (size_t k = 0; k < i; k++)
      if (overlap(ids->inside, map->ids[k].inside, ids, &map->ids[k]) ||
          overlap(ids->outside, map->ids[k].outside, ids, &map->ids[k]))
        return "ranges overlap";
  }
  return root || own ? NULL : "neither 0 in the namespace nor the server's own id is in it";
}

static bool maps_zero(const struct map *map) {
  for (size_t i = 0; i < map->count; i++)
    if (map->ids[i].inside == 0)
      return true;
  return false;
}

/* ---- in the child ---- */

static int put_file(pid_t pid, const char *name, const char *text, size_t len) {
  char path[40];
  (void)snprintf(path, sizeof(path), "/proc/%ld/%s", (long)pid, name);
  int fd = open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0)
    return errno;
  int rc = write(fd, text, len) == (ssize_t)len ? 0 : errno;
  close(fd);
  return rc;
}

/* All at once, as Linux wants it. */
static int write_map(const struct map *map, pid_t pid) {
  char *text = malloc(map->count * LINE_MAX_LEN);
  size_t len = 0;
  if (text == NULL)
    return ENOMEM;
  for (size_t i = 0; i < map->count; i++)
    len += (size_t)snprintf(text + len, LINE_MAX_LEN, "%u %u %u\n", map->ids[i].inside, map->ids[i].outside,
                            map->ids[i].count);
  int rc = put_file(pid, map->file, text, len);
  free(text);
  return rc;
}

/* newuidmap PID INSIDE OUTSIDE COUNT ... */
static int run_program(const struct map *map, pid_t pid) {
  char words[VIRTIOFS_SANDBOX_IDS_MAX * WORDS + 1][WORD_LEN];
  char *args[VIRTIOFS_SANDBOX_IDS_MAX * WORDS + 3] = {(char *)(uintptr_t)map->program, words[0]};
  size_t count = 0;
  (void)snprintf(words[count++], WORD_LEN, "%ld", (long)pid);
  for (size_t i = 0; i < map->count; i++) {
    const uint32_t numbers[WORDS] = {map->ids[i].inside, map->ids[i].outside, map->ids[i].count};
    for (size_t k = 0; k < WORDS; k++) {
      (void)snprintf(words[count], WORD_LEN, "%u", numbers[k]);
      args[count + 1] = words[count];
      count++;
    }
  }
  int status;
  pid_t child = fork();
  if (child == 0) {
    execvp(map->program, args);
    _exit(errno == ENOENT ? ENOENT : EPERM);
  }
  if (child < 0 || waitpid(child, &status, 0) != child)
    return EAGAIN;
  /* It has said what it doesn't like itself. */
  return !WIFEXITED(status) ? EPERM : WEXITSTATUS(status) == ENOENT ? ENOENT : WEXITSTATUS(status) == 0 ? 0 : EPERM;
}

static bool own_alone(const struct map *map) {
  return map->count == 1 && map->ids[0].count == 1 && map->ids[0].outside == map->own;
}

static int map_ids(const struct map *map, pid_t pid, bool groups) {
  if (map->may)
    return write_map(map, pid);
  if (!own_alone(map))
    return run_program(map, pid);
  /* Linux lets anybody map himself, once he can't drop groups that keep him out of files. */
  int rc = groups ? put_file(pid, "setgroups", "deny", 4) : 0;
  return rc == 0 ? write_map(map, pid) : rc;
}

/* The exit status is an errno. */
_Noreturn static void write_maps(const struct map *users, const struct map *groups, pid_t pid, int wait_fd) {
  char byte;
  ssize_t n;
  do
    n = read(wait_fd, &byte, 1);
  while (n < 0 && errno == EINTR);
  if (n != 1)
    _exit(0); /* there is no namespace */
  int rc = map_ids(users, pid, false);
  if (rc == 0)
    rc = map_ids(groups, pid, true);
  _exit(rc);
}

/* ---- in the process itself ---- */

static int wait_for(pid_t child) {
  int status;
  pid_t got;
  do
    got = waitpid(child, &status, 0);
  while (got < 0 && errno == EINTR);
  return got == child && WIFEXITED(status) ? -WEXITSTATUS(status) : -ECHILD;
}

static int enter(const struct map *users, const struct map *groups, const struct virtiofs_log *log) {
  int fds[2];
  pid_t self = getpid();
  if (pipe2(fds, O_CLOEXEC) != 0)
    return -errno;
  pid_t child = fork();
  if (child == 0) {
    close(fds[1]);
    write_maps(users, groups, self, fds[0]);
  }
  int rc = child < 0 ? -errno : 0;
  close(fds[0]);
  if (rc == 0 && unshare(CLONE_NEWUSER) != 0) {
    rc = -errno;
    virtiofs_log_write(log, VIRTIOFS_LOG_ERROR, TAG, "no user namespace: %s", strerror(-rc));
  } else if (rc == 0 && write(fds[1], "", 1) != 1) {
    rc = -EIO;
  }
  close(fds[1]);
  int written = child > 0 ? wait_for(child) : 0;
  if (rc == 0 && written != 0)
    virtiofs_log_write(log, VIRTIOFS_LOG_ERROR, TAG, "the ids can't be mapped: %s%s", strerror(-written),
                       written == -ENOENT ? " (newuidmap and newgidmap, Debian package uidmap)" : "");
  return rc == 0 ? written : rc;
}

/* Only now: to become somebody else takes a map that has him. Groups from outside must not count inside. */
static int become_root(const struct map *users, const struct map *groups) {
  if (setgroups(0, NULL) != 0 && errno != EPERM)
    return -errno;
  if (maps_zero(groups) && setresgid(0, 0, 0) != 0)
    return -errno;
  return maps_zero(users) && setresuid(0, 0, 0) != 0 ? -errno : 0;
}

int virtiofs_sandbox_userns(const struct virtiofs_sandbox_userns_config *given) {
  struct virtiofs_sandbox_userns_config config = {.size = sizeof(config)};
  int rc = given != NULL ? virtiofs_config_copy(&config, sizeof(config), given, given->size) : -EINVAL;
  if (rc != 0)
    return rc;
  struct map users = {.file = "uid_map",
                      .program = "newuidmap",
                      .ids = config.users,
                      .count = config.user_count,
                      .own = geteuid(),
                      .may = has_cap(CAP_SETUID)};
  struct map groups = {.file = "gid_map",
                       .program = "newgidmap",
                       .ids = config.groups,
                       .count = config.group_count,
                       .own = getegid(),
                       .may = has_cap(CAP_SETGID)};
  set_fallback(&users);
  set_fallback(&groups);
  const char *why = check(&users), *whose = "users";
  if (why == NULL) {
    why = check(&groups);
    whose = "groups";
  }
  if (why != NULL) {
    virtiofs_log_write(&config.log, VIRTIOFS_LOG_ERROR, TAG, "the map of %s: %s", whose, why);
    return -EINVAL;
  }
  rc = enter(&users, &groups, &config.log);
  if (rc != 0)
    return rc;
  rc = become_root(&users, &groups);
  if (rc != 0)
    virtiofs_log_write(&config.log, VIRTIOFS_LOG_ERROR, TAG, "can't be root in the namespace: %s", strerror(-rc));
  return rc;
}
