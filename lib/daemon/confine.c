/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/confine.h"

#include <unistd.h>

#include "daemon/ready.h"

/* ---- outside ---- */

/* A front-end is to see that the server hangs up, or has gone. */
static void begin_outside(void *ctx) {
  const struct virtiofs_daemon_outside *outside = ctx;
  for (size_t i = 0; i < outside->count; i++) {
    struct virtiofs_daemon_listener *listener = outside->listeners[i];
    if (listener->fd >= 0)
      close(listener->fd);
    listener->fd = -1;
  }
  virtiofs_daemon_ready_let_go(outside->ready);
}

static void end_outside(void *ctx, int status) {
  const struct virtiofs_daemon_outside *outside = ctx;
  (void)status;
  for (size_t i = 0; i < outside->count; i++)
    virtiofs_daemon_listen_end(outside->listeners[i]);
}

/* ---- both ---- */

int virtiofs_daemon_confine(struct virtiofs_sandbox_inside *inside, const struct virtiofs_daemon_share_setup *setup,
                            const struct virtiofs_daemon_outside *outside) {
  const struct virtiofs_daemon_config *config = setup->config;
  struct virtiofs_daemon_outside there = *outside;
  struct virtiofs_sandbox_config sandbox = {
      .size = sizeof(sandbox),
      .mode = setup->options->sandbox.mode,
      .outside = {.ctx = &there, .begin = begin_outside, .ended = end_outside},
      .log = setup->log,
  };
  inside->other = false;
  int rc = config->sandbox != NULL ? config->sandbox(setup->fs, &sandbox) : 0;
  if (rc == 0)
    rc = virtiofs_sandbox_enter(inside, &sandbox);
  for (size_t i = 0; i < outside->count; i++)
    outside->listeners[i]->inside = inside->other;
  if (rc == 0 && config->entered != NULL)
    config->entered(setup->fs, inside);
  return rc;
}
