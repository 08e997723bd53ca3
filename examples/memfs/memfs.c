/* SPDX-License-Identifier: BSD-3-Clause */
/* Serves a file system in this process's memory: virtiofs-memfs --socket-path S [--size 2G].
 * cc memfs.c -o virtiofs-memfs $(pkg-config --cflags --libs libvirtiofs-daemon) */
#include <argp.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <virtiofs/memfs.h>
#include <virtiofs/virtiofs.h>

#define PROGRAM "virtiofs-memfs"

/* A number with a suffix: K, M, G, T for powers of 1024. */
static error_t parse_size(const struct argp_state *state, const char *what, const char *text, uint64_t *size) {
  static const char suffixes[] = "KMGT";
  char *end;
  errno = 0;
  unsigned long long value = strtoull(text, &end, 10);
  const char *suffix = *end != 0 ? strchr(suffixes, *end & ~0x20) : NULL;
  unsigned shift = suffix != NULL ? (unsigned)(suffix - suffixes + 1) * 10 : 0;
  if (suffix != NULL)
    end++;
  if (errno != 0 || text[0] < '0' || text[0] > '9' || *end != 0 || value == 0 || value > UINT64_MAX >> shift)
    return virtiofs_daemon_option_error(state, "%s must be a number above 0, perhaps with K, M, G or T, not '%s'", what,
                                        text);
  *size = (uint64_t)value << shift;
  return 0;
}

static error_t parse_mode(const struct argp_state *state, const char *text, uint32_t *mode) {
  char *end;
  errno = 0;
  unsigned long value = strtoul(text, &end, 8);
  if (errno != 0 || text[0] < '0' || text[0] > '7' || *end != 0 || value == 0 || value > 07777)
    return virtiofs_daemon_option_error(state, "--mode must be an octal number up to 7777, not '%s'", text);
  *mode = (uint32_t)value;
  return 0;
}

static error_t parse(int key, char *arg, struct argp_state *state) {
  struct virtiofs_memfs_config *config = state->input;
  switch (key) {
  case 's':
    return parse_size(state, "--size", arg, &config->max_bytes);
  case 'n':
    return parse_size(state, "--nodes", arg, &config->max_nodes);
  case 'm':
    return parse_mode(state, arg, &config->mode);
  case 'w':
    config->writeback = true;
    return 0;
  default:
    return ARGP_ERR_UNKNOWN;
  }
}

static int start(void **fs, const struct virtiofs_log *log) {
  struct virtiofs_memfs_config *config = *fs;
  struct virtiofs_memfs *memfs;
  config->log = *log;
  int rc = virtiofs_memfs_new(&memfs, config);
  if (rc != 0) {
    (void)fprintf(stderr, PROGRAM ": cannot make a file system: %s\n", strerror(-rc));
    return rc;
  }
  *fs = memfs;
  return 0;
}

static void stop(void *fs) {
  virtiofs_memfs_free(fs);
}

static int share_new(const struct virtiofs_daemon_share_in *in, void **fs) {
  struct virtiofs_memfs_config *config = calloc(1, sizeof(*config));
  if (config == NULL)
    return -ENOMEM;
  (void)in;
  config->size = sizeof(*config);
  *fs = config;
  return 0;
}

int main(int argc, char **argv) {
  static const struct argp_option options[] = {
      {"size", 's', "BYTES", 0, "Hold so much at most, with K, M, G or T (default: half of this host's memory)", 0},
      {"nodes", 'n', "N", 0, "Hold so many files, directories and further links at most (default: 1M)", 0},
      {"mode", 'm', "OCTAL", 0, "Permissions of the root (default: 755)", 0},
      {"writeback", 'w', NULL, 0, "Let the guest keep what it writes in its cache, and write it later", 0},
      {0},
  };
  static const struct argp argp = {.options = options, .parser = parse};
  struct virtiofs_memfs_config memfs = {.size = sizeof(memfs)};
  struct virtiofs_daemon_config config = {
      .size = sizeof(config),
      .doc = "Serve a file system in memory to virtual machines by virtio-fs.",
      .version = PROGRAM " " VIRTIOFS_VERSION_STRING,
      .argp = &argp,
      .argp_input = &memfs,
      .features = (const char *const[]){"separate-options", NULL},
      .start = start,
      .stop = stop,
      .share_new = share_new,
      .share_free = free,
  };
  return virtiofs_daemon_main(argc, argv, virtiofs_memfs_ops(), &memfs, &config);
}
