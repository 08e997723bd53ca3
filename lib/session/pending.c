/* SPDX-License-Identifier: BSD-3-Clause */
/* Requests that are answered later, and giving up on them. */
#include <errno.h>

#include "base/probe.h"
#include "session/req.h"

static struct virtiofs_session_lane *lane_of(const struct virtiofs_req *req) {
  return &req->session->lanes[req->lane];
}

static void pin(struct virtiofs_req *req) {
  for (unsigned i = 0; i < VIRTIOFS_HAZARDS; i++)
    if (req->slots[i] != NULL)
      virtiofs_idslot_pin(req->slots[i]);
  req->pinned = true;
  if (virtiofs_hazard_clear(&req->session->hazards.lanes[req->lane]))
    virtiofs_reclaim_wake(req->session);
}

void virtiofs_req_let_go(struct virtiofs_req *req) {
  bool gone = false;
  if (!req->pinned) {
    gone = virtiofs_hazard_clear(&req->session->hazards.lanes[req->lane]);
  } else {
    for (unsigned i = 0; i < VIRTIOFS_HAZARDS; i++)
      if (req->slots[i] != NULL)
        gone |= virtiofs_idslot_unpin(req->slots[i]);
  }
  if (gone)
    virtiofs_reclaim_wake(req->session);
}

/* Was it interrupted before it could be found? Behind list_add(), as who interrupts looks at the list again. */
static bool is_interrupted(const struct virtiofs_req *req) {
  struct virtiofs_session *session = req->session;
  bool found = false;
  if (atomic_load(&session->early_count) == 0 || req->fuse.header.unique == 0)
    return false;
  virtiofs_spin_lock(&session->early_lock);
  for (unsigned i = 0; i < VIRTIOFS_EARLY && !found; i++) {
    found = session->early[i] == req->fuse.header.unique;
    if (found)
      session->early[i] = 0;
  }
  virtiofs_spin_unlock(&session->early_lock);
  return found;
}

static void list_add(struct virtiofs_session_lane *lane, struct virtiofs_req *req) {
  req->prev = NULL;
  req->next = lane->pending;
  if (req->next != NULL)
    req->next->prev = req;
  lane->pending = req;
}

static void list_remove(struct virtiofs_session_lane *lane, struct virtiofs_req *req) {
  if (req->next != NULL)
    req->next->prev = req->prev;
  if (req->prev != NULL)
    req->prev->next = req->next;
  else
    lane->pending = req->next;
}

void virtiofs_req_defer(struct virtiofs_req *req) {
  struct virtiofs_session_lane *lane = lane_of(req);
  pin(req);
  virtiofs_spin_lock(&lane->lock);
  req->phase = VIRTIOFS_PHASE_PENDING;
  list_add(lane, req);
  req->cancelled = req->interrupted = is_interrupted(req); /* its operation is told when it asks to be */
  virtiofs_spin_unlock(&lane->lock);
}

static bool is_released(const struct virtiofs_req *req) {
  const struct virtiofs_idslot *slot = req->slots[VIRTIOFS_SLOT_HANDLE];
  return slot != NULL && virtiofs_idcell_dead(slot->cell);
}

void virtiofs_req_settle(struct virtiofs_req *req) {
  struct virtiofs_session *session = req->session;
  struct virtiofs_session_lane *lane = lane_of(req);
  uint32_t number = req->lane;
  pin(req);
  virtiofs_spin_lock(&lane->lock);
  bool completed = req->phase == VIRTIOFS_PHASE_COMPLETED;
  if (!completed) {
    req->phase = VIRTIOFS_PHASE_PENDING;
    list_add(lane, req);
  }
  /* Released while the operation ran: whoever did that has looked at the list before. */
  bool released = !completed && is_released(req);
  uint32_t handle = released ? req->slots[VIRTIOFS_SLOT_HANDLE]->index : 0;
  bool interrupted = !completed && is_interrupted(req);
  uint64_t unique = req->fuse.header.unique;
  virtiofs_spin_unlock(&lane->lock);
  if (completed)
    virtiofs_req_finish(req, req->rc);
  else if (interrupted)
    virtiofs_req_interrupt(session, unique);
  else if (released)
    virtiofs_req_cancel_handle(session, handle);
  else if (atomic_load(&session->state) == VIRTIOFS_SESSION_PARKED)
    virtiofs_session_cancel(session, number);
}

