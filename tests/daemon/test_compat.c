/* SPDX-License-Identifier: BSD-3-Clause */
/* Other programs' command lines in our spelling: what comes out, what is said about it, what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/compat.h"

enum { ARGS_MAX = 16, TEXT_MAX = 512 };

static const struct argp_option inner_options[] = {
    {"cache", 'c', "MODE", 0, NULL, 0},
    {"store", 0, NULL, OPTION_ALIAS, NULL, 0},
    {NULL, 0, NULL, 0, "A heading", 0},
    {"maybe", 'm', "WHAT", OPTION_ARG_OPTIONAL, NULL, 0},
    {"socket-path", 0x10000, "PATH", 0, NULL, 0},
    {"socket-group", 0x10001, "GROUP", 0, NULL, 0},
    {"quiet", 'q', NULL, 0, NULL, 0},
    {"debug", 'b', NULL, 0, NULL, 0},
    {0},
};
static const struct argp inner = {.options = inner_options};
static const struct argp_child children[] = {{&inner, 0, NULL, 0}, {0}};
static const struct argp outer = {.children = children};

static const struct virtiofs_daemon_spelling program[] = {
    {"-o source=", "--shared-dir=", NULL, VIRTIOFS_DAEMON_SPELLING_OLD},
    {"-o cache=", "--cache=", NULL, VIRTIOFS_DAEMON_SPELLING_OLD},
    {"-o xattr", "--xattr", NULL, VIRTIOFS_DAEMON_SPELLING_OLD},
    {"-o no_xattr", "--no-xattr", NULL, VIRTIOFS_DAEMON_SPELLING_ALIAS},
    {"-o both", "--both", NULL, VIRTIOFS_DAEMON_SPELLING_ALIAS},
    {"-o both=", "--both=", NULL, VIRTIOFS_DAEMON_SPELLING_ALIAS},
    {"-o race", NULL, "there is none", VIRTIOFS_DAEMON_SPELLING_IGNORED},
    {"--move=", NULL, "not yet", VIRTIOFS_DAEMON_SPELLING_REFUSED},
    {"-z", "--zed", NULL, VIRTIOFS_DAEMON_SPELLING_ALIAS},
    {0},
};

static const struct virtiofs_daemon_dialect dialect = {
    .argp = &outer, .program = program, .daemon = virtiofs_daemon_spellings};

/* Arguments with '|' between them. */
static int translate(struct virtiofs_daemon_compat *out, const char *line) {
  char text[TEXT_MAX] = "", *argv[ARGS_MAX + 1] = {text};
  int argc = 0;
  assert_true(strlen(line) < sizeof text);
  (void)strcpy(text, line);
  for (char *at = text; at != NULL && argc < ARGS_MAX; argc++) {
    argv[argc] = at;
    at = strchr(at, '|');
    if (at != NULL)
      *at++ = 0;
  }
  argv[argc] = NULL;
  return virtiofs_daemon_compat_translate(out, &dialect, argc, argv);
}

static void join(char text[TEXT_MAX], char **list) {
  text[0] = 0;
  for (size_t i = 0; list != NULL && list[i] != NULL; i++) {
    if (i > 0)
      (void)strcat(text, "|");
    (void)strcat(text, list[i]);
  }
}

