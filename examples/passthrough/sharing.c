/* SPDX-License-Identifier: BSD-3-Clause */
#include "sharing.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <virtiofs/daemon.h>

#define SECOND UINT64_C(1000000000)
#define LOCK_WAITERS_MAX 65536
#define LOCK_WAITERS_DEFAULT 48U
#define TIMEOUT_MAX 86400.0

/* Options that have no letter; those of the program's other files have other keys. */
enum {
  WRITEBACK = 0x600,
  NO_WRITEBACK,
  ALLOW_MMAP,
  NO_ALLOW_MMAP,
  ALLOW_DIRECT_IO,
  NO_ALLOW_DIRECT_IO,
  READDIRPLUS,
  NO_READDIRPLUS,
  POSIX_LOCK,
  NO_POSIX_LOCK,
  FLOCK,
  NO_FLOCK,
  LOCK_WAITERS,
  TIMEOUT,
  READONLY,
  NO_READONLY,
  PRESERVE_NOATIME,
  NO_PRESERVE_NOATIME,
};

static error_t parse_cache(const struct argp_state *state, struct sharing *sharing, const char *mode) {
  static const struct {
    const char *name;
    enum virtiofs_passthrough_cache cache;
    uint64_t valid_ns;
  } modes[] = {
      {"never", VIRTIOFS_PASSTHROUGH_CACHE_NEVER, 0},
      {"none", VIRTIOFS_PASSTHROUGH_CACHE_NEVER, 0}, /* as virtiofsd's older options have it */
      {"auto", VIRTIOFS_PASSTHROUGH_CACHE_AUTO, SECOND},
      {"metadata", VIRTIOFS_PASSTHROUGH_CACHE_METADATA, 86400 * SECOND},
      {"always", VIRTIOFS_PASSTHROUGH_CACHE_ALWAYS, 86400 * SECOND},
  };
  for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++)
    if (strcmp(modes[i].name, mode) == 0) {
      sharing->cache = modes[i].cache;
      sharing->valid_ns = modes[i].valid_ns;
      return 0;
    }
  return virtiofs_daemon_option_error(state, "--cache must be never, auto, metadata or always, not '%s'", mode);
}

/* Seconds, with a fraction if need be. */
static error_t parse_timeout(const struct argp_state *state, const char *text, struct sharing *sharing) {
  char *end;
  errno = 0;
  double seconds = strtod(text, &end);
  bool right = errno == 0 && end != text && *end == 0 && text[0] >= '0' && text[0] <= '9';
  if (!right || seconds > TIMEOUT_MAX)
    return virtiofs_daemon_option_error(state, "--timeout must be 0 to 86400 seconds, not '%s'", text);
  sharing->timeout_ns = (uint64_t)(seconds * (double)SECOND);
  sharing->has_timeout = true;
  return 0;
}

static error_t parse_waiters(const struct argp_state *state, const char *text, uint32_t *waiters) {
  char *end;
  errno = 0;
  unsigned long value = strtoul(text, &end, 10);
  if (errno != 0 || end == text || *end != 0 || text[0] == '-' || value < 1 || value > LOCK_WAITERS_MAX)
    return virtiofs_daemon_option_error(state, "--lock-waiters must be 1 to 65536, not '%s'", text);
  *waiters = (uint32_t)value;
  return 0;
}

/* Each lock that is waited for is a request under way. */
static error_t fit_waiters(const struct argp_state *state, struct sharing *sharing) {
  uint32_t inflight = virtiofs_daemon_option_max_inflight(state);
  if (inflight == 0 || (sharing->no_posix_lock && sharing->no_flock))
    return 0;
  if (sharing->lock_waiters >= inflight)
    return virtiofs_daemon_option_error(
        state, "--lock-waiters %u must be less than --max-inflight %u, or nobody gets through to unlock",
        sharing->lock_waiters, inflight);
  sharing->crowded = inflight == 1;
  if (sharing->lock_waiters == 0 && inflight <= LOCK_WAITERS_DEFAULT)
    sharing->lock_waiters = inflight > 1 ? inflight - 1 : 1;
  return 0;
}

