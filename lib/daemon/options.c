/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/options.h"

#include <argp.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <virtiofs/device.h>

#include "daemon/activation.h"
#include "daemon/logging.h"
#include "daemon/options_cli.h"
#include "daemon/options_control.h"
#include "daemon/utf8.h"

#define POOL_MAX 64U
#define WINDOW_MAX (UINT64_C(64) << 40)
#define WINDOW_PAGE 4096U
#define SHOWN_MAX 128
#define LINE_MAX_LEN 512
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
    {"thread-pool-size", KEY_POOL, "N", 0, "Threads for operations that block, 64 at most (default 0)", 0},
    {"poll-us", KEY_POLL, "N", 0,
     "How long a queue that was busy is watched before its thread sleeps, in microseconds; 0: not at all (default 100)",
     0},
    {"cache-size", KEY_CACHE_SIZE, "BYTES", 0,
     "Offer a DAX window of so many bytes, with K, M, G or T after the number for more; 0, the default: none", 0},
    {"log-level", KEY_LOG_LEVEL, "LEVEL", 0, "error, warn, info, debug, trace or off (default info)", 0},
    {"record", KEY_RECORD, "FILE", 0, "Write all messages to FILE, for virtiofs-trace", 0},
    {"record-data", KEY_RECORD_DATA, "BYTES", 0,
     "How much of what a READ or a WRITE carries is recorded, 0 to 1048576 (default 0)", 0},
    {"print-capabilities", KEY_CAPABILITIES, NULL, 0, "Say in JSON what this program can do, and exit", 0},
    {0},
};

/* The rest of them. Those that are about the process a share of several hasn't. */
static const struct {
  const struct argp *argp;
  size_t input; /* the part of the options that is theirs */
  bool of_process;
} groups[] = {
    {&virtiofs_daemon_options_cli, 0, false},
    {&virtiofs_daemon_metrics_argp, offsetof(struct virtiofs_daemon_options, limits), false},
    {&virtiofs_daemon_sandbox_argp, offsetof(struct virtiofs_daemon_options, sandbox), false},
    {&virtiofs_daemon_options_control, 0, true},
};
enum { GROUPS = sizeof(groups) / sizeof(groups[0]) };

/* What the parser works on. */
struct parse {
  struct virtiofs_daemon_options *options;
  const struct virtiofs_daemon_config *config;
  void *input; /* the program's parser's */
  bool share;  /* one of several in the process, which goes on if they are wrong */
  bool record_data;
  FILE *quiet;         /* where argp's second line about --help goes: one line says it; of a share: where errors go */
  const char *culprit; /* where argp had come to when it found an error; NULL: nowhere */
};

/* One line, whatever is in it. */
int virtiofs_daemon_option_error(const struct argp_state *state, const char *format, ...) {
  char line[LINE_MAX_LEN];
  va_list args;
  va_start(args, format);
  (void)vsnprintf(line, sizeof(line), format, args);
  va_end(args);
  virtiofs_daemon_utf8_clean(line);
  if ((state->flags & ARGP_NO_EXIT) == 0) {
    (void)fprintf(stderr, "%s: %s\n", state->name, line);
    exit(EXIT_FAILURE);
  }
  /* Some may have gone on after the first. */
  if (state->err_stream != NULL && ftell(state->err_stream) == 0)
    (void)fputs(line, state->err_stream);
  return EINVAL;
}