static void becomes(void **state) {
  static const char *const lines[][2] = {
      /* Nothing old. */
      {"p", "p"},
      {"p|--cache|never|-q", "p|--cache|never|-q"},
      {"p|", "p|"},
      {"p|-|word|--|-o|source=/a|--", "p|-|word|--|-o|source=/a|--"},
      {"p|--unknown|-y", "p|--unknown|-y"},
      {"p|--=|--=x", "p|--=|--=x"},
      /* A value is a value, however it looks, also an abbreviation's. */
      {"p|--cache|-o|-q", "p|--cache|-o|-q"},
      {"p|-c|-o|-q", "p|-c|-o|-q"},
      {"p|-qc|-d", "p|-q|-c|-d"},
      {"p|-qcd|-z", "p|-q|-cd|--zed"},
      {"p|--cac|-d", "p|--cac|-d"},
      {"p|--store|-d", "p|--store|-d"},
      {"p|--socket-p|-d", "p|--socket-p|-d"},
      {"p|--cache", "p|--cache"},
      {"p|-c", "p|-c"},
      {"p|--maybe|-z", "p|--maybe|--zed"},
      {"p|-m|-z", "p|-m|--zed"},
      {"p|-mz", "p|-mz"},
      {"p|--cache=|-z", "p|--cache=|--zed"},
      /* -o, close and apart, in the middle, several. */
      {"p|-o|source=/a,cache=none|-q", "p|--shared-dir=/a|--cache=none|-q"},
      {"p|-osource=/a", "p|--shared-dir=/a"},
      {"p|-o=xattr", "p|--xattr"},
      {"p|-qo|xattr", "p|-q|--xattr"},
      {"p|-qoxattr,no_xattr|-z", "p|-q|--xattr|--no-xattr|--zed"},
      {"p|-o|xattr|--cache=x|-o|no_xattr,cache=y", "p|--xattr|--cache=x|--no-xattr|--cache=y"},
      {"p|-o||-o|,|-o|xattr,", "p|--xattr"},
      {"p|-o|source=", "p|--shared-dir="},
      {"p|-o|both,both=1", "p|--both|--both=1"},
      /* Commas that are part of a value; a backslash before anything else is itself. */
      {"p|-o|source=/a=b,,c\\,d\\e\\,xattr", "p|--shared-dir=/a=b,c,d\\e,xattr"},
      {"p|-o|source=/a,,,xattr", "p|--shared-dir=/a,|--xattr"},
      {"p|-o|source=/a\\\\", "p|--shared-dir=/a\\\\"},
      {"p|-o|source=/a\\", "p|--shared-dir=/a\\"},
      /* What everybody has, unless the program has it itself. */
      {"p|-d|--socket=/s|--socket|-d", "p|--log-level=debug|--socket-path=/s|--socket-path=-d"},
      {"p|--debug|-dq", "p|--debug|--log-level=debug|-q"},
      {"p|-o|debug,log_level=err,loglevel=x", "p|--log-level=debug|--log-level=err|--log-level=x"},
      {"p|-h|--num-request-queues=3", "p|--help|--queues=3"},
      {"p|-f|-o|race,max_idle_threads=3", "p"},
  };
  (void)state;
  for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
    struct virtiofs_daemon_compat out;
    char text[TEXT_MAX];
    int rc = translate(&out, lines[i][0]);
    if (rc != 0)
      fail_msg("%s: %d, %s", lines[i][0], rc, out.refusal);
    join(text, out.argv);
    if (strcmp(text, lines[i][1]) != 0 || out.refusal != NULL)
      fail_msg("%s: %s, not %s", lines[i][0], text, lines[i][1]);
    assert_null(out.argv[out.argc]);
    virtiofs_daemon_compat_free(&out);
  }
}

static void warns(void **state) {
  static const char *const lines[][2] = {
      {"p|--cache=never|-z|-o|no_xattr", ""},
      {"p|-o|source=/a", "'-o source' is an old spelling of --shared-dir"},
      {"p|-d|-d", "'-d' is an old spelling of --log-level=debug|'-d' is an old spelling of --log-level=debug"},
      {"p|--socket|/s|-o|race",
       "'--socket' is an old spelling of --socket-path|'-o race' has no effect: there is none"},
  };
  (void)state;
  for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
    struct virtiofs_daemon_compat out;
    char text[TEXT_MAX];
    assert_int_equal(translate(&out, lines[i][0]), 0);
    join(text, out.warnings);
    assert_string_equal(text, lines[i][1]);
    virtiofs_daemon_compat_free(&out);
  }
}

static void refuses(void **state) {
  static const char *const lines[][2] = {
      {"p|-o", "option requires an argument -- 'o'"},
      {"p|-qo", "option requires an argument -- 'o'"},
      {"p|-o|xattr,nonsense,xattr", "unknown option '-o nonsense'"},
      {"p|-o|nonsense=1", "unknown option '-o nonsense=1'"},
      {"p|-o|=x,y", "unknown option '-o x'"},
      {"p|-o|xattr,=x", "unknown option '-o =x'"},
      {"p|-o|xatt", "unknown option '-o xatt'"},
      {"p|-o|xattrs", "unknown option '-o xattrs'"},
      {"p|-o|source", "'-o source' requires an argument"},
      {"p|-o|xattr=", "'-o xattr' takes no argument, but there is ''"},
      {"p|--socket", "'--socket' requires an argument"},
      {"p|--move=fast|-o|nonsense", "--move: not yet"},
      {"p|--migration-verify-handles", "--migration-verify-handles: this server can't be migrated yet"},
  };
  (void)state;
  for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
    struct virtiofs_daemon_compat out;
    assert_int_equal(translate(&out, lines[i][0]), -EINVAL);
    assert_non_null(out.refusal);
    assert_string_equal(out.refusal, lines[i][1]);
    virtiofs_daemon_compat_free(&out);
    virtiofs_daemon_compat_free(&out);
  }
}

static void without_anything(void **state) {
  static const struct virtiofs_daemon_dialect empty;
  char *argv[] = {(char *)"p", (char *)"-d", (char *)"--x", NULL}, *none[] = {NULL};
  struct virtiofs_daemon_compat out;
  char text[TEXT_MAX];
  (void)state;
  assert_int_equal(virtiofs_daemon_compat_translate(&out, &empty, 3, argv), 0);
  join(text, out.argv);
  assert_string_equal(text, "p|-d|--x");
  virtiofs_daemon_compat_free(&out);
  assert_int_equal(virtiofs_daemon_compat_translate(&out, &empty, 0, none), 0);
  assert_int_equal(out.argc, 1);
  virtiofs_daemon_compat_free(&out);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(becomes),
      cmocka_unit_test(warns),
      cmocka_unit_test(refuses),
      cmocka_unit_test(without_anything),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
