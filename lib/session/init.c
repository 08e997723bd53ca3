/* SPDX-License-Identifier: BSD-3-Clause */
/* INIT and DESTROY: the only requests that wait for all others. */
#include "fuse/init.h"

#include <errno.h>
#include <string.h>

#include "fuse/init_flags.h"
#include "session/promise.h"
#include "session/req.h"

#define TAG "session"
#define NS_PER_SEC 1000000000U

/* In VIRTIOFS_SESSION_SWITCH. */
static void speak(struct virtiofs_session *session, const struct virtiofs_fuse_proto *proto) {
  session->proto = *proto;
  session->semantics = proto->flags & virtiofs_fuse_init_flags_of(VIRTIOFS_FUSE_INIT_OPT_IN);
  atomic_store_explicit(&session->keeper->semantics, session->semantics, memory_order_relaxed);
}

/* In VIRTIOFS_SESSION_SWITCH, which stays: another INIT must not come in between. */
static void end(struct virtiofs_session *session) {
  virtiofs_reclaim_all(session);
  if (session->begun && session->ops.destroy != NULL)
    session->ops.destroy(session->keeper);
  session->begun = false;
  session->without = 0;
  virtiofs_spin_lock(&session->early_lock);
  atomic_store(&session->early_count, 0);
  memset(session->early, 0, sizeof(session->early));
  virtiofs_spin_unlock(&session->early_lock);
  speak(session, &(struct virtiofs_fuse_proto){0});
}

void virtiofs_session_reset(struct virtiofs_session *session) {
  atomic_store(&session->state, VIRTIOFS_SESSION_SWITCH);
  end(session);
  atomic_store(&session->state, VIRTIOFS_SESSION_NONE);
}

static int ask_backend(struct virtiofs_req *req, struct virtiofs_init_out *out) {
  struct virtiofs_session *session = req->session;
  const struct virtiofs_fuse_init_in *wire = &req->fuse.in.init;
  struct virtiofs_init_in in = {
      .major = wire->major, .minor = wire->minor, .max_readahead = wire->max_readahead, .flags = wire->flags};
  *out = (struct virtiofs_init_out){
      .root = VIRTIOFS_ROOT_NODE, .time_gran = 1, .max_write = session->max_write, .semantics = session->ops.semantics};
  if (session->ops.init == NULL)
    return 0;
  int rc = session->ops.init(req, &in, out);
  if (rc > 0)
    return -EIO;
  if (rc == 0)
    session->begun = true;
  return rc;
}

/* What the mount has; -EIO if the backend wants to do without something that it can't do without. */
static int take_away(struct virtiofs_session *session, uint64_t without) {
  uint64_t bad;
  session->without = virtiofs_session_without(without, &bad);
  if (bad != 0)
    virtiofs_log_write(&session->log, VIRTIOFS_LOG_ERROR, TAG, "the backend can't do without operations %llx",
                       (unsigned long long)bad);
  return bad == 0 ? 0 : -EIO;
}

static uint64_t operations(const struct virtiofs_session *session) {
  return virtiofs_session_operations(&session->ops) & ~session->without;
}

static int check_backend(struct virtiofs_session *session, const struct virtiofs_init_out *out) {
  if (out->root == 0 || out->time_gran == 0 || out->time_gran > NS_PER_SEC)
    return -EIO;
  if (out->max_write < 4096 || out->max_write > session->max_write)
    return -EIO;
  int rc = take_away(session, out->without);
  if (rc != 0)
    return rc;
  return virtiofs_session_can_promise(&session->log, operations(session), out->semantics) ? 0 : -EIO;
}

/* A new session. The old one is gone even if this one fails. */
static int start(struct virtiofs_session *session, struct virtiofs_req *req) {
  const struct virtiofs_fuse_init_in *in = &req->fuse.in.init;
  struct virtiofs_fuse_init_wants wants = {.max_write = session->max_write, .swapped = req->fuse.header.swapped};
  struct virtiofs_fuse_proto proto;
  struct virtiofs_init_out out;
  end(session);
  int rc = virtiofs_fuse_init_negotiate(in, &wants, &req->out.init, &proto);
  if (rc != 0)
    return rc;
  bool again = !proto.agreed;
  proto.agreed = false; /* not before the backend has agreed too */
  speak(session, &proto);
  if (again)
    return 0;
  rc = ask_backend(req, &out);
  if (rc == 0)
    rc = check_backend(session, &out);
  if (rc == 0)
    rc = virtiofs_idtable_root(&session->nodes, out.root);
  if (rc != 0)
    return rc;
  wants.flags = virtiofs_fuse_init_wanted(operations(session), out.semantics);
  wants.map_alignment = virtiofs_session_window_shift(session);
  wants.max_write = out.max_write;
  wants.time_gran = out.time_gran;
  wants.request_timeout = out.request_timeout;
  rc = virtiofs_fuse_init_negotiate(in, &wants, &req->out.init, &proto);
  speak(session, &proto);
  return rc;
}

