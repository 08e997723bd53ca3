/* SPDX-License-Identifier: BSD-3-Clause */
#include "session/dax.h"

#include <errno.h>
#include <stdlib.h>

#include "session/req.h"

/* Ranges of one REMOVEMAPPING: what fits into a page, which is what Linux sends at most. */
#define RANGES_MAX 256U
#define DEFAULT_SHIFT 12U
#define DEFAULT_MAPPINGS 65536U /* of a struct virtiofs_dax_window_config */

enum job {
  JOB_NONE,
  JOB_MAP,
  JOB_UNMAP,
  JOB_CLEAR,
  JOB_STRAY, /* unmap what may have been mapped right after everything was dropped */
};

struct virtiofs_session_dax {
  struct virtiofs_session_window_config config;
  struct virtiofs_dax_window *window; /* the worker's, once it works */
  atomic_bool usable;
  /* The session has one; and whoever works, as the last request that he answers may be what the window's end waits for.
   */
  atomic_uint refs;
  atomic_uint mapped; /* as the worker has last counted: for statistics */

  struct virtiofs_spin lock;   /* for these */
  bool working;                /* somebody does, or waits for a step */
  bool forget;                 /* whoever has the window has dropped everything */
  bool closed;                 /* the session has it no more */
  struct virtiofs_req *queue;  /* the oldest first, by @next_mapping */
  struct virtiofs_req *req;    /* whose job is done; NULL: nobody's, or nobody waits any more */
  bool begins;                 /* @req is being looked at: it can't be answered ... */
  bool gives_up;               /* ... but will be, right after */
  struct virtiofs_req *parked; /* waits until all is unmapped */

  /* the worker's */
  enum job job;
  uint32_t at, count;
  struct virtiofs_window_range ranges[RANGES_MAX];
};

/* ---- the window ---- */

static void count_mapped(struct virtiofs_session_dax *dax) {
  atomic_store_explicit(&dax->mapped, virtiofs_dax_window_count(dax->window), memory_order_relaxed);
}

/* Nothing is mapped any more: said to whoever works, or done at once. @closes: nor will anything be. */
static void forget(struct virtiofs_session_dax *dax, bool closes) {
  virtiofs_spin_lock(&dax->lock);
  bool idle = !dax->working;
  dax->forget |= !idle;
  dax->closed |= closes;
  virtiofs_spin_unlock(&dax->lock);
  if (!idle)
    return;
  virtiofs_dax_window_forget(dax->window);
  count_mapped(dax);
}

static void unref(struct virtiofs_session_dax *dax) {
  if (atomic_fetch_sub(&dax->refs, 1) != 1)
    return;
  virtiofs_dax_window_free(dax->window);
  free(dax);
}

/* The window with a reference, for a request that may have been answered already: in the backend's place. */
static struct virtiofs_session_dax *hold(struct virtiofs_session *session) {
  virtiofs_spin_lock(&session->dax_lock);
  struct virtiofs_session_dax *dax = session->dax;
  if (dax != NULL)
    atomic_fetch_add(&dax->refs, 1);
  virtiofs_spin_unlock(&session->dax_lock);
  return dax;
}

void virtiofs_session_remove_window(struct virtiofs_session *session) {
  virtiofs_spin_lock(&session->dax_lock);
  struct virtiofs_session_dax *dax = session->dax;
  session->dax = NULL;
  virtiofs_spin_unlock(&session->dax_lock);
  if (dax == NULL)
    return;
  forget(dax, true);
  unref(dax);
}

int virtiofs_session_set_window(struct virtiofs_session *session, const struct virtiofs_session_window_config *config) {
  virtiofs_session_remove_window(session);
  struct virtiofs_session_dax *dax = calloc(1, sizeof(*dax));
  if (dax == NULL)
    return -ENOMEM;
  dax->config = *config;
  atomic_init(&dax->refs, 1);
  if (dax->config.page_shift == 0)
    dax->config.page_shift = DEFAULT_SHIFT;
  struct virtiofs_dax_window_config window = {.size = sizeof(window),
                                              .len = config->len,
                                              .page_shift = dax->config.page_shift,
                                              .max_mappings = config->max_mappings,
                                              .cuts = config->cuts,
                                              .close = config->close,
                                              .ctx = config->ctx};
  int rc = virtiofs_dax_window_new(&dax->window, &window);
  if (rc != 0) {
    free(dax);
    return rc;
  }
  virtiofs_spin_lock(&session->dax_lock);
  session->dax = dax;
  virtiofs_spin_unlock(&session->dax_lock);
  return 0;
}

