/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/options.h"

#include <argp.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <virtiofs/device.h>

#define POOL_MAX 64U
#define WINDOW_MAX (UINT64_C(64) << 40)
#define WINDOW_PAGE 4096U
#define SHOWN_MAX 128
#define RECORD_DATA_MAX (1U << 20)

/* Above the keys that a program may use. */
enum {
  KEY_SOCKET_PATH = 0x10000,
  KEY_FD,
  KEY_MOUNTPOINT,
  KEY_TAG,
  KEY_QUEUES,
  KEY_POOL,
  KEY_POLL,
  KEY_CACHE_SIZE,
  KEY_LOG_LEVEL,
  KEY_RECORD,
  KEY_RECORD_DATA,
  KEY_CAPABILITIES,
};

static const struct argp_option argp_options[] = {
    {"socket-path", KEY_SOCKET_PATH, "PATH", 0, "Listen for a front-end on this UNIX socket", 0},
    {"fd", KEY_FD, "N", 0, "Use this inherited descriptor, a listening or connected UNIX socket", 0},
    {"mountpoint", KEY_MOUNTPOINT, "DIR", 0, "Mount the file system here on this host, without a virtual machine", 0},
    {"tag", KEY_TAG, "TAG", 0, "Name for mount -t virtiofs, 1 to 36 bytes, for front-ends that ask the device", 0},
    {"queues", KEY_QUEUES, "N", 0, "Request queues, or threads that read a mount's requests, 1 to 64 (default 1, or 4)",
     0},
    {"thread-pool-size", KEY_POOL, "N", 0, "Threads for operations that block, 0 to 64 (default 0)", 0},
    {"poll-us", KEY_POLL, "N", 0,
     "How long a queue that was busy is watched before its thread sleeps, in microseconds; 0: not at all (default 100)",
     0},
    {"cache-size", KEY_CACHE_SIZE, "BYTES", 0,
     "Offer a DAX window of so many bytes, with K, M, G or T after the number for more; 0, the default: none", 0},
    {"log-level", KEY_LOG_LEVEL, "LEVEL", 0, "error, warn, info, debug or trace (default info)", 0},
    {"record", KEY_RECORD, "FILE", 0, "Write all messages to FILE, for virtiofs-trace", 0},
    {"record-data", KEY_RECORD_DATA, "BYTES", 0,
     "How much of what a READ or a WRITE carries is recorded, 0 to 1048576 (default 0)", 0},
    {"print-capabilities", KEY_CAPABILITIES, NULL, 0, "Say in JSON what this program can do, and exit", 0},
    {0},
};

/* What the parser works on. */
struct parse {
  struct virtiofs_daemon_options *options;
  const struct virtiofs_daemon_config *config;
  bool record_data;
  FILE *quiet; /* where argp's second line about --help goes: one line says it */
};

/* One line, whatever is in the value. */
_Noreturn static void fail(const struct argp_state *state, const char *what, const char *value) {
  char shown[SHOWN_MAX] = "";
  if (value != NULL) {
    (void)snprintf(shown, sizeof(shown), " '%s'", value);
    for (char *c = shown; *c != 0; c++)
      if ((unsigned char)*c < ' ')
        *c = '?';
  }
  (void)fprintf(stderr, "%s: %s%s\n", state->name, what, shown);
  exit(EXIT_FAILURE);
}

static uint32_t number(const struct argp_state *state, const char *option, const char *text, uint32_t low,
                       uint32_t high) {
  char *end;
  errno = 0;
  unsigned long value = strtoul(text, &end, 10);
  if (errno != 0 || end == text || *end != 0 || text[0] == '-' || value < low || value > high)
    fail(state, option, text);
  return (uint32_t)value;
}

static uint64_t bytes(const struct argp_state *state, const char *option, const char *text) {
  static const char units[] = "KMGT";
  char *end;
  errno = 0;
  unsigned long long value = strtoull(text, &end, 10);
  const char *unit = *end != 0 ? strchr(units, *end) : NULL;
  unsigned shift = unit != NULL ? 10 * (unsigned)(unit - units + 1) : 0;
  bool right = errno == 0 && end != text && text[0] >= '0' && text[0] <= '9' && end[unit != NULL] == 0;
  if (!right || value > WINDOW_MAX >> shift || (value << shift) % WINDOW_PAGE != 0)
    fail(state, option, text);
  return value << shift;
}

static enum virtiofs_log_level level(const struct argp_state *state, const char *text) {
  static const char *const names[] = {"error", "warn", "info", "debug", "trace"};
  for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++)
    if (strcmp(text, names[i]) == 0)
      return (enum virtiofs_log_level)(VIRTIOFS_LOG_ERROR + i);
  fail(state, "--log-level must be error, warn, info, debug or trace, not", text);
}