static error_t parse(int key, char *arg, struct argp_state *state) {
  struct sharing *sharing = state->input;
  switch (key) {
  case ARGP_KEY_INIT:
    *sharing = (struct sharing){.valid_ns = SECOND};
    return 0;
  case 'c':
    return parse_cache(state, sharing, arg);
  case READONLY:
  case NO_READONLY:
    sharing->readonly = key == READONLY;
    return 0;
  case PRESERVE_NOATIME:
  case NO_PRESERVE_NOATIME:
    sharing->preserve_noatime = key == PRESERVE_NOATIME;
    return 0;
  case TIMEOUT:
    return parse_timeout(state, arg, sharing);
  case WRITEBACK:
  case NO_WRITEBACK:
    sharing->writeback = key == WRITEBACK;
    return 0;
  case ALLOW_MMAP:
  case NO_ALLOW_MMAP:
    sharing->allow_mmap = key == ALLOW_MMAP;
    return 0;
  case ALLOW_DIRECT_IO:
  case NO_ALLOW_DIRECT_IO:
    sharing->allow_direct_io = key == ALLOW_DIRECT_IO;
    return 0;
  case READDIRPLUS:
  case NO_READDIRPLUS:
    sharing->readdirplus = key == READDIRPLUS;
    sharing->no_readdirplus = key == NO_READDIRPLUS;
    return 0;
  case POSIX_LOCK:
  case NO_POSIX_LOCK:
    sharing->no_posix_lock = key == NO_POSIX_LOCK;
    return 0;
  case FLOCK:
  case NO_FLOCK:
    sharing->no_flock = key == NO_FLOCK;
    return 0;
  case LOCK_WAITERS:
    return parse_waiters(state, arg, &sharing->lock_waiters);
  case ARGP_KEY_END:
    return fit_waiters(state, sharing);
  default:
    return ARGP_ERR_UNKNOWN;
  }
}

static const struct argp_option options[] = {
    {"cache", 'c', "MODE", 0,
     "What a guest may keep: never (nothing), auto (names and attributes for a second, contents while nobody changes "
     "them; the default), metadata (names and attributes for a day, no contents), always (all for a day)",
     0},
    {"timeout", TIMEOUT, "SECONDS", 0,
     "How long names and attributes are kept, 0 to 86400, with a fraction if need be; default: as --cache has it", 0},
    {"writeback", WRITEBACK, NULL, 0, "What a guest writes goes to the host later: the files are that guest's alone",
     0},
    {"no-writeback", NO_WRITEBACK, NULL, 0, "It goes there at once, the default", 0},
    {"allow-mmap", ALLOW_MMAP, NULL, 0, "Shared mappings of files even with --cache never or metadata", 0},
    {"no-allow-mmap", NO_ALLOW_MMAP, NULL, 0, "None there, the default", 0},
    {"allow-direct-io", ALLOW_DIRECT_IO, NULL, 0, "O_DIRECT in the guest is O_DIRECT on the host", 0},
    {"no-allow-direct-io", NO_ALLOW_DIRECT_IO, NULL, 0, "It passes by the guest's cache only, the default", 0},
    {"readonly", READONLY, NULL, 0, "Nothing can be changed through the share", 0},
    {"no-readonly", NO_READONLY, NULL, 0, "It can, the default", 0},
    {"preserve-noatime", PRESERVE_NOATIME, NULL, 0, "O_NOATIME in the guest is O_NOATIME on the host", 0},
    {"no-preserve-noatime", NO_PRESERVE_NOATIME, NULL, 0, "It is nothing there, the default", 0},
    {"readdirplus", READDIRPLUS, NULL, 0, "List directories with attributes; the default but for --cache never", 0},
    {"no-readdirplus", NO_READDIRPLUS, NULL, 0, "Without", 0},
    {"posix-lock", POSIX_LOCK, NULL, 0, "Locks of fcntl(2) are the host's: others see them; the default", 0},
    {"no-posix-lock", NO_POSIX_LOCK, NULL, 0, "They stay in each guest", 0},
    {"flock", FLOCK, NULL, 0, "Locks of flock(2) are the host's: others see them; the default", 0},
    {"no-flock", NO_FLOCK, NULL, 0, "They stay in each guest", 0},
    {"lock-waiters", LOCK_WAITERS, "N", 0,
     "Locks that one guest may wait for, 1 to 65536 (default 48, or one less than "
     "--max-inflight)",
     0},
    {0},
};

const struct argp sharing_argp = {.options = options, .parser = parse};

void sharing_into(const struct sharing *sharing, struct virtiofs_passthrough_config *config) {
  config->entry_valid_ns = config->attr_valid_ns = sharing->has_timeout ? sharing->timeout_ns : sharing->valid_ns;
  config->cache = sharing->cache;
  config->writeback = sharing->writeback;
  config->allow_mmap = sharing->allow_mmap;
  config->allow_direct_io = sharing->allow_direct_io;
  /* Attributes that can't be kept would be listed for nothing. */
  config->no_readdirplus =
      sharing->no_readdirplus || (sharing->cache == VIRTIOFS_PASSTHROUGH_CACHE_NEVER && !sharing->readdirplus);
  config->no_posix_lock = sharing->no_posix_lock;
  config->no_flock = sharing->no_flock;
  config->readonly = sharing->readonly;
  config->preserve_noatime = sharing->preserve_noatime;
  config->lock_waiters = sharing->lock_waiters;
}
