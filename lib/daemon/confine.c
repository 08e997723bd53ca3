/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/confine.h"

#include <unistd.h>

/* ---- outside ---- */

/* A front-end is to see that the server hangs up, or has gone. */
static void begin_outside(void *ctx) {
  struct virtiofs_daemon_listener *listener = ctx;
  if (listener->fd >= 0)
    close(listener->fd);
  listener->fd = -1;
}

static void end_outside(void *ctx, int status) {
  (void)status;
  virtiofs_daemon_listen_end(ctx);
}

/* ---- both ---- */

int virtiofs_daemon_confine(struct virtiofs_sandbox_inside *inside,
                            const struct virtiofs_daemon_sandbox_options *options,
                            const struct virtiofs_daemon_config *config, const struct virtiofs_device_config *device,
                            struct virtiofs_daemon_listener *listener) {
  struct virtiofs_sandbox_config sandbox = {
      .size = sizeof(sandbox),
      .mode = options->mode,
      .outside = {.ctx = listener, .begin = begin_outside, .ended = end_outside},
      .log = device->log,
  };
  inside->other = false;
  int rc = config->sandbox != NULL ? config->sandbox(device->fs, &sandbox) : 0;
  if (rc == 0)
    rc = virtiofs_sandbox_enter(inside, &sandbox);
  listener->inside = inside->other;
  if (rc == 0 && config->entered != NULL)
    config->entered(device->fs, inside);
  return rc;
}
