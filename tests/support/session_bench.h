/* SPDX-License-Identifier: BSD-3-Clause */
/** A bench for lib/session: a session over a script_fs, and the guest that speaks to it. */
#ifndef VIRTIOFS_TESTS_SUPPORT_SESSION_BENCH_H
#define VIRTIOFS_TESTS_SUPPORT_SESSION_BENCH_H

#include <pthread.h>

#include "session/session.h"
#include "support/fuse_message.h"
#include "support/script_fs.h"

enum { SESSION_BENCH_LANES = 4 };

struct session_bench {
  struct virtiofs_session *session;
  struct virtiofs_session_config config;
  struct virtiofs_ops ops;
  struct script_fs fs;
  atomic_uint wanted;  /**< wants_reclaim calls */
  atomic_uint late;    /**< late calls */
  atomic_uint lines;   /**< of the log, warnings and errors */
  struct virtiofs_req *late_req; /**< the last one */
};

/** Makes the bench, with all operations and without a session yet: change @config, @ops and @fs, then _start(). */
void session_bench_init(struct session_bench *b);
/** Makes the session and sends INIT. */
void session_bench_start(struct session_bench *b);
/** Makes the session. */
void session_bench_open(struct session_bench *b);
/** Ends the session; everything must have been given back, or is then. */
void session_bench_fini(struct session_bench *b);

/** cmocka's: *state is a started bench. */
int session_bench_setup(void **state);
int session_bench_teardown(void **state);

/** Hands in on a lane; it must be taken. */
struct fuse_message *session_bench_send(struct session_bench *b, uint32_t lane, const struct fuse_request *r,
                                        const struct fuse_shape *shape);
/** The same; it must be deferred. */
struct fuse_message *session_bench_defer(struct session_bench *b, uint32_t lane, const struct fuse_request *r);
/** Asks on lane 1 and has the answer at once: its error. */
int session_bench_ask(struct session_bench *b, const struct fuse_request *r);
/** The same, and the reply's arguments are copied, which must be of that size. */
int session_bench_get(struct session_bench *b, const struct fuse_request *r, void *args, size_t size);
/** The same on any lane with any shape. */
int session_bench_ask_on(struct session_bench *b, uint32_t lane, const struct fuse_request *r,
                         const struct fuse_shape *shape);

/* The guest's everyday life; each must succeed. */
void session_bench_mount(struct session_bench *b);
uint64_t session_bench_lookup(struct session_bench *b, const char *name);
uint64_t session_bench_openfile(struct session_bench *b, uint32_t op, uint64_t nodeid);
void session_bench_forget(struct session_bench *b, uint32_t lane, uint64_t nodeid, uint64_t count);
/** Does what a reaper does, if it was asked for. */
void session_bench_reap(struct session_bench *b);

/** Runs @fn in a thread; fails the test if there is none. */
pthread_t session_bench_thread(void *(*fn)(void *), void *arg);

#endif
