/* SPDX-License-Identifier: BSD-3-Clause */
/* virtiofs-check: does a virtio-fs device keep to the rules? Says so as TAP, the Test Anything Protocol. */
#include <argp.h>
#include <errno.h>
#include <fnmatch.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check.h"

enum { KEY_SOCKET = 0x100, KEY_LIST, KEY_ONLY, KEY_EXCEPT, KEY_HOSTILE, KEY_QUEUES, KEY_TIMEOUT };

/* In this order: those that share a connection first, as some servers leave when the front-end does. */
static const struct group *const groups[] = {
    &lookup_group,  &forget_group, &getattr_group,    &setattr_group,         &create_group,       &open_group,
    &read_group,    &write_group,  &readdir_group,    &readdirplus_group,     &rename_group,       &link_group,
    &symlink_group, &unlink_group, &mkdir_group,      &mknod_group,           &xattr_group,        &space_group,
    &sync_group,    &lock_group,   &misc_group,       &header_group,          &queues_group,       &rings_group,
    &init_group,    &vhost_group,  &hostile_id_group, &hostile_request_group, &hostile_ring_group, &hostile_vhost_group,
};
enum { GROUPS = sizeof(groups) / sizeof(groups[0]), PATTERNS_MAX = 32 };

struct settings {
  struct server server;
  const char *only[PATTERNS_MAX], *except[PATTERNS_MAX];
  unsigned only_count, except_count;
  bool list, hostile;
};

static const struct argp_option argp_options[] = {
    {"socket", KEY_SOCKET, "PATH", 0, "Where the device listens; required", 0},
    {"only", KEY_ONLY, "PATTERN", 0, "Checks whose GROUP/NAME matches, as the shell does; may be given again", 0},
    {"except", KEY_EXCEPT, "PATTERN", 0, "Not those; may be given again", 0},
    {"hostile", KEY_HOSTILE, NULL, 0, "Do what a hostile guest does, too", 0},
    {"queues", KEY_QUEUES, "N", 0, "Use at most N request queues, 1 to 64 (default 2)", 0},
    {"timeout", KEY_TIMEOUT, "MS", 0, "How long the device may take for anything (default 10000)", 0},
    {"list", KEY_LIST, NULL, 0, "Print the checks and their rules, and stop", 0},
    {0},
};

static int number(const struct argp_state *state, const char *what, const char *text, long low, long high) {
  char *end;
  errno = 0;
  long value = strtol(text, &end, 10);
  if (errno != 0 || end == text || *end != 0 || value < low || value > high)
    argp_error(state, "%s must be %ld to %ld, not '%s'", what, low, high, text);
  return (int)value;
}

static error_t parse(int key, char *arg, struct argp_state *state) {
  struct settings *settings = state->input;
  switch (key) {
  case KEY_SOCKET:
    settings->server.path = arg;
    return 0;
  case KEY_ONLY:
    if (settings->only_count == PATTERNS_MAX)
      argp_error(state, "--only was given more than %d times", PATTERNS_MAX);
    settings->only[settings->only_count++] = arg;
    return 0;
  case KEY_EXCEPT:
    if (settings->except_count == PATTERNS_MAX)
      argp_error(state, "--except was given more than %d times", PATTERNS_MAX);
    settings->except[settings->except_count++] = arg;
    return 0;
  case KEY_HOSTILE:
    settings->hostile = true;
    return 0;
  case KEY_QUEUES:
    settings->server.queues_wanted = (uint32_t)number(state, "--queues", arg, 1, 64);
    return 0;
  case KEY_TIMEOUT:
    settings->server.timeout_ms = number(state, "--timeout", arg, 1, 3600000);
    return 0;
  case KEY_LIST:
    settings->list = true;
    return 0;
  case ARGP_KEY_ARGS:
    settings->server.command = state->argv + state->next;
    return 0;
  case ARGP_KEY_END:
    if (settings->server.path == NULL && !settings->list)
      argp_error(state, "--socket is required");
    return 0;
  default:
    return ARGP_ERR_UNKNOWN;
  }
}

static bool matches(const char *const *patterns, unsigned count, const char *name) {
  for (unsigned i = 0; i < count; i++)
    if (fnmatch(patterns[i], name, 0) == 0)
      return true;
  return false;
}

static bool chosen(const struct settings *settings, const struct group *group, const struct check *check) {
  char name[128];
  if ((check->begins & HOSTILE) != 0 && !settings->hostile)
    return false;
  (void)snprintf(name, sizeof(name), "%s/%s", group->name, check->name);
  return (settings->only_count == 0 || matches(settings->only, settings->only_count, name)) &&
         !matches(settings->except, settings->except_count, name);
}

