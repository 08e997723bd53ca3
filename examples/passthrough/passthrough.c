/* SPDX-License-Identifier: BSD-3-Clause */
/* Serves a directory of the host: virtiofs-passthrough --socket-path S --shared-dir D [--tag T].
 * cc passthrough.c limits.c rights.c sharing.c spellings.c -o virtiofs-passthrough \
 *     $(pkg-config --cflags --libs libvirtiofs-daemon) */
#include <argp.h>
#include <errno.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include <virtiofs/passthrough.h>
#include <virtiofs/virtiofs.h>

#include "limits.h"
#include "rights.h"
#include "sharing.h"
#include "spellings.h"

#define MOST_FDS (1 << 20)
#define LEAST_FDS 64
#define SHARE_FDS 1024 /* of one among several: at least, and */
#define SHARE_PART 8   /* one so many'th of all */
#define MOST_IDLE 3600
#define PROGRAM "virtiofs-passthrough"

/* What the options say. */
struct settings {
  const struct virtiofs_daemon_share_in *share; /* NULL: the one of the command line */
  const char *shared_dir;
  bool device_nodes;
  bool xattr, posix_acl, needs_acl;
  const char *xattrmap;
  struct rights rights;
  struct sharing sharing;
  struct limits limits;
  enum virtiofs_passthrough_handles handles;
  uint32_t inode_fds, inode_idle_ms, max_fds;
  bool hide_submounts;
  enum virtiofs_passthrough_dax dax;
};

/* Of the process. */
static const struct virtiofs_sandbox_inside *inside;

/* Options that have no letter. */
enum {
  SHARED_DIR = 256,
  NO_XATTR,
  XATTRMAP,
  POSIX_ACL,
  FILE_HANDLES,
  INODE_FDS,
  INODE_IDLE,
  MAX_FDS,
  SUBMOUNTS,
  NO_SUBMOUNTS,
  DAX
};

static int parse_acl(struct settings *settings, const char *mode) {
  settings->posix_acl = mode == NULL || strcmp(mode, "never") != 0;
  settings->needs_acl = settings->posix_acl && (mode == NULL || strcmp(mode, "always") == 0);
  return mode == NULL || strcmp(mode, "never") == 0 || strcmp(mode, "auto") == 0 || strcmp(mode, "always") == 0
             ? 0
             : -EINVAL;
}

/* "fallback" is how older virtiofsd spelt "prefer". */
static int parse_handles(struct settings *settings, const char *mode) {
  if (strcmp(mode, "never") == 0)
    settings->handles = VIRTIOFS_PASSTHROUGH_HANDLES_NEVER;
  else if (strcmp(mode, "prefer") == 0 || strcmp(mode, "fallback") == 0)
    settings->handles = VIRTIOFS_PASSTHROUGH_HANDLES_PREFER;
  else if (strcmp(mode, "mandatory") == 0)
    settings->handles = VIRTIOFS_PASSTHROUGH_HANDLES_MANDATORY;
  else
    return -EINVAL;
  return 0;
}

static int parse_count(const char *text, uint32_t least, uint32_t most, uint32_t *count) {
  char *end;
  errno = 0;
  unsigned long value = strtoul(text, &end, 10);
  if (errno != 0 || *text < '0' || *text > '9' || *end != '\0' || value < least || value > most)
    return -EINVAL;
  *count = (uint32_t)value;
  return 0;
}

static int parse_idle(struct settings *settings, const char *text) {
  uint32_t seconds;
  if (parse_count(text, 0, MOST_IDLE, &seconds) != 0)
    return -EINVAL;
  settings->inode_idle_ms = seconds != 0 ? seconds * 1000 : UINT32_MAX;
  return 0;
}

static int parse_dax(struct settings *settings, const char *mode) {
  if (strcmp(mode, "always") == 0)
    settings->dax = VIRTIOFS_PASSTHROUGH_DAX_ALWAYS;
  else if (strcmp(mode, "never") == 0)
    settings->dax = VIRTIOFS_PASSTHROUGH_DAX_NEVER;
  else if (strcmp(mode, "inode") == 0)
    settings->dax = VIRTIOFS_PASSTHROUGH_DAX_INODE;
  else
    return -EINVAL;
  return 0;
}

