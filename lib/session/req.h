/* SPDX-License-Identifier: BSD-3-Clause */
/** What the files of this layer share: a request, and the session that it belongs to. */
#ifndef VIRTIOFS_LIB_SESSION_REQ_H
#define VIRTIOFS_LIB_SESSION_REQ_H

#include <stdatomic.h>

#include <virtiofs/fuse.h>
#include <virtiofs/request.h>

#include "base/log.h"
#include "base/spin.h"
#include "nodes/table.h"
#include "session/dax.h"
#include "session/session.h"

/* Which of a request's slots is what. */
enum {
  VIRTIOFS_SLOT_NODE,
  VIRTIOFS_SLOT_OTHER, /* the second node of RENAME, LINK and COPY_FILE_RANGE */
  VIRTIOFS_SLOT_HANDLE,
  VIRTIOFS_SLOT_OTHER_HANDLE, /* COPY_FILE_RANGE's second */
};

/* Kinds of handles. */
enum {
  VIRTIOFS_HANDLE_FILE = 1,
  VIRTIOFS_HANDLE_DIR = 2,
};

enum virtiofs_phase {
  VIRTIOFS_PHASE_CALLING,   /* in the operation, on the lane's thread */
  VIRTIOFS_PHASE_PENDING,   /* on the lane's list */
  VIRTIOFS_PHASE_COMPLETED, /* somebody else will answer with req->rc */
  VIRTIOFS_PHASE_ABANDONED, /* answered in the backend's place */
};

/* A listing in the making. */
struct virtiofs_readdir_out {
  struct virtiofs_req *req;
  struct virtiofs_data room; /* in guest memory, written only */
  struct virtiofs_fuse_dirents list;
  bool begun; /* there is a list */
  bool plus;
  bool full;
};

struct virtiofs_req {
  struct virtiofs_session *session;
  struct virtiofs_message *msg;
  /* The session's when it came, as it may be answered in the next one. Of the keeper: the present ones, which may
   * change while a late answer has it tell the backend something. Relaxed. */
  _Atomic uint64_t semantics;
  uint32_t lane;
  enum virtiofs_phase phase; /* under the lane's lock once the request is shared */
  bool pinned;               /* slots are kept by pins, not by the lane's hazards */
  bool cancelled;
  bool interrupted; /* by the guest: why it is cancelled */
  bool cancelling;  /* its on_cancel function is running */
  bool holds_data;  /* the backend may touch guest memory */
  int rc;           /* what the operation has returned; once it is answered, what the guest was told */
  struct virtiofs_idslot *slots[VIRTIOFS_HAZARDS];
  struct virtiofs_req *prev, *next;  /* on the lane's list */
  struct virtiofs_req *next_mapping; /* dax.c's */
  virtiofs_req_cancel_fn *on_cancel;
  void *data;
  struct iovec *cut;  /* the segment of the reply that was cut where its data begins; NULL: none */
  struct iovec uncut; /* what stood there */
  union virtiofs_fuse_out out;
  struct virtiofs_readdir_out dir;
  struct virtiofs_fuse_request fuse; /* last: its storage is large and mostly not touched */
};

struct virtiofs_session_lane {
  _Alignas(64) atomic_uint in_flight;
  struct virtiofs_spin lock;
  struct virtiofs_req *pending;
};

enum virtiofs_session_state {
  VIRTIOFS_SESSION_NONE, /* only INIT is served */
  VIRTIOFS_SESSION_RUNNING,
  VIRTIOFS_SESSION_PARKED, /* an INIT or DESTROY waits for older requests */
  VIRTIOFS_SESSION_SWITCH, /* it runs */
};

/* Interrupts that are remembered. */
#define VIRTIOFS_EARLY 32U

struct virtiofs_session {
  struct virtiofs_ops ops;
  void *fs;
  struct virtiofs_log log;
  uint32_t max_write;
  uint32_t lane_count;
  struct virtiofs_session_lane *lanes;
  atomic_uint housekeeping; /* in flight, as a lane's: the backend is being told what was given back */
  _Atomic(enum virtiofs_session_state) state;
  struct virtiofs_fuse_proto proto; /* changes only in VIRTIOFS_SESSION_SWITCH, as does the next */
  uint64_t semantics;               /* the backend's promises that were agreed on */
  uint64_t without;                 /* opcodes of operations that this mount does without; changes as @proto does */
  struct virtiofs_spin park_lock;   /* for @parked, and for leaving VIRTIOFS_SESSION_PARKED */
  struct virtiofs_req *parked;
  bool begun; /* the backend's init has succeeded and destroy was not called */
  struct virtiofs_hazards hazards;
  struct virtiofs_idtable nodes, handles;
  atomic_bool reclaim_wanted;
  void (*wants_reclaim)(void *ctx);
  void (*late)(void *ctx, struct virtiofs_req *req);
  void *ctx;
  struct virtiofs_log_limit refused, unsound;
  /* Numbers of requests that were interrupted and not found; a ring. */
  struct virtiofs_spin early_lock;
  atomic_uint early_count; /* so far */
  uint64_t early[VIRTIOFS_EARLY];
  atomic_bool rings_stopped;        /* and no request has come since */
  struct virtiofs_spin dax_lock;    /* for this pointer */
  struct virtiofs_session_dax *dax; /* NULL: there is no window */
  struct virtiofs_req *keeper;      /* the request that housekeeping passes to the backend */
};