static void say_started(struct virtiofs_session *session, const struct virtiofs_req *req, int rc) {
  const struct virtiofs_fuse_init_in *in = &req->fuse.in.init;
  const struct virtiofs_fuse_init_out *out = &req->out.init;
  enum virtiofs_log_level level =
      virtiofs_log_limit_level(&session->mounts, rc != 0 ? VIRTIOFS_LOG_WARN : VIRTIOFS_LOG_INFO);
  if (rc != 0)
    virtiofs_log_write(&session->log, level, TAG, "mount refused: driver %u.%u, error %d", in->major, in->minor, -rc);
  else
    virtiofs_log_write(&session->log, level, TAG, "mounted: driver %u.%u, offers %llx, agreed %llx, max_write %u",
                       in->major, in->minor, (unsigned long long)in->flags, (unsigned long long)out->flags,
                       out->max_write);
}

void virtiofs_session_run_parked(struct virtiofs_session *session, struct virtiofs_req *req) {
  int rc = 0;
  if (req->fuse.header.opcode == VIRTIOFS_FUSE_INIT) {
    rc = start(session, req);
    say_started(session, req, rc);
    if (rc != 0)
      end(session);
  } else {
    end(session);
    virtiofs_log_write(&session->log, virtiofs_log_limit_level(&session->unmounts, VIRTIOFS_LOG_INFO), TAG,
                       "unmounted");
  }
  atomic_store(&session->state, session->proto.agreed ? VIRTIOFS_SESSION_RUNNING : VIRTIOFS_SESSION_NONE);
  virtiofs_req_finish(req, rc);
}

static uint64_t in_flight(struct virtiofs_session *session) {
  uint64_t sum = atomic_load(&session->housekeeping);
  for (uint32_t i = 0; i < session->lane_count; i++)
    sum += atomic_load(&session->lanes[i].in_flight);
  return sum;
}

void virtiofs_session_unpark(struct virtiofs_session *session) {
  struct virtiofs_req *req = NULL;
  virtiofs_spin_lock(&session->park_lock);
  /* The parked request is in flight itself. */
  if (atomic_load(&session->state) == VIRTIOFS_SESSION_PARKED && in_flight(session) == 1) {
    req = session->parked;
    session->parked = NULL;
    atomic_store(&session->state, VIRTIOFS_SESSION_SWITCH);
  }
  virtiofs_spin_unlock(&session->park_lock);
  if (req != NULL && !virtiofs_session_window_clear(session, req))
    virtiofs_session_run_parked(session, req);
}

void virtiofs_session_give_up_parked(struct virtiofs_session *session, uint32_t lane) {
  struct virtiofs_req *req = NULL;
  virtiofs_spin_lock(&session->park_lock);
  if (atomic_load(&session->state) == VIRTIOFS_SESSION_PARKED && session->parked->lane == lane) {
    req = session->parked;
    session->parked = NULL;
    atomic_store(&session->state, session->proto.agreed ? VIRTIOFS_SESSION_RUNNING : VIRTIOFS_SESSION_NONE);
  }
  virtiofs_spin_unlock(&session->park_lock);
  if (req == NULL)
    return;
  /* The reaper may have looked away meanwhile. */
  virtiofs_reclaim_wake(session);
  virtiofs_req_finish(req, -EINTR);
}

void virtiofs_session_park(struct virtiofs_req *req) {
  struct virtiofs_session *session = req->session;
  /* It may be answered by another thread, which has no business with this lane's hazards. */
  req->pinned = true;
  virtiofs_spin_lock(&session->park_lock);
  enum virtiofs_session_state state = atomic_load(&session->state);
  bool free = state == VIRTIOFS_SESSION_NONE || state == VIRTIOFS_SESSION_RUNNING;
  if (free) {
    session->parked = req;
    atomic_store(&session->state, VIRTIOFS_SESSION_PARKED);
  }
  virtiofs_spin_unlock(&session->park_lock);
  if (!free) {
    virtiofs_req_finish(req, -EIO);
    return;
  }
  for (uint32_t i = 0; i < session->lane_count; i++)
    virtiofs_session_cancel(session, i);
  virtiofs_session_unpark(session);
}