/* What is about files that guests know. */
static error_t parse_inodes(const struct argp_state *state, int key, const char *arg) {
  struct settings *settings = state->input;
  switch (key) {
  case FILE_HANDLES:
    if (parse_handles(settings, arg) == 0)
      return 0;
    return virtiofs_daemon_option_error(state, "--inode-file-handles must be never, prefer or mandatory, not '%s'",
                                        arg);
  case INODE_FDS:
    if (parse_count(arg, 1, MOST_FDS, &settings->inode_fds) == 0)
      return 0;
    return virtiofs_daemon_option_error(state, "--inode-fds must be 1 to %d, not '%s'", MOST_FDS, arg);
  case MAX_FDS:
    if (parse_count(arg, LEAST_FDS, MOST_FDS, &settings->max_fds) == 0)
      return 0;
    return virtiofs_daemon_option_error(state, "--max-fds must be %d to %d, not '%s'", LEAST_FDS, MOST_FDS, arg);
  case INODE_IDLE:
    if (parse_idle(settings, arg) == 0)
      return 0;
    return virtiofs_daemon_option_error(state, "--inode-idle must be 0 to %d, not '%s'", MOST_IDLE, arg);
  case SUBMOUNTS:
  case NO_SUBMOUNTS:
    settings->hide_submounts = key == NO_SUBMOUNTS;
    return 0;
  case DAX:
    if (parse_dax(settings, arg) == 0)
      return 0;
    return virtiofs_daemon_option_error(state, "--dax must be always, never or inode, not '%s'", arg);
  default:
    return ARGP_ERR_UNKNOWN;
  }
}

static error_t parse(int key, char *arg, struct argp_state *state) {
  struct settings *settings = state->input;
  switch (key) {
  case ARGP_KEY_INIT:
    state->child_inputs[0] = &settings->rights;
    state->child_inputs[1] = &settings->sharing;
    state->child_inputs[2] = &settings->limits;
    return 0;
  case SHARED_DIR:
    settings->shared_dir = arg;
    return 0;
  case 'n':
    settings->device_nodes = true;
    return 0;
  case 'x':
    settings->xattr = true;
    return 0;
  case NO_XATTR:
    settings->xattr = settings->posix_acl = false;
    settings->xattrmap = NULL;
    return 0;
  case XATTRMAP:
    settings->xattrmap = arg;
    return 0;
  case POSIX_ACL:
    if (parse_acl(settings, arg) == 0)
      return 0;
    return virtiofs_daemon_option_error(state, "--posix-acl must be never, auto or always, not '%s'", arg);
  default:
    return parse_inodes(state, key, arg);
  }
}

/* What the options say, but for where the directory is. */
static void configure(const struct settings *settings, struct virtiofs_passthrough_config *config) {
  *config = (struct virtiofs_passthrough_config){
      .size = sizeof(*config),
      .device_nodes = settings->device_nodes,
      .xattr = settings->xattr,
      .xattrmap = settings->xattrmap,
      .posix_acl = settings->posix_acl,
      .posix_acl_required = settings->needs_acl,
      .inode_file_handles = settings->handles,
      .inode_fds = settings->inode_fds,
      .inode_idle_ms = settings->inode_idle_ms,
      .hide_submounts = settings->hide_submounts,
      .dax = settings->dax,
      .keep_ids = true, /* the device has threads of its own */
  };
  rights_into(&settings->rights, config);
  sharing_into(&settings->sharing, config);
  limits_into(&settings->limits, config);
}

static int sandbox(void *fs, struct virtiofs_sandbox_config *config) {
  const struct settings *settings = fs;
  struct virtiofs_passthrough_config wanted;
  configure(settings, &wanted);
  config->root = settings->shared_dir;
  config->capabilities |= virtiofs_passthrough_capabilities(&wanted);
  config->labels = config->labels || wanted.security_label != VIRTIOFS_PASSTHROUGH_NEVER;
  /* Nobody knows yet what shares will be. */
  if (settings->share == NULL && settings->shared_dir == NULL) {
    config->capabilities |= UINT64_C(1) << CAP_MKNOD | UINT64_C(1) << CAP_SETFCAP;
    config->labels = true;
  }
  config->read_only = wanted.readonly;
  config->close_inherited = true;
  config->by_handle = wanted.inode_file_handles != VIRTIOFS_PASSTHROUGH_HANDLES_NEVER;
  rights_sandbox(&settings->rights, config);
  return 0;
}

static void entered(void *fs, const struct virtiofs_sandbox_inside *given) {
  (void)fs;
  inside = given;
}

/* The one share's end is the program's. */
static int fail(const struct settings *settings, const struct virtiofs_log *log, const char *what, const char *whom,
                int rc) {
  const char *why = *whom != 0 ? strerror(-rc) : "";
  const char *colon = *whom != 0 ? ": " : "";
  if (settings->share == NULL)
    (void)fprintf(stderr, PROGRAM ": %s%s%s%s\n", what, whom, colon, why);
  else
    virtiofs_log_write(log, VIRTIOFS_LOG_ERROR, "passthrough", "%s%s%s%s", what, whom, colon, why);
  return rc;
}

/* No guest of one share is to have all that those of the others need. */
static uint32_t max_fds(const struct settings *settings) {
  struct rlimit limit;
  if (settings->max_fds != 0 || settings->share == NULL || getrlimit(RLIMIT_NOFILE, &limit) != 0)
    return settings->max_fds;
  rlim_t part = limit.rlim_cur / SHARE_PART;
  return part < SHARE_FDS ? SHARE_FDS : part < MOST_FDS ? (uint32_t)part : MOST_FDS;
}

