/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One operation of the passthrough backend, so many times, for counting the system calls that it takes.
 *
 *   passthrough_calls DIR OPERATION COUNT [never|keep]
 *
 * "never": without file handles; "keep": a thread stays whoever it was.
 *
 * DIR is empty or has what an earlier run left.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <virtiofs/passthrough.h>

#include "../support/fake_req.h"

enum { SIZE = 5000, MOST = 1000 };

struct work {
  const struct virtiofs_ops *ops;
  struct virtiofs_req req;
  uint64_t root, node, handle;
  uint64_t others[2]; /* of files that can't both have a descriptor */
  struct virtiofs_data data;
};

static void need(bool right, const char *what) {
  if (right)
    return;
  fprintf(stderr, "passthrough_calls: %s: %s\n", what, strerror(errno));
  exit(EXIT_FAILURE);
}

static uint64_t lookup(struct work *w, const char *name) {
  struct virtiofs_lookup_in in = {.parent = w->root, .name = {.str = name, .len = (uint32_t)strlen(name)}};
  struct virtiofs_entry_out out = {.node = 0};
  return w->ops->lookup(&w->req, &in, &out) == 0 ? out.node : 0;
}

static bool do_getattr(struct work *w, int i) {
  (void)i;
  struct virtiofs_getattr_in in = {.node = w->node};
  struct virtiofs_attr_out out;
  return w->ops->getattr(&w->req, &in, &out) == 0 && out.attr.size == SIZE;
}

static bool do_lookup_known(struct work *w, int i) {
  (void)i;
  return lookup(w, "file") == w->node;
}

static bool do_lookup_new(struct work *w, int i) {
  char name[16];
  snprintf(name, sizeof name, "%d", i);
  return lookup(w, name) != 0;
}

static bool do_lookup_absent(struct work *w, int i) {
  (void)i;
  return lookup(w, "absent") == 0;
}

static bool do_read(struct work *w, uint64_t offset, uint32_t size, uint32_t expected) {
  struct virtiofs_read_in in = {.node = w->node, .handle = w->handle, .offset = offset, .size = size, .data = w->data};
  struct virtiofs_read_out out = {.size = 0};
  return w->ops->read(&w->req, &in, &out) == 0 && out.size == expected;
}

static bool do_read_within(struct work *w, int i) {
  (void)i;
  return do_read(w, 0, 4096, 4096);
}

static bool do_read_to_end(struct work *w, int i) {
  (void)i;
  return do_read(w, 0, 8192, SIZE);
}

static bool do_read_behind(struct work *w, int i) {
  (void)i;
  return do_read(w, 8192, 4096, 0);
}

static bool write_with(struct work *w, uint32_t write_flags) {
  struct virtiofs_data data = w->data;
  data.size = 4096;
  data.count = 1;
  struct virtiofs_write_in in = {
      .node = w->node, .handle = w->handle, .size = 4096, .write_flags = write_flags, .data = data};
  struct virtiofs_write_out out = {.size = 0};
  return w->ops->write(&w->req, &in, &out) == 0 && out.size == 4096;
}

static bool do_write(struct work *w, int i) {
  (void)i;
  return write_with(w, 0);
}

static bool do_write_kill(struct work *w, int i) {
  (void)i;
  return write_with(w, VIRTIOFS_WRITE_KILL_SUIDGID);
}

/* As somebody else than the server. */
static bool do_mkdir_of(struct work *w, const char *name) {
  w->req.caller = (struct virtiofs_caller){.uid = 1000, .gid = 1000};
  struct virtiofs_mkdir_in in = {
      .parent = w->root, .name = {.str = name, .len = (uint32_t)strlen(name)}, .mode = S_IFDIR | 0755};
  struct virtiofs_entry_out out = {.node = 0};
  return w->ops->mkdir(&w->req, &in, &out) == 0;
}

static bool do_mkdir(struct work *w, int i) {
  char name[16];
  snprintf(name, sizeof name, "d%d", i);
  (void)rmdir(name);
  return do_mkdir_of(w, name);
}

static bool do_mkdir_after_lookup(struct work *w, int i) {
  char name[16];
  snprintf(name, sizeof name, "d%d", i);
  (void)rmdir(name);
  return lookup(w, name) == 0 && do_mkdir_of(w, name);
}

