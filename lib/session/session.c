/* SPDX-License-Identifier: BSD-3-Clause */
#include "session/session.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/config.h"
#include "session/promise.h"
#include "session/req.h"

static int allocate(struct virtiofs_session *session, const struct virtiofs_session_config *config) {
  size_t bytes = config->lanes * sizeof(session->lanes[0]);
  session->lanes = aligned_alloc(_Alignof(struct virtiofs_session_lane), bytes);
  session->keeper = calloc(1, sizeof(*session->keeper));
  if (session->lanes == NULL || session->keeper == NULL)
    return -ENOMEM;
  memset(session->lanes, 0, bytes);
  session->lane_count = config->lanes;
  session->keeper->session = session;
  int rc = virtiofs_hazards_init(&session->hazards, config->lanes);
  if (rc == 0)
    rc = virtiofs_idtable_init(&session->nodes, config->max_nodes, &session->hazards);
  if (rc == 0)
    rc = virtiofs_idtable_init(&session->handles, config->max_handles, &session->hazards);
  return rc;
}

int virtiofs_session_new(struct virtiofs_session **out, const struct virtiofs_session_config *config) {
  struct virtiofs_ops ops;
  *out = NULL;
  int rc = virtiofs_config_copy(&ops, sizeof(ops), config->ops, config->ops != NULL ? config->ops->size : 0);
  if (rc != 0)
    return rc;
  if (!virtiofs_session_can_promise(&config->log, virtiofs_session_operations(&ops), ops.semantics))
    return -EINVAL;
  struct virtiofs_session *session = aligned_alloc(_Alignof(struct virtiofs_session), sizeof(*session));
  if (session == NULL)
    return -ENOMEM;
  memset(session, 0, sizeof(*session));
  session->ops = ops;
  session->fs = config->fs;
  session->log = config->log;
  session->max_write = config->max_write;
  session->wants_reclaim = config->wants_reclaim;
  session->late = config->late;
  session->ctx = config->ctx;
  rc = allocate(session, config);
  if (rc != 0) {
    virtiofs_session_free(session);
    return rc;
  }
  *out = session;
  return 0;
}

bool virtiofs_session_running(const struct virtiofs_session *session) {
  return atomic_load_explicit(&session->state, memory_order_relaxed) == VIRTIOFS_SESSION_RUNNING;
}

void virtiofs_session_usage(struct virtiofs_session *session, struct virtiofs_session_usage *usage) {
  *usage = (struct virtiofs_session_usage){.nodes = virtiofs_idtable_taken(&session->nodes),
                                           .max_nodes = session->nodes.max,
                                           .handles = virtiofs_idtable_taken(&session->handles),
                                           .max_handles = session->handles.max};
  virtiofs_session_window_usage(session, usage);
}

void virtiofs_session_free(struct virtiofs_session *session) {
  if (session == NULL)
    return;
  if (session->keeper != NULL)
    virtiofs_session_reset(session);
  virtiofs_session_remove_window(session);
  virtiofs_idtable_fini(&session->nodes);
  virtiofs_idtable_fini(&session->handles);
  virtiofs_hazards_fini(&session->hazards);
  free(session->keeper);
  free(session->lanes);
  free(session);
}
