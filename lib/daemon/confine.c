/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/confine.h"

#include <errno.h>
#include <linux/capability.h>
#include <sys/socket.h>

/* What the one inside has to say. */
static const char ready_word = 'R';

/* ---- outside ---- */

static void begin_outside(void *ctx) {
  struct virtiofs_daemon_confined *confined = ctx;
  if (confined->share != NULL)
    virtiofs_daemon_share_outside(confined->share);
  else
    virtiofs_daemon_control_outside(confined->control);
  virtiofs_daemon_metrics_outside(confined->setup->metrics);
}

/* A service manager believes the process that it has started, and who waits for a program in the background waits for
 * this one. The rest is about shares that are no more. */
static int hear(void *ctx, int channel) {
  struct virtiofs_daemon_confined *confined = ctx;
  char words[VIRTIOFS_DAEMON_CONTROL_WORDS];
  ssize_t n = recv(channel, words, sizeof(words), MSG_DONTWAIT);
  if (n < 0 && (errno == EAGAIN || errno == EINTR))
    return 0;
  if (n == 1 && words[0] == ready_word)
    virtiofs_daemon_ready_tell(confined->ready);
  else if (n <= 0 || confined->control == NULL)
    return -EPROTO;
  else
    return virtiofs_daemon_control_hear(confined->control, channel, words, (size_t)n);
  return 0;
}

static void end_outside(void *ctx, int status) {
  struct virtiofs_daemon_confined *confined = ctx;
  (void)status;
  virtiofs_daemon_share_free(confined->share);
  virtiofs_daemon_control_free(confined->control);
  virtiofs_daemon_metrics_close(confined->setup->metrics);
  virtiofs_daemon_ready_end(confined->ready);
}

/* ---- both ---- */

/* What it takes to mount, and to take the mount away in the end. */
static uint64_t to_mount(void) {
  return UINT64_C(1) << CAP_SYS_ADMIN | UINT64_C(1) << CAP_DAC_READ_SEARCH;
}

/* The shares that there are already say what they need first, and then the program says what all of them have. */
static int make_config(struct virtiofs_daemon_confined *confined) {
  const struct virtiofs_daemon_share_setup *setup = confined->setup;
  const struct virtiofs_daemon_options *options = setup->options;
  /* Shares that come later may be mounts, or have sockets at paths that are the host's. */
  bool open_world = confined->control != NULL && options->sandbox.mode == VIRTIOFS_SANDBOX_NONE;
  bool mounts = options->mountpoint != NULL || open_world;
  confined->config = (struct virtiofs_sandbox_config){
      .size = sizeof(confined->config),
      .mode = options->sandbox.mode,
      .outside = {.ctx = confined, .begin = begin_outside, .request = hear, .ended = end_outside},
      .log = setup->log,
      .seccomp = options->sandbox.seccomp,
      .mounts = mounts,
      .sockets = open_world,
      .more_directories = confined->control != NULL,
      .capabilities = mounts ? to_mount() : 0,
      .add_capabilities = options->sandbox.add_capabilities,
      .remove_capabilities = options->sandbox.remove_capabilities,
  };
  if (setup->config->sandbox == NULL)
    return 0;
  int rc = confined->control != NULL ? virtiofs_daemon_control_sandbox(confined->control, &confined->config) : 0;
  return rc == 0 ? setup->config->sandbox(setup->fs, &confined->config) : rc;
}

static void go_inside(struct virtiofs_daemon_confined *confined) {
  if (confined->share != NULL)
    virtiofs_daemon_share_inside(confined->share);
  else
    virtiofs_daemon_control_inside(confined->control, confined->inside.channel);
  virtiofs_daemon_metrics_inside(confined->setup->metrics);
  virtiofs_daemon_ready_inside(confined->ready);
}

int virtiofs_daemon_confine(struct virtiofs_daemon_confined *confined) {
  const struct virtiofs_daemon_share_setup *setup = confined->setup;
  confined->inside = (struct virtiofs_sandbox_inside){.channel = -1};
  int rc = make_config(confined);
  if (rc == 0)
    rc = virtiofs_sandbox_enter(&confined->inside, &confined->config);
  if (confined->inside.other)
    go_inside(confined);
  if (rc == 0 && confined->control != NULL)
    virtiofs_daemon_control_entered(confined->control);
  if (rc == 0 && setup->config->entered != NULL)
    setup->config->entered(setup->fs, &confined->inside);
  return rc;
}

/* ---- inside ---- */

int virtiofs_daemon_confine_more(struct virtiofs_daemon_confined *confined) {
  return virtiofs_sandbox_drop(&confined->inside, &confined->config);
}

int virtiofs_daemon_confine_last(const struct virtiofs_daemon_confined *confined) {
  return virtiofs_sandbox_lock(&confined->inside, &confined->config);
}

void virtiofs_daemon_confined_ready(const struct virtiofs_daemon_confined *confined) {
  virtiofs_daemon_ready_tell(confined->ready);
  if (confined->inside.channel >= 0)
    (void)!send(confined->inside.channel, &ready_word, sizeof(ready_word), MSG_NOSIGNAL);
}
