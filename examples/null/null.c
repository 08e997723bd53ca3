/* SPDX-License-Identifier: BSD-3-Clause */
/* Serves a file system that answers everything and keeps nothing, to measure what is around it.
 * cc null.c -o null $(pkg-config --cflags --libs libvirtiofs-daemon) && ./null --socket-path=/tmp/null.sock */
#include <argp.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <virtiofs/null.h>
#include <virtiofs/virtiofs.h>

#define PROGRAM "null"

enum { LEAVE_BYTES = 'l', ENTRIES = 'e', FILE_SIZE = 's', CACHE = 'c' };

static uint64_t parse_number(const char *what, const char *text) {
  char *end;
  errno = 0;
  unsigned long long value = strtoull(text, &end, 10);
  if (errno == 0 && text[0] >= '0' && text[0] <= '9' && *end == 0)
    return value;
  (void)fprintf(stderr, PROGRAM ": %s must be a number, not '%s'\n", what, text);
  exit(EXIT_FAILURE);
}

static error_t parse(int key, char *arg, struct argp_state *state) {
  struct virtiofs_null_config *config = state->input;
  switch (key) {
  case ENTRIES:
    config->entries = parse_number("--entries", arg);
    return 0;
  case FILE_SIZE:
    config->file_size = parse_number("--file-size", arg);
    return 0;
  case CACHE:
    config->entry_valid_ns = config->attr_valid_ns = VIRTIOFS_FOREVER;
    return 0;
  case LEAVE_BYTES:
    config->leave_bytes = true;
    return 0;
  default:
    return ARGP_ERR_UNKNOWN;
  }
}

static int start(void **fs, const struct virtiofs_log *log) {
  const struct virtiofs_null_config *config = *fs;
  struct virtiofs_null *null;
  (void)log;
  int rc = virtiofs_null_new(&null, config);
  if (rc != 0) {
    (void)fprintf(stderr, PROGRAM ": cannot be made so: %s\n", strerror(-rc));
    return rc;
  }
  *fs = null;
  return 0;
}

static void stop(void *fs) {
  virtiofs_null_free(fs);
}

int main(int argc, char **argv) {
  static const struct argp_option options[] = {
      {"entries", ENTRIES, "N", 0, "Names in each directory (default: 0)", 0},
      {"file-size", FILE_SIZE, "BYTES", 0, "Size of each file (default: 1 GiB)", 0},
      {"cache", CACHE, NULL, 0, "Let the guest believe names and attributes for ever (default: not at all)", 0},
      {"leave-bytes", LEAVE_BYTES, NULL, 0, "Say that files were read without writing zeros; only for guests", 0},
      {0},
  };
  static const struct argp argp = {.options = options, .parser = parse};
  struct virtiofs_null_config null = {.size = sizeof(null)};
  struct virtiofs_daemon_config config = {
      .size = sizeof(config),
      .doc = "Serve a file system that answers everything and keeps nothing, for measuring.",
      .version = PROGRAM " " VIRTIOFS_VERSION_STRING,
      .argp = &argp,
      .argp_input = &null,
      .features = (const char *const[]){"separate-options", NULL},
      .start = start,
      .stop = stop,
  };
  return virtiofs_daemon_main(argc, argv, virtiofs_null_ops(), &null, &config);
}
