/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * The shares of a process, each with a thread of its own that starts, serves and ends it. What is called here is called
 * by one thread, and doesn't wait for a share unless it says so.
 */
#ifndef VIRTIOFS_LIB_DAEMON_SHARES_H
#define VIRTIOFS_LIB_DAEMON_SHARES_H

#include <time.h>

#include <virtiofs/sandbox.h>

#include "daemon/request.h"
#include "daemon/share.h"

/** Most shares of a process. */
#define VIRTIOFS_DAEMON_SHARES_COUNT_MAX 1024U

struct virtiofs_daemon_shares;

enum virtiofs_daemon_share_state {
  VIRTIOFS_DAEMON_SHARE_OPEN,     /* made, and its thread doesn't run yet */
  VIRTIOFS_DAEMON_SHARE_STARTING, /* the program prepares its file system */
  VIRTIOFS_DAEMON_SHARE_SERVING,
  VIRTIOFS_DAEMON_SHARE_ENDED /* nothing is left of it but this entry */
};

/** A share as it is seen. The pointers are good until the next call. */
struct virtiofs_daemon_share_view {
  uint64_t serial; /* its alone, for as long as the process lives; from 1 on */
  const char *name, *tag;
  const char *socket_path; /* NULL: a descriptor that came from somewhere */
  const char *mountpoint;  /* NULL: none */
  enum virtiofs_daemon_share_state state;
  bool served;                            /* it was started, whatever came then */
  bool removed;                           /* somebody wants it to end */
  bool noticed;                           /* it had ended when virtiofs_daemon_shares_changed() was called last */
  int rc;                                 /* ended: why; 0: as it should */
  const char *complaint;                  /* ended before it served: what it has said; "": nothing */
  struct timespec since;                  /* when it was added, by CLOCK_REALTIME */
  struct virtiofs_daemon_share_info info; /* all zero when it has ended */
};

/* @setup: of the process: its log, and for the first share what its command line says; borrowed. 0; -errno. */
int virtiofs_daemon_shares_new(struct virtiofs_daemon_shares **out, const struct virtiofs_daemon_share_setup *setup);

/* Stops and waits for all that are there. NULL is fine. */
void virtiofs_daemon_shares_free(struct virtiofs_daemon_shares *shares);

/* Readable when a share has started or ended since virtiofs_daemon_shares_changed() was called; for poll(2). */
int virtiofs_daemon_shares_fd(const struct virtiofs_daemon_shares *shares);
void virtiofs_daemon_shares_changed(struct virtiofs_daemon_shares *shares);

/* The share that the command line itself says, as "main". 0; -errno after a line on stderr. */
int virtiofs_daemon_shares_add_main(struct virtiofs_daemon_shares *shares);

/**
 * One more, with its socket; it doesn't run yet.
 * @take_request: an `add`; what it holds is taken and it is all zero then, also after an error
 * @take_fds:     by kind, -1: none came; taken, and -1 then
 * @serial:       may be NULL
 * 0; -errno and @error.
 */
int virtiofs_daemon_shares_add(struct virtiofs_daemon_shares *shares, struct virtiofs_daemon_request *take_request,
                               int take_fds[VIRTIOFS_DAEMON_FDS], uint64_t *serial,
                               struct virtiofs_daemon_error *error);

/* Starts those that don't run yet. 0; -errno if there is no thread for one. */
int virtiofs_daemon_shares_run(struct virtiofs_daemon_shares *shares);

/* One that has ended is only taken out. -ENOENT; 0 with its serial number, by which it will be seen to end. */
int virtiofs_daemon_shares_remove(struct virtiofs_daemon_shares *shares, const char *name, bool now, uint64_t *serial);

/* Of one, or of all and of those that come if @name is NULL. -ENOENT; 0. */
int virtiofs_daemon_shares_level(struct virtiofs_daemon_shares *shares, const char *name,
                                 enum virtiofs_log_level level);
enum virtiofs_log_level virtiofs_daemon_shares_default_level(const struct virtiofs_daemon_shares *shares);

/* Each in the order of their coming, until @fn returns false, which may not call here. */
void virtiofs_daemon_shares_each(struct virtiofs_daemon_shares *shares,
                                 bool (*fn)(void *ctx, const struct virtiofs_daemon_share_view *view), void *ctx);

/* Takes out one that has ended. */
void virtiofs_daemon_shares_forget(struct virtiofs_daemon_shares *shares, uint64_t serial);

/* ---- The way into a sandbox: control.h; before any of them runs ---- */

/* What each of them needs of the host, in @config; directories are trees there. 0 or -errno. */
int virtiofs_daemon_shares_sandbox(struct virtiofs_daemon_shares *shares, struct virtiofs_sandbox_config *config);
void virtiofs_daemon_shares_entered(struct virtiofs_daemon_shares *shares);

void virtiofs_daemon_shares_inside(struct virtiofs_daemon_shares *shares);
void virtiofs_daemon_shares_outside(struct virtiofs_daemon_shares *shares);

/* Inside: one that the process outside has too has ended: each once. Return: its serial number; 0: there is none. */
uint64_t virtiofs_daemon_shares_release(struct virtiofs_daemon_shares *shares);

/* Outside: takes out one that doesn't run here, and its socket. False: there is none. */
bool virtiofs_daemon_shares_drop(struct virtiofs_daemon_shares *shares, uint64_t serial);

#endif
