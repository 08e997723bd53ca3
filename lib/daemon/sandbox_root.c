/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/sandbox_root.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#define TAG "sandbox"

static int fail(const struct virtiofs_log *log, const char *what, const char *path, int error) {
  virtiofs_log_write(log, VIRTIOFS_LOG_ERROR, TAG, "can't %s%s%s%s: %s", what, path != NULL ? " '" : "",
                     path != NULL ? path : "", path != NULL ? "'" : "", strerror(error));
  return -error;
}

/* ---- trees of mounts ---- */

/* Nothing that lies in them is a device to us, or a program: what a guest puts there can't be opened, run or mapped as
 * one. Kernels before 5.12 can't. */
static int harden(int tree, bool read_only) {
  struct mount_attr attr = {.attr_set = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC |
                                        (read_only ? MOUNT_ATTR_RDONLY : 0)};
  if (mount_setattr(tree, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr, sizeof(attr)) == 0)
    return 0;
  return errno == ENOSYS && !read_only ? 0 : -errno;
}

/* A directory with all that is mounted below it, as a tree of its own, which belongs to nowhere. */
static int copy_tree(const char *path, bool read_only, const struct virtiofs_log *log) {
  struct stat st;
  int tree = open_tree(AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
  if (tree < 0)
    return fail(log, "open", path, errno);
  int rc = fstat(tree, &st) != 0 ? -errno : !S_ISDIR(st.st_mode) ? -ENOTDIR : harden(tree, read_only);
  if (rc == 0)
    return tree;
  close(tree);
  return fail(log, "open", path, -rc);
}

static int open_dir(const char *path, const struct virtiofs_log *log) {
  int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
  return fd >= 0 ? fd : fail(log, "open", path, errno);
}

/* A file system in memory with nothing in it. */
static int empty_tree(const struct virtiofs_log *log) {
  int rc = 0, tree = -1;
  int fs = fsopen("tmpfs", FSOPEN_CLOEXEC);
  if (fs < 0 || fsconfig(fs, FSCONFIG_SET_STRING, "mode", "555", 0) != 0 ||
      fsconfig(fs, FSCONFIG_SET_STRING, "nr_inodes", "1", 0) != 0 ||
      fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) != 0)
    rc = errno;
  if (rc == 0) {
    tree = fsmount(fs, FSMOUNT_CLOEXEC, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
    rc = tree < 0 ? errno : 0;
  }
  if (fs >= 0)
    close(fs);
  return rc == 0 ? tree : fail(log, "make an empty root directory", NULL, rc);
}

int virtiofs_sandbox_trees_open(const struct virtiofs_sandbox_config *config) {
  bool copies = config->mode == VIRTIOFS_SANDBOX_NAMESPACE;
  for (size_t i = 0; i < config->tree_count; i++)
    config->trees[i].fd = -1;
  for (size_t i = 0; i < config->tree_count; i++) {
    const char *path = config->trees[i].path;
    int fd = copies ? copy_tree(path, false, &config->log) : open_dir(path, &config->log);
    if (fd < 0)
      return fd;
    config->trees[i].fd = fd;
  }
  return 0;
}

/* Is the root directory that of a mount? Not so in a chroot: there what is mounted around it can't be reached, to be
 * taken apart or away, and a mount that is made may be seen by all. */
static bool is_mount_root(void) {
  struct statx stx;
  return statx(AT_FDCWD, "/", AT_NO_AUTOMOUNT, STATX_BASIC_STATS, &stx) != 0 ||
         (stx.stx_attributes_mask & STATX_ATTR_MOUNT_ROOT) == 0 || (stx.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0;
}

/* ---- /proc ---- */

/* A directory of procfs from which nothing else of it can be reached, as far as the process may do that. Anything else
 * than procfs there would open what it likes for us. */
static int open_proc_dir(const char *path) {
  struct statfs st;
  int fd = open_tree(AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
  if (fd < 0 && (errno == EPERM || errno == ENOSYS))
    fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0)
    return -errno;
  int rc = fstatfs(fd, &st) != 0 ? -errno : st.f_type != PROC_SUPER_MAGIC ? -ENOENT : 0;
  if (rc == 0)
    return fd;
  close(fd);
  return rc;
}

/* Does the host's kernel label what a thread makes as the thread says? The file is there without SELinux too. */
static bool has_labels(void) {
  char byte;
  int fd = open("/proc/self/attr/fscreate", O_RDONLY | O_CLOEXEC);
  bool has = fd >= 0 && read(fd, &byte, 1) >= 0;
  if (fd >= 0)
    close(fd);
  return has;
}

/* The old one knows the processes by other numbers, but itself it is by any. It is taken where the host lets nobody see
 * a whole one, as in containers that hide parts of theirs. */
static int open_proc(const struct virtiofs_sandbox_config *config, struct virtiofs_sandbox_inside *inside) {
  bool fresh = config->mode == VIRTIOFS_SANDBOX_NAMESPACE && is_mount_root() &&
               mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) == 0;
  inside->proc_fd = open_proc_dir("/proc/self/fd");
  if (inside->proc_fd < 0)
    return fail(&config->log, "open", "/proc/self/fd", -inside->proc_fd);
  /* Threads are looked for there by the numbers that we know. */
  bool ours = fresh || config->mode != VIRTIOFS_SANDBOX_NAMESPACE;
  int task = ours && config->labels && has_labels() ? open_proc_dir("/proc/self/task") : -1;
  inside->task_fd = task >= 0 ? task : -1;
  return 0;
}

/* ---- the root ---- */

/* What is mounted on the host later is to come here too, and nothing the other way. */
static int take_apart(void) {
  return mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) == 0 ? 0 : -errno;
}

