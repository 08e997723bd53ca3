/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/shares.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { TITLE_MAX = 160, MOST_ARGS = VIRTIOFS_DAEMON_OPTIONS_MAX + 3, COMPLAINT_MAX = 256 };

struct entry {
  struct entry *next;
  struct virtiofs_daemon_shares *all;
  uint64_t serial;
  struct timespec since;
  bool removed, has_thread;
  bool noticed; /* that it has ended */
  bool outside; /* another process has its socket too */
  pthread_t thread;

  /* What it is made of. */
  struct virtiofs_daemon_request request; /* all zero: of the command line */
  struct virtiofs_daemon_share_in in;
  struct virtiofs_daemon_options options;
  char *argv[MOST_ARGS + 1];
  char title[TITLE_MAX]; /* before its lines on stderr */
  int fds[VIRTIOFS_DAEMON_FDS];
  bool has_settings;
  void *settings;
  struct virtiofs_sandbox_tree *tree; /* its directory; NULL: none, or not known */

  /* By its own thread, under the table's lock. */
  enum virtiofs_daemon_share_state state;
  bool served;
  struct virtiofs_daemon_share *share; /* NULL: there is none any more */
  int rc;
  char complaint[COMPLAINT_MAX];
};

struct virtiofs_daemon_shares {
  struct virtiofs_daemon_share_setup setup;
  struct virtiofs_sandbox_tree *trees; /* directories of those that there were from the start */
  int event_fd;
  uint64_t serial;
  size_t count;
  struct entry *first, **end;
  pthread_mutex_t lock;
};

/* ---- One of them ---- */

static void close_fd(int *fd) {
  if (*fd >= 0)
    close(*fd);
  *fd = -1;
}

/* What a share leaves when it has ended; the entry remains. */
static void clear(struct entry *entry) {
  const struct virtiofs_daemon_config *config = entry->all->setup.config;
  for (int i = 0; i < VIRTIOFS_DAEMON_FDS; i++)
    close_fd(&entry->fds[i]);
  if (entry->has_settings && config->share_free != NULL)
    config->share_free(entry->settings);
  entry->has_settings = false;
}

/* Its thread has ended, or there was none. */
static void free_entry(struct entry *entry) {
  if (entry->has_thread)
    pthread_join(entry->thread, NULL);
  virtiofs_daemon_share_free(entry->share);
  clear(entry);
  virtiofs_daemon_request_free(&entry->request);
  free(entry);
}

static void set_state(struct entry *entry, enum virtiofs_daemon_share_state state) {
  pthread_mutex_lock(&entry->all->lock);
  entry->state = state;
  entry->served |= state == VIRTIOFS_DAEMON_SHARE_SERVING;
  pthread_mutex_unlock(&entry->all->lock);
  (void)eventfd_write(entry->all->event_fd, 1);
}

/* From here on nobody else speaks to it. */
static struct virtiofs_daemon_share *take_share(struct entry *entry, int rc) {
  pthread_mutex_lock(&entry->all->lock);
  struct virtiofs_daemon_share *share = entry->share;
  entry->share = NULL;
  entry->rc = rc;
  if (rc != 0)
    (void)snprintf(entry->complaint, sizeof(entry->complaint), "%s", virtiofs_daemon_share_complaint(share));
  pthread_mutex_unlock(&entry->all->lock);
  return share;
}

static void *run(void *arg) {
  struct entry *entry = arg;
  struct virtiofs_daemon_share *share = entry->share;
  int rc = virtiofs_daemon_share_start(share);
  close_fd(&entry->fds[VIRTIOFS_DAEMON_FD_DIR]);
  if (rc == 0) {
    set_state(entry, VIRTIOFS_DAEMON_SHARE_SERVING);
    rc = virtiofs_daemon_share_serve(share);
  }
  virtiofs_daemon_share_free(take_share(entry, rc));
  clear(entry);
  set_state(entry, VIRTIOFS_DAEMON_SHARE_ENDED);
  return NULL;
}