void virtiofs_session_window_usage(struct virtiofs_session *session, struct virtiofs_session_usage *usage) {
  struct virtiofs_session_dax *dax = hold(session);
  if (dax == NULL)
    return;
  usage->mappings = atomic_load_explicit(&dax->mapped, memory_order_relaxed);
  usage->max_mappings = dax->config.max_mappings != 0 ? dax->config.max_mappings : DEFAULT_MAPPINGS;
  unref(dax);
}

void virtiofs_session_use_window(struct virtiofs_session *session, bool usable) {
  if (session->dax != NULL)
    atomic_store(&session->dax->usable, usable);
}

static bool may_use(const struct virtiofs_session *session, const struct virtiofs_session_dax *dax) {
  return dax != NULL && atomic_load(&dax->usable) && session->ops.setupmapping != NULL &&
         (session->without & VIRTIOFS_BLOCKING_SETUPMAPPING) == 0;
}

uint16_t virtiofs_session_window_shift(const struct virtiofs_session *session) {
  return may_use(session, session->dax) ? (uint16_t)session->dax->config.page_shift : 0;
}

/* ---- the queue ---- */

static void enqueue(struct virtiofs_session_dax *dax, struct virtiofs_req *req) {
  struct virtiofs_req **last = &dax->queue;
  while (*last != NULL)
    last = &(*last)->next_mapping;
  req->next_mapping = NULL;
  *last = req;
}

/* Takes it from wherever it is. False: it has been answered, or will be soon. */
static bool dequeue(struct virtiofs_session_dax *dax, struct virtiofs_req *req) {
  for (struct virtiofs_req **at = &dax->queue; *at != NULL; at = &(*at)->next_mapping) {
    if (*at != req)
      continue;
    *at = req->next_mapping;
    return true;
  }
  if (dax->req != req)
    return false;
  dax->gives_up = dax->begins;
  if (!dax->begins)
    dax->req = NULL;
  return !dax->begins;
}

static void give_up(struct virtiofs_req *req) {
  struct virtiofs_session_dax *dax = hold(req->session);
  if (dax == NULL)
    return;
  virtiofs_spin_lock(&dax->lock);
  bool found = dequeue(dax, req);
  virtiofs_spin_unlock(&dax->lock);
  unref(dax);
  if (found)
    virtiofs_req_complete(req, -EINTR);
}

/* ---- jobs ---- */

/* The request is not the job's any more. */
static void finish_job(struct virtiofs_session_dax *dax, int rc) {
  virtiofs_spin_lock(&dax->lock);
  struct virtiofs_req *req = dax->req;
  dax->req = NULL;
  virtiofs_spin_unlock(&dax->lock);
  dax->job = JOB_NONE;
  count_mapped(dax);
  if (req != NULL)
    virtiofs_req_complete(req, rc);
}

/* The backend's descriptor, if the window has none of the file; -1: it has. */
static int get_fd(const struct virtiofs_session_dax *dax, struct virtiofs_req *req, bool writable, int *fd) {
  struct virtiofs_session *session = req->session;
  struct virtiofs_setupmapping_out out = {.fd = -1};
  *fd = -1;
  if (virtiofs_dax_window_has_file(dax->window, req->fuse.header.nodeid, writable))
    return 0;
  int rc = session->ops.setupmapping(req, &req->fuse.in.setupmapping, &out);
  if (rc == 0 && out.fd < 0)
    rc = -EIO;
  *fd = out.fd;
  return rc > 0 ? -EIO : rc;
}

static int begin_map(struct virtiofs_session_dax *dax, struct virtiofs_req *req) {
  const struct virtiofs_setupmapping_in *in = &req->fuse.in.setupmapping;
  struct virtiofs_dax_map map = {.window_offset = in->window_offset,
                                 .len = in->len,
                                 .file_offset = in->offset,
                                 .file = req->fuse.header.nodeid,
                                 .writable = (in->flags & VIRTIOFS_MAP_WRITE) != 0};
  dax->job = JOB_MAP;
  dax->at = dax->count = 0;
  int rc = get_fd(dax, req, map.writable, &map.take_fd);
  return rc == 0 ? virtiofs_dax_window_map(dax->window, &map) : rc;
}

static int unmap_next(struct virtiofs_session_dax *dax) {
  const struct virtiofs_window_range *range = &dax->ranges[dax->at++];
  return virtiofs_dax_window_unmap(dax->window, range->offset, range->len);
}

