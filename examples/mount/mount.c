/* SPDX-License-Identifier: BSD-3-Clause */
/* virtiofs-mount: mounts a vhost-user virtio-fs device on this host, with no virtual machine.
 *
 * The kernel's requests go as they are from /dev/fuse into the device's queues, and the replies back; the bytes lie in
 * memory that both see, so that nothing is copied here. One thread for each request queue. */
#include <argp.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "mount.h"

enum { KEY_QUEUES = 0x100, KEY_POLL, KEY_READ_ONLY, KEY_PACKED };

struct options {
  const char *socket, *mountpoint;
  uint32_t queues;
  bool poll, read_only, packed;
};

static const struct argp_option argp_options[] = {
    {"queues", KEY_QUEUES, "N", 0, "Request queues, and threads, 1 to 32 (default 1)", 0},
    {"poll", KEY_POLL, NULL, 0, "Wait for replies without sleeping", 0},
    {"packed", KEY_PACKED, NULL, 0, "Use packed rings if the device has them", 0},
    {"read-only", KEY_READ_ONLY, NULL, 0, "Refuse what would change something", 0},
    {0},
};

static error_t parse(int key, char *arg, struct argp_state *state) {
  struct options *options = state->input;
  char *end;
  switch (key) {
  case KEY_QUEUES:
    errno = 0;
    options->queues = (uint32_t)strtoul(arg, &end, 10);
    if (errno != 0 || end == arg || *end != 0 || options->queues < 1 || options->queues > QUEUES_MAX)
      argp_error(state, "--queues must be 1 to %d, not '%s'", QUEUES_MAX, arg);
    return 0;
  case KEY_POLL:
    options->poll = true;
    return 0;
  case KEY_PACKED:
    options->packed = true;
    return 0;
  case KEY_READ_ONLY:
    options->read_only = true;
    return 0;
  case ARGP_KEY_ARG:
    if (state->arg_num == 0)
      options->socket = arg;
    else if (state->arg_num == 1)
      options->mountpoint = arg;
    else
      return ARGP_ERR_UNKNOWN;
    return 0;
  case ARGP_KEY_END:
    if (state->arg_num < 2)
      argp_error(state, "a socket and a mount point are required");
    return 0;
  default:
    return ARGP_ERR_UNKNOWN;
  }
}

static void hold_signals(sigset_t *set) {
  sigemptyset(set);
  sigaddset(set, SIGTERM);
  sigaddset(set, SIGINT);
  sigaddset(set, SIGHUP);
  pthread_sigmask(SIG_BLOCK, set, NULL);
}

/* Signals become an event beside the end of the mount. */
static void *wait_for_signal(void *arg) {
  struct mount *mount = arg;
  sigset_t set;
  int got;
  hold_signals(&set);
  while (sigwait(&set, &got) != 0)
    continue;
  mount_ring(mount->stop_fd);
  return NULL;
}

static int open_both(struct mount *mount, const struct options *options) {
  size_t message = 2 * (2 * PAGE + MAX_DATA);
  struct virtiofs_client_config client = {.size = sizeof(client),
                                          .socket_path = options->socket,
                                          .request_queues = options->queues,
                                          .requests = 1,
                                          .max_data = PAGE,
                                          .memory = message * MESSAGES * options->queues,
                                          .poll = options->poll,
                                          .timeout_ms =
                                              -1, /* an operation may take as long as it likes: a lock, for one */
                                          .features = VIRTIOFS_VIRTQ_F_INDIRECT_DESC | VIRTIOFS_VIRTQ_F_EVENT_IDX |
                                                      (options->packed ? VIRTIOFS_VIRTQ_F_RING_PACKED : 0)};
  struct virtiofs_fusedev_config fuse = {.size = sizeof(fuse),
                                         .mountpoint = options->mountpoint,
                                         .source = "virtiofs-mount",
                                         .max_write = MAX_DATA,
                                         .message_data = (uint32_t)sizeof(struct request),
                                         .messages = MESSAGES,
                                         .read_only = options->read_only,
                                         .pages = mount_pages,
                                         .pages_ctx = mount};
  int rc = virtiofs_client_new(&mount->client, &client);
  if (rc != 0) {
    (void)fprintf(stderr, "virtiofs-mount: cannot use '%s': %s\n", options->socket, strerror(-rc));
    return rc;
  }
  rc = virtiofs_fusedev_new(&mount->fuse, &fuse);
  if (rc != 0)
    (void)fprintf(stderr, "virtiofs-mount: cannot mount at '%s': %s\n", options->mountpoint, strerror(-rc));
  return rc;
}

/* Until a signal comes, somebody unmounts, or the device is gone. */
static int serve(struct mount *mount) {
  struct pollfd fds[2] = {{.fd = mount->stop_fd, .events = POLLIN}, {.fd = mount->gone_fd, .events = POLLIN}};
  while (poll(fds, 2, -1) < 0)
    continue;
  /* Workers serve what the kernel asks for when it unmounts, unless the device is gone. */
  if (fds[1].revents == 0 && virtiofs_fusedev_unmount(mount->fuse) == -EBUSY)
    (void)fprintf(stderr, "virtiofs-mount: somebody uses files there; cutting them off\n");
  return atomic_load(&mount->error);
}

static int run(const struct options *options) {
  struct mount mount = {.queues = options->queues, .poll = options->poll};
  pthread_t signals;
  sigset_t set;
  hold_signals(&set);
  pthread_mutex_init(&mount.lock, NULL);
  pthread_mutex_init(&mount.memory_lock, NULL);
  mount.stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  mount.gone_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  mount.end_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  int rc = mount.stop_fd >= 0 && mount.gone_fd >= 0 && mount.end_fd >= 0 ? open_both(&mount, options) : -errno;
  if (rc == 0)
    rc = -pthread_create(&signals, NULL, wait_for_signal, &mount);
  if (rc == 0) {
    rc = workers_start(&mount);
    if (rc == 0)
      rc = serve(&mount);
    if (rc != 0)
      (void)fprintf(stderr, "virtiofs-mount: %s\n", rc == -ECONNRESET ? "the device has hung up" : strerror(-rc));
    workers_stop(&mount);
    (void)pthread_kill(signals, SIGTERM);
    pthread_join(signals, NULL);
  }
  virtiofs_fusedev_free(mount.fuse);
  virtiofs_client_free(mount.client);
  return rc;
}

int main(int argc, char **argv) {
  static const struct argp argp = {
      .options = argp_options,
      .parser = parse,
      .args_doc = "SOCKET MOUNTPOINT",
      .doc = "Mount a vhost-user virtio-fs device on this host. Stays in the foreground; SIGTERM unmounts."};
  struct options options = {.queues = 1};
  argp_program_version = "virtiofs-mount " VIRTIOFS_VERSION_STRING;
  argp_err_exit_status = EXIT_FAILURE;
  if (argp_parse(&argp, argc, argv, 0, NULL, &options) != 0)
    return EXIT_FAILURE;
  return run(&options) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
