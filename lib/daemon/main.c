/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <virtiofs/daemon.h>

#include "base/config.h"
#include "daemon/capabilities.h"
#include "daemon/confine.h"
#include "daemon/listen.h"
#include "daemon/options.h"
#include "daemon/process.h"
#include "daemon/record.h"

#define TAG "daemon"
#define MOUNT_THREADS 4U

/* Front-ends, one after the other, until a signal ends it. */
static int serve_all(struct virtiofs_device *dev, struct virtiofs_daemon_listener *listener,
                     const struct virtiofs_log *log) {
  if (listener->connected) {
    int fd = listener->fd;
    listener->fd = -1;
    return virtiofs_device_serve(dev, fd);
  }
  for (;;) {
    int fd = virtiofs_daemon_accept(listener, virtiofs_device_stop_fd(dev));
    if (fd < 0)
      return fd;
    int rc = virtiofs_device_serve(dev, fd);
    if (rc == -ECANCELED)
      return rc;
    if (rc != 0)
      virtiofs_log_write(log, VIRTIOFS_LOG_WARN, TAG, "connection ended: %s", strerror(-rc));
  }
}

/* Until a signal or the other side ends it. */
static int serve(struct virtiofs_device *dev, const struct virtiofs_daemon_options *options, const char *program,
                 struct virtiofs_daemon_listener *listener, const struct virtiofs_log *log) {
  if (options->mountpoint != NULL) {
    struct virtiofs_fusedev_config mount = {
        .size = sizeof(mount), .mountpoint = options->mountpoint, .source = program};
    int rc = virtiofs_device_mount(dev, &mount);
    if (rc != 0 && rc != -ECANCELED)
      (void)fprintf(stderr, "%s: cannot mount at '%s': %s\n", program, options->mountpoint, strerror(-rc));
    return rc;
  }
  int rc = serve_all(dev, listener, log);
  if (rc != 0 && rc != -ECANCELED)
    (void)fprintf(stderr, "%s: cannot go on: %s\n", program, strerror(-rc));
  return rc;
}

static int run_device(struct virtiofs_device *dev, const struct virtiofs_daemon_options *options, const char *program,
                      struct virtiofs_daemon_listener *listener, const struct virtiofs_log *log) {
  struct virtiofs_daemon_signals signals;
  int rc = virtiofs_daemon_signals_start(&signals, dev);
  if (rc != 0) {
    (void)fprintf(stderr, "%s: cannot start a thread: %s\n", program, strerror(-rc));
    return rc;
  }
  rc = serve(dev, options, program, listener, log);
  virtiofs_daemon_signals_end(&signals);
  return rc == -ECANCELED ? 0 : rc;
}

static int run_new_device(const struct virtiofs_daemon_options *options, const struct virtiofs_device_config *config,
                          const char *program, struct virtiofs_daemon_listener *listener) {
  struct virtiofs_device *dev;
  int rc = virtiofs_device_new(&dev, config);
  if (rc != 0)
    (void)fprintf(stderr, "%s: cannot make the device: %s\n", program, strerror(-rc));
  else
    rc = run_device(dev, options, program, listener, &config->log);
  virtiofs_device_free(dev);
  return rc;
}

/* With what the program brings: between its start and its stop. */
static int run_program(const struct virtiofs_daemon_options *options, const struct virtiofs_daemon_config *config,
                       const char *program, struct virtiofs_device_config *device,
                       struct virtiofs_daemon_listener *listener) {
  struct virtiofs_sandbox_inside inside;
  int rc = virtiofs_daemon_confine(&inside, &options->sandbox, config, device, listener);
  if (rc == 0 && config->isolate != NULL)
    rc = config->isolate(device->fs, &device->log);
  if (rc == 0 && config->start != NULL)
    rc = config->start(&device->fs, &device->log);
  if (rc != 0)
    return rc;
  rc = run_new_device(options, device, program, listener);
  if (config->stop != NULL)
    config->stop(device->fs);
  return rc;
}

/* The socket comes first: where it lies need not be a place that the program can write to later. */
static int run_listening(const struct virtiofs_daemon_options *options, const struct virtiofs_daemon_config *config,
                         const char *program, struct virtiofs_device_config *device) {
  struct virtiofs_daemon_listener listener = {.fd = -1, .lock_fd = -1};
  int rc = 0;
  virtiofs_daemon_signals_hold();
  if (options->socket_path != NULL)
    rc = virtiofs_daemon_listen_path(&listener, program, options->socket_path);
  else if (options->fd >= 0)
    rc = virtiofs_daemon_listen_fd(&listener, program, options->fd);
  if (rc != 0)
    return rc;
  rc = run_program(options, config, program, device, &listener);
  virtiofs_daemon_listen_end(&listener);
  return rc;
}

static int run(const struct virtiofs_daemon_options *options, const struct virtiofs_daemon_config *config,
               const char *program, const struct virtiofs_ops *ops, void *fs) {
  struct virtiofs_device_config device = {
      .size = sizeof(device),
      .ops = ops,
      .fs = fs,
      .tag = options->tag,
      .request_queues = options->queues != 0 || options->mountpoint == NULL ? options->queues : MOUNT_THREADS,
      .pool_threads = options->pool_threads,
      .poll_us = options->poll_us,
      .window_len = options->cache_size,
      .max_nodes = config->max_nodes,
      .max_handles = config->max_handles,
      .log = {.fn = virtiofs_log_stderr, .level = options->log_level},
  };
  struct virtiofs_daemon_record *record = NULL;
  int rc = virtiofs_daemon_process_prepare(program);
  /* Before the program may give up what it takes to make the file. */
  if (rc == 0 && options->record != NULL) {
    rc = virtiofs_daemon_record_open(&record, program, options->record, options->record_data, &device.log);
    device.tap = &virtiofs_daemon_record_tap;
    device.tap_ctx = record;
  }
  if (rc == 0)
    rc = run_listening(options, config, program, &device);
  virtiofs_daemon_record_close(record);
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
  return run(&options, &config, program, ops, fs) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

int virtiofs_main(int argc, char **argv, const struct virtiofs_ops *ops, void *fs) {
  return virtiofs_daemon_main(argc, argv, ops, fs, NULL);
}