/* All are looked at before the first is unmapped, in a copy: the guest can change its own at any time. */
static int begin_unmap(struct virtiofs_session_dax *dax, struct virtiofs_req *req) {
  struct virtiofs_removemapping_in *in = &req->fuse.in.removemapping;
  dax->job = JOB_UNMAP;
  dax->at = dax->count = 0;
  while (dax->count < RANGES_MAX && virtiofs_removemapping_next(in, &dax->ranges[dax->count])) {
    const struct virtiofs_window_range *range = &dax->ranges[dax->count++];
    int rc = virtiofs_dax_window_check(dax->window, range->offset, range->len);
    if (rc != 0)
      return rc;
  }
  return dax->count == in->count && dax->count > 0 ? unmap_next(dax) : -EINVAL;
}

/* False: a step is under way, and whoever hears that it is done goes on. */
static bool carry_out(struct virtiofs_session_dax *dax) {
  struct virtiofs_dax_step step;
  while (virtiofs_dax_window_step(dax->window, &step)) {
    int rc = dax->config.step(dax->config.ctx, &step);
    if (rc == VIRTIOFS_PENDING)
      return false;
    virtiofs_dax_window_done(dax->window, rc);
  }
  return true;
}

static void begin_job(struct virtiofs_session_dax *dax, struct virtiofs_req *req) {
  bool maps = req->fuse.header.opcode == VIRTIOFS_FUSE_SETUPMAPPING;
  int rc = maps ? begin_map(dax, req) : begin_unmap(dax, req);
  virtiofs_spin_lock(&dax->lock);
  dax->begins = false;
  bool gives_up = dax->gives_up;
  if (gives_up)
    dax->req = NULL;
  virtiofs_spin_unlock(&dax->lock);
  if (gives_up)
    virtiofs_req_complete(req, -EINTR);
  if (rc != 0)
    finish_job(dax, rc);
}

/* Takes the next job. False: there is none, and this thread doesn't work any more. */
static bool take_job(struct virtiofs_session_dax *dax) {
  virtiofs_spin_lock(&dax->lock);
  struct virtiofs_req *req = dax->queue;
  bool forget = dax->forget, clears = req == NULL && dax->parked != NULL;
  bool works = req != NULL || clears || forget;
  dax->forget = false;
  dax->req = req;
  dax->begins = req != NULL;
  dax->gives_up = false;
  if (req != NULL)
    dax->queue = req->next_mapping;
  dax->working = works;
  virtiofs_spin_unlock(&dax->lock);
  if (!works)
    return false; /* and what is the worker's may be another's now */
  if (forget) {
    virtiofs_dax_window_forget(dax->window);
    count_mapped(dax);
  }
  if (clears) {
    dax->job = JOB_CLEAR;
    virtiofs_dax_window_clear(dax->window);
  } else if (req != NULL) {
    begin_job(dax, req);
  }
  return true;
}

/* Nothing is mapped any more, as far as that can be had. */
static void finish_clear(struct virtiofs_session *session) {
  struct virtiofs_session_dax *dax = session->dax;
  dax->job = JOB_NONE;
  count_mapped(dax);
  virtiofs_spin_lock(&dax->lock);
  struct virtiofs_req *parked = dax->parked;
  dax->parked = NULL;
  dax->working = false;
  virtiofs_spin_unlock(&dax->lock);
  virtiofs_session_run_parked(session, parked);
}

/* Jobs until there are none, or a step is under way. Once a request is answered the session may be gone. */
static void work(struct virtiofs_session *session, struct virtiofs_session_dax *dax) {
  atomic_fetch_add(&dax->refs, 1);
  do {
    while (dax->job != JOB_NONE) {
      if (!carry_out(dax))
        goto out;
      int rc = virtiofs_dax_window_end(dax->window);
      if (dax->job == JOB_CLEAR) {
        finish_clear(session);
        goto out;
      }
      bool more = rc == 0 && dax->at < dax->count;
      if (more)
        rc = unmap_next(dax);
      if (!more || rc != 0)
        finish_job(dax, rc);
    }
  } while (take_job(dax));
out:
  unref(dax);
}

static int submit(struct virtiofs_session_dax *dax, struct virtiofs_req *req) {
  struct virtiofs_session *session = req->session;
  virtiofs_req_on_cancel(req, give_up);
  virtiofs_spin_lock(&dax->lock);
  bool closed = dax->closed, idle = !dax->working;
  /* It may have been told before it was here, when there was nothing to take away; nobody will tell it again. */
  bool cancelled = virtiofs_req_is_cancelled(req);
  if (!closed && !cancelled) {
    enqueue(dax, req);
    dax->working = true;
  }
  virtiofs_spin_unlock(&dax->lock);
  if (closed || cancelled)
    return closed ? -EIO : -EINTR;
  if (idle)
    work(session, dax);
  return VIRTIOFS_PENDING;
}

