/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A large directory, listed while the host makes and removes names in it: each name that stays comes exactly once, an
 * offset leads to the name behind it whenever it is asked for, the server keeps nothing of the listing, and of
 * READDIRPLUS's nodes it counts those that the guest was really given.
 */
#include "many.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
  LARGE = 1 << 14, /* bytes of a listing */
  SMALL = 2000,    /* so that what is looked up often doesn't fit */
  GROWTH = 1024,   /* KiB at most */
  SAMPLES = 200,
  GOES = 10, /* each tenth name is removed at some time */
};

/* What lies behind an offset. */
struct sample {
  uint64_t offset;
  unsigned long number;
};

struct list {
  struct many *m;
  uint32_t entries;
  uint64_t node;
  unsigned char *seen;
  uint32_t names; /* that stay */
  int host;       /* the directory */
  uint32_t removed, made;
  struct sample samples[SAMPLES];
  unsigned sample_count;
  uint32_t pages;
};

static uint64_t opendir_of(struct many *m, uint64_t node) {
  many_ask(m, 0, VIRTIOFS_FUSE_OPENDIR)->opendir.node = node;
  int rc = many_run(m, 0);
  many_need(rc == 0, "OPENDIR: %s", strerror(-rc));
  return m->reqs[0]->out.open.handle;
}

static void releasedir(struct many *m, uint64_t node, uint64_t handle) {
  struct virtiofs_release_in *in = &many_ask(m, 0, VIRTIOFS_FUSE_RELEASEDIR)->release;
  in->node = node;
  in->handle = handle;
  many_need(many_run(m, 0) == 0, "RELEASEDIR");
}

/* Return: bytes of records, in the request's data. */
static size_t ask_page(struct list *l, uint32_t opcode, uint64_t handle, uint64_t offset, uint32_t size) {
  struct virtiofs_readdir_in *in = &many_ask(l->m, 0, opcode)->readdir;
  in->node = l->node;
  in->handle = handle;
  in->offset = offset;
  in->size = size;
  int rc = many_run(l->m, 0);
  many_need(rc == 0, "a listing at %llu: %s", (unsigned long long)offset, strerror(-rc));
  return l->m->reqs[0]->out.read.size;
}

/** A listing that is being read. */
struct reading {
  struct virtiofs_data data;
  struct iovec iov;
  size_t at;
  bool plus;
  char name[VIRTIOFS_FUSE_NAME_MAX + 1];
  struct virtiofs_dirent entry;
  struct virtiofs_entry_out node;
};

static void begin(struct reading *r, struct list *l, size_t size, bool plus) {
  *r = (struct reading){.iov = {.iov_base = l->m->reqs[0]->data, .iov_len = size}, .plus = plus};
  r->data = (struct virtiofs_data){.iov = &r->iov, .count = 1, .size = size};
}

/* False at the end. */
static bool next(struct reading *r, const struct list *l) {
  ssize_t n = virtiofs_fuse_dirent_decode(virtiofs_client_proto(l->m->client), &r->data, r->at, r->name, &r->entry,
                                          r->plus ? &r->node : NULL);
  many_need(n >= 0, "a record can't be read");
  r->at += (size_t)n;
  r->name[n > 0 ? r->entry.len : 0] = '\0';
  return n > 0;
}

/* The number of one of the names that were there from the beginning; false for others. */
static bool number_of(const char *name, unsigned long *number) {
  *number = name[0] == 'f' ? strtoul(name + 1, NULL, 10) : 0;
  return name[0] == 'f';
}

static void note(struct list *l, const char *name) {
  unsigned long number;
  if (!number_of(name, &number))
    return;
  many_need(number < l->entries, "a name that nobody made: %s", name);
  many_need(l->seen[number] == 0, "%s came twice", name);
  l->seen[number] = 1;
  l->names += number % GOES != 0;
}

/* The host's own doings between two pages: a name goes, one comes, and one comes and goes. */
static void disturb(struct list *l) {
  char name[MANY_NAME];
  for (int i = 0; i < 4; i++) {
    snprintf(name, sizeof name, "f%u", l->removed);
    if (l->removed < l->entries)
      many_need(unlinkat(l->host, name, 0) == 0, "removing %s: %s", name, strerror(errno));
    l->removed += GOES;
    snprintf(name, sizeof name, "x%u", l->made++);
    many_need(mknodat(l->host, name, S_IFREG | 0600, 0) == 0, "making %s: %s", name, strerror(errno));
    if (l->made % 2 == 0)
      many_need(unlinkat(l->host, name, 0) == 0, "removing %s: %s", name, strerror(errno));
  }
}

