/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/control.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/commands.h"
#include "daemon/connection.h"
#include "daemon/listen.h"
#include "daemon/shares.h"
#include "daemon/shares_file.h"

#define TAG "control"

enum { CONNECTIONS_MAX = 32, BACKLOG = 16, AGAIN_MS = 1000, STOP = 0, SHARES = 1, LISTENER = 2, FIRST = 3 };

/* What is said to the one outside: one of the shares that there were from the start has ended. With its number. */
static const char ended_word = 'E';

struct virtiofs_daemon_control {
  struct virtiofs_daemon_share_setup setup;
  struct virtiofs_daemon_listener listener; /* fd -1: none */
  int stop_fd;
  struct virtiofs_daemon_commands commands;
  uint64_t initial; /* the last share that was there from the start */
  bool started;     /* they have all started */
  int channel;      /* to the one outside; -1: there is none */
  int rc;           /* why it ends */
  bool ending;
  bool out_of_fds; /* nobody is let in for a moment */
  uint64_t uses;
  size_t count;
  struct virtiofs_daemon_connection *connections[CONNECTIONS_MAX];
};

/* ---- Clients ---- */

static void drop(struct virtiofs_daemon_control *control, size_t index) {
  struct virtiofs_daemon_connection *c = control->connections[index];
  virtiofs_daemon_connection_fini(c);
  free(c);
  control->connections[index] = control->connections[--control->count];
  control->out_of_fds = false;
}

/* A line for who is shut out; whether it gets there is its own affair. */
static void say_last(struct virtiofs_daemon_connection *c, int code, const char *text) {
  struct virtiofs_daemon_error error;
  (void)virtiofs_daemon_error_set(&error, code, "%s", text);
  virtiofs_daemon_reply_error(c, NULL, &error);
  (void)virtiofs_daemon_connection_flush(c);
  c->closing = true;
}

/* The one that was silent for longest goes, but nobody who waits for a reply. */
static bool make_room(struct virtiofs_daemon_control *control) {
  size_t oldest = control->count;
  if (control->count < CONNECTIONS_MAX)
    return true;
  for (size_t i = 0; i < control->count; i++) {
    const struct virtiofs_daemon_connection *c = control->connections[i];
    if (c->wait.serial == 0 && (oldest == control->count || c->used < control->connections[oldest]->used))
      oldest = i;
  }
  if (oldest == control->count)
    return false;
  say_last(control->connections[oldest], -EBUSY, "others want to be heard");
  drop(control, oldest);
  return true;
}

/* Whoever owns the socket, as he is seen from where the process is now, and root. The file's mode says the same. */
static bool may_ask(const struct virtiofs_daemon_control *control, int fd) {
  struct ucred peer, owner;
  socklen_t len = sizeof(peer);
  if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) != 0)
    return false;
  len = sizeof(owner);
  if (peer.uid == 0 || peer.uid == geteuid())
    return true;
  if (getsockopt(control->listener.fd, SOL_SOCKET, SO_PEERCRED, &owner, &len) == 0 && peer.uid == owner.uid)
    return true;
  virtiofs_log_write(&control->setup.log, VIRTIOFS_LOG_WARN, TAG, "user %u is refused", (unsigned)peer.uid);
  return false;
}

static struct virtiofs_daemon_connection *new_connection(int take_fd) {
  struct virtiofs_daemon_connection *c = malloc(sizeof(*c));
  if (c == NULL) {
    close(take_fd);
    return NULL;
  }
  if (virtiofs_daemon_connection_init(c, take_fd) == 0)
    return c;
  virtiofs_daemon_connection_fini(c);
  free(c);
  return NULL;
}

