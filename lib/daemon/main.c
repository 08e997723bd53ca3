/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <virtiofs/daemon.h>

#include "base/config.h"
#include "daemon/capabilities.h"
#include "daemon/confine.h"
#include "daemon/control.h"
#include "daemon/logging.h"
#include "daemon/metrics.h"
#include "daemon/options.h"
#include "daemon/process.h"
#include "daemon/ready.h"
#include "daemon/share.h"

static void stop_server(void *ctx) {
  const struct virtiofs_daemon_confined *server = ctx;
  if (server->share != NULL)
    virtiofs_daemon_share_stop(server->share);
  else
    virtiofs_daemon_control_stop(server->control);
}

/* One share, or several. */
static int open_server(struct virtiofs_daemon_confined *server) {
  const struct virtiofs_daemon_share_setup *setup = server->setup;
  bool several = setup->options->control != NULL || setup->options->shares != NULL;
  return several ? virtiofs_daemon_control_open(&server->control, setup)
                 : virtiofs_daemon_share_open(&server->share, setup);
}

static void tell_ready(void *ctx) {
  virtiofs_daemon_confined_ready(ctx);
}

static int serve_server(struct virtiofs_daemon_confined *server) {
  if (server->share == NULL)
    return virtiofs_daemon_control_run(server->control, tell_ready, server);
  tell_ready(server);
  return virtiofs_daemon_share_serve(server->share);
}

/*
 * Where the front-end's leaving is the end, a signal that comes before has cut it off, as launchers know it from
 * virtiofsd; where only a signal ends a server it is no fault. SIGINT is for those who mean the end in both.
 */
static bool cut_off(const struct virtiofs_daemon_confined *server, const struct virtiofs_daemon_options *options,
                    int signal) {
  return server->share != NULL && options->once && options->mountpoint == NULL &&
         (signal == SIGTERM || signal == SIGHUP);
}

static void report(void *ctx) {
  virtiofs_daemon_metrics_log(ctx);
}

/* Until a signal or the other side ends it. */
static int serve(struct virtiofs_daemon_confined *server, const struct virtiofs_daemon_share_setup *setup) {
  const char *program = setup->program;
  struct virtiofs_daemon_signals signals = {.report = report, .report_ctx = setup->metrics};
  int rc = virtiofs_daemon_signals_start(&signals, stop_server, server);
  if (rc != 0) {
    (void)fprintf(stderr, "%s: cannot start a thread: %s\n", program, strerror(-rc));
    return rc;
  }
  rc = serve_server(server);
  virtiofs_daemon_signals_end(&signals);
  if (signals.got != 0)
    virtiofs_log_write(&setup->log, VIRTIOFS_LOG_INFO, "daemon", "ended by SIG%s", sigabbrev_np(signals.got));
  return rc == 0 && cut_off(server, setup->options, signals.got) ? -EINTR : rc;
}

static int start_metrics(const struct virtiofs_daemon_share_setup *setup) {
  int rc = virtiofs_daemon_metrics_start(setup->metrics);
  if (rc != 0)
    (void)fprintf(stderr, "%s: cannot start a thread: %s\n", setup->program, strerror(-rc));
  return rc;
}

/* What needs the rights that the process has begun with comes first, then what the program gives up, then the rest. */
static int run(struct virtiofs_daemon_share_setup *setup, struct virtiofs_daemon_ready *ready) {
  const struct virtiofs_daemon_config *config = setup->config;
  struct virtiofs_daemon_confined server = {.setup = setup, .ready = ready};
  const struct virtiofs_daemon_sandbox_options *limits = &setup->options->sandbox;
  int rc = virtiofs_daemon_process_prepare(setup->program);
  if (rc == 0)
    rc = virtiofs_daemon_process_files(setup->program, limits->open_files_said, limits->open_files);
  virtiofs_daemon_signals_hold();
  if (rc == 0)
    rc = virtiofs_daemon_metrics_open(&setup->metrics, setup->program, setup->options->limits.metrics, &setup->log);
  if (rc == 0)
    rc = open_server(&server);
  if (rc == 0)
    rc = virtiofs_daemon_confine(&server);
  if (rc == 0 && config->isolate != NULL)
    rc = config->isolate(setup->fs, &setup->log);
  if (rc == 0)
    rc = virtiofs_daemon_confine_more(&server);
  if (rc == 0 && server.share != NULL)
    rc = virtiofs_daemon_share_start(server.share);
  if (rc == 0)
    rc = virtiofs_daemon_confine_last(&server);
  if (rc == 0)
    rc = start_metrics(setup);
  if (rc == 0)
    rc = serve(&server, setup);
  virtiofs_daemon_share_free(server.share);
  virtiofs_daemon_control_free(server.control);
  virtiofs_daemon_metrics_close(setup->metrics);
  return rc;
}

static const char *program_name(int argc, char **argv) {
  if (argc < 1 || argv[0] == NULL)
    return "virtiofs";
  const char *slash = strrchr(argv[0], '/');
  return slash != NULL ? slash + 1 : argv[0];
}

static int print_capabilities(const char *program, const struct virtiofs_daemon_config *config) {
  int rc = virtiofs_daemon_print_capabilities(config->features);
  if (rc != 0)
    (void)fprintf(stderr, "%s: cannot print the capabilities: %s\n", program, strerror(-rc));
  return rc;
}

/* What the options have said, with a log to speak to. */
static int run_with_log(struct virtiofs_daemon_share_setup *setup) {
  struct virtiofs_daemon_syslog syslog;
  struct virtiofs_daemon_ready ready;
  int rc = virtiofs_daemon_ready_prepare(&ready, setup->options->daemonize, setup->program);
  if (rc != 0)
    return rc;
  virtiofs_daemon_log_start(&setup->log, &syslog, setup->options, setup->config, setup->program);
  rc = run(setup, &ready);
  virtiofs_daemon_ready_end(&ready);
  virtiofs_daemon_syslog_close(&syslog);
  return rc;
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
  struct virtiofs_daemon_share_setup setup = {
      .program = program, .config = &config, .options = &options, .ops = ops, .fs = fs};
  rc = options.print_capabilities ? print_capabilities(program, &config) : run_with_log(&setup);
  virtiofs_daemon_options_free(&options);
  return rc == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

int virtiofs_main(int argc, char **argv, const struct virtiofs_ops *ops, void *fs) {
  return virtiofs_daemon_main(argc, argv, ops, fs, NULL);
}