/* Comes back for a share only, whose options will not be used then. */
static void fail(const struct argp_state *state, const char *what, const char *value) {
  if (value != NULL)
    (void)virtiofs_daemon_option_error(state, "%s '%.*s'", what, SHOWN_MAX, value);
  else
    (void)virtiofs_daemon_option_error(state, "%s", what);
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

static void set_level(const struct argp_state *state, struct virtiofs_daemon_options *options, const char *text) {
  options->log_level = virtiofs_daemon_log_level(text, &options->log_off);
  if (options->log_level == 0)
    fail(state, "--log-level must be error, warn, info, debug, trace or off, not", text);
}

/* A service manager may have made the socket. */
static void take_passed(const struct argp_state *state, struct virtiofs_daemon_options *options) {
  int fd = virtiofs_daemon_activation_fd(state->name, options->tag);
  if (fd >= 0)
    options->fd = fd;
  else if (fd != -ENOENT)
    exit(EXIT_FAILURE);
}

static void check(const struct argp_state *state, const struct parse *parse) {
  struct virtiofs_daemon_options *options = parse->options;
  if (options->print_capabilities)
    return;
  if (!parse->share && options->socket_path == NULL && options->fd < 0 && options->mountpoint == NULL)
    take_passed(state, options);
  int ways = (options->socket_path != NULL) + (options->fd >= 0) + (options->mountpoint != NULL);
  bool none_is_right = !parse->share && (options->control != NULL || options->shares != NULL);
  if (ways > 1 || (ways == 0 && !none_is_right))
    fail(state, "one of --socket-path, --fd and --mountpoint is required", NULL);
  virtiofs_daemon_sandbox_options_check(state, &parse->options->sandbox, options->mountpoint != NULL);
  if (parse->record_data && options->record == NULL)
    fail(state, "--record-data is nothing without --record", NULL);
  if (options->socket_group != NULL && options->socket_path == NULL)
    fail(state, "--socket-group is nothing without --socket-path", NULL);
}

static const char *tag(const struct argp_state *state, const char *text) {
  if (text[0] == 0 || strlen(text) > VIRTIOFS_TAG_MAX || strchr(text, '\n') != NULL)
    fail(state, "--tag must be 1 to 36 bytes without a newline, not", text);
  return text;
}

static void init(struct argp_state *state, struct parse *parse) {
  unsigned at = 0;
  for (unsigned i = 0; i < GROUPS; i++)
    if (!parse->share || !groups[i].of_process)
      state->child_inputs[at++] = (char *)parse->options + groups[i].input;
  if (parse->config->argp != NULL)
    state->child_inputs[at] = parse->input;
  if (!parse->share)
    parse->quiet = fopen("/dev/null", "w");
  if (parse->quiet != NULL)
    state->err_stream = parse->quiet;
}

/* What a share brings along, or the process has. */
static bool is_not_for_shares(const struct argp_state *state, const struct parse *parse, int key) {
  if (!parse->share || (key != KEY_FD && key != KEY_CAPABILITIES))
    return false;
  fail(state, key == KEY_FD ? "no --fd for one of several shares" : "no --print-capabilities for a share", NULL);
  return true;
}

/* What it shows of itself. */
static error_t parse_shown(int key, char *arg, struct argp_state *state) {
  struct parse *parse = state->input;
  struct virtiofs_daemon_options *options = parse->options;
  switch (key) {
  case KEY_LOG_LEVEL:
    set_level(state, options, arg);
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
  default:
    return ARGP_ERR_UNKNOWN;
  }
}

static void remember(const struct argp_state *state, struct parse *parse) {
  int at = state->next > 1 ? state->next - 1 : 1; /* among letters after one '-' it hasn't gone on yet */
  if (at < state->argc)
    parse->culprit = state->argv[at];
}

static error_t parse_one(int key, char *arg, struct argp_state *state) {
  struct parse *parse = state->input;
  struct virtiofs_daemon_options *options = parse->options;
  if (is_not_for_shares(state, parse, key))
    return EINVAL;
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
    options->pool_asked = number(state, "--thread-pool-size must be a number, not", arg, 0, INT32_MAX);
    options->pool_threads = options->pool_asked < POOL_MAX ? options->pool_asked : POOL_MAX;
    return 0;
  case KEY_POLL:
    options->poll_us = number(state, "--poll-us must be 0 to 1000000, not", arg, 0, VIRTIOFS_POLL_MAX);
    options->poll_us = options->poll_us != 0 ? options->poll_us : VIRTIOFS_POLL_NONE;
    return 0;
  case KEY_CACHE_SIZE:
    options->cache_size = bytes(state, "--cache-size must be a multiple of 4096 bytes, up to 64T, not", arg);
    return 0;
  case ARGP_KEY_ARG:
    fail(state, "unexpected argument", arg);
    return EINVAL;
  case ARGP_KEY_END:
    check(state, parse);
    return 0;
  case ARGP_KEY_ERROR:
    remember(state, parse);
    return 0;
  default:
    return parse_shown(key, arg, state);
  }
}

/* The argp that all others are children of. argp itself may put one above. */
struct top {
  struct argp argp; /* the first */
  const struct virtiofs_daemon_options *options;
};

uint32_t virtiofs_daemon_option_max_inflight(const struct argp_state *state) {
  const struct argp *root = state->root_argp;
  if (root != NULL && root->parser != parse_one && root->children != NULL)
    root = root->children[0].argp;
  if (root == NULL || root->parser != parse_one)
    return 0;
  return ((const struct top *)(const void *)root)->options->limits.max_in_flight;
}

