/* SPDX-License-Identifier: BSD-3-Clause */
#include "options.h"

#include <argp.h>
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define SHOWN_MAX 128
#define NS_PER_SEC 1e9
#define NS_PER_MS 1e6
#define TIME_MAX 1e18

enum { KEY_SLOWER = 0x100, KEY_FROM, KEY_TO };

static const struct argp_option argp_options[] = {
    {NULL, 0, NULL, 0, "What to show:", 1},
    {"op", 'o', "LIST", 0, "Only these operations: names as LOOKUP,READ, or NOTIFY", 1},
    {"errors", 'e', NULL, 0, "Only what was answered by an error, or can't be read", 1},
    {"node", 'n', "ID", 0, "Only requests about this nodeid, in hexadecimal as it is shown", 1},
    {"unique", 'u', "N", 0, "Only requests with this number of the driver's", 1},
    {"slower", KEY_SLOWER, "MS", 0, "Only what took at least that many milliseconds", 1},
    {"from", KEY_FROM, "S", 0, "Only what began at this second of the record, or later", 1},
    {"to", KEY_TO, "S", 0, "Only what began before this second of the record", 1},
    {NULL, 0, NULL, 0, "How to show it:", 2},
    {"wall", 'w', NULL, 0, "The time of day (UTC) instead of seconds since recording began", 2},
    {"summary", 's', NULL, 0, "A table by operation instead of lines", 2},
    {"json", 'j', NULL, 0, "The same as JSON", 2},
    {NULL, 0, NULL, 0, "Else:", -1},
    {0},
};

/* What the parser works on. */
struct parse {
  struct options *options;
  FILE *quiet; /* where argp's second line about --help goes: one line says it */
};

/* One line, whatever is in the value. */
_Noreturn static void fail(const struct argp_state *state, const char *what, const char *value) {
  char shown[SHOWN_MAX] = "";
  if (value != NULL) {
    (void)snprintf(shown, sizeof(shown), " '%s'", value);
    for (char *c = shown; *c != 0; c++)
      if (!isprint((unsigned char)*c))
        *c = '?';
  }
  (void)fprintf(stderr, "%s: %s%s\n", state->name, what, shown);
  exit(EXIT_FAILURE);
}

static uint64_t number(const struct argp_state *state, const char *what, const char *text, int base) {
  char *end;
  errno = 0;
  unsigned long long value = strtoull(text, &end, base);
  if (errno != 0 || !isxdigit((unsigned char)text[0]) || *end != 0)
    fail(state, what, text);
  return value;
}

static uint64_t duration(const struct argp_state *state, const char *what, const char *text, double unit) {
  char *end;
  double value = strtod(text, &end) * unit;
  if (!isdigit((unsigned char)text[0]) || *end != 0 || !(value >= 0 && value <= TIME_MAX))
    fail(state, what, text);
  return (uint64_t)value;
}

/* 0: notifications. */
static bool find_op(const char *name, size_t len, uint32_t *opcode) {
  *opcode = 0;
  if (len == 6 && strncasecmp(name, "NOTIFY", len) == 0)
    return true;
  for (*opcode = 1; *opcode < 64; (*opcode)++) {
    const char *known = virtiofs_fuse_opcode_name(*opcode);
    if (known[0] != '?' && strlen(known) == len && strncasecmp(known, name, len) == 0)
      return true;
  }
  return false;
}

static void add_ops(const struct argp_state *state, struct options *options, const char *list) {
  uint32_t opcode;
  options->has_ops = true;
  for (;;) {
    size_t len = strcspn(list, ",");
    if (!find_op(list, len, &opcode))
      fail(state, "--op: there is no operation", list);
    options->ops[opcode] = true;
    if (list[len] == 0)
      return;
    list += len + 1;
  }
}

static error_t parse_filter(int key, const char *arg, const struct argp_state *state, struct options *options) {
  switch (key) {
  case 'o':
    add_ops(state, options, arg);
    return 0;
  case 'e':
    options->errors = true;
    return 0;
  case 'n':
    options->node = number(state, "--node must be a nodeid in hexadecimal, not", arg, 16);
    options->has_node = true;
    return 0;
  case 'u':
    options->unique = number(state, "--unique must be a number, not", arg, 10);
    options->has_unique = true;
    return 0;
  case KEY_SLOWER:
    options->slower_ns = duration(state, "--slower must be milliseconds, not", arg, NS_PER_MS);
    return 0;
  case KEY_FROM:
    options->from_ns = duration(state, "--from must be seconds, not", arg, NS_PER_SEC);
    return 0;
  case KEY_TO:
    options->to_ns = duration(state, "--to must be seconds, not", arg, NS_PER_SEC);
    return 0;
  default:
    return ARGP_ERR_UNKNOWN;
  }
}

static error_t parse_one(int key, char *arg, struct argp_state *state) {
  struct parse *parse = state->input;
  struct options *options = parse->options;
  switch (key) {
  case ARGP_KEY_INIT:
    parse->quiet = fopen("/dev/null", "we");
    if (parse->quiet != NULL)
      state->err_stream = parse->quiet;
    return 0;
  case 'w':
    options->wall = true;
    return 0;
  case 'j':
    options->json = true;
    options->summary = true;
    return 0;
  case 's':
    options->summary = true;
    return 0;
  case ARGP_KEY_ARG:
    if (options->file != NULL)
      fail(state, "unexpected argument", arg);
    options->file = arg;
    return 0;
  case ARGP_KEY_END:
    if (options->file == NULL)
      fail(state, "a file is required; - is standard input", NULL);
    return 0;
  default:
    return parse_filter(key, arg, state, options);
  }
}

void options_parse(struct options *options, int argc, char **argv) {
  static const struct argp argp = {
      .options = argp_options,
      .parser = parse_one,
      .args_doc = "FILE",
      .doc = "Show what a virtio-fs server has recorded by --record: one line for each request with its reply.",
  };
  struct parse parse = {.options = options};
  *options = (struct options){.to_ns = UINT64_MAX};
  argp_program_version = "virtiofs-trace " VIRTIOFS_VERSION_STRING;
  argp_err_exit_status = EXIT_FAILURE;
  error_t rc = argp_parse(&argp, argc, argv, 0, NULL, &parse);
  if (parse.quiet != NULL)
    (void)fclose(parse.quiet);
  if (rc != 0)
    exit(EXIT_FAILURE);
}

bool options_want(const struct options *options, const struct exchange *exchange) {
  bool notification = exchange->kind == VIRTIOFS_RECORD_NOTIFICATION;
  if (options->has_ops &&
      (exchange->opcode >= 64 || !options->ops[exchange->opcode] || (exchange->opcode == 0 && !notification)))
    return false;
  if (options->errors && exchange->error == 0 && !exchange->unparsed)
    return false;
  if (options->has_node && exchange->node != options->node)
    return false;
  if (options->has_unique && (notification || exchange->unique != options->unique))
    return false;
  if (exchange->end_ns - exchange->start_ns < options->slower_ns)
    return false;
  return exchange->start_ns >= options->from_ns && exchange->start_ns < options->to_ns;
}
