/* SPDX-License-Identifier: BSD-3-Clause */
/* The server: connections to it, and its process if we start it. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "check.h"
#include "wire.h"

/* How often a server may be started until somebody listens. */
#define STARTS_MAX 5
#define LOOK_NS 5000000
/* How long a server may take to die of what has broken its connection. */
#define DYING_MS 300

static int64_t now_ms(void) {
  struct timespec ts;
  clock_gettime(CLOCK_MONOTONIC, &ts);
  return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void pause_briefly(void) {
  nanosleep(&(struct timespec){.tv_nsec = LOOK_NS}, NULL);
}

/* True once our process has ended; keeps why, unless we have ended it. */
static bool reap(struct server *s) {
  int status = 0;
  if (s->pid != 0 && waitpid(s->pid, &status, WNOHANG) != 0) {
    s->pid = 0;
    if (WIFSIGNALED(status))
      s->died_of = WTERMSIG(status);
  }
  return s->pid == 0;
}

void server_look(struct server *s, bool dying) {
  int64_t deadline = now_ms() + (dying && s->broken != NULL ? DYING_MS : 0);
  while (!reap(s) && now_ms() < deadline)
    pause_briefly();
}

static int start(struct server *s) {
  pid_t parent = getpid();
  pid_t pid = fork();
  if (pid < 0)
    return -errno;
  if (pid == 0) {
    /* A group of its own, since some servers consist of several processes; and it must not outlive us. */
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent || dup2(STDERR_FILENO, STDOUT_FILENO) < 0)
      _exit(127);
    execvp(s->command[0], s->command);
    dprintf(STDERR_FILENO, "virtiofs-check: cannot run '%s': %s\n", s->command[0], strerror(errno));
    _exit(127);
  }
  setpgid(pid, pid);
  s->pid = pid;
  return 0;
}

static void end(struct server *s, int sig) {
  if (s->pid == 0)
    return;
  if (reap(s))
    return;
  int died_of = s->died_of;
  kill(-s->pid, sig);
  int64_t deadline = now_ms() + s->timeout_ms;
  while (!reap(s) && now_ms() < deadline)
    pause_briefly();
  s->died_of = died_of;
  if (s->pid == 0)
    return;
  kill(-s->pid, SIGKILL);
  waitpid(s->pid, NULL, 0);
  s->pid = 0;
}

void server_stop(struct server *s) {
  end(s, SIGTERM);
}

void server_kill(struct server *s) {
  server_disconnect(s);
  end(s, SIGKILL);
}

static int connect_once(const char *path) {
  struct sockaddr_un addr = {.sun_family = AF_UNIX};
  if (strlen(path) >= sizeof(addr.sun_path))
    return -ENAMETOOLONG;
  memcpy(addr.sun_path, path, strlen(path) + 1);
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0)
    return -errno;
  if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0)
    return fd;
  int error = errno;
  close(fd);
  return -error;
}

/* What an end of the last connection may leave for a moment. */
static bool may_pass(int error) {
  return error == -ENOENT || error == -ECONNREFUSED || error == -ECONNRESET || error == -EPIPE;
}

/* What the device offers; the socket is as good as new afterwards. */
static int probe(struct server *s, int fd) {
  struct wire w = {.fd = fd, .timeout_ms = s->timeout_ms};
  int rc = wire_ask(&w, VIRTIOFS_VHOST_USER_GET_FEATURES, &s->features);
  s->protocol = s->queue_num = 0;
  if (rc != 0 || (s->features & VIRTIOFS_VHOST_USER_F_PROTOCOL_FEATURES) == 0)
    return rc;
  rc = wire_ask(&w, VIRTIOFS_VHOST_USER_GET_PROTOCOL_FEATURES, &s->protocol);
  if (rc != 0 || (s->protocol & VIRTIOFS_VHOST_USER_PROTOCOL_F_MQ) == 0)
    return rc;
  rc = wire_tell_u64(&w, VIRTIOFS_VHOST_USER_SET_PROTOCOL_FEATURES, s->protocol & VIRTIOFS_VHOST_USER_PROTOCOL_F_MQ);
  return rc == 0 ? wire_ask(&w, VIRTIOFS_VHOST_USER_GET_QUEUE_NUM, &s->queue_num) : rc;
}

/* @quiet: nothing may be said, so that only a server of our own that is surely new will do, or one that stays. */
static int find(struct server *s, bool quiet) {
  int64_t deadline = now_ms() + s->timeout_ms;
  for (int starts = 0;;) {
    int fd = connect_once(s->path);
    int rc = fd < 0 ? fd : quiet ? 0 : probe(s, fd);
    if (rc == 0)
      return fd;
    if (fd >= 0)
      close(fd);
    bool running = !reap(s);
    if (!may_pass(rc) || now_ms() > deadline)
      return rc;
    if (s->command != NULL && !running) {
      if (starts++ == STARTS_MAX)
        return -ECHILD;
      rc = start(s);
      if (rc != 0)
        return rc;
    }
    pause_briefly();
  }
}

int server_socket(struct server *s) {
  int fd = find(s, false);
  s->gone = fd < 0 ? fd : 0;
  return fd;
}

int server_socket_unasked(struct server *s) {
  server_stop(s);
  int fd = find(s, true);
  s->gone = fd < 0 ? fd : 0;
  return fd;
}

int server_connect(struct server *s, const struct options *options) {
  server_disconnect(s);
  int fd = server_socket(s);
  if (fd < 0)
    return fd;
  s->queues = s->queues_wanted;
  /* Who can't tell has as many as a guest of old needed. */
  uint64_t most = s->queue_num != 0 ? s->queue_num - 1 : 1;
  if (s->queues > most)
    s->queues = most > 0 ? (uint32_t)most : 1;
  struct virtiofs_client_config config = {.size = sizeof(config),
                                          .fd = fd,
                                          .request_queues = options->queues != 0 ? options->queues : s->queues,
                                          .queue_size = options->queue_size != 0 ? options->queue_size : 256,
                                          .features = options->features,
                                          .poll = options->poll,
                                          .memory = (1 + QUEUES_USED) * (AREA_BYTES + 4096),
                                          .timeout_ms = s->timeout_ms};
  s->queues = config.request_queues;
  int rc = virtiofs_client_new(&s->client, &config);
  if (rc != 0)
    return rc;
  s->in = virtiofs_client_alloc(s->client, AREA_BYTES);
  s->out = virtiofs_client_alloc(s->client, QUEUES_USED * AREA_BYTES);
  s->mounted = false;
  s->broken = NULL;
  s->work = 0;
  return 0;
}

int server_mount(struct server *s) {
  int rc = virtiofs_client_init(s->client, NULL, &s->init);
  s->mounted = rc == 0;
  return rc;
}

void server_disconnect(struct server *s) {
  virtiofs_client_free(s->client);
  s->client = NULL;
  s->mounted = false;
  s->work = 0;
}
