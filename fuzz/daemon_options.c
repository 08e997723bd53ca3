/* SPDX-License-Identifier: BSD-3-Clause */
/* Targets: virtiofs_daemon_compat_translate, virtiofs_daemon_options_parse_share and the parsers of values behind it.
 * Input: what the program has beside the library's options; then words of a command line, each ended by a byte 0. */
#include <argp.h>
#include <stdlib.h>

#include "daemon/options.h"
#include "target.h"

enum { WORDS_MAX = 64 };

static void must(bool so) {
  if (!so)
    abort();
}

/* A program with options of each kind. */
static error_t parse(int key, char *arg, struct argp_state *state) {
  size_t *seen = state->input;
  if (key > 0 && key < 1024 && arg != NULL)
    *seen += strlen(arg);
  if (key == 'V' && arg[0] == 'x')
    return virtiofs_daemon_option_error(state, "--value must not be '%s'", arg);
  return key > 0 && key < 1024 ? 0 : ARGP_ERR_UNKNOWN;
}

static const struct argp_option argp_options[] = {
    {"cache", 'c', "MODE", 0, "", 0},
    {"value", 'V', "V", 0, "", 0},
    {"maybe", 'm', "M", OPTION_ARG_OPTIONAL, "", 0},
    {"xattr", 'x', NULL, 0, "", 0},
    {"attr", 0, NULL, OPTION_ALIAS, NULL, 0},
    {"no-xattr", 'X', NULL, 0, "", 0},
    {0},
};

static const struct argp program = {.options = argp_options, .parser = parse};

static const struct virtiofs_daemon_spelling spellings[] = {
    {"-o cache=", "--cache=", NULL, VIRTIOFS_DAEMON_SPELLING_OLD},
    {"-o xattr", "--xattr", NULL, VIRTIOFS_DAEMON_SPELLING_ALIAS},
    {"-o xattr=", "--value=", NULL, VIRTIOFS_DAEMON_SPELLING_ALIAS},
    {"-o source=", "--value=", NULL, VIRTIOFS_DAEMON_SPELLING_OLD},
    {"--old=", "--value=", NULL, VIRTIOFS_DAEMON_SPELLING_OLD},
    {"-q", NULL, "nobody is quiet", VIRTIOFS_DAEMON_SPELLING_IGNORED},
    {"--gone", NULL, "it is gone", VIRTIOFS_DAEMON_SPELLING_REFUSED},
    {0},
};

/* Cuts @text, which it writes to, into words. */
static int cut(char *text, size_t len, char **argv) {
  int argc = 1;
  for (size_t at = 0; at < len && argc < WORDS_MAX;) {
    argv[argc++] = text + at;
    at += strlen(text + at) + 1;
  }
  argv[argc] = NULL;
  return argc;
}

static void check(const struct virtiofs_daemon_compat *compat, int rc) {
  size_t bytes = 0;
  must((rc == 0) == (compat->refusal == NULL) && compat->argc > 0);
  for (int i = 0; i < compat->argc; i++)
    bytes += strlen(compat->argv[i]);
  must(compat->argv[compat->argc] == NULL && bytes > 0);
  for (size_t i = 0; compat->warnings != NULL && compat->warnings[i] != NULL; i++)
    must(strlen(compat->warnings[i]) > 0);
}

static void parse_words(bool has_program, int argc, char **argv) {
  struct virtiofs_daemon_config config = {.size = sizeof(config), .argp = has_program ? &program : NULL};
  struct virtiofs_daemon_options options = {.fd = -1, .log_level = VIRTIOFS_LOG_INFO};
  struct virtiofs_daemon_error error = {.code = 0};
  size_t seen = 0;
  int rc = virtiofs_daemon_options_parse_share(&options, &config, &seen, argc, argv, &error);
  must((rc != 0) == (error.code != 0) && (rc == 0 || error.text[0] != 0));
  must(rc != 0 || options.queues <= 64);
  virtiofs_daemon_options_free(&options);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static char name[] = "fuzz";
  struct fuzz_input in = {.data = data, .left = size};
  uint8_t shape = fuzz_u8(&in);
  size_t len = in.left;
  char *text = calloc(1, len + 1), *argv[WORDS_MAX + 1] = {name};
  must(text != NULL);
  fuzz_take(&in, text, len);
  int argc = cut(text, len, argv);
  struct virtiofs_daemon_compat compat;
  const struct virtiofs_daemon_dialect dialect = {.argp = (shape & 1) != 0 ? &program : NULL,
                                                  .program = (shape & 2) != 0 ? spellings : NULL,
                                                  .daemon = (shape & 4) != 0 ? virtiofs_daemon_spellings : NULL};
  int rc = virtiofs_daemon_compat_translate(&compat, &dialect, argc, argv);
  check(&compat, rc);
  if (rc == 0)
    parse_words((shape & 1) != 0, compat.argc, compat.argv);
  virtiofs_daemon_compat_free(&compat);
  free(text);
  return 0;
}
