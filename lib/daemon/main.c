/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <virtiofs/daemon.h>

#include "base/config.h"
#include "daemon/capabilities.h"
#include "daemon/options.h"
#include "daemon/process.h"
#include "daemon/share.h"

static void stop_share(void *ctx) {
  virtiofs_daemon_share_stop(ctx);
}

/* Until a signal or the other side ends it. */
static int serve(struct virtiofs_daemon_share *share, const char *program) {
  struct virtiofs_daemon_signals signals;
  int rc = virtiofs_daemon_signals_start(&signals, stop_share, share);
  if (rc != 0) {
    (void)fprintf(stderr, "%s: cannot start a thread: %s\n", program, strerror(-rc));
    return rc;
  }
  rc = virtiofs_daemon_share_serve(share);
  virtiofs_daemon_signals_end(&signals);
  return rc;
}

/* What needs the rights that the process has begun with comes first, then what the program gives up, then the rest. */
static int run(const struct virtiofs_daemon_share_setup *setup) {
  const struct virtiofs_daemon_config *config = setup->config;
  struct virtiofs_daemon_share *share = NULL;
  int rc = virtiofs_daemon_process_prepare(setup->program);
  virtiofs_daemon_signals_hold();
  if (rc == 0)
    rc = virtiofs_daemon_share_open(&share, setup);
  if (rc == 0 && config->isolate != NULL)
    rc = config->isolate(setup->fs, &setup->log);
  if (rc == 0)
    rc = virtiofs_daemon_share_start(share);
  if (rc == 0)
    rc = serve(share, setup->program);
  virtiofs_daemon_share_free(share);
  return rc;
}

static const char *program_name(int argc, char **argv) {
  if (argc < 1 || argv[0] == NULL)
    return "virtiofs";
  const char *slash = strrchr(argv[0], '/');
  return slash != NULL ? slash + 1 : argv[0];
}

int virtiofs_daemon_main(int argc, char **argv, const struct virtiofs_ops *ops, void *fs,
                         const struct virtiofs_daemon_config *given) {
  struct virtiofs_daemon_config config = {.size = sizeof(config)};
  struct virtiofs_daemon_options options;
  const char *program = program_name(argc, argv);
  int rc = given != NULL ? virtiofs_config_copy(&config, sizeof(config), given, given->size) : 0;
  if (rc != 0) {
    (void)fprintf(stderr, "%s: built for another version of libvirtiofs-daemon\n", program);
    return EXIT_FAILURE;
  }
  virtiofs_daemon_options_parse(&options, &config, argc, argv);
  if (options.print_capabilities) {
    rc = virtiofs_daemon_print_capabilities(config.features);
    if (rc != 0)
      (void)fprintf(stderr, "%s: cannot print the capabilities: %s\n", program, strerror(-rc));
    return rc == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
  }
  struct virtiofs_daemon_share_setup setup = {.program = program,
                                              .config = &config,
                                              .options = &options,
                                              .ops = ops,
                                              .fs = fs,
                                              .log = {.fn = virtiofs_log_stderr, .level = options.log_level}};
  return run(&setup) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

int virtiofs_main(int argc, char **argv, const struct virtiofs_ops *ops, void *fs) {
  return virtiofs_daemon_main(argc, argv, ops, fs, NULL);
}
