/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * More files than the server may have descriptors, each of which keeps one: the guest is told ENFILE, what it knows
 * stays good, nothing half made is left, and when it has forgotten enough it goes on.
 */
#include "many.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static int lookup(struct many *m, uint32_t number) {
  char name[MANY_NAME];
  struct virtiofs_lookup_in *in = &many_ask(m, 0, VIRTIOFS_FUSE_LOOKUP)->lookup;
  in->parent = VIRTIOFS_FUSE_ROOT;
  in->name.len = (uint32_t)snprintf(name, sizeof name, "f%u", number);
  in->name.str = name;
  return many_run(m, 0);
}

/* Return: how many files there were descriptors for. */
static uint32_t look_until_full(struct many *m, uint32_t files, uint64_t *nodes) {
  for (uint32_t i = 0; i < files; i++) {
    int rc = lookup(m, i);
    if (rc == -ENFILE)
      return i;
    many_need(rc == 0, "LOOKUP of the file %u: %s", i, strerror(-rc));
    nodes[i] = m->reqs[0]->out.entry.node;
  }
  many_need(false, "%u files, and there was no end", files);
  return 0;
}

static int make(struct many *m, uint32_t opcode, const char *name) {
  union virtiofs_fuse_in *in = many_ask(m, 0, opcode);
  struct virtiofs_name as = {.str = name, .len = (uint32_t)strlen(name)};
  if (opcode == VIRTIOFS_FUSE_MKDIR)
    in->mkdir = (struct virtiofs_mkdir_in){.parent = VIRTIOFS_FUSE_ROOT, .name = as, .mode = 0755};
  else
    in->create = (struct virtiofs_create_in){
        .parent = VIRTIOFS_FUSE_ROOT, .name = as, .flags = O_RDWR | O_CREAT, .mode = S_IFREG | 0644};
  return many_run(m, 0);
}

static void need_none(const struct many *m, const char *name) {
  char path[4200];
  struct stat st;
  snprintf(path, sizeof path, "%s/%s", m->share, name);
  many_need(lstat(path, &st) != 0 && errno == ENOENT, "%s was left behind", name);
}

static void use_known(struct many *m, const uint64_t *nodes, uint32_t count) {
  for (uint32_t i = 0; i < count; i++) {
    many_ask(m, 0, VIRTIOFS_FUSE_GETATTR)->getattr.node = nodes[i];
    many_need(many_run(m, 0) == 0, "GETATTR of a file that is known");
    many_need(lookup(m, i) == 0 && m->reqs[0]->out.entry.node == nodes[i], "LOOKUP of a file that is known");
    many_forget(m, nodes[i]);
  }
  many_forget_now(m);
}

void many_limit(struct many *m, uint32_t files) {
  uint64_t *nodes = calloc(files, sizeof *nodes);
  many_need(nodes != NULL, "memory");
  many_make(m, NULL, files);
  long fds = many_fds(m);
  for (int round = 0; round < 3; round++) {
    uint32_t count = look_until_full(m, files, nodes);
    many_need(make(m, VIRTIOFS_FUSE_MKDIR, "dir") == -ENFILE, "MKDIR without descriptors");
    many_need(make(m, VIRTIOFS_FUSE_CREATE, "new") == -ENFILE, "CREATE without descriptors");
    need_none(m, "dir");
    need_none(m, "new");
    many_ask(m, 0, VIRTIOFS_FUSE_OPENDIR)->opendir.node = VIRTIOFS_FUSE_ROOT;
    many_need(many_run(m, 0) == -ENFILE, "OPENDIR without descriptors");
    use_known(m, nodes, count);
    printf("ok ENFILE at %u files, and these are good\n", count);
    for (uint32_t i = 0; i < count; i++)
      many_forget(m, nodes[i]);
    many_forget_now(m);
    many_need(many_fds_fall(m, fds), "%ld descriptors are left", many_fds(m) - fds);
  }
  free(nodes);
}
