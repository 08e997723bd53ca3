/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A walk over all files of a tree: what the server keeps for each that the guest knows, how many descriptors it has
 * meanwhile, and what it gives back when all are forgotten, or the guest begins anew.
 */
#include "many.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
  PER_DIR = 10000,
  PER_INODE = 300, /* bytes at most */
  KEPT = 10,       /* percent at most, */
  ONCE = 1024,     /* and KiB that a server takes once, however many files there are */
  MOMENT = 4,      /* descriptors that an operation has for its own time */
};

static uint64_t *nodes;

/* Of a batch of look-ups that were answered: each node is kept, and each eighth file is used. */
static void take(struct many *m, uint32_t first, unsigned count) {
  for (unsigned i = 0; i < count; i++) {
    many_need(m->reqs[i]->error == 0, "LOOKUP: %s", strerror(-m->reqs[i]->error));
    nodes[first + i] = m->reqs[i]->out.entry.node;
    many_need(nodes[first + i] != 0, "a file is not there");
  }
  many_ask(m, 0, VIRTIOFS_FUSE_GETATTR)->getattr.node = nodes[first];
  many_need(many_run(m, 0) == 0, "GETATTR");
  many_ask(m, 0, VIRTIOFS_FUSE_GETATTR)->getattr.node = nodes[first + count / 2];
  many_need(many_run(m, 0) == 0, "GETATTR");
}

static void walk_dir(struct many *m, uint64_t dir, uint32_t first, uint32_t count) {
  static char names[DEPTH][MANY_NAME];
  for (uint32_t at = 0; at < count; at += DEPTH) {
    unsigned batch = count - at < DEPTH ? count - at : DEPTH;
    for (unsigned i = 0; i < batch; i++) {
      struct virtiofs_lookup_in *in = &many_ask(m, i, VIRTIOFS_FUSE_LOOKUP)->lookup;
      in->parent = dir;
      in->name.len = (uint32_t)snprintf(names[i], MANY_NAME, "f%u", at + i);
      in->name.str = names[i];
    }
    many_run_all(m, batch);
    take(m, first + at, batch);
  }
}

static uint32_t dirs_of(uint32_t files) {
  return (files + PER_DIR - 1) / PER_DIR;
}

static uint32_t files_of(uint32_t files, uint32_t dir) {
  return files - dir * PER_DIR < PER_DIR ? files - dir * PER_DIR : PER_DIR;
}

/* Return: descriptors at most. */
static long walk(struct many *m, uint32_t files, uint64_t *dirs) {
  char name[MANY_NAME];
  long most = 0;
  for (uint32_t dir = 0; dir < dirs_of(files); dir++) {
    snprintf(name, sizeof name, "d%u", dir);
    dirs[dir] = many_lookup(m, VIRTIOFS_FUSE_ROOT, name);
    walk_dir(m, dirs[dir], dir * PER_DIR, files_of(files, dir));
    long fds = many_fds(m);
    most = fds > most ? fds : most;
  }
  return most;
}

static void forget_all(struct many *m, uint32_t files, const uint64_t *dirs) {
  for (uint32_t i = 0; i < files; i++)
    many_forget(m, nodes[i]);
  for (uint32_t dir = 0; dir < dirs_of(files); dir++)
    many_forget(m, dirs[dir]);
  many_forget_now(m);
}

static void judge(const struct many *m, const char *how, uint32_t files, long before, long after) {
  long growth = after - before, bytes = growth * 1024 / (long)files;
  many_need(growth > 0, "%s: %u files have taken nothing", how, files);
  many_need(bytes <= PER_INODE, "%s: %ld bytes for each inode, more than %d", how, bytes, PER_INODE);
  bool back = many_rss_falls(m, before + growth * KEPT / 100 + ONCE);
  long kept = (many_rss(m) - before) * 100 / (growth > 0 ? growth : 1);
  many_need(back, "%s: %ld %% of %ld KiB were not given back", how, kept, growth);
  printf("ok %s: %ld bytes for each of %u inodes, %ld %% given back\n", how, bytes, files, 100 - kept);
}

void many_walk(struct many *m, uint32_t files, uint32_t fds) {
  char name[MANY_NAME];
  uint64_t *dirs = calloc(dirs_of(files), sizeof *dirs);
  nodes = calloc(files, sizeof *nodes);
  many_need(dirs != NULL && nodes != NULL, "memory");
  for (uint32_t dir = 0; dir < dirs_of(files); dir++) {
    snprintf(name, sizeof name, "d%u", dir);
    many_make(m, name, files_of(files, dir));
  }
  many_forget(m, many_lookup(m, VIRTIOFS_FUSE_ROOT, "d0"));
  many_forget_now(m);

  long rss = many_rss(m), fds_before = many_fds(m);
  for (int round = 0; round < 2; round++) {
    long most = walk(m, files, dirs) - fds_before;
    many_need(most <= (long)fds + MOMENT, "%ld descriptors, of %u", most, fds);
    printf("ok %ld descriptors at most, of %u\n", most, fds);
    long after = many_rss(m);
    if (round == 0)
      forget_all(m, files, dirs);
    else
      many_need(virtiofs_client_init(m->client, NULL, NULL) == 0, "INIT");
    judge(m, round == 0 ? "forgotten" : "begun anew", files, rss, after);
    many_need(many_fds_fall(m, fds_before), "%ld descriptors are left", many_fds(m) - fds_before);
  }
  free(nodes);
  free(dirs);
}
