/* SPDX-License-Identifier: BSD-3-Clause */
/*
 *   many walk|list|limit SOCKET SHARE PID COUNT [FDS]
 *
 * The server listens on SOCKET, is process PID and serves SHARE, which is empty. "walk": look COUNT files up, of which
 * the server may have FDS open. "list": a directory of COUNT entries. "limit": COUNT files, more than the server may
 * have descriptors, of which each takes one.
 */
#include "many.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { FORGETS = 4096, PATIENCE_S = 60 };

void many_need(bool right, const char *format, ...) {
  if (right)
    return;
  va_list args;
  va_start(args, format);
  fputs("not ok ", stdout);
  vprintf(format, args);
  puts("");
  va_end(args);
  exit(EXIT_FAILURE);
}

long many_rss(const struct many *m) {
  char path[64], line[128];
  long kib = -1;
  snprintf(path, sizeof path, "/proc/%ld/status", m->server);
  FILE *file = fopen(path, "re");
  many_need(file != NULL, "%s: %s", path, strerror(errno));
  while (fgets(line, sizeof line, file) != NULL) {
    if (strncmp(line, "RssAnon:", 8) == 0)
      kib = strtol(line + 8, NULL, 10);
  }
  fclose(file);
  many_need(kib > 0, "the server's memory: RssAnon of %s", path);
  return kib;
}

long many_fds(const struct many *m) {
  char path[64];
  long count = 0;
  snprintf(path, sizeof path, "/proc/%ld/fd", m->server);
  DIR *dir = opendir(path);
  many_need(dir != NULL, "%s: %s", path, strerror(errno));
  while (readdir(dir) != NULL)
    count++;
  closedir(dir);
  return count;
}

static bool falls(const struct many *m, long (*what)(const struct many *), long most) {
  const struct timespec pause = {.tv_nsec = 20 * 1000 * 1000};
  time_t end = time(NULL) + PATIENCE_S;
  while (what(m) > most) {
    if (time(NULL) > end)
      return false;
    nanosleep(&pause, NULL); /* nothing tells when another process gives memory back */
  }
  return true;
}

bool many_rss_falls(const struct many *m, long most) {
  return falls(m, many_rss, most);
}
bool many_fds_fall(const struct many *m, long most) {
  return falls(m, many_fds, most);
}

union virtiofs_fuse_in *many_ask(struct many *m, unsigned slot, uint32_t opcode) {
  struct virtiofs_client_request *req = m->reqs[slot];
  req->fuse.header.opcode = opcode;
  memset(&req->fuse.in, 0, sizeof req->fuse.in);
  return &req->fuse.in;
}

int many_run(struct many *m, unsigned slot) {
  return virtiofs_client_request_run(m->reqs[slot]);
}

void many_run_all(struct many *m, unsigned count) {
  for (unsigned i = 0; i < count; i++)
    many_need(virtiofs_client_request_send(m->reqs[i]) == 0, "sending");
  while (virtiofs_client_in_flight(m->client, 1) > 0)
    many_need(virtiofs_client_wait(m->client, 1) >= 0, "the connection");
}

uint64_t many_lookup(struct many *m, uint64_t parent, const char *name) {
  struct virtiofs_lookup_in *in = &many_ask(m, 0, VIRTIOFS_FUSE_LOOKUP)->lookup;
  in->parent = parent;
  in->name = (struct virtiofs_name){.str = name, .len = (uint32_t)strlen(name)};
  int rc = many_run(m, 0);
  many_need(rc == 0, "LOOKUP of %s: %s", name, strerror(-rc));
  return m->reqs[0]->out.entry.node;
}

void many_forget_now(struct many *m) {
  if (m->forget_count == 0)
    return;
  struct virtiofs_client_request *req = virtiofs_client_request_take(m->client, 0);
  many_need(req != NULL, "a request of the first queue");
  uint64_t *pair = req->data;
  req->fuse.header.opcode = VIRTIOFS_FUSE_BATCH_FORGET;
  req->fuse.in.batch_forget.count = m->forget_count;
  for (uint32_t i = 0; i < m->forget_count; i++) {
    *pair++ = m->forgets[i];
    *pair++ = 1;
  }
  many_need(virtiofs_client_request_run(req) == 0, "BATCH_FORGET");
  virtiofs_client_request_give(req);
  m->forget_count = 0;
}

void many_forget(struct many *m, uint64_t node) {
  m->forgets[m->forget_count++] = node;
  if (m->forget_count == FORGETS)
    many_forget_now(m);
}

void many_make(const struct many *m, const char *dir, uint32_t count) {
  char path[4200], name[MANY_NAME];
  snprintf(path, sizeof path, "%s/%s", m->share, dir != NULL ? dir : ".");
  many_need(dir == NULL || mkdir(path, 0755) == 0, "%s: %s", path, strerror(errno));
  int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
  many_need(fd >= 0, "%s: %s", path, strerror(errno));
  for (uint32_t i = 0; i < count; i++) {
    snprintf(name, sizeof name, "f%u", i);
    many_need(mknodat(fd, name, S_IFREG | 0644, 0) == 0, "%s/%s: %s", path, name, strerror(errno));
  }
  close(fd);
}

static void connect_to(struct many *m, const char *socket) {
  struct virtiofs_client_config config = {
      .size = sizeof config, .socket_path = socket, .requests = DEPTH + 1, .max_data = 1 << 17, .timeout_ms = 60000};
  int rc = virtiofs_client_new(&m->client, &config);
  many_need(rc == 0, "%s: %s", socket, strerror(-rc));
  many_need(virtiofs_client_init(m->client, NULL, NULL) == 0, "INIT");
  for (unsigned i = 0; i < DEPTH; i++)
    m->reqs[i] = virtiofs_client_request_take(m->client, 1);
  m->forgets = calloc(FORGETS, sizeof *m->forgets);
  many_need(m->reqs[DEPTH - 1] != NULL && m->forgets != NULL, "memory");
}

int main(int argc, char **argv) {
  struct many m = {0};
  bool walk = argc == 7 && strcmp(argv[1], "walk") == 0, list = argc == 6 && strcmp(argv[1], "list") == 0,
       limit = argc == 6 && strcmp(argv[1], "limit") == 0;
  many_need(walk || list || limit, "usage: many walk|list|limit SOCKET SHARE PID COUNT [FDS]");
  m.share = argv[3];
  m.server = atol(argv[4]);
  uint32_t count = (uint32_t)atol(argv[5]);
  many_need(count > 0 && m.server > 0, "PID and COUNT");
  connect_to(&m, argv[2]);
  if (walk)
    many_walk(&m, count, (uint32_t)atol(argv[6]));
  else if (list)
    many_list(&m, count);
  else
    many_limit(&m, count);
  virtiofs_client_free(m.client);
  free(m.forgets);
  return EXIT_SUCCESS;
}
