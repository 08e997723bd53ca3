/* SPDX-License-Identifier: BSD-3-Clause */
/* What is there when a quota begins: all files below a directory, in its own file system. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backends/passthrough/quota.h"

enum { SECTOR = 512, FIRST_LINKS = 1024 };

/** A directory that still has to be looked into. */
struct branch {
  struct branch *next; /* of the same directory */
  char name[];
};

/** Where we are: how to come back to the directory above, and what it has left. */
struct level {
  struct branch *left;
  dev_t dev;
  ino_t ino;
};

/** A walk that holds one descriptor, however deep the tree is. */
struct count {
  dev_t dev;
  struct level *levels;
  size_t depth, room;
  uint64_t *links; /* numbers of files with several names, seen already: a hash, 0 is empty */
  size_t link_count, link_room;
  uint64_t bytes, inodes;
};

static size_t place_of(const uint64_t *links, size_t room, uint64_t ino) {
  size_t at = (size_t)(ino * UINT64_C(0x9e3779b97f4a7c15) >> 20) & (room - 1);
  while (links[at] != 0 && links[at] != ino)
    at = (at + 1) & (room - 1);
  return at;
}

static int more_links(struct count *count) {
  size_t room = count->link_room != 0 ? 2 * count->link_room : FIRST_LINKS;
  uint64_t *links = calloc(room, sizeof links[0]);
  if (links == NULL)
    return -ENOMEM;
  for (size_t i = 0; i < count->link_room; i++)
    if (count->links[i] != 0)
      links[place_of(links, room, count->links[i])] = count->links[i];
  free(count->links);
  count->links = links;
  count->link_room = room;
  return 0;
}

/* 1: this name of it is the first. */
static int is_first(struct count *count, uint64_t ino) {
  if (2 * count->link_count >= count->link_room) {
    int rc = more_links(count);
    if (rc != 0)
      return rc;
  }
  size_t at = place_of(count->links, count->link_room, ino);
  if (count->links[at] == ino)
    return 0;
  count->links[at] = ino;
  count->link_count++;
  return 1;
}

static int remember(struct level *level, const char *name) {
  size_t size = strlen(name) + 1;
  struct branch *branch = malloc(sizeof *branch + size);
  if (branch == NULL)
    return -ENOMEM;
  memcpy(branch->name, name, size);
  branch->next = level->left;
  level->left = branch;
  return 0;
}

static int count_entry(struct count *count, int dirfd, const char *name) {
  struct stat st;
  if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
    return errno == ENOENT ? 0 : -errno;
  if (st.st_dev != count->dev)
    return 0;
  count->inodes++; /* each name */
  if (S_ISDIR(st.st_mode)) {
    count->bytes += (uint64_t)st.st_blocks * SECTOR;
    return remember(&count->levels[count->depth - 1], name);
  }
  int first = st.st_nlink > 1 ? is_first(count, st.st_ino) : 1;
  if (first <= 0)
    return first;
  if (S_ISREG(st.st_mode))
    count->bytes += (uint64_t)st.st_blocks * SECTOR;
  return 0;
}

/* @fd stays the caller's. */
static int count_dir(struct count *count, int fd) {
  int own = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR *dir = own >= 0 ? fdopendir(own) : NULL;
  if (dir == NULL) {
    int error = errno;
    if (own >= 0)
      close(own);
    return -error;
  }
  int rc = 0;
  while (rc == 0) {
    errno = 0;
    const struct dirent *entry = readdir(dir);
    if (entry == NULL) {
      rc = -errno;
      break;
    }
    if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
      rc = count_entry(count, fd, entry->d_name);
  }
  closedir(dir);
  return rc;
}

/* Into @fd, which is counted. */
static int enter(struct count *count, int fd) {
  struct stat st;
  if (fstat(fd, &st) != 0)
    return -errno;
  if (count->depth == count->room) {
    size_t room = count->room != 0 ? 2 * count->room : 64;
    struct level *levels = realloc(count->levels, room * sizeof levels[0]);
    if (levels == NULL)
      return -ENOMEM;
    count->levels = levels;
    count->room = room;
  }
  count->levels[count->depth++] = (struct level){.dev = st.st_dev, .ino = st.st_ino};
  return count_dir(count, fd);
}

/* One step: into the next directory, or back to the one above, which has to be the one that we came from. */
static int step(struct count *count, int *fd) {
  struct level *level = &count->levels[count->depth - 1];
  struct branch *branch = level->left;
  struct stat st;
  int next;
  if (branch == NULL) {
    if (--count->depth == 0)
      return 0;
    level--;
    next = openat(*fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (next >= 0 && (fstat(next, &st) != 0 || st.st_dev != level->dev || st.st_ino != level->ino)) {
      close(next);
      return -ESTALE;
    }
  } else {
    level->left = branch->next;
    next = openat(*fd, branch->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    free(branch);
    if (next < 0 && (errno == ENOENT || errno == ENOTDIR))
      return 0; /* somebody has been quicker */
  }
  if (next < 0)
    return -errno;
  close(*fd);
  *fd = next;
  return branch != NULL ? enter(count, next) : 0;
}

int virtiofs_passthrough_quota_count(struct quota *quota, int take_fd) {
  struct count count = {.depth = 0};
  struct stat st;
  int fd = take_fd;
  int rc = fstat(fd, &st) == 0 ? 0 : -errno;
  count.dev = st.st_dev;
  if (rc == 0)
    rc = enter(&count, fd);
  while (rc == 0 && count.depth > 0)
    rc = step(&count, &fd);
  close(fd);
  for (size_t i = 0; i < count.depth; i++)
    for (struct branch *branch = count.levels[i].left; branch != NULL; branch = count.levels[i].left) {
      count.levels[i].left = branch->next;
      free(branch);
    }
  free(count.levels);
  free(count.links);
  if (rc == 0) {
    atomic_store(&quota->bytes.used, count.bytes);
    atomic_store(&quota->inodes.used, count.inodes);
  }
  return rc;
}
