/* SPDX-License-Identifier: BSD-3-Clause */
/* What the guest gives back, and what it leaves behind. */
#include <errno.h>

#include "session/req.h"

static void node_gone(void *ctx, const struct virtiofs_idslot *slot) {
  struct virtiofs_session *session = ctx;
  struct virtiofs_forget_in in = {.node = slot->value, .replies = slot->replies};
  if (session->ops.forget != NULL)
    session->ops.forget(session->keeper, &in);
}

static void release(struct virtiofs_req *req, const struct virtiofs_release_in *in, uint32_t kind) {
  const struct virtiofs_ops *ops = &req->session->ops;
  if (kind == VIRTIOFS_HANDLE_FILE && ops->release != NULL)
    ops->release(req, in);
  if (kind == VIRTIOFS_HANDLE_DIR && ops->releasedir != NULL)
    ops->releasedir(req, in);
}

static void handle_gone(void *ctx, const struct virtiofs_idslot *slot) {
  struct virtiofs_session *session = ctx;
  virtiofs_reclaim_handle(session, slot->value, slot->kind);
}

void virtiofs_reclaim_node(struct virtiofs_session *session, uint64_t value) {
  struct virtiofs_forget_in in = {.node = value, .replies = 1};
  if (session->ops.forget != NULL)
    session->ops.forget(session->keeper, &in);
}

void virtiofs_reclaim_handle(struct virtiofs_session *session, uint64_t value, uint32_t kind) {
  struct virtiofs_release_in in = {.handle = value};
  release(session->keeper, &in, kind);
}

void virtiofs_reclaim_take_handle(struct virtiofs_session *session, uint64_t id, uint32_t kind, uint64_t owner) {
  (void)virtiofs_idtable_remove(&session->handles, id, kind, owner, handle_gone, session);
}

/* The request's own release, with all that the guest says. */
static void released(void *ctx, const struct virtiofs_idslot *slot) {
  struct virtiofs_req *req = ctx;
  struct virtiofs_release_in *in = &req->fuse.in.release;
  in->handle = slot->value;
  release(req, in, slot->kind);
}

int virtiofs_reclaim_release(struct virtiofs_req *req, uint32_t kind) {
  struct virtiofs_session *session = req->session;
  uint64_t id = req->fuse.in.release.handle;
  if (!virtiofs_idtable_remove(&session->handles, id, kind, req->fuse.header.nodeid, released, req))
    return -EBADF;
  /* Who used it may have let go before it was retired, and then nobody else looks. */
  if (virtiofs_idtable_has_retired(&session->handles)) {
    virtiofs_req_cancel_handle(session, id);
    virtiofs_reclaim_wake(session);
  }
  return 0;
}

void virtiofs_reclaim_forget(struct virtiofs_req *req) {
  struct virtiofs_session *session = req->session;
  struct virtiofs_fuse_forget_in one;
  if (req->fuse.header.opcode == VIRTIOFS_FUSE_FORGET) {
    one = req->fuse.in.forget;
    (void)virtiofs_idtable_forget(&session->nodes, one.nodeid, one.nlookup);
  } else {
    while (virtiofs_fuse_forget_next(&req->fuse.in.batch_forget, &one))
      (void)virtiofs_idtable_forget(&session->nodes, one.nodeid, one.nlookup);
  }
  if (virtiofs_idtable_has_retired(&session->nodes))
    virtiofs_reclaim_wake(session);
}

void virtiofs_reclaim_wake(struct virtiofs_session *session) {
  if (session->wants_reclaim != NULL && !atomic_exchange(&session->reclaim_wanted, true))
    session->wants_reclaim(session->ctx);
}

bool virtiofs_reclaim_room(struct virtiofs_session *session, struct virtiofs_idtable *table) {
  if (virtiofs_idtable_full(table) && virtiofs_idtable_has_retired(table))
    virtiofs_session_reclaim(session);
  return !virtiofs_idtable_full(table);
}

void virtiofs_session_reclaim(struct virtiofs_session *session) {
  atomic_fetch_add(&session->housekeeping, 1);
  atomic_store(&session->reclaim_wanted, false);
  enum virtiofs_session_state state = atomic_load(&session->state);
  /* A change of session takes everything back itself, and the backend must not hear of an old node in the new one. */
  if (state == VIRTIOFS_SESSION_RUNNING || state == VIRTIOFS_SESSION_NONE) {
    virtiofs_idtable_collect(&session->handles, handle_gone, session);
    virtiofs_idtable_collect(&session->nodes, node_gone, session);
  }
  atomic_fetch_sub(&session->housekeeping, 1);
  if (atomic_load(&session->state) == VIRTIOFS_SESSION_PARKED)
    virtiofs_session_unpark(session);
}

void virtiofs_reclaim_all(struct virtiofs_session *session) {
  virtiofs_idtable_clear(&session->handles, handle_gone, session);
  virtiofs_idtable_clear(&session->nodes, node_gone, session);
}