/* ---- All of them ---- */

int virtiofs_daemon_shares_new(struct virtiofs_daemon_shares **out, const struct virtiofs_daemon_share_setup *setup) {
  *out = NULL;
  struct virtiofs_daemon_shares *shares = calloc(1, sizeof(*shares));
  if (shares == NULL)
    return -ENOMEM;
  shares->setup = *setup;
  shares->end = &shares->first;
  shares->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (shares->event_fd < 0) {
    int rc = -errno;
    free(shares);
    return rc;
  }
  pthread_mutex_init(&shares->lock, NULL);
  *out = shares;
  return 0;
}

static struct entry **find(struct virtiofs_daemon_shares *shares, const char *name) {
  struct entry **at = &shares->first;
  while (*at != NULL && strcmp((*at)->in.name, name) != 0)
    at = &(*at)->next;
  return at;
}

static void unlink_entry(struct virtiofs_daemon_shares *shares, struct entry **at) {
  struct entry *entry = *at;
  *at = entry->next;
  if (*at == NULL)
    shares->end = at;
  shares->count--;
  free_entry(entry);
}

/* Tells one to end, under the lock: its thread may be taking it away. */
static void stop(struct virtiofs_daemon_shares *shares, struct entry *entry, bool now) {
  entry->removed = true;
  pthread_mutex_lock(&shares->lock);
  if (entry->share != NULL && now)
    virtiofs_daemon_share_stop(entry->share);
  else if (entry->share != NULL)
    virtiofs_daemon_share_drain(entry->share);
  pthread_mutex_unlock(&shares->lock);
}

void virtiofs_daemon_shares_free(struct virtiofs_daemon_shares *shares) {
  if (shares == NULL)
    return;
  for (struct entry *entry = shares->first; entry != NULL; entry = entry->next)
    stop(shares, entry, true); /* all of them at once: each may take its time */
  while (shares->first != NULL)
    unlink_entry(shares, &shares->first);
  pthread_mutex_destroy(&shares->lock);
  close(shares->event_fd);
  free(shares->trees);
  free(shares);
}

int virtiofs_daemon_shares_fd(const struct virtiofs_daemon_shares *shares) {
  return shares->event_fd;
}

void virtiofs_daemon_shares_changed(struct virtiofs_daemon_shares *shares) {
  eventfd_t count;
  (void)eventfd_read(shares->event_fd, &count);
  pthread_mutex_lock(&shares->lock);
  for (struct entry *entry = shares->first; entry != NULL; entry = entry->next)
    entry->noticed = entry->state == VIRTIOFS_DAEMON_SHARE_ENDED;
  pthread_mutex_unlock(&shares->lock);
}

/* ---- Adding ---- */

static struct entry *new_entry(struct virtiofs_daemon_shares *shares, const char *name) {
  struct entry *entry = calloc(1, sizeof(*entry));
  if (entry == NULL)
    return NULL;
  entry->all = shares;
  entry->serial = ++shares->serial;
  entry->in = (struct virtiofs_daemon_share_in){.name = name, .dir_fd = -1};
  entry->options = (struct virtiofs_daemon_options){.fd = -1, .log_level = shares->setup.log.level};
  for (int i = 0; i < VIRTIOFS_DAEMON_FDS; i++)
    entry->fds[i] = -1;
  clock_gettime(CLOCK_REALTIME, &entry->since);
  (void)snprintf(entry->title, sizeof(entry->title), "%s: %s", shares->setup.program, name);
  return entry;
}

static int open_share(struct entry *entry, void *fs) {
  struct virtiofs_daemon_share_setup setup = entry->all->setup;
  setup.program = entry->title;
  setup.options = &entry->options;
  setup.name = entry->in.name;
  setup.fs = fs;
  setup.log.level = entry->options.log_level;
  if (entry->options.log_off)
    setup.log.fn = NULL;
  return virtiofs_daemon_share_open(&entry->share, &setup);
}