static void check(const struct argp_state *state, const struct parse *parse) {
  const struct virtiofs_daemon_options *options = parse->options;
  if (options->print_capabilities)
    return;
  int ways = (options->socket_path != NULL) + (options->fd >= 0) + (options->mountpoint != NULL);
  if (ways != 1)
    fail(state, "one of --socket-path, --fd and --mountpoint is required", NULL);
  virtiofs_daemon_sandbox_options_check(state, &parse->options->sandbox, options->mountpoint != NULL);
  if (parse->record_data && options->record == NULL)
    fail(state, "--record-data is nothing without --record", NULL);
}

static const char *tag(const struct argp_state *state, const char *text) {
  if (text[0] == 0 || strlen(text) > VIRTIOFS_TAG_MAX || strchr(text, '\n') != NULL)
    fail(state, "--tag must be 1 to 36 bytes without a newline, not", text);
  return text;
}

static void init(struct argp_state *state, struct parse *parse) {
  state->child_inputs[0] = &parse->options->sandbox;
  if (parse->config->argp != NULL)
    state->child_inputs[1] = parse->config->argp_input;
  parse->quiet = fopen("/dev/null", "w");
  if (parse->quiet != NULL)
    state->err_stream = parse->quiet;
}

static error_t parse_one(int key, char *arg, struct argp_state *state) {
  struct parse *parse = state->input;
  struct virtiofs_daemon_options *options = parse->options;
  switch (key) {
  case ARGP_KEY_INIT:
    init(state, parse);
    return 0;
  case KEY_SOCKET_PATH:
    options->socket_path = arg;
    return 0;
  case KEY_FD:
    options->fd = (int)number(state, "--fd must be a descriptor, not", arg, 0, INT32_MAX);
    return 0;
  case KEY_MOUNTPOINT:
    options->mountpoint = arg;
    return 0;
  case KEY_TAG:
    options->tag = tag(state, arg);
    return 0;
  case KEY_QUEUES:
    options->queues = number(state, "--queues must be 1 to 64, not", arg, 1, VIRTIOFS_REQUEST_QUEUES_MAX);
    return 0;
  case KEY_POOL:
    options->pool_threads = number(state, "--thread-pool-size must be 0 to 64, not", arg, 0, POOL_MAX);
    return 0;
  case KEY_POLL:
    options->poll_us = number(state, "--poll-us must be 0 to 1000000, not", arg, 0, VIRTIOFS_POLL_MAX);
    if (options->poll_us == 0)
      options->poll_us = VIRTIOFS_POLL_NONE;
    return 0;
  case KEY_CACHE_SIZE:
    options->cache_size = bytes(state, "--cache-size must be a multiple of 4096 bytes, up to 64T, not", arg);
    return 0;
  case KEY_LOG_LEVEL:
    options->log_level = level(state, arg);
    return 0;
  case KEY_RECORD:
    options->record = arg;
    return 0;
  case KEY_RECORD_DATA:
    options->record_data = number(state, "--record-data must be 0 to 1048576, not", arg, 0, RECORD_DATA_MAX);
    parse->record_data = true;
    return 0;
  case KEY_CAPABILITIES:
    options->print_capabilities = true;
    return 0;
  case ARGP_KEY_ARG:
    fail(state, "unexpected argument", arg);
  case ARGP_KEY_END:
    check(state, parse);
    return 0;
  default:
    return ARGP_ERR_UNKNOWN;
  }
}

void virtiofs_daemon_options_parse(struct virtiofs_daemon_options *options, const struct virtiofs_daemon_config *config,
                                   int argc, char **argv) {
  struct argp_child children[3] = {{.argp = &virtiofs_daemon_sandbox_argp}, {.argp = config->argp}};
  struct argp argp = {.options = argp_options,
                      .parser = parse_one,
                      .doc =
                          config->doc != NULL ? config->doc : "Serve a file system to virtual machines by virtio-fs.",
                      .children = children};
  struct parse parse = {.options = options, .config = config};
  *options = (struct virtiofs_daemon_options){.fd = -1, .log_level = VIRTIOFS_LOG_INFO};
  argp_program_version = config->version != NULL ? config->version : "libvirtiofs " VIRTIOFS_VERSION_STRING;
  argp_err_exit_status = EXIT_FAILURE;
  error_t rc = argp_parse(&argp, argc, argv, 0, NULL, &parse);
  if (parse.quiet != NULL)
    (void)fclose(parse.quiet);
  if (rc != 0)
    exit(EXIT_FAILURE);
}