/* The same in a chroot, where "/" is no mount: what is taken away there would go on the host too, for the mount in
 * which it lies is the host's still. From the namespace's root, and back. A sanitizer's thread would have the same root
 * directory, which setns(2) doesn't want. */
static int take_apart_from_above(void) {
  int rc = 0, here = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
  int ns = here >= 0 ? open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC) : -1;
  if (here < 0 || ns < 0 || unshare(CLONE_FS) != 0 || setns(ns, CLONE_NEWNS) != 0)
    rc = -errno;
  if (rc == 0)
    rc = take_apart();
  if (rc == 0 && (fchdir(here) != 0 || chroot(".") != 0))
    rc = -errno;
  if (ns >= 0)
    close(ns);
  if (here >= 0)
    close(here);
  return rc;
}

static int own_mounts(const struct virtiofs_log *log) {
  bool all = is_mount_root();
  if (!all)
    virtiofs_log_write(
        log, VIRTIOFS_LOG_WARN, TAG,
        "this is a chroot: mounts of the host that lie outside of it are out of reach, but not taken away");
  int rc = all ? take_apart() : take_apart_from_above();
  return rc == 0 ? 0 : fail(log, "take the mounts apart", NULL, -rc);
}

int virtiofs_sandbox_root_open(const struct virtiofs_sandbox_config *config, struct virtiofs_sandbox_inside *inside,
                               int *root) {
  bool namespace = config->mode == VIRTIOFS_SANDBOX_NAMESPACE;
  int rc = namespace ? own_mounts(&config->log) : 0;
  *root = -1;
  if (rc == 0 && config->root != NULL)
    *root = namespace ? copy_tree(config->root, config->read_only, &config->log) : open_dir(config->root, &config->log);
  else if (rc == 0 && namespace)
    *root = empty_tree(&config->log);
  if (rc == 0 && (config->root != NULL || namespace))
    rc = *root < 0 ? *root : 0;
  if (rc == 0)
    rc = virtiofs_sandbox_trees_open(config);
  return rc == 0 ? open_proc(config, inside) : rc;
}

/* The old root comes to lie on the new one, and is taken away from there. */
static int pivot(int root) {
  if (move_mount(root, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH) != 0 || fchdir(root) != 0 ||
      syscall(SYS_pivot_root, ".", ".") != 0 || umount2(".", MNT_DETACH) != 0)
    return -errno;
  return 0;
}

/* Spaces and the like stand in mountinfo as "\\040". */
static void unescape(char *path) {
  char *to = path;
  for (const char *from = path; *from != 0; to++) {
    bool octal = from[0] == '\\' && from[1] >= '0' && from[1] <= '3' && from[2] >= '0' && from[2] <= '7' &&
                 from[3] >= '0' && from[3] <= '7';
    int value = octal ? (from[1] - '0') << 6 | (from[2] - '0') << 3 | (from[3] - '0') : *from;
    *to = (char)value;
    from += octal ? 4 : 1;
  }
  *to = 0;
}

/* The fifth word of a line; to be freed. NULL: no memory, or none. */
static char *mount_point(const char *line) {
  for (int i = 0; line != NULL && i < 4; i++) {
    line = strchr(line, ' ');
    line = line != NULL ? line + 1 : NULL;
  }
  char *path = line != NULL ? strndup(line, strcspn(line, " ")) : NULL;
  if (path != NULL)
    unescape(path);
  return path;
}

/* What can be reached in a chroot goes, so that nobody outside who takes it away has to wait for us. What the host
 * doesn't let us take away stays. */
static void leave_mounts(void) {
  char **paths = NULL, *line = NULL;
  size_t count = 0, room = 0;
  FILE *file = fopen("/proc/self/mountinfo", "re");
  while (file != NULL && getline(&line, &room, file) > 0) {
    char **more = realloc(paths, (count + 1) * sizeof(*paths));
    if (more == NULL)
      break;
    paths = more;
    char *path = mount_point(line);
    if (path != NULL)
      paths[count++] = path;
  }
  if (file != NULL)
    (void)fclose(file);
  free(line);
  while (count-- > 0) { /* the last ones lie upon the first */
    (void)umount2(paths[count], MNT_DETACH | UMOUNT_NOFOLLOW);
    free(paths[count]);
  }
  free(paths);
}

/* Where there is no directory for it, that of the process's own descriptors: nothing can be made or removed there. */
static int change(const struct virtiofs_sandbox_inside *inside, int root) {
  return fchdir(root >= 0 ? root : inside->proc_fd) == 0 && chroot(".") == 0 ? 0 : -errno;
}

int virtiofs_sandbox_root_change(const struct virtiofs_sandbox_config *config,
                                 const struct virtiofs_sandbox_inside *inside, int root) {
  bool namespace = config->mode == VIRTIOFS_SANDBOX_NAMESPACE;
  bool pivots = namespace && is_mount_root();
  if (namespace && !pivots)
    leave_mounts();
  int rc = pivots ? pivot(root) : change(inside, root);
  if (rc == 0 && fchdir(inside->proc_fd) != 0)
    rc = -errno;
  if (root >= 0)
    close(root);
  if (rc != 0)
    virtiofs_log_write(&config->log, VIRTIOFS_LOG_ERROR, TAG,
                       "the host refuses another root directory (%s): use %s--sandbox=none", strerror(-rc),
                       namespace ? "--sandbox=chroot or " : "");
  return rc;
}