static void link_entry(struct virtiofs_daemon_shares *shares, struct entry *entry) {
  *shares->end = entry;
  shares->end = &entry->next;
  shares->count++;
}

int virtiofs_daemon_shares_add_main(struct virtiofs_daemon_shares *shares) {
  struct entry *entry = new_entry(shares, "main");
  if (entry == NULL) {
    (void)fprintf(stderr, "%s: no memory\n", shares->setup.program);
    return -ENOMEM;
  }
  entry->options = *shares->setup.options;
  entry->options.once = false; /* here the process doesn't end with its front-end */
  entry->options.log_level = shares->setup.log.level;
  entry->options.log_off = false; /* the log itself is */
  int rc = open_share(entry, shares->setup.fs);
  if (rc == 0)
    link_entry(shares, entry);
  else
    free_entry(entry);
  return rc;
}

static int may_be_added(struct virtiofs_daemon_shares *shares, const char *name, struct virtiofs_daemon_error *error) {
  if (shares->setup.config->share_new == NULL)
    return virtiofs_daemon_error_set(error, -EOPNOTSUPP, "%s serves no more than one share", shares->setup.program);
  if (*find(shares, name) != NULL)
    return virtiofs_daemon_error_set(error, -EEXIST, "there is a share '%s' already", name);
  if (shares->count >= VIRTIOFS_DAEMON_SHARES_COUNT_MAX)
    return virtiofs_daemon_error_set(error, -ENOSPC, "there are %zu shares already", shares->count);
  return 0;
}

/* A socket that somebody else has made only has its name from the request, to be shown. */
static void take_fds(struct entry *entry, int take_fds[VIRTIOFS_DAEMON_FDS]) {
  for (int i = 0; i < VIRTIOFS_DAEMON_FDS; i++) {
    entry->fds[i] = take_fds[i];
    take_fds[i] = -1;
  }
  entry->in.dir_fd = entry->fds[VIRTIOFS_DAEMON_FD_DIR];
  entry->options.fd = entry->fds[VIRTIOFS_DAEMON_FD_SOCKET];
  entry->options.tag = entry->request.tag;
  if (entry->options.fd < 0)
    entry->options.socket_path = entry->request.socket_path;
}

static int parse_options(struct entry *entry, struct virtiofs_daemon_error *error) {
  const struct virtiofs_daemon_share_setup *setup = &entry->all->setup;
  int argc = 0;
  entry->settings = setup->fs;
  int rc = setup->config->share_new(&entry->in, &entry->settings);
  if (rc != 0)
    return virtiofs_daemon_error_set(error, rc, "there can't be one more share: %s", strerror(-rc));
  entry->has_settings = true;
  entry->argv[argc++] = entry->title;
  for (size_t i = 0; i < entry->request.option_count; i++)
    entry->argv[argc++] = (char *)(uintptr_t)entry->request.options[i]; /* in memory that is ours */
  return virtiofs_daemon_options_parse_share(&entry->options, setup->config, entry->settings, argc, entry->argv, error);
}

static int open_entry(struct entry *entry, struct virtiofs_daemon_error *error) {
  int rc = parse_options(entry, error);
  if (rc != 0)
    return rc;
  if (entry->options.mountpoint != NULL && entry->all->setup.options->sandbox.mode != VIRTIOFS_SANDBOX_NONE)
    return virtiofs_daemon_error_set(error, -EINVAL, "a mount made in a sandbox is not seen outside: --sandbox=none");
  rc = open_share(entry, entry->settings);
  if (rc != 0)
    return virtiofs_daemon_error_set(error, rc, "its socket or its record can't be opened: %s", strerror(-rc));
  entry->fds[VIRTIOFS_DAEMON_FD_SOCKET] = -1; /* the share has it */
  return 0;
}

static void close_all(int fds[VIRTIOFS_DAEMON_FDS]) {
  for (int i = 0; i < VIRTIOFS_DAEMON_FDS; i++)
    close_fd(&fds[i]);
}