/* Answered before: the backend's slots and storage are free now, and nobody waits for the result. */
static void finish_late(struct virtiofs_req *req) {
  struct virtiofs_session *session = req->session;
  if (req->rc == 0 && virtiofs_grant(req) == 0)
    virtiofs_grant_undo(req);
  virtiofs_req_let_go(req);
  session->late(session->ctx, req);
}

void virtiofs_req_complete(struct virtiofs_req *req, int rc) {
  struct virtiofs_session_lane *lane = lane_of(req);
  virtiofs_spin_lock(&lane->lock);
  enum virtiofs_phase phase = req->phase;
  bool busy = phase == VIRTIOFS_PHASE_CALLING || req->cancelling;
  req->rc = rc;
  if (phase != VIRTIOFS_PHASE_ABANDONED) {
    if (phase == VIRTIOFS_PHASE_PENDING)
      list_remove(lane, req);
    req->phase = VIRTIOFS_PHASE_COMPLETED;
  }
  virtiofs_spin_unlock(&lane->lock);
  if (phase == VIRTIOFS_PHASE_ABANDONED)
    finish_late(req);
  else if (!busy)
    virtiofs_req_finish(req, rc);
}

void virtiofs_req_on_cancel(struct virtiofs_req *req, virtiofs_req_cancel_fn *fn) {
  struct virtiofs_session_lane *lane = lane_of(req);
  virtiofs_spin_lock(&lane->lock);
  bool now = req->cancelled;
  req->on_cancel = fn;
  virtiofs_spin_unlock(&lane->lock);
  if (now && fn != NULL)
    fn(req);
}

bool virtiofs_req_interrupted(const struct virtiofs_req *req) {
  return req->interrupted;
}

/* Marks one; true if it has to be told, and then it is kept from being finished. The lane's lock is held. */
static bool begin_cancel(struct virtiofs_req *req, bool interrupted) {
  if (req->cancelled)
    return false;
  req->cancelled = true;
  req->interrupted = interrupted;
  req->cancelling = req->on_cancel != NULL;
  return req->cancelling;
}

static void tell_cancelled(struct virtiofs_session_lane *lane, struct virtiofs_req *req) {
  req->on_cancel(req);
  virtiofs_spin_lock(&lane->lock);
  req->cancelling = false;
  bool completed = req->phase == VIRTIOFS_PHASE_COMPLETED;
  virtiofs_spin_unlock(&lane->lock);
  if (completed)
    virtiofs_req_finish(req, req->rc);
}

/* Which requests of a lane are meant: all, if nothing is said. */
struct choice {
  const uint64_t *unique;
  const uint32_t *handle; /* the slot's index */
};

static bool is_chosen(const struct virtiofs_req *req, struct choice choice) {
  if (choice.unique != NULL && req->fuse.header.unique != *choice.unique)
    return false;
  /* The index may be another file's by now: of the one that was taken away nothing but the slot is left. */
  const struct virtiofs_idslot *slot = req->slots[VIRTIOFS_SLOT_HANDLE];
  return choice.handle == NULL || (slot != NULL && slot->index == *choice.handle && virtiofs_idcell_dead(slot->cell));
}

/* Cancels one request of a lane that was not told yet. False if there is none. */
static bool cancel_one(struct virtiofs_session_lane *lane, struct choice choice) {
  virtiofs_spin_lock(&lane->lock);
  struct virtiofs_req *req = lane->pending;
  while (req != NULL && (!is_chosen(req, choice) || !begin_cancel(req, choice.unique != NULL)))
    req = req->next;
  virtiofs_spin_unlock(&lane->lock);
  if (req != NULL)
    tell_cancelled(lane, req);
  return req != NULL;
}

