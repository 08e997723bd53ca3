/* SPDX-License-Identifier: BSD-3-Clause */
/** One client of a control socket: lines in, descriptors that come along, lines out. Nothing here waits. */
#ifndef VIRTIOFS_LIB_DAEMON_CONNECTION_H
#define VIRTIOFS_LIB_DAEMON_CONNECTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Most descriptors that a client may have sent ahead of the requests that take them. */
#define VIRTIOFS_DAEMON_CONNECTION_FDS 8U

struct virtiofs_daemon_connection {
  int fd;
  bool ended;    /* the client sends nothing more */
  bool closing;  /* as soon as everything is written */
  uint64_t used; /* the owner's: when it was last heard of */
  struct {
    uint64_t serial; /* of the share whose start or end the next reply has to wait for; 0: none */
    bool removal;
    void *id; /* for that reply: a cJSON item that is ours */
  } wait;     /* the owner's, but for the end of @id */

  char *in;
  size_t in_at, in_len; /* what isn't looked at yet */
  char *out;
  size_t out_at, out_len, out_size;
  int fds[VIRTIOFS_DAEMON_CONNECTION_FDS];
  size_t fd_count;
};

/* @take_fd: connected; closed by virtiofs_daemon_connection_fini(), also after an error. 0 or -ENOMEM. */
int virtiofs_daemon_connection_init(struct virtiofs_daemon_connection *c, int take_fd);
void virtiofs_daemon_connection_fini(struct virtiofs_daemon_connection *c);

/**
 * Takes in what has come. To be called when all whole lines are read. 0, perhaps with nothing new; -EMSGSIZE for a line
 * that is too long, -E2BIG for more descriptors than may be, -EMFILE if there was no room for them; another -errno if
 * the connection is broken. There is no going on after an error.
 */
int virtiofs_daemon_connection_receive(struct virtiofs_daemon_connection *c);

/* The next whole line, without its newline; good until virtiofs_daemon_connection_receive() is called. */
bool virtiofs_daemon_connection_line(struct virtiofs_daemon_connection *c, const char **line, size_t *len);

/* The first @count of those that came, which are the caller's then; all or none. */
bool virtiofs_daemon_connection_take_fds(struct virtiofs_daemon_connection *c, int *fds, size_t count);

/* Nobody knows whose the descriptors are that are here. */
void virtiofs_daemon_connection_drop_fds(struct virtiofs_daemon_connection *c);

/* A line, which is without its newline. Without memory for it the connection is closing. */
void virtiofs_daemon_connection_send(struct virtiofs_daemon_connection *c, const char *text);

/* Writes what can be written. 0, or -errno if the connection is broken. */
int virtiofs_daemon_connection_flush(struct virtiofs_daemon_connection *c);

/* Is there something to be written yet? */
bool virtiofs_daemon_connection_pending(const struct virtiofs_daemon_connection *c);

#endif
