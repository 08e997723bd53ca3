/* SPDX-License-Identifier: BSD-3-Clause */
#include "limits.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <virtiofs/daemon.h>

#define LOCKS_MAX (1U << 20)
#define BYTES_MAX (UINT64_C(1) << 50)
#define BYTES_MIN 65536U

/* Options that have no letter; those of the program's other files have other keys. */
enum { MAX_LOCKS = 0x700, QUOTA, QUOTA_SCAN, MAX_DIRTY };

static bool number(const char *text, uint64_t least, uint64_t most, uint64_t *value) {
  char *end;
  errno = 0;
  unsigned long long got = strtoull(text, &end, 10);
  *value = got;
  return errno == 0 && *text >= '0' && *text <= '9' && *end == 0 && got >= least && got <= most;
}

/* The same with K, M, G or T behind it. @len: so much of the text. */
static bool bytes(const char *text, size_t len, uint64_t *value) {
  static const char units[] = "KMGT";
  char digits[24];
  const char *unit = len > 0 ? strchr(units, text[len - 1]) : NULL;
  unsigned shift = unit != NULL ? 10 * (unsigned)(unit - units + 1) : 0;
  len -= unit != NULL;
  if (len >= sizeof digits)
    return false;
  memcpy(digits, text, len);
  digits[len] = 0;
  bool right = number(digits, 1, BYTES_MAX >> shift, value);
  *value <<= shift;
  return right && *value >= BYTES_MIN;
}

static error_t parse_quota(const struct argp_state *state, struct limits *limits, const char *text) {
  static const char inodes[] = ",inodes=";
  size_t len = strcspn(text, ",");
  bool right = bytes(text, len, &limits->quota_bytes);
  limits->quota_inodes = 0;
  if (right && text[len] != 0)
    right = strncmp(text + len, inodes, strlen(inodes)) == 0 &&
            number(text + len + strlen(inodes), 1, UINT32_MAX, &limits->quota_inodes);
  return right ? 0
               : virtiofs_daemon_option_error(
                     state, "--quota must be 64K to 1024T of bytes, and ,inodes=N if you like, not '%s'", text);
}

static error_t parse(int key, char *arg, struct argp_state *state) {
  struct limits *limits = state->input;
  uint64_t value;
  switch (key) {
  case MAX_LOCKS:
    if (!number(arg, 1, LOCKS_MAX, &value))
      return virtiofs_daemon_option_error(state, "--max-locks must be 1 to %u, not '%s'", LOCKS_MAX, arg);
    limits->max_locks = (uint32_t)value;
    return 0;
  case QUOTA:
    return parse_quota(state, limits, arg);
  case QUOTA_SCAN:
    limits->quota_scan = true;
    return 0;
  case MAX_DIRTY:
    if (!bytes(arg, strlen(arg), &limits->max_dirty))
      return virtiofs_daemon_option_error(state, "--max-dirty must be 64K to 1024T of bytes, not '%s'", arg);
    return 0;
  case ARGP_KEY_END:
    if (limits->quota_scan && limits->quota_bytes == 0)
      return virtiofs_daemon_option_error(state, "--quota-scan is nothing without --quota");
    return 0;
  default:
    return ARGP_ERR_UNKNOWN;
  }
}

static const struct argp_option options[] = {
    {"max-locks", MAX_LOCKS, "N", 0, "Ranges of files that one guest may have locked, 1 to 1048576 (default 8192)", 0},
    {"quota", QUOTA, "BYTES[,inodes=N]", 0,
     "What guests may add to the directory, with K, M, G or T after the number for more, and how many files", 0},
    {"quota-scan", QUOTA_SCAN, NULL, 0, "What is there at first counts, too", 0},
    {"max-dirty", MAX_DIRTY, "BYTES", 0,
     "What guests may have written that isn't on its way to the disk, with K, M, G or T after the number for more", 0},
    {0},
};

const struct argp limits_argp = {.options = options, .parser = parse};

void limits_into(const struct limits *limits, struct virtiofs_passthrough_config *config) {
  config->max_locks = limits->max_locks;
  config->quota_bytes = limits->quota_bytes;
  config->quota_inodes = limits->quota_inodes;
  config->quota_scan = limits->quota_scan;
  config->max_dirty = limits->max_dirty;
}

void limits_metrics(void *fs, struct virtiofs_metrics *metrics) {
  struct virtiofs_passthrough_usage usage;
  virtiofs_passthrough_usage(fs, &usage, sizeof usage);
  virtiofs_metrics_gauge(metrics, "virtiofs_passthrough_inodes", "Files that are known or locked.", usage.inodes);
  virtiofs_metrics_gauge(metrics, "virtiofs_passthrough_descriptors", "Descriptors that are kept for the guest.",
                         usage.descriptors);
  virtiofs_metrics_gauge(metrics, "virtiofs_passthrough_descriptors_limit", "Descriptors that may be kept for it.",
                         usage.max_descriptors);
  virtiofs_metrics_gauge(metrics, "virtiofs_passthrough_locks", "Ranges of files that are locked.", usage.locks);
  virtiofs_metrics_gauge(metrics, "virtiofs_passthrough_locks_limit", "Ranges that one guest may have locked.",
                         usage.max_locks);
  virtiofs_metrics_gauge(metrics, "virtiofs_passthrough_quota_bytes", "Bytes that are charged for by the quota.",
                         usage.quota_bytes);
  virtiofs_metrics_gauge(metrics, "virtiofs_passthrough_quota_bytes_limit", "Bytes that there may be; 0: no quota.",
                         usage.max_quota_bytes);
  virtiofs_metrics_gauge(metrics, "virtiofs_passthrough_quota_inodes", "Files that are charged for by the quota.",
                         usage.quota_inodes);
  virtiofs_metrics_gauge(metrics, "virtiofs_passthrough_quota_inodes_limit", "Files that there may be.",
                         usage.max_quota_inodes);
  virtiofs_metrics_gauge(metrics, "virtiofs_passthrough_dirty_bytes", "Bytes that are not on their way to the disk.",
                         usage.dirty);
  virtiofs_metrics_gauge(metrics, "virtiofs_passthrough_dirty_bytes_limit",
                         "Bytes of these that there may be; 0: they aren't counted.", usage.max_dirty);
  virtiofs_metrics_gauge(metrics, "virtiofs_passthrough_lock_waiters", "Locks that are waited for.",
                         usage.lock_waiters);
  virtiofs_metrics_gauge(metrics, "virtiofs_passthrough_lock_waiters_limit", "Locks that may be waited for.",
                         usage.max_lock_waiters);
}
