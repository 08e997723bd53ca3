/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/logging.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <syslog.h>

#define TAG "daemon"

/* The name by which others' environments speak of a server like this. */
static const char target[] = "virtiofsd";

static enum virtiofs_log_level level_of(const char *text, size_t len, bool *off) {
  static const struct {
    const char *name;
    enum virtiofs_log_level level;
    bool off;
  } levels[] = {
      {"off", VIRTIOFS_LOG_ERROR, true},    {"error", VIRTIOFS_LOG_ERROR, false}, {"err", VIRTIOFS_LOG_ERROR, false},
      {"warn", VIRTIOFS_LOG_WARN, false},   {"info", VIRTIOFS_LOG_INFO, false},   {"debug", VIRTIOFS_LOG_DEBUG, false},
      {"trace", VIRTIOFS_LOG_TRACE, false},
  };
  for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++)
    if (strlen(levels[i].name) == len && strncasecmp(levels[i].name, text, len) == 0) {
      *off = levels[i].off;
      return levels[i].level;
    }
  return 0;
}

enum virtiofs_log_level virtiofs_daemon_log_level(const char *text, bool *off) {
  return level_of(text, strlen(text), off);
}

/* One of the words between commas. What is said about us by name counts more than what is said to all. */
static void filter_word(const char *word, size_t len, enum virtiofs_log_level levels[2], bool off[2]) {
  size_t name = strcspn(word, "=");
  size_t own = sizeof(target) - 1;
  if (name < len && name == own && strncmp(word, target, own) == 0) {
    enum virtiofs_log_level level = level_of(word + own + 1, len - own - 1, &off[1]);
    levels[1] = level != 0 ? level : levels[1];
  } else if (len == own && strncmp(word, target, own) == 0) {
    levels[1] = VIRTIOFS_LOG_TRACE;
    off[1] = false;
  } else if (name >= len) {
    enum virtiofs_log_level level = level_of(word, len, &off[0]);
    levels[0] = level != 0 ? level : levels[0];
  }
}

enum virtiofs_log_level virtiofs_daemon_log_filter(const char *text, bool *off) {
  enum virtiofs_log_level levels[2] = {0, 0};
  bool offs[2] = {false, false};
  const char *end = text + strcspn(text, "/"); /* what follows selects lines by what they say */
  while (text < end) {
    size_t len = strcspn(text, ",/");
    filter_word(text, len, levels, offs);
    text += len + 1;
  }
  unsigned which = levels[1] != 0;
  if (levels[which] != 0)
    *off = offs[which];
  return levels[which];
}

void virtiofs_daemon_log_start(struct virtiofs_log *log, struct virtiofs_daemon_syslog *syslog,
                               const struct virtiofs_daemon_options *options,
                               const struct virtiofs_daemon_config *config, const char *program) {
  bool off = options->log_off;
  const char *said = config->log_env != NULL ? getenv(config->log_env) : NULL;
  enum virtiofs_log_level level = said != NULL ? virtiofs_daemon_log_filter(said, &off) : 0;
  *log = (struct virtiofs_log){.fn = virtiofs_log_stderr, .level = level != 0 ? level : options->log_level};
  *syslog = (struct virtiofs_daemon_syslog){.fd = -1};
  if (options->syslog) {
    int rc = virtiofs_daemon_syslog_open(syslog, _PATH_LOG, program);
    if (rc == 0)
      log->fn = virtiofs_daemon_syslog_write;
    else if (!off)
      virtiofs_log_write(log, VIRTIOFS_LOG_WARN, TAG, "no system log, so lines come here: %s", strerror(-rc));
    log->ctx = syslog;
  }
  if (off)
    log->fn = NULL;
  if (options->pool_asked > options->pool_threads)
    virtiofs_log_write(log, VIRTIOFS_LOG_WARN, TAG, "--thread-pool-size %u: there are %u threads, which is the most",
                       options->pool_asked, options->pool_threads);
  for (char **warning = options->compat.warnings; warning != NULL && *warning != NULL; warning++)
    virtiofs_log_write(log, VIRTIOFS_LOG_WARN, TAG, "%s", *warning);
}
