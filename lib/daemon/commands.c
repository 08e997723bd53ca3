/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/commands.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <string.h>

struct run {
  struct virtiofs_daemon_commands *commands;
  struct virtiofs_daemon_connection *c;
  struct virtiofs_daemon_request request;
};

static void refuse(struct run *run, const struct virtiofs_daemon_error *error) {
  virtiofs_daemon_reply_error(run->c, run->request.id, error);
}

static void no_such_share(struct run *run) {
  struct virtiofs_daemon_error error;
  (void)virtiofs_daemon_error_set(&error, -ENOENT, "there is no share '%s'", run->request.name);
  refuse(run, &error);
}

/* The reply comes when the share is where it should be. */
static void wait_for(struct run *run, uint64_t serial, bool removal, void *take_id) {
  run->c->wait.serial = serial;
  run->c->wait.removal = removal;
  run->c->wait.id = take_id;
}

/* By kind, as the request says in which order they come. */
static int take_fds(struct run *run, int fds[VIRTIOFS_DAEMON_FDS], struct virtiofs_daemon_error *error) {
  int come[VIRTIOFS_DAEMON_FDS];
  for (int i = 0; i < VIRTIOFS_DAEMON_FDS; i++)
    fds[i] = -1;
  if (!virtiofs_daemon_connection_take_fds(run->c, come, run->request.fd_count))
    return virtiofs_daemon_error_set(error, -EBADF, "there are %zu descriptors, and %zu came", run->request.fd_count,
                                     run->c->fd_count);
  for (size_t i = 0; i < run->request.fd_count; i++)
    fds[run->request.fds[i]] = come[i];
  return 0;
}

static void add(struct run *run) {
  struct virtiofs_daemon_shares *shares = run->commands->shares;
  struct virtiofs_daemon_error error;
  int fds[VIRTIOFS_DAEMON_FDS];
  uint64_t serial;
  if (take_fds(run, fds, &error) != 0) {
    refuse(run, &error);
    return;
  }
  /* The share keeps what the request holds, and the reply what it repeats. */
  cJSON *id = cJSON_Duplicate(run->request.id, 0);
  if (virtiofs_daemon_shares_add(shares, &run->request, fds, &serial, &error) != 0) {
    virtiofs_daemon_reply_error(run->c, id, &error);
    cJSON_Delete(id);
    return;
  }
  (void)virtiofs_daemon_shares_run(shares); /* without a thread for it, it has ended */
  wait_for(run, serial, false, id);
}

static void remove_share(struct run *run) {
  uint64_t serial;
  if (virtiofs_daemon_shares_remove(run->commands->shares, run->request.name, run->request.now, &serial) != 0)
    no_such_share(run);
  else
    wait_for(run, serial, true, cJSON_Duplicate(run->request.id, 0));
}

static void list(struct run *run) {
  bool found;
  cJSON *result = virtiofs_daemon_result_list(run->commands->shares, run->request.name, &found);
  if (!found)
    no_such_share(run);
  else
    virtiofs_daemon_reply(run->c, run->request.id, result);
}

static void set_level(struct run *run) {
  struct virtiofs_daemon_commands *commands = run->commands;
  if (virtiofs_daemon_shares_level(commands->shares, run->request.name, run->request.level) != 0) {
    no_such_share(run);
    return;
  }
  if (run->request.name == NULL)
    commands->process.level = run->request.level;
  virtiofs_daemon_reply(run->c, run->request.id, virtiofs_daemon_result_level(run->request.level));
}

static void run_parsed(struct run *run) {
  const struct virtiofs_daemon_commands *commands = run->commands;
  switch (run->request.command) {
  case VIRTIOFS_DAEMON_ADD:
    add(run);
    return;
  case VIRTIOFS_DAEMON_REMOVE:
    remove_share(run);
    return;
  case VIRTIOFS_DAEMON_LIST:
    list(run);
    return;
  case VIRTIOFS_DAEMON_STATUS:
    virtiofs_daemon_reply(run->c, run->request.id, virtiofs_daemon_result_status(&commands->process, commands->shares));
    return;
  case VIRTIOFS_DAEMON_VERSION:
    virtiofs_daemon_reply(run->c, run->request.id, virtiofs_daemon_result_version(&commands->process));
    return;
  case VIRTIOFS_DAEMON_LOG_LEVEL:
    set_level(run);
    return;
  default: /* VIRTIOFS_DAEMON_STOP */
    run->commands->stop = true;
    virtiofs_daemon_reply(run->c, run->request.id, cJSON_CreateObject());
    return;
  }
}

static bool is_blank(const char *line, size_t len) {
  size_t at = 0;
  while (at < len && (line[at] == ' ' || line[at] == '\t' || line[at] == '\r'))
    at++;
  return at == len;
}

void virtiofs_daemon_command_run(struct virtiofs_daemon_commands *commands, struct virtiofs_daemon_connection *c,
                                 const char *line, size_t len) {
  struct run run = {.commands = commands, .c = c};
  struct virtiofs_daemon_error error;
  if (is_blank(line, len))
    return;
  if (virtiofs_daemon_request_parse(&run.request, line, len, &error) == 0) {
    run_parsed(&run);
  } else {
    virtiofs_daemon_connection_drop_fds(c); /* what they were for isn't known */
    refuse(&run, &error);
  }
  virtiofs_daemon_request_free(&run.request);
}

static void say_why(struct virtiofs_daemon_connection *c, const struct virtiofs_daemon_share_view *view) {
  struct virtiofs_daemon_error error;
  const char *why = view->complaint[0] != 0 ? view->complaint : strerror(-view->rc);
  if (view->rc != 0)
    (void)virtiofs_daemon_error_set(&error, view->rc, "'%s' can't be started: %s", view->name, why);
  else
    (void)virtiofs_daemon_error_set(&error, -ECANCELED, "'%s' has been removed before it was started", view->name);
  virtiofs_daemon_reply_error(c, c->wait.id, &error);
}

bool virtiofs_daemon_command_finish(struct virtiofs_daemon_connection *c,
                                    const struct virtiofs_daemon_share_view *view) {
  bool ended = view->state == VIRTIOFS_DAEMON_SHARE_ENDED;
  if (c->wait.serial != view->serial || !(ended || (!c->wait.removal && view->served)))
    return false;
  if (c->wait.removal || view->served)
    virtiofs_daemon_reply(c, c->wait.id, virtiofs_daemon_result_name(view->name));
  else
    say_why(c, view);
  cJSON_Delete(c->wait.id);
  c->wait.id = NULL;
  c->wait.serial = 0;
  return true;
}