int virtiofs_daemon_shares_add(struct virtiofs_daemon_shares *shares, struct virtiofs_daemon_request *take_request,
                               int fds[VIRTIOFS_DAEMON_FDS], uint64_t *serial, struct virtiofs_daemon_error *error) {
  int rc = may_be_added(shares, take_request->name, error);
  struct entry *entry = rc == 0 ? new_entry(shares, take_request->name) : NULL;
  if (entry == NULL) {
    close_all(fds);
    virtiofs_daemon_request_free(take_request);
    return rc != 0 ? rc : virtiofs_daemon_error_set(error, -ENOMEM, "no memory");
  }
  entry->request = *take_request;
  memset(take_request, 0, sizeof(*take_request));
  take_fds(entry, fds);
  rc = open_entry(entry, error);
  if (rc != 0) {
    free_entry(entry);
    return rc;
  }
  link_entry(shares, entry);
  if (serial != NULL)
    *serial = entry->serial;
  return 0;
}

int virtiofs_daemon_shares_run(struct virtiofs_daemon_shares *shares) {
  int first = 0;
  for (struct entry *entry = shares->first; entry != NULL; entry = entry->next) {
    if (entry->has_thread || entry->state != VIRTIOFS_DAEMON_SHARE_OPEN)
      continue;
    entry->state = VIRTIOFS_DAEMON_SHARE_STARTING;
    int rc = -pthread_create(&entry->thread, NULL, run, entry);
    entry->has_thread = rc == 0;
    if (rc == 0)
      continue;
    entry->rc = rc;
    virtiofs_daemon_share_free(entry->share);
    entry->share = NULL;
    entry->state = VIRTIOFS_DAEMON_SHARE_ENDED;
    first = first != 0 ? first : rc;
    (void)eventfd_write(shares->event_fd, 1);
  }
  return first;
}

/* ---- The rest of their lives ---- */

int virtiofs_daemon_shares_remove(struct virtiofs_daemon_shares *shares, const char *name, bool now, uint64_t *serial) {
  struct entry *entry = *find(shares, name);
  if (entry == NULL)
    return -ENOENT;
  *serial = entry->serial;
  stop(shares, entry, now);
  (void)eventfd_write(shares->event_fd, 1); /* perhaps there is nothing to wait for */
  return 0;
}

int virtiofs_daemon_shares_level(struct virtiofs_daemon_shares *shares, const char *name,
                                 enum virtiofs_log_level level) {
  bool found = name == NULL;
  if (name == NULL)
    shares->setup.log.level = level;
  pthread_mutex_lock(&shares->lock);
  for (struct entry *entry = shares->first; entry != NULL; entry = entry->next) {
    if (name != NULL && strcmp(entry->in.name, name) != 0)
      continue;
    found = true;
    if (entry->share != NULL)
      virtiofs_daemon_share_level(entry->share, level);
  }
  pthread_mutex_unlock(&shares->lock);
  return found ? 0 : -ENOENT;
}

enum virtiofs_log_level virtiofs_daemon_shares_default_level(const struct virtiofs_daemon_shares *shares) {
  return shares->setup.log.level;
}

/* Under the lock. */
static struct virtiofs_daemon_share_view view_of(const struct entry *entry) {
  struct virtiofs_daemon_share_view view = {
      .serial = entry->serial,
      .name = entry->in.name,
      .tag = entry->options.tag,
      .socket_path = entry->options.socket_path != NULL ? entry->options.socket_path : entry->request.socket_path,
      .mountpoint = entry->options.mountpoint,
      .state = entry->state,
      .served = entry->served,
      .removed = entry->removed,
      .noticed = entry->noticed,
      .complaint = "",
      .since = entry->since,
  };
  if (entry->state == VIRTIOFS_DAEMON_SHARE_ENDED) { /* nobody writes any more */
    view.rc = entry->rc;
    view.complaint = entry->complaint;
  }
  if (entry->share != NULL)
    virtiofs_daemon_share_info(entry->share, &view.info);
  return view;
}

