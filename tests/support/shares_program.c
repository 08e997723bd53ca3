/* SPDX-License-Identifier: BSD-3-Clause */
#include "support/shares_program.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <argp.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#include <cmocka.h>

static struct shares_program_counts counts = {.lock = PTHREAD_MUTEX_INITIALIZER, .gate = -1};

struct shares_program_counts *shares_program_counts(void) {
  return &counts;
}

struct settings {
  const char *name;
  int dir_fd, number;
  bool fails, waits;
};

static void count(int *what) {
  pthread_mutex_lock(&counts.lock);
  ++*what;
  pthread_mutex_unlock(&counts.lock);
}

static error_t parse(int key, char *arg, struct argp_state *state) {
  struct settings *settings = state->input;
  switch (key) {
  case 'n':
    settings->number = atoi(arg);
    return settings->number > 0 ? 0 : virtiofs_daemon_option_error(state, "--number must be above 0, not '%s'", arg);
  case 'f':
    settings->fails = true;
    return 0;
  case 'w':
    settings->waits = true;
    return 0;
  default:
    return ARGP_ERR_UNKNOWN;
  }
}

static int share_new(const struct virtiofs_daemon_share_in *in, void **fs) {
  struct settings *settings = calloc(1, sizeof *settings);
  assert_non_null(settings);
  assert_string_equal(*fs, "main"); /* what the program is given */
  if (strcmp(in->name, "impossible") == 0) {
    free(settings);
    return -EXDEV;
  }
  settings->name = in->name;
  settings->dir_fd = in->dir_fd;
  count(&counts.made);
  *fs = settings;
  return 0;
}

static void share_free(void *fs) {
  count(&counts.freed);
  free(fs);
}

static int start(void **fs, const struct virtiofs_log *log) {
  struct settings *settings = *fs;
  eventfd_t value;
  if (settings->waits)
    (void)eventfd_read(counts.gate, &value);
  if (settings->fails) {
    virtiofs_log_write(log, VIRTIOFS_LOG_ERROR, "program", "number %d is out", settings->number);
    virtiofs_log_write(log, VIRTIOFS_LOG_ERROR, "program", "so nothing works");
    return -EDOM;
  }
  count(&counts.started);
  *fs = &settings->number;
  return 0;
}

static void stop(void *fs) {
  assert_true(*(int *)fs >= 0); /* it is still there */
  count(&counts.stopped);
}

int shares_program_getattr(struct virtiofs_req *req, const struct virtiofs_getattr_in *in,
                           struct virtiofs_attr_out *out) {
  (void)req;
  (void)in;
  (void)out;
  return -EIO;
}

static const struct argp_option argp_options[] = {
    {"number", 'n', "N", 0, "", 0}, {"fail", 'f', NULL, 0, "", 0}, {"wait", 'w', NULL, 0, "", 0}, {0}};
static const struct argp argp = {.options = argp_options, .parser = parse};

struct virtiofs_daemon_config shares_program_config(void) {
  return (struct virtiofs_daemon_config){.size = sizeof(struct virtiofs_daemon_config),
                                         .argp = &argp,
                                         .start = start,
                                         .stop = stop,
                                         .share_new = share_new,
                                         .share_free = share_free};
}