/* ---- request.c ---- */

/* Encodes the reply and gives the message back. Any thread; the request is not ours afterwards. */
void virtiofs_req_finish(struct virtiofs_req *req, int rc);

/* ---- pending.c ---- */

/* The operation has returned VIRTIOFS_PENDING. The lane's thread. */
void virtiofs_req_settle(struct virtiofs_req *req);

/* Makes it pending before its operation is called by somebody else. The lane's thread. */
void virtiofs_req_defer(struct virtiofs_req *req);

/* Tells the request with this number that its answer isn't wanted, when it is pending; it may not be here yet. */
void virtiofs_req_interrupt(struct virtiofs_session *session, uint64_t unique);

/* The same for all that use a handle, which was just taken away. */
void virtiofs_req_cancel_handle(struct virtiofs_session *session, uint64_t id);

/* Was it answered in the backend's place? Any thread. */
bool virtiofs_req_is_abandoned(struct virtiofs_req *req);

/* Was it told that its answer isn't wanted? Any thread. */
bool virtiofs_req_is_cancelled(struct virtiofs_req *req);

/* Lets go of the slots; wakes the reclaimer if that was waited for. */
void virtiofs_req_let_go(struct virtiofs_req *req);

/* ---- init.c ---- */

/* Takes an INIT or DESTROY. The lane's thread. */
void virtiofs_session_park(struct virtiofs_req *req);

/* Runs what was parked, in VIRTIOFS_SESSION_SWITCH. */
void virtiofs_session_run_parked(struct virtiofs_session *session, struct virtiofs_req *req);

/* Runs what is parked if nothing else is in flight. Any thread. */
void virtiofs_session_unpark(struct virtiofs_session *session);

/* Answers EINTR to what is parked, if it came on @lane; the session goes on as if it had not. Any thread. */
void virtiofs_session_give_up_parked(struct virtiofs_session *session, uint32_t lane);

/* ---- dispatch.c ---- */

/**
 * Finds what the request's ids stand for, and where a READ's data goes. @blocking: may its operation sleep?
 * 0, or -errno for the answer. The lane's thread.
 */
int virtiofs_req_prepare(struct virtiofs_req *req, bool *blocking);

/* Calls the operation; what it returned. */
int virtiofs_req_call(struct virtiofs_req *req);

/* ---- grant.c ---- */

/* Takes away those of the attributes' flags that the driver doesn't know or that aren't for such a file. */
void virtiofs_attr_drop_flags(const struct virtiofs_req *req, struct virtiofs_attr *attr);

/* After a success: gives the guest ids for the nodes and handles in the reply. 0 or -errno, then nothing is given. */
int virtiofs_grant(struct virtiofs_req *req);

/* The reply could not be sent after all. */
void virtiofs_grant_undo(struct virtiofs_req *req);

/* ---- reclaim.c ---- */

void virtiofs_reclaim_wake(struct virtiofs_session *session);

/* A table is full: is there room after all, once the backend has been told what was given back? */
bool virtiofs_reclaim_room(struct virtiofs_session *session, struct virtiofs_idtable *table);

/* Tells the backend that one reply's node is not wanted. */
void virtiofs_reclaim_node(struct virtiofs_session *session, uint64_t value);

/* Tells the backend to close a handle. */
void virtiofs_reclaim_handle(struct virtiofs_session *session, uint64_t value, uint32_t kind);

/* Takes a handle from the guest and has it closed. */
void virtiofs_reclaim_take_handle(struct virtiofs_session *session, uint64_t id, uint32_t kind, uint64_t owner);

/* RELEASE and RELEASEDIR: 0 or -EBADF. */
int virtiofs_reclaim_release(struct virtiofs_req *req, uint32_t kind);

/* FORGET and BATCH_FORGET. */
void virtiofs_reclaim_forget(struct virtiofs_req *req);

/* All handles, then all nodes. Nothing is in flight. */
void virtiofs_reclaim_all(struct virtiofs_session *session);

#endif
