/* probe NAME ARGUMENT...: runs one probe; its status is 0 or 1. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "probe.h"

static const struct {
  const char *name;
  int (*run)(int argc, char **argv);
  int args;
} probes[] = {
    {"mmap-read", probe_mmap_read, 2},
    {"mmap-write", probe_mmap_write, 1},
    {"mmap-change", probe_mmap_change, 1},
    {"append", probe_append, 1},
    {"unlinked", probe_unlinked, 1},
    {"truncate-open", probe_truncate_open, 1},
    {"positions", probe_positions, 1},
    {"fallocate", probe_fallocate, 1},
    {"punch-hole", probe_punch_hole, 1},
    {"seek-holes", probe_seek_holes, 1},
    {"rename-noreplace", probe_rename_noreplace, 2},
    {"rename-exchange", probe_rename_exchange, 2},
    {"readdir-seek", probe_readdir_seek, 2},
    {"readdir-remove", probe_readdir_remove, 2},
    {"times", probe_times, 1},
    {"fsync", probe_fsync, 1},
    {"open-many", probe_open_many, 1},
    {"direct", probe_direct, 1},
    {"parallel", probe_parallel, 1},
    {"locks", probe_locks, 1},
    {"flock-refused", probe_flock_refused, 1},
    {"flock-wait", probe_flock_wait, 1},
    {"socket", probe_socket, 1},
    {"errors", probe_errors, 1},
};

int probe_failed(const char *expected, const char *format, ...) {
  va_list args;

  printf("expected %s, got ", expected);
  va_start(args, format);
  vprintf(format, args);
  va_end(args);
  printf("\n");
  return PROBE_FAILED;
}

int probe_error(const char *call) {
  const char *name = strerrorname_np(errno);

  printf("expected %s to work, got %s\n", call, name ? name : "an unknown error");
  return PROBE_FAILED;
}

int probe_same(const char *what, const char *expected, const char *got, unsigned long len) {
  for (unsigned long i = 0; i < len; i++)
    if (expected[i] != got[i]) {
      printf("expected byte %lu of %s to be %#x, got %#x\n", i, what, (unsigned char)expected[i],
             (unsigned char)got[i]);
      return 0;
    }
  return 1;
}

int main(int argc, char **argv) {
  for (unsigned long i = 0; argc > 1 && i < sizeof probes / sizeof probes[0]; i++)
    if (strcmp(argv[1], probes[i].name) == 0 && argc - 2 == probes[i].args)
      return probes[i].run(argc - 2, argv + 2);
  fprintf(stderr, "usage: probe NAME ARGUMENT...\n");
  return 2;
}