static void let_in(struct virtiofs_daemon_control *control) {
  int fd = accept4(control->listener.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (fd < 0) {
    control->out_of_fds = errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM;
    return;
  }
  struct virtiofs_daemon_connection *c = new_connection(fd);
  if (c == NULL)
    return;
  if (!may_ask(control, fd))
    say_last(c, -EACCES, "only root and the server's own user may ask");
  else if (!make_room(control))
    say_last(c, -EBUSY, "too many are connected, and wait for something");
  if (c->closing) {
    virtiofs_daemon_connection_fini(c);
    free(c);
    return;
  }
  c->used = ++control->uses;
  control->connections[control->count++] = c;
}

static bool may_read(const struct virtiofs_daemon_connection *c) {
  return c->wait.serial == 0 && !c->closing && !virtiofs_daemon_connection_pending(c);
}

/* Who doesn't read replies isn't heard any further. False: there is nothing more to come from this one. */
static bool answer(struct virtiofs_daemon_control *control, struct virtiofs_daemon_connection *c) {
  const char *line;
  size_t len;
  if (virtiofs_daemon_connection_flush(c) != 0)
    return false;
  while (may_read(c) && !control->commands.stop && virtiofs_daemon_connection_line(c, &line, &len)) {
    virtiofs_daemon_command_run(&control->commands, c, line, len);
    if (virtiofs_daemon_connection_flush(c) != 0)
      return false;
  }
  return virtiofs_daemon_connection_pending(c) || c->wait.serial != 0 || !(c->closing || c->ended);
}

static bool hear(struct virtiofs_daemon_control *control, struct virtiofs_daemon_connection *c, short events) {
  bool gone = (events & (POLLHUP | POLLERR)) != 0;
  if (!may_read(c) || c->ended)
    return !gone && answer(control, c);
  if (gone || (events & POLLIN) != 0) {
    int rc = virtiofs_daemon_connection_receive(c);
    c->used = ++control->uses;
    if (rc == -EMSGSIZE)
      say_last(c, rc, "the line is too long");
    else if (rc == -E2BIG || rc == -EMFILE)
      say_last(c, rc, "too many descriptors");
    else if (rc != 0)
      return false;
  }
  return answer(control, c);
}

/* ---- Shares ---- */

static bool tell(void *ctx, const struct virtiofs_daemon_share_view *view) {
  struct virtiofs_daemon_control *control = ctx;
  for (size_t i = 0; i < control->count; i++)
    (void)virtiofs_daemon_command_finish(control->connections[i], view);
  return true;
}

struct survey {
  uint64_t initial;
  uint64_t useless; /* one to be taken out */
  bool starting;    /* some of those from the start aren't there yet */
  bool all_ended;
  int failed, broken; /* at the start; at some time */
};

static bool look(void *ctx, const struct virtiofs_daemon_share_view *view) {
  struct survey *survey = ctx;
  bool ended = view->state == VIRTIOFS_DAEMON_SHARE_ENDED;
  if (ended && view->serial <= survey->initial && !view->served && !view->removed)
    survey->failed = view->rc != 0 ? view->rc : -ECANCELED;
  else if (ended && view->noticed && (view->removed || !view->served))
    survey->useless = view->serial;
  if (ended && view->rc != 0)
    survey->broken = view->rc;
  survey->starting |= !ended && !view->served && view->serial <= survey->initial;
  survey->all_ended &= ended;
  return true;
}

static struct survey survey(const struct virtiofs_daemon_control *control) {
  struct survey now = {.initial = control->started ? 0 : control->initial, .all_ended = true};
  virtiofs_daemon_shares_each(control->commands.shares, look, &now);
  return now;
}

/* Their sockets can be removed by the one outside alone. Who has waited for that is told afterwards. */
static void release(struct virtiofs_daemon_control *control) {
  uint64_t serial;
  char reply;
  while ((serial = virtiofs_daemon_shares_release(control->commands.shares)) != 0) {
    char words[1 + sizeof(serial)] = {ended_word};
    struct pollfd channel = {.fd = control->channel, .events = POLLIN};
    memcpy(words + 1, &serial, sizeof(serial));
    if (control->channel >= 0 && send(control->channel, words, sizeof(words), MSG_NOSIGNAL) > 0 &&
        poll(&channel, 1, AGAIN_MS) == 1)
      (void)!recv(control->channel, &reply, sizeof(reply), MSG_DONTWAIT);
  }
}

/* Some have started or ended. Those that end from here on are for the next time: nobody has been told of them. */
static void settle(struct virtiofs_daemon_control *control) {
  struct virtiofs_daemon_shares *shares = control->commands.shares;
  virtiofs_daemon_shares_changed(shares);
  release(control);
  virtiofs_daemon_shares_each(shares, tell, control);
  struct survey now = survey(control);
  for (; now.useless != 0; now = survey(control))
    virtiofs_daemon_shares_forget(shares, now.useless);
  control->started |= !now.starting;
  if (now.failed != 0 || (now.all_ended && control->listener.fd < 0)) {
    control->rc = now.failed != 0 ? now.failed : now.broken;
    control->ending = true;
  }
}

/* ---- All of it ---- */

static int wait_for_any(struct virtiofs_daemon_control *control, struct pollfd *fds) {
  fds[STOP] = (struct pollfd){.fd = control->stop_fd, .events = POLLIN};
  fds[SHARES] = (struct pollfd){.fd = virtiofs_daemon_shares_fd(control->commands.shares), .events = POLLIN};
  fds[LISTENER] = (struct pollfd){.fd = control->out_of_fds ? -1 : control->listener.fd, .events = POLLIN};
  for (size_t i = 0; i < control->count; i++) {
    const struct virtiofs_daemon_connection *c = control->connections[i];
    short in = may_read(c) && !c->ended ? POLLIN : 0;
    short out = virtiofs_daemon_connection_pending(c) ? POLLOUT : 0;
    fds[FIRST + i] = (struct pollfd){.fd = c->fd, .events = (short)(in | out)};
  }
  int rc = poll(fds, FIRST + control->count, control->out_of_fds ? AGAIN_MS : -1);
  control->out_of_fds = false;
  return rc < 0 && errno != EINTR ? -errno : 0;
}

static int step(struct virtiofs_daemon_control *control) {
  struct pollfd fds[FIRST + CONNECTIONS_MAX];
  int rc = wait_for_any(control, fds);
  if (rc != 0)
    return rc;
  if (fds[STOP].revents != 0) {
    control->ending = true;
    return 0;
  }
  if (fds[SHARES].revents != 0)
    settle(control);
  /* From the last on: where one goes the last takes its place. One whose reply has come may have asked more. */
  for (size_t i = control->count; i-- > 0;)
    if (!hear(control, control->connections[i], fds[FIRST + i].revents))
      drop(control, i);
  if (fds[LISTENER].revents != 0)
    let_in(control);
  control->ending |= control->commands.stop;
  return 0;
}

int virtiofs_daemon_control_run(struct virtiofs_daemon_control *control, void (*started)(void *ctx), void *ctx) {
  bool told = false;
  int rc = virtiofs_daemon_shares_run(control->commands.shares);
  if (rc != 0)
    (void)fprintf(stderr, "%s: cannot start a thread: %s\n", control->setup.program, strerror(-rc));
  settle(control);
  while (rc == 0 && !control->ending) {
    if (control->started && !told)
      started(ctx);
    told = control->started;
    rc = step(control);
  }
  return rc != 0 ? rc : control->rc;
}

void virtiofs_daemon_control_stop(struct virtiofs_daemon_control *control) {
  (void)eventfd_write(control->stop_fd, 1);
}

static int open_socket(struct virtiofs_daemon_control *control) {
  const char *path = control->setup.options->control;
  if (path == NULL)
    return 0;
  int rc = virtiofs_daemon_listen_path(&control->listener, control->setup.program, path, NULL);
  if (rc != 0)
    return rc;
  /* The same again for more than one who waits. */
  return listen(control->listener.fd, BACKLOG) == 0 ? 0 : -errno;
}

static bool note_last(void *ctx, const struct virtiofs_daemon_share_view *view) {
  struct virtiofs_daemon_control *control = ctx;
  control->initial = view->serial;
  return true;
}

static int open_shares(struct virtiofs_daemon_control *control) {
  const struct virtiofs_daemon_options *options = control->setup.options;
  struct virtiofs_daemon_shares *shares = control->commands.shares;
  bool main_one = options->socket_path != NULL || options->fd >= 0 || options->mountpoint != NULL;
  int rc = main_one ? virtiofs_daemon_shares_add_main(shares) : 0;
  if (rc == 0 && options->shares != NULL)
    rc = virtiofs_daemon_shares_file_add(shares, control->setup.program, options->shares);
  virtiofs_daemon_shares_each(shares, note_last, control);
  if (rc == 0 && control->initial == 0 && options->control == NULL) {
    (void)fprintf(stderr, "%s: there are no shares in %s\n", control->setup.program, options->shares);
    return -EINVAL;
  }
  return rc;
}

int virtiofs_daemon_control_open(struct virtiofs_daemon_control **out,
                                 const struct virtiofs_daemon_share_setup *setup) {
  *out = NULL;
  struct virtiofs_daemon_control *control = calloc(1, sizeof(*control));
  if (control == NULL)
    return -ENOMEM;
  const char *version = setup->config->version;
  control->setup = *setup;
  control->listener = (struct virtiofs_daemon_listener){.fd = -1, .lock_fd = -1};
  control->channel = -1;
  control->commands.process = (struct virtiofs_daemon_process_view){
      .program = setup->program,
      .version = version != NULL ? version : "libvirtiofs " VIRTIOFS_VERSION_STRING,
      .pid = (long)getpid(),
      .since = time(NULL),
      .level = setup->log.level};
  control->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  int rc = control->stop_fd < 0 ? -errno : virtiofs_daemon_shares_new(&control->commands.shares, setup);
  if (rc != 0)
    (void)fprintf(stderr, "%s: cannot begin: %s\n", setup->program, strerror(-rc));
  if (rc == 0)
    rc = open_socket(control);
  if (rc == 0)
    rc = open_shares(control);
  if (rc != 0) {
    virtiofs_daemon_control_free(control);
    return rc;
  }
  *out = control;
  return 0;
}

/* Who has asked for the end sees it by the end of the connection: that comes last. */
void virtiofs_daemon_control_free(struct virtiofs_daemon_control *control) {
  if (control == NULL)
    return;
  virtiofs_daemon_shares_free(control->commands.shares);
  virtiofs_daemon_listen_end(&control->listener);
  while (control->count > 0)
    drop(control, control->count - 1);
  if (control->stop_fd >= 0)
    close(control->stop_fd);
  free(control);
}

/* ---- The way into a sandbox ---- */

int virtiofs_daemon_control_sandbox(struct virtiofs_daemon_control *control, struct virtiofs_sandbox_config *config) {
  return virtiofs_daemon_shares_sandbox(control->commands.shares, config);
}

void virtiofs_daemon_control_entered(struct virtiofs_daemon_control *control) {
  virtiofs_daemon_shares_entered(control->commands.shares);
}

void virtiofs_daemon_control_inside(struct virtiofs_daemon_control *control, int channel) {
  control->channel = channel;
  virtiofs_daemon_listen_inside(&control->listener);
  virtiofs_daemon_shares_inside(control->commands.shares);
}

void virtiofs_daemon_control_outside(struct virtiofs_daemon_control *control) {
  virtiofs_daemon_listen_outside(&control->listener);
  virtiofs_daemon_shares_outside(control->commands.shares);
}

/* It can make us remove sockets of shares that this process has made for it, and nothing else. */
int virtiofs_daemon_control_hear(struct virtiofs_daemon_control *control, int channel, const char *words, size_t len) {
  uint64_t serial;
  if (len != 1 + sizeof(serial) || words[0] != ended_word)
    return -EPROTO;
  memcpy(&serial, words + 1, sizeof(serial));
  if (!virtiofs_daemon_shares_drop(control->commands.shares, serial))
    return -EPROTO;
  (void)!send(channel, &ended_word, sizeof(ended_word), MSG_NOSIGNAL | MSG_DONTWAIT);
  return 0;
}
