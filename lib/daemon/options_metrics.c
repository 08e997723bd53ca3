/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/options_metrics.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <virtiofs/daemon.h>
#include <virtiofs/dax.h>

#define IDS_MAX (UINT64_C(1) << 27)
#define SHOWN_MAX 100
#define RATE_OPS_MAX 10000000U
#define RATE_BYTES_MIN 1024U
#define RATE_BYTES_MAX (UINT64_C(1) << 50)
#define BURST_MAX 60000U
#define IN_FLIGHT_MAX 1024U
#define RATE_PART_MAX 40

/* Beside those of options.c. */
enum {
  KEY_METRICS = 0x10200,
  KEY_MAX_INODES,
  KEY_MAX_HANDLES,
  KEY_RATE,
  KEY_MAX_INFLIGHT,
  KEY_MAX_MAPPINGS,
};

static const struct argp_option argp_options[] = {
    {"metrics", KEY_METRICS, "PATH|ADDR", 0,
     "Tell what is done, and how long it takes, as Prometheus text on this UNIX socket, 127.0.0.1:PORT or [::1]:PORT",
     0},
    {"rate", KEY_RATE, "ops=N,bytes=N[,burst=MS]", 0,
     "Requests a second, bytes a second (K, M, G or T after it for more), or both: more of a guest's wait", 0},
    {"max-inodes", KEY_MAX_INODES, "N", 0, "Files that a guest may know, 1 to 134217728 (default 1048576)", 0},
    {"max-handles", KEY_MAX_HANDLES, "N", 0, "Files that a guest may have open, 1 to 134217728 (default 65536)", 0},
    {"max-mappings", KEY_MAX_MAPPINGS, "N", 0,
     "Mappings that a guest may have in the DAX window, 1 to 16777216 (default 65536)", 0},
    {"max-inflight", KEY_MAX_INFLIGHT, "N", 0,
     "Requests of one queue that are worked on at once, 1 to 1024 (default: as many as it holds)", 0},
    {0},
};

static error_t fail(const struct argp_state *state, const char *what, const char *value) {
  return virtiofs_daemon_option_error(state, "%s '%.*s'", what, SHOWN_MAX, value);
}

/* Decimal digits and nothing else, no less than @low and no more than @high. */
static bool number(const char *text, uint64_t low, uint64_t high, uint64_t *value) {
  char *end;
  errno = 0;
  unsigned long long got = strtoull(text, &end, 10);
  *value = got;
  return errno == 0 && isdigit((unsigned char)text[0]) && *end == 0 && got >= low && got <= high;
}

/* One of several in the process. */
static bool is_share(const struct argp_state *state) {
  return (state->flags & ARGP_NO_EXIT) != 0;
}

/* The same with K, M, G or T behind it. */
static bool bytes(const char *text, uint64_t low, uint64_t high, uint64_t *value) {
  static const char units[] = "KMGT";
  char digits[24];
  size_t len = strlen(text);
  const char *unit = len > 0 ? strchr(units, text[len - 1]) : NULL;
  unsigned shift = unit != NULL ? 10 * (unsigned)(unit - units + 1) : 0;
  if (len - (unit != NULL) >= sizeof(digits))
    return false;
  memcpy(digits, text, len);
  digits[len - (unit != NULL)] = 0;
  if (!number(digits, 0, high >> shift, value))
    return false;
  *value <<= shift;
  return *value >= low;
}

static bool parse_rate_part(struct virtiofs_daemon_limits *limits, const char *part) {
  uint64_t ms = 0;
  if (strncmp(part, "ops=", 4) == 0)
    return limits->rate_ops == 0 && number(part + 4, 1, RATE_OPS_MAX, &limits->rate_ops);
  if (strncmp(part, "bytes=", 6) == 0)
    return limits->rate_bytes == 0 && bytes(part + 6, RATE_BYTES_MIN, RATE_BYTES_MAX, &limits->rate_bytes);
  bool right = strncmp(part, "burst=", 6) == 0 && limits->rate_burst_ms == 0 && number(part + 6, 1, BURST_MAX, &ms);
  limits->rate_burst_ms = (uint32_t)ms;
  return right;
}

static error_t parse_rate(const struct argp_state *state, struct virtiofs_daemon_limits *limits, const char *text) {
  static const char what[] =
      "--rate must be ops=N (1 to 10000000), bytes=N (1K to 1024T) or both with a comma between, "
      "and burst=MS (1 to 60000) if you like, not";
  char part[RATE_PART_MAX];
  limits->rate_ops = limits->rate_bytes = 0;
  limits->rate_burst_ms = 0;
  for (const char *at = text;; at++) {
    size_t len = strcspn(at, ",");
    if (len >= sizeof(part))
      return fail(state, what, text);
    memcpy(part, at, len);
    part[len] = 0;
    if (!parse_rate_part(limits, part))
      return fail(state, what, text);
    at += len;
    if (*at == 0)
      break;
  }
  return limits->rate_ops != 0 || limits->rate_bytes != 0 ? 0 : fail(state, what, text);
}

static error_t parse(int key, char *arg, struct argp_state *state) {
  struct virtiofs_daemon_limits *limits = state->input;
  uint64_t value;
  switch (key) {
  case KEY_METRICS:
    if (is_share(state))
      return virtiofs_daemon_option_error(state, "no --metrics for one of several shares: the process has it");
    limits->metrics = arg;
    return arg[0] != 0 ? 0 : fail(state, "--metrics must be a path, 127.0.0.1:PORT or [::1]:PORT, not", arg);
  case KEY_RATE:
    return parse_rate(state, limits, arg);
  case KEY_MAX_INFLIGHT:
    if (!number(arg, 1, IN_FLIGHT_MAX, &value))
      return fail(state, "--max-inflight must be 1 to 1024, not", arg);
    limits->max_in_flight = (uint32_t)value;
    return 0;
  case KEY_MAX_MAPPINGS:
    if (!number(arg, 1, VIRTIOFS_DAX_MAPPINGS_MAX, &value))
      return fail(state, "--max-mappings must be 1 to 16777216, not", arg);
    limits->max_mappings = (uint32_t)value;
    return 0;
  case KEY_MAX_INODES:
    return number(arg, 1, IDS_MAX, &limits->max_inodes) ? 0
                                                        : fail(state, "--max-inodes must be 1 to 134217728, not", arg);
  case KEY_MAX_HANDLES:
    return number(arg, 1, IDS_MAX, &limits->max_handles)
               ? 0
               : fail(state, "--max-handles must be 1 to 134217728, not", arg);
  default:
    return ARGP_ERR_UNKNOWN;
  }
}

const struct argp virtiofs_daemon_metrics_argp = {.options = argp_options, .parser = parse};