static unsigned count_chosen(const struct settings *settings) {
  unsigned count = 0;
  for (unsigned g = 0; g < GROUPS; g++)
    for (unsigned i = 0; i < groups[g]->count; i++)
      count += chosen(settings, groups[g], &groups[g]->checks[i]) ? 1 : 0;
  return count;
}

static void list(const struct settings *settings) {
  for (unsigned g = 0; g < GROUPS; g++)
    for (unsigned i = 0; i < groups[g]->count; i++) {
      const struct check *check = &groups[g]->checks[i];
      if (chosen(settings, groups[g], check))
        printf("%s/%s\t%s\n", groups[g]->name, check->name, check->rule);
    }
}

/* A YAML scalar in quotes. */
static void print_quoted(const char *key, const char *text) {
  printf("  %s: \"", key);
  for (; *text != 0; text++) {
    if (*text == '"' || *text == '\\')
      printf("\\%c", *text);
    else if ((unsigned char)*text < ' ' || (unsigned char)*text >= 0x7f)
      printf("\\x%02x", (unsigned char)*text);
    else
      putchar(*text);
  }
  printf("\"\n");
}

static void print_result(const struct test *t, const struct group *group, unsigned number_of_it) {
  const struct check *check = t->check;
  printf("%sok %u - %s/%s", t->verdict == FAILED ? "not " : "", number_of_it, group->name, check->name);
  if (t->verdict == SKIPPED)
    printf(" # SKIP %s", t->why);
  printf("\n");
  if (t->verdict == FAILED) {
    static char sent[TEXT_MAX], got[TEXT_MAX];
    test_describe(t, sent, got, TEXT_MAX);
    printf("  ---\n");
    print_quoted("problem", t->why);
    print_quoted("sent", sent);
    print_quoted("got", got);
    print_quoted("rule", check->rule);
    printf("  ...\n");
  }
  (void)fflush(stdout);
}

struct totals {
  unsigned passed, failed, skipped;
};

/* False if the server has gone for good. */
static bool run_all(struct settings *settings, struct test *t, struct totals *totals) {
  struct server *s = &settings->server;
  unsigned number_of_it = 0;
  for (unsigned g = 0; g < GROUPS; g++)
    for (unsigned i = 0; i < groups[g]->count; i++) {
      const struct check *check = &groups[g]->checks[i];
      if (!chosen(settings, groups[g], check))
        continue;
      if ((check->begins & BEGINS) != MOUNTED)
        test_finish(t, s);
      test_run(t, s, check);
      if (s->gone != 0) {
        printf("Bail out! nobody listens any more on '%s': %s%s\n", s->path, strerror(-s->gone),
               s->command == NULL ? "; a command behind -- would start the server again" : "");
        return false;
      }
      print_result(t, groups[g], ++number_of_it);
      totals->passed += t->verdict == PASSED ? 1 : 0;
      totals->failed += t->verdict == FAILED ? 1 : 0;
      totals->skipped += t->verdict == SKIPPED ? 1 : 0;
    }
  return true;
}

int main(int argc, char **argv) {
  static const struct argp argp = {.options = argp_options,
                                   .parser = parse,
                                   .args_doc = "[-- COMMAND [ARGUMENT...]]",
                                   .doc = "Check whether a virtio-fs device behind a vhost-user socket keeps to the "
                                          "rules. COMMAND starts the server whenever nobody listens."};
  static struct settings settings = {.server = {.timeout_ms = 10000, .queues_wanted = 2}};
  struct totals totals = {0};
  argp_program_version = "virtiofs-check " VIRTIOFS_VERSION_STRING;
  argp_err_exit_status = EXIT_FAILURE;
  if (argp_parse(&argp, argc, argv, 0, NULL, &settings) != 0)
    return EXIT_FAILURE;
  unsigned count = count_chosen(&settings);
  if (count == 0) {
    (void)fprintf(stderr, "virtiofs-check: no check has such a name; --list shows them\n");
    return EXIT_FAILURE;
  }
  if (settings.list) {
    list(&settings);
    return EXIT_SUCCESS;
  }
  struct test *t = calloc(1, sizeof(*t));
  unsigned char *copy = malloc(AREA_BYTES);
  if (t == NULL || copy == NULL)
    return EXIT_FAILURE;
  t->copy = copy;
  (void)signal(SIGPIPE, SIG_IGN);
  (void)snprintf(settings.server.name, sizeof(settings.server.name), "virtiofs-check.%ld", (long)getpid());
  printf("TAP version 13\n1..%u\n", count);
  bool whole = run_all(&settings, t, &totals);
  test_finish(t, &settings.server);
  if (whole)
    test_clean(t, &settings.server);
  server_disconnect(&settings.server);
  server_stop(&settings.server);
  printf("# passed %u, failed %u, skipped %u\n", totals.passed, totals.failed, totals.skipped);
  free(copy);
  free(t);
  return whole && totals.failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