static void sample(struct list *l, uint64_t offset, const char *name) {
  unsigned long number;
  if (l->sample_count < SAMPLES && number_of(name, &number) && number % GOES != 0)
    l->samples[l->sample_count++] = (struct sample){.offset = offset, .number = number};
}

/* One page. Return: where to go on; @offset itself at the end. */
static uint64_t page(struct list *l, uint32_t opcode, uint64_t handle, uint64_t offset, uint32_t size) {
  struct reading r;
  bool plus = opcode == VIRTIOFS_FUSE_READDIRPLUS, first = true;
  begin(&r, l, ask_page(l, opcode, handle, offset, size), plus);
  while (next(&r, l)) {
    if (first && l->pages++ % (plus ? 1000 : 3) == 0)
      sample(l, offset, r.name);
    first = false;
    note(l, r.name);
    if (plus && r.node.node != 0)
      many_forget(l->m, r.node.node);
    offset = r.entry.next;
  }
  return offset;
}

static void list_all(struct list *l, uint32_t opcode, uint32_t size) {
  uint64_t handle = opendir_of(l->m, l->node), offset = 0, after;
  memset(l->seen, 0, l->entries);
  l->names = 0;
  while ((after = page(l, opcode, handle, offset, size)) != offset) {
    offset = after;
    disturb(l);
  }
  releasedir(l->m, l->node, handle);
  many_forget_now(l->m);
  uint32_t expected = l->entries - (l->entries + GOES - 1) / GOES;
  many_need(l->names == expected, "%u names of %u that stayed", l->names, expected);
}

/* seekdir(3): the offsets in no order, with a handle that has never been there, long after. */
static void seek(struct list *l) {
  uint64_t handle = opendir_of(l->m, l->node);
  many_need(l->sample_count > 0, "no offsets to try");
  for (unsigned i = 0; i < l->sample_count; i++) {
    const struct sample *s = &l->samples[i * 7919 % l->sample_count];
    struct reading r;
    begin(&r, l, ask_page(l, VIRTIOFS_FUSE_READDIR, handle, s->offset, SMALL), false);
    unsigned long number;
    do /* what has come meanwhile may stand before it */
      many_need(next(&r, l), "nothing behind the offset %llu", (unsigned long long)s->offset);
    while (!number_of(r.name, &number));
    many_need(number == s->number, "behind the offset %llu was f%lu, and now is %s", (unsigned long long)s->offset,
              s->number, r.name);
  }
  releasedir(l->m, l->node, handle);
}

void many_list(struct many *m, uint32_t entries) {
  struct list l = {.m = m, .entries = entries, .seen = calloc(entries, 1)};
  char path[4200];
  many_need(l.seen != NULL, "memory");
  many_make(m, "large", entries);
  snprintf(path, sizeof path, "%s/large", m->share);
  l.host = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  many_need(l.host >= 0, "%s: %s", path, strerror(errno));
  l.node = many_lookup(m, VIRTIOFS_FUSE_ROOT, "large");
  releasedir(m, l.node, opendir_of(m, l.node)); /* what that takes once */

  long rss = many_rss(m), fds = many_fds(m);
  list_all(&l, VIRTIOFS_FUSE_READDIR, LARGE);
  long growth = many_rss(m) - rss;
  many_need(growth <= GROWTH, "the server has grown by %ld KiB", growth);
  printf("ok %u names, each once, %u removed and %u made meanwhile; %ld KiB\n", entries, l.removed / GOES, l.made,
         growth);
  seek(&l);
  printf("ok %u offsets lead where they led\n", l.sample_count);
  list_all(&l, VIRTIOFS_FUSE_READDIRPLUS, SMALL);
  printf("ok %u names with their attributes\n", entries);
  many_need(many_fds_fall(m, fds), "%ld nodes are left that the guest was never given", many_fds(m) - fds);
  puts("ok all nodes are forgotten");
  free(l.seen);
  close(l.host);
}