/* One to open it again, and one to close that of the other. */
static bool do_getattr_evicted(struct work *w, int i) {
  struct virtiofs_getattr_in in = {.node = w->others[i % 2]};
  struct virtiofs_attr_out out;
  return w->ops->getattr(&w->req, &in, &out) == 0;
}

static bool do_lookup_evicted(struct work *w, int i) {
  return lookup(w, i % 2 == 0 ? "0" : "1") == w->others[i % 2];
}

static const struct {
  const char *name;
  bool (*run)(struct work *, int);
} operations[] = {
    {"getattr", do_getattr},
    {"lookup-known", do_lookup_known},
    {"lookup-new", do_lookup_new},
    {"lookup-absent", do_lookup_absent},
    {"read-within", do_read_within},
    {"read-to-end", do_read_to_end},
    {"read-behind", do_read_behind},
    {"write", do_write},
    {"write-kill", do_write_kill},
    {"mkdir-as-user", do_mkdir},
    {"mkdir-after-lookup", do_mkdir_after_lookup},
    {"getattr-evicted", do_getattr_evicted},
    {"lookup-evicted", do_lookup_evicted},
};

static void prepare(const char *dir) {
  char name[16];
  static const char zeros[SIZE];
  need(chdir(dir) == 0, dir);
  int fd = open("file", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  need(fd >= 0 && write(fd, zeros, SIZE) == SIZE && close(fd) == 0, "a file of the share");
  for (int i = 0; i < MOST; i++) {
    snprintf(name, sizeof name, "%d", i);
    fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    need(fd >= 0 && close(fd) == 0, name);
  }
}

int main(int argc, char **argv) {
  static char buffer[2][4096];
  static const struct iovec iov[2] = {{buffer[0], 4096}, {buffer[1], 4096}};
  need(argc == 4 || argc == 5, "DIR OPERATION COUNT [never|keep]");
  int count = atoi(argv[3]);
  need(count >= 0 && count <= MOST, "COUNT");
  prepare(argv[1]);
  struct virtiofs_passthrough *fs;
  bool evicts = strstr(argv[2], "evicted") != NULL, never = argc == 5 && strcmp(argv[4], "never") == 0,
       keep = argc == 5 && strcmp(argv[4], "keep") == 0;
  struct virtiofs_passthrough_config config = {.size = sizeof config,
                                               .shared_dir = argv[1],
                                               .killpriv_v2 = true,
                                               .keep_ids = keep,
                                               .inode_file_handles = never ? VIRTIOFS_PASSTHROUGH_HANDLES_NEVER
                                                                           : VIRTIOFS_PASSTHROUGH_HANDLES_PREFER,
                                               .inode_fds = evicts ? 1 : 0,
                                               .inode_idle_ms = UINT32_MAX};
  need(virtiofs_passthrough_new(&fs, &config) == 0, "the share");
  struct work w = {.ops = virtiofs_passthrough_ops(),
                   .req = {.fs = fs, .caller = {.uid = geteuid(), .gid = getegid()}},
                   .data = {.iov = iov, .count = 2, .size = 8192}};
  struct virtiofs_init_in init_in = {.major = 7};
  struct virtiofs_init_out init_out = {.root = VIRTIOFS_ROOT_NODE};
  need(w.ops->init(&w.req, &init_in, &init_out) == 0, "init");
  w.root = init_out.root;
  w.node = lookup(&w, "file");
  need(w.node != 0, "lookup");
  struct virtiofs_open_in in = {.node = w.node, .flags = O_RDWR};
  struct virtiofs_open_out out = {.handle = 0};
  need(w.ops->open(&w.req, &in, &out) == 0, "open");
  w.handle = out.handle;
  w.others[0] = lookup(&w, "0");
  w.others[1] = lookup(&w, "1");
  if (evicts) /* what has been used once is known to be the file */
    need(do_getattr_evicted(&w, 0) && do_getattr_evicted(&w, 1), "getattr");
  size_t op = 0;
  while (op < sizeof operations / sizeof *operations && strcmp(operations[op].name, argv[2]) != 0)
    op++;
  need(op < sizeof operations / sizeof *operations, argv[2]);
  for (int i = 0; i < count; i++)
    need(operations[op].run(&w, i), argv[2]);
  _exit(EXIT_SUCCESS); /* taking it down would be counted too */
}
