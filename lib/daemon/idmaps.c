/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/idmaps.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define TAG "sandbox"
enum { LINE_MAX_LEN = 40, WORDS = 3, WORD_LEN = 12 };

bool virtiofs_sandbox_has_cap(int number) {
  struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
  struct __user_cap_data_struct caps[_LINUX_CAPABILITY_U32S_3] = {{0}};
  return syscall(SYS_capget, &header, caps) == 0 && (caps[0].effective >> number & 1) != 0;
}

static void set_fallback(struct virtiofs_sandbox_idmap *map) {
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
static const char *check(const struct virtiofs_sandbox_idmap *map) {
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

static bool maps_zero(const struct virtiofs_sandbox_idmap *map) {
  for (size_t i = 0; i < map->count; i++)
    if (map->ids[i].inside == 0)
      return true;
  return false;
}

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
static int write_map(const struct virtiofs_sandbox_idmap *map, pid_t pid) {
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
static int run_program(const struct virtiofs_sandbox_idmap *map, pid_t pid) {
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

static bool own_alone(const struct virtiofs_sandbox_idmap *map) {
  return map->count == 1 && map->ids[0].count == 1 && map->ids[0].outside == map->own;
}

static int map_ids(const struct virtiofs_sandbox_idmap *map, pid_t pid, bool groups) {
  if (map->may)
    return write_map(map, pid);
  if (!own_alone(map))
    return run_program(map, pid);
  /* Linux lets anybody map himself, once he can't drop groups that keep him out of files. */
  int rc = groups ? put_file(pid, "setgroups", "deny", 4) : 0;
  return rc == 0 ? write_map(map, pid) : rc;
}

/* Only now: to become somebody else takes a map that has him. Groups from outside must not count inside. */
static int become_root(const struct virtiofs_sandbox_idmap *users, const struct virtiofs_sandbox_idmap *groups) {
  if (setgroups(0, NULL) != 0 && errno != EPERM)
    return -errno;
  if (maps_zero(groups) && setresgid(0, 0, 0) != 0)
    return -errno;
  return maps_zero(users) && setresuid(0, 0, 0) != 0 ? -errno : 0;
}

int virtiofs_sandbox_become_root(const struct virtiofs_sandbox_idmaps *maps, const struct virtiofs_log *log) {
  int rc = become_root(&maps->users, &maps->groups);
  if (rc != 0)
    virtiofs_log_write(log, VIRTIOFS_LOG_ERROR, TAG, "can't be root in the namespace: %s", strerror(-rc));
  return rc;
}

int virtiofs_sandbox_idmaps_write(const struct virtiofs_sandbox_idmaps *maps, pid_t pid) {
  int rc = map_ids(&maps->users, pid, false);
  return rc == 0 ? map_ids(&maps->groups, pid, true) : rc;
}

int virtiofs_sandbox_idmaps_written(int rc, const struct virtiofs_log *log) {
  if (rc != 0)
    virtiofs_log_write(log, VIRTIOFS_LOG_ERROR, TAG, "the ids can't be mapped: %s%s", strerror(-rc),
                       rc == -ENOENT ? " (newuidmap and newgidmap, Debian package uidmap)" : "");
  return rc;
}

int virtiofs_sandbox_idmaps_init(struct virtiofs_sandbox_idmaps *maps,
                                 const struct virtiofs_sandbox_userns_config *config) {
  maps->users = (struct virtiofs_sandbox_idmap){.file = "uid_map",
                                                .program = "newuidmap",
                                                .ids = config->users,
                                                .count = config->user_count,
                                                .own = geteuid(),
                                                .may = virtiofs_sandbox_has_cap(CAP_SETUID)};
  maps->groups = (struct virtiofs_sandbox_idmap){.file = "gid_map",
                                                 .program = "newgidmap",
                                                 .ids = config->groups,
                                                 .count = config->group_count,
                                                 .own = getegid(),
                                                 .may = virtiofs_sandbox_has_cap(CAP_SETGID)};
  set_fallback(&maps->users);
  set_fallback(&maps->groups);
  const char *why = check(&maps->users), *whose = "users";
  if (why == NULL) {
    why = check(&maps->groups);
    whose = "groups";
  }
  if (why == NULL)
    return 0;
  virtiofs_log_write(&config->log, VIRTIOFS_LOG_ERROR, TAG, "the map of %s: %s", whose, why);
  return -EINVAL;
}