void virtiofs_daemon_shares_each(struct virtiofs_daemon_shares *shares,
                                 bool (*fn)(void *ctx, const struct virtiofs_daemon_share_view *view), void *ctx) {
  bool more = true;
  for (struct entry *entry = shares->first; more && entry != NULL; entry = entry->next) {
    pthread_mutex_lock(&shares->lock);
    struct virtiofs_daemon_share_view view = view_of(entry);
    pthread_mutex_unlock(&shares->lock);
    more = fn(ctx, &view);
  }
}

void virtiofs_daemon_shares_forget(struct virtiofs_daemon_shares *shares, uint64_t serial) {
  struct entry **at = &shares->first;
  while (*at != NULL && (*at)->serial != serial)
    at = &(*at)->next;
  if (*at == NULL)
    return;
  pthread_mutex_lock(&shares->lock);
  bool ended = (*at)->state == VIRTIOFS_DAEMON_SHARE_ENDED;
  pthread_mutex_unlock(&shares->lock);
  if (ended)
    unlink_entry(shares, at);
}

/* ---- The way into a sandbox ---- */

/* Those of the command line are the process's own, and not asked here. */
static int ask_entry(struct entry *entry, struct virtiofs_sandbox_config *config) {
  const struct virtiofs_daemon_config *program = entry->all->setup.config;
  if (!entry->has_settings)
    return 0;
  int rc = program->sandbox(entry->settings, config);
  if (rc == 0 && config->root != NULL && entry->in.dir_fd < 0) {
    entry->tree = &config->trees[config->tree_count++];
    *entry->tree = (struct virtiofs_sandbox_tree){.path = config->root, .fd = -1};
  }
  config->root = NULL;
  config->read_only = false;
  return rc;
}

int virtiofs_daemon_shares_sandbox(struct virtiofs_daemon_shares *shares, struct virtiofs_sandbox_config *config) {
  int rc = 0;
  shares->trees = calloc(shares->count + 1, sizeof(*shares->trees));
  if (shares->trees == NULL)
    return -ENOMEM;
  config->trees = shares->trees;
  for (struct entry *entry = shares->first; rc == 0 && entry != NULL; entry = entry->next)
    rc = ask_entry(entry, config);
  return rc;
}

void virtiofs_daemon_shares_entered(struct virtiofs_daemon_shares *shares) {
  for (struct entry *entry = shares->first; entry != NULL; entry = entry->next)
    if (entry->tree != NULL)
      entry->in.dir_fd = entry->fds[VIRTIOFS_DAEMON_FD_DIR] = entry->tree->fd;
}

void virtiofs_daemon_shares_inside(struct virtiofs_daemon_shares *shares) {
  for (struct entry *entry = shares->first; entry != NULL; entry = entry->next) {
    virtiofs_daemon_share_inside(entry->share);
    entry->outside = true;
  }
}

void virtiofs_daemon_shares_outside(struct virtiofs_daemon_shares *shares) {
  for (struct entry *entry = shares->first; entry != NULL; entry = entry->next)
    virtiofs_daemon_share_outside(entry->share);
}

uint64_t virtiofs_daemon_shares_release(struct virtiofs_daemon_shares *shares) {
  uint64_t serial = 0;
  pthread_mutex_lock(&shares->lock);
  for (struct entry *entry = shares->first; serial == 0 && entry != NULL; entry = entry->next)
    if (entry->outside && entry->state == VIRTIOFS_DAEMON_SHARE_ENDED) {
      entry->outside = false;
      serial = entry->serial;
    }
  pthread_mutex_unlock(&shares->lock);
  return serial;
}

bool virtiofs_daemon_shares_drop(struct virtiofs_daemon_shares *shares, uint64_t serial) {
  struct entry **at = &shares->first;
  while (*at != NULL && (*at)->serial != serial)
    at = &(*at)->next;
  if (*at == NULL || (*at)->has_thread)
    return false;
  unlink_entry(shares, at);
  return true;
}