/* @known: are its arguments sound, as far as the window need not be asked? */
static int ask(struct virtiofs_req *req, bool known) {
  struct virtiofs_session_dax *dax = hold(req->session);
  if (dax == NULL)
    return -ENOSYS;
  int rc = !may_use(req->session, dax) ? -ENOSYS : known ? submit(dax, req) : -EINVAL;
  unref(dax);
  return rc;
}

int virtiofs_session_setupmapping(struct virtiofs_req *req) {
  const struct virtiofs_setupmapping_in *in = &req->fuse.in.setupmapping;
  return ask(req, in->flags != 0 && (in->flags & ~(VIRTIOFS_MAP_READ | VIRTIOFS_MAP_WRITE)) == 0);
}

int virtiofs_session_removemapping(struct virtiofs_req *req) {
  return ask(req, true);
}

/*
 * The front-end drops everything, and finds a request of ours that was on its way: what it maps then stays, where the
 * next guest's mapping would be refused. True: a step is under way.
 */
static bool unmap_stray(struct virtiofs_session_dax *dax, const struct virtiofs_dax_step *mapped) {
  struct virtiofs_dax_step step = {.fd = -1, .window_offset = mapped->window_offset, .len = mapped->len};
  dax->job = JOB_STRAY;
  if (dax->config.step(dax->config.ctx, &step) == VIRTIOFS_PENDING)
    return true;
  dax->job = JOB_NONE;
  return false;
}

/* Everything was dropped while a step was under way. True: there is nothing to go on with now. */
static bool forget_amid_step(struct virtiofs_session *session, const struct virtiofs_dax_step *mapped) {
  struct virtiofs_session_dax *dax = session->dax;
  virtiofs_dax_window_forget(dax->window);
  if (dax->job == JOB_CLEAR) {
    finish_clear(session);
    return true;
  }
  finish_job(dax, -EIO);
  return mapped != NULL && unmap_stray(dax, mapped);
}

void virtiofs_session_step_done(struct virtiofs_session *session, int rc) {
  struct virtiofs_session_dax *dax = session->dax;
  if (dax->job == JOB_STRAY) {
    dax->job = JOB_NONE; /* whether it was there or not */
    work(session, dax);
    return;
  }
  struct virtiofs_dax_step step;
  bool mapped = virtiofs_dax_window_step(dax->window, &step) && step.map && rc == 0;
  virtiofs_dax_window_done(dax->window, rc);
  virtiofs_spin_lock(&dax->lock);
  bool forget = dax->forget;
  dax->forget = false;
  virtiofs_spin_unlock(&dax->lock);
  if (!forget || !forget_amid_step(session, mapped ? &step : NULL))
    work(session, dax);
}

/* ---- the whole window ---- */

bool virtiofs_session_window_clear(struct virtiofs_session *session, struct virtiofs_req *then) {
  struct virtiofs_session_dax *dax = session->dax;
  if (dax == NULL)
    return false;
  if (atomic_exchange(&session->rings_stopped, false))
    virtiofs_session_forget_window(session);
  virtiofs_spin_lock(&dax->lock);
  bool idle = !dax->working;
  bool empty = idle && virtiofs_dax_window_count(dax->window) == 0;
  if (!empty) {
    dax->parked = then;
    dax->working = true;
  }
  virtiofs_spin_unlock(&dax->lock);
  if (!empty && idle)
    work(session, dax);
  return !empty;
}

void virtiofs_session_rings_stopped(struct virtiofs_session *session) {
  atomic_store(&session->rings_stopped, true);
}

void virtiofs_session_forget_window(struct virtiofs_session *session) {
  if (session->dax != NULL)
    forget(session->dax, false);
}

void virtiofs_session_unmap_window(struct virtiofs_session *session) {
  struct virtiofs_session_dax *dax = session->dax;
  struct virtiofs_dax_step step;
  if (dax == NULL)
    return;
  virtiofs_dax_window_clear(dax->window);
  while (virtiofs_dax_window_step(dax->window, &step))
    virtiofs_dax_window_done(dax->window, dax->config.step(dax->config.ctx, &step));
  (void)virtiofs_dax_window_end(dax->window);
}
