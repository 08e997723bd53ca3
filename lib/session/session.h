/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * The session: a sink of messages. Decodes requests, checks them, calls the backend, encodes the replies.
 *
 * It has no thread and no descriptor. Requests come in on lanes: a lane is used by one thread at a time, and each queue
 * has one. Answers may come from any thread.
 *
 * INIT and DESTROY are parked until all older requests are answered; whoever answers the last one runs them. Requests
 * that come meanwhile are refused.
 */
#ifndef VIRTIOFS_LIB_SESSION_SESSION_H
#define VIRTIOFS_LIB_SESSION_SESSION_H

#include <virtiofs/backend.h>
#include <virtiofs/dax.h>
#include <virtiofs/log.h>
#include <virtiofs/message.h>

struct virtiofs_session;
struct virtiofs_req;

/* The lane of the high-priority queue: nothing but FORGET and its like comes there. */
#define VIRTIOFS_LANE_HIPRIO 0U

struct virtiofs_session_config {
  const struct virtiofs_ops *ops; /* copied */
  void *fs;
  uint32_t lanes;
  uint32_t max_write;
  uint64_t max_nodes, max_handles;
  struct virtiofs_log log;

  /* Something waits for virtiofs_session_reclaim(); any thread; must not call into the session. */
  void (*wants_reclaim)(void *ctx);
  /* A request that was answered in the backend's place has been completed: its storage is free. Any thread. */
  void (*late)(void *ctx, struct virtiofs_req *req);
  void *ctx;
};

/* 0, -E2BIG for ops of a newer library, -EINVAL for ops without a size or with a promise they can't keep, -ENOMEM. */
int virtiofs_session_new(struct virtiofs_session **out, const struct virtiofs_session_config *config);

/* Nothing is in flight and no request was left behind. NULL is fine. */
void virtiofs_session_free(struct virtiofs_session *session);

enum virtiofs_submit {
  VIRTIOFS_SUBMIT_TAKEN, /* answered, or will be */
  VIRTIOFS_SUBMIT_DEFER, /* blocks: virtiofs_session_run() is to be called from any thread */
};

/**
 * Hands in a request. @req is storage of sizeof(struct virtiofs_req) (session/req.h), which is the session's until @msg
 * is completed.
 * @may_defer: is there somebody else who could run a blocking operation? The lane's thread.
 */
enum virtiofs_submit virtiofs_session_submit(struct virtiofs_session *session, uint32_t lane, struct virtiofs_req *req,
                                             struct virtiofs_message *msg, bool may_defer);

/* Runs a deferred operation. */
void virtiofs_session_run(struct virtiofs_req *req);

/* Tells the pending requests of a lane that their answers aren't wanted. Any thread but an operation's. */
void virtiofs_session_cancel(struct virtiofs_session *session, uint32_t lane);

/**
 * Answers EINTR in place of those that are still pending and hold no guest memory, and to an INIT or DESTROY of this
 * lane that waits for requests of others. To be called again if the lane isn't empty then: an operation may become
 * pending only later, or be told just now that it is cancelled. Any thread but an operation's.
 */
void virtiofs_session_abandon(struct virtiofs_session *session, uint32_t lane);

/* Was @req's message completed by virtiofs_session_abandon()? From within that completion. */
bool virtiofs_session_abandoned(const struct virtiofs_req *req);

/* Has a guest said INIT, and is it answered? Any thread. */
bool virtiofs_session_running(const struct virtiofs_session *session);

/* What an answered request was, and how it ended: 0 or -errno; also of one that was answered in the backend's place.
 * From within its message's completion, or later where it was not abandoned. */
uint32_t virtiofs_session_opcode(const struct virtiofs_req *req);
/* Bytes of the request, as it says itself; 0 if that is nonsense. */
uint32_t virtiofs_session_length(const struct virtiofs_req *req);
int virtiofs_session_error(const struct virtiofs_req *req);

/* What the guest has, and what it may have. */
struct virtiofs_session_usage {
  uint64_t nodes, max_nodes, handles, max_handles;
  uint32_t mappings, max_mappings; /* 0: there is no window */
};

/* Any thread. */
void virtiofs_session_usage(struct virtiofs_session *session, struct virtiofs_session_usage *usage);

/* Ends the session, as DESTROY does. Nothing may be in flight. */
void virtiofs_session_reset(struct virtiofs_session *session);

/* ---- dax.c ---- */

/* Where files are mapped for the guest. */
struct virtiofs_session_window_config {
  uint64_t len;
  uint32_t page_shift, max_mappings;
  bool cuts; /* as struct virtiofs_dax_window_config has it */
  /* Carries a step out: 0, -errno, or VIRTIOFS_PENDING: then virtiofs_session_step_done() is called once, by any
   * thread, perhaps before this has returned. One at a time. */
  int (*step)(void *ctx, const struct virtiofs_dax_step *step);
  void (*close)(void *ctx, int fd);
  void *ctx;
};

/* From now on there is a window, which nobody uses yet. Nothing is in flight. 0, -EINVAL or -ENOMEM. */
int virtiofs_session_set_window(struct virtiofs_session *session, const struct virtiofs_session_window_config *config);

/* Unmaps all, in steps that are never pending. No request is in flight. */
void virtiofs_session_unmap_window(struct virtiofs_session *session);

/* There is none any more; nothing is unmapped. Nothing is in flight, nor a step. */
void virtiofs_session_remove_window(struct virtiofs_session *session);

/* May guests use it? What runs goes on. Any thread. */
void virtiofs_session_use_window(struct virtiofs_session *session, bool usable);

/* A step that was pending is done, with 0 or -errno. */
void virtiofs_session_step_done(struct virtiofs_session *session, int rc);

/* All rings have stopped. If what the guest says next is INIT, its device was reset, and whoever has the window has
 * dropped all that was mapped. The control thread. */
void virtiofs_session_rings_stopped(struct virtiofs_session *session);

/* Whoever has the window has dropped all that is mapped. No request is in flight; a step may be. */
void virtiofs_session_forget_window(struct virtiofs_session *session);

/* Tells the backend what the guest has given back. Any thread, not from an operation. */
void virtiofs_session_reclaim(struct virtiofs_session *session);

#endif