static int start(void **fs, const struct virtiofs_log *log) {
  const struct settings *settings = *fs;
  const char *dir = settings->share != NULL ? settings->shared_dir : inside->root;
  struct virtiofs_passthrough_config config;
  struct virtiofs_passthrough *passthrough;
  configure(settings, &config);
  config.shared_dir = dir;
  config.shared_fd = settings->share != NULL && settings->share->dir_fd > 0 ? settings->share->dir_fd : 0;
  config.proc_fd = inside->proc_fd;
  config.task_fd = inside->task_fd;
  config.max_fds = max_fds(settings);
  config.log = *log;
  if (dir == NULL && config.shared_fd == 0)
    return fail(settings, log, "--shared-dir is required", "", -EINVAL);
  int rc = virtiofs_passthrough_new(&passthrough, &config);
  if (rc == -EINVAL)
    return rc; /* the log has it: rules are broken */
  if (rc != 0)
    return fail(settings, log, "cannot serve ", settings->shared_dir != NULL ? settings->shared_dir : "it", rc);
  *fs = passthrough;
  return 0;
}

static void stop(void *fs) {
  virtiofs_passthrough_free(fs);
}

static int share_new(const struct virtiofs_daemon_share_in *in, void **fs) {
  struct settings *settings = calloc(1, sizeof(*settings));
  if (settings == NULL)
    return -ENOMEM;
  settings->share = in;
  settings->rights.of_share = true;
  *fs = settings;
  return 0;
}

static void share_free(void *fs) {
  struct settings *settings = fs;
  rights_fini(&settings->rights);
  free(settings);
}

int main(int argc, char **argv) {
  static const struct argp_option options[] = {
      {"shared-dir", SHARED_DIR, "DIR", 0, "Serve this directory (required)", 0},
      {"device-nodes", 'n', NULL, 0,
       "Let guests make device nodes, which anybody who can reach them may open on this host", 0},
      {"xattr", 'x', NULL, 0, "Extended attributes", 0},
      {"no-xattr", NO_XATTR, NULL, 0, "None, the default", 0},
      {"xattrmap", XATTRMAP, "RULES", 0, "Names of extended attributes on the host; the man page has the rules", 0},
      {"posix-acl", POSIX_ACL, "MODE", OPTION_ARG_OPTIONAL,
       "POSIX ACLs, if the directory's file system has them: always (the guest must know them), auto, or never, the "
       "default",
       0},
      {"inode-file-handles", FILE_HANDLES, "MODE", 0,
       "Open files that guests know by file handle when needed: never, prefer (where it can be done, the default), "
       "mandatory",
       0},
      {"announce-submounts", SUBMOUNTS, NULL, 0,
       "Show file systems that are mounted below the directory as such, with an st_dev of their own; the default", 0},
      {"no-announce-submounts", NO_SUBMOUNTS, NULL, 0, "Show all as one", 0},
      {"inode-fds", INODE_FDS, "N", 0, "Descriptors to keep for files that have handles; default 16384", 0},
      {"max-fds", MAX_FDS, "N", 0,
       "Descriptors that a guest may keep in use, 64 to 1048576 (default: what the process may have; of one of several "
       "shares an eighth of that)",
       0},
      {"inode-idle", INODE_IDLE, "SECONDS", 0, "How long without use these are kept; default 5; 0: for ever", 0},
      {"dax", DAX, "MODE", 0,
       "Files that a guest mounted with dax=inode maps into the window (--cache-size): always (all, the default), "
       "never "
       "(none, however it was mounted), or inode (those of at least 2 MiB)",
       0},
      {0},
  };
  static const struct argp_child children[] = {
      {&rights_argp, 0, NULL, 0}, {&sharing_argp, 0, NULL, 0}, {&limits_argp, 0, NULL, 0}, {0}};
  static const struct argp argp = {.options = options, .parser = parse, .children = children};
  static struct settings settings;
  struct virtiofs_daemon_config config = {
      .size = sizeof(config),
      .doc = "Serve a directory of this host to virtual machines by virtio-fs.",
      .version = PROGRAM " " VIRTIOFS_VERSION_STRING,
      .argp = &argp,
      .argp_input = &settings,
      .features = (const char *const[]){"separate-options", "posix-acl-negotiation-mode", NULL},
      .sandbox = sandbox,
      .entered = entered,
      .start = start,
      .stop = stop,
      .spellings = spellings,
      .log_env = "RUST_LOG",
      .once = true,
      .share_new = share_new,
      .share_free = share_free,
      .metrics = limits_metrics,
  };
  return virtiofs_daemon_main(argc, argv, virtiofs_passthrough_ops(), &settings, &config);
}
