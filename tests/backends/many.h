/* SPDX-License-Identifier: BSD-3-Clause */
/** A guest that knows, or lists, very many files, and what that costs the server. */
#ifndef VIRTIOFS_TESTS_BACKENDS_MANY_H
#define VIRTIOFS_TESTS_BACKENDS_MANY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <virtiofs/client.h>

enum { DEPTH = 16, MANY_NAME = 32 };

struct many {
  struct virtiofs_client *client;
  const char *share; /* what the server serves, for making files */
  long server;       /* its process id */
  struct virtiofs_client_request *reqs[DEPTH];
  uint64_t *forgets; /* nodes to give back */
  uint32_t forget_count;
};

/** Ends the program with a message unless @right. */
void many_need(bool right, const char *format, ...) __attribute__((format(printf, 2, 3)));

/** Anonymous resident memory of the server, in KiB, and its descriptors. */
long many_rss(const struct many *m);
long many_fds(const struct many *m);

/** Waits until the server has at most so much; false if it takes too long. */
bool many_rss_falls(const struct many *m, long most);
bool many_fds_fall(const struct many *m, long most);

/** A fresh request, to be filled; then many_run() or, for several at once, many_run_all(). */
union virtiofs_fuse_in *many_ask(struct many *m, unsigned slot, uint32_t opcode);
int many_run(struct many *m, unsigned slot);
void many_run_all(struct many *m, unsigned count);

/** The node of a name, which must be there. */
uint64_t many_lookup(struct many *m, uint64_t parent, const char *name);

/** Gives a node back, once, in a while; many_forget_now(): all that are to be. */
void many_forget(struct many *m, uint64_t node);
void many_forget_now(struct many *m);

/** A directory below the share (NULL: the share), and empty files there: f0, f1, ... */
void many_make(const struct many *m, const char *dir, uint32_t count);

/* The tests. */
void many_walk(struct many *m, uint32_t files, uint32_t fds);
void many_list(struct many *m, uint32_t entries);
void many_limit(struct many *m, uint32_t files);

#endif