void virtiofs_session_cancel(struct virtiofs_session *session, uint32_t number) {
  while (cancel_one(&session->lanes[number], (struct choice){.unique = NULL}))
    continue;
}

static bool interrupt(struct virtiofs_session *session, uint64_t unique) {
  for (uint32_t i = 0; i < session->lane_count; i++)
    if (cancel_one(&session->lanes[i], (struct choice){.unique = &unique}))
      return true;
  return false;
}

/* The oldest one makes room: most are of requests that have their answer. */
static void note_early(struct virtiofs_session *session, uint64_t unique) {
  virtiofs_spin_lock(&session->early_lock);
  session->early[atomic_fetch_add(&session->early_count, 1) % VIRTIOFS_EARLY] = unique;
  virtiofs_spin_unlock(&session->early_lock);
}

void virtiofs_req_interrupt(struct virtiofs_session *session, uint64_t unique) {
  if (interrupt(session, unique))
    return;
  /* On its way, perhaps, or in its operation and pending in a moment. */
  note_early(session, unique);
  (void)interrupt(session, unique);
}

void virtiofs_req_cancel_handle(struct virtiofs_session *session, uint64_t id) {
  uint32_t index = (uint32_t)id;
  for (uint32_t i = 0; i < session->lane_count; i++)
    while (cancel_one(&session->lanes[i], (struct choice){.handle = &index}))
      continue;
}

bool virtiofs_req_is_abandoned(struct virtiofs_req *req) {
  struct virtiofs_session_lane *lane = lane_of(req);
  virtiofs_spin_lock(&lane->lock);
  bool abandoned = req->phase == VIRTIOFS_PHASE_ABANDONED;
  virtiofs_spin_unlock(&lane->lock);
  return abandoned;
}

bool virtiofs_req_is_cancelled(struct virtiofs_req *req) {
  struct virtiofs_session_lane *lane = lane_of(req);
  virtiofs_spin_lock(&lane->lock);
  bool cancelled = req->cancelled;
  virtiofs_spin_unlock(&lane->lock);
  return cancelled;
}

bool virtiofs_session_abandoned(const struct virtiofs_req *req) {
  return req->phase == VIRTIOFS_PHASE_ABANDONED;
}

static struct virtiofs_req *next_to_abandon(struct virtiofs_session_lane *lane) {
  for (struct virtiofs_req *req = lane->pending; req != NULL; req = req->next) {
    if (req->holds_data || req->cancelling)
      continue;
    list_remove(lane, req);
    req->phase = VIRTIOFS_PHASE_ABANDONED;
    return req;
  }
  return NULL;
}

/* As virtiofs_req_finish(), but the slots stay pinned for the operation that goes on. */
static size_t answer_interrupted(struct virtiofs_req *req) {
  ssize_t len = virtiofs_fuse_reply_encode(&req->session->proto, &req->fuse.header, -EINTR, NULL, req->msg->out,
                                           req->msg->out_count);
  size_t used = len > 0 ? (size_t)len : 0;
  const struct virtiofs_fuse_header *header = &req->fuse.header;
  VIRTIOFS_PROBE_REPLY(req->lane, req->msg, header->unique, header->opcode, header->nodeid, -EINTR, used);
  return used;
}

void virtiofs_session_abandon(struct virtiofs_session *session, uint32_t number) {
  struct virtiofs_session_lane *lane = &session->lanes[number];
  for (;;) {
    virtiofs_spin_lock(&lane->lock);
    struct virtiofs_req *req = next_to_abandon(lane);
    if (req == NULL) {
      virtiofs_spin_unlock(&lane->lock);
      break;
    }
    /* Under the lock, so that a completion that comes now finds an answered request. */
    size_t used = answer_interrupted(req);
    atomic_fetch_sub(&lane->in_flight, 1);
    virtiofs_message_complete(req->msg, used);
    virtiofs_spin_unlock(&lane->lock);
    if (atomic_load(&session->state) == VIRTIOFS_SESSION_PARKED)
      virtiofs_session_unpark(session);
  }
  virtiofs_session_give_up_parked(session, number);
}