static struct argp make_argp(const struct virtiofs_daemon_config *config, bool share,
                             struct argp_child children[GROUPS + 2]) {
  unsigned at = 0;
  for (unsigned i = 0; i < GROUPS; i++)
    if (!share || !groups[i].of_process)
      children[at++] = (struct argp_child){.argp = groups[i].argp};
  children[at] = (struct argp_child){.argp = config->argp};
  return (struct argp){.options = argp_options,
                       .parser = parse_one,
                       .doc =
                           config->doc != NULL ? config->doc : "Serve a file system to virtual machines by virtio-fs.",
                       .children = children};
}

static void translate(struct virtiofs_daemon_options *options, const struct virtiofs_daemon_config *config,
                      const struct argp *argp, int argc, char **argv) {
  const struct virtiofs_daemon_dialect dialect = {
      .argp = argp, .program = config->spellings, .daemon = virtiofs_daemon_spellings};
  char *slash = argc > 0 ? strrchr(argv[0], '/') : NULL;
  char *program = slash != NULL ? slash + 1 : argc > 0 ? argv[0] : (char *)(uintptr_t) "virtiofs";
  int rc = virtiofs_daemon_compat_translate(&options->compat, &dialect, argc, argv);
  if (rc == 0 && slash != NULL) /* getopt's own lines begin with all of it, others with the name alone */
    memmove(options->compat.argv[0], options->compat.argv[0] + (program - argv[0]), strlen(program) + 1);
  if (rc == 0)
    return;
  /* The same line as for any other option, and status. */
  const struct argp_state state = {.name = program};
  fail(&state, options->compat.refusal != NULL ? options->compat.refusal : strerror(-rc), NULL);
}

void virtiofs_daemon_options_parse(struct virtiofs_daemon_options *options, const struct virtiofs_daemon_config *config,
                                   int argc, char **argv) {
  struct argp_child children[GROUPS + 2] = {{0}};
  const struct top top = {.argp = make_argp(config, false, children), .options = options};
  struct parse parse = {.options = options, .config = config, .input = config->argp_input};
  *options = (struct virtiofs_daemon_options){.fd = -1, .log_level = VIRTIOFS_LOG_INFO, .once = config->once};
  argp_program_version = config->version != NULL ? config->version : "libvirtiofs " VIRTIOFS_VERSION_STRING;
  argp_err_exit_status = EXIT_FAILURE;
  translate(options, config, &top.argp, argc, argv);
  error_t rc = argp_parse(&top.argp, options->compat.argc, options->compat.argv, 0, NULL, &parse);
  if (parse.quiet != NULL)
    (void)fclose(parse.quiet);
  if (rc != 0)
    exit(EXIT_FAILURE);
}

/* Nobody has said what is wrong with an option that argp itself doesn't like. */
static int share_result(error_t rc, const char *said, const char *about, struct virtiofs_daemon_error *error) {
  if (said != NULL && said[0] != 0)
    return virtiofs_daemon_error_set(error, -EINVAL, "%s", said);
  if (rc != 0)
    return virtiofs_daemon_error_set(error, rc == ENOMEM ? -ENOMEM : -EINVAL,
                                     "there is no such option, or its value is missing or one too much: '%.*s'",
                                     SHOWN_MAX, about);
  return 0;
}

int virtiofs_daemon_options_parse_share(struct virtiofs_daemon_options *options,
                                        const struct virtiofs_daemon_config *config, void *input, int argc, char **argv,
                                        struct virtiofs_daemon_error *error) {
  struct argp_child children[GROUPS + 2] = {{0}};
  const struct top top = {.argp = make_argp(config, true, children), .options = options};
  struct parse parse = {.options = options, .config = config, .input = input, .share = true};
  char *said = NULL;
  size_t len;
  parse.quiet = open_memstream(&said, &len);
  if (parse.quiet == NULL)
    return virtiofs_daemon_error_set(error, -ENOMEM, "no memory");
  error_t rc = argp_parse(&top.argp, argc, argv, ARGP_NO_EXIT | ARGP_NO_ERRS | ARGP_NO_HELP, NULL, &parse);
  (void)fclose(parse.quiet);
  int result = share_result(rc, said, parse.culprit != NULL ? parse.culprit : "", error);
  free(said);
  return result;
}

void virtiofs_daemon_options_free(struct virtiofs_daemon_options *options) {
  virtiofs_daemon_compat_free(&options->compat);
}
