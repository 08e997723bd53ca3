/* SPDX-License-Identifier: BSD-3-Clause */
/** The socket that front-ends connect to. */
#ifndef VIRTIOFS_LIB_DAEMON_LISTEN_H
#define VIRTIOFS_LIB_DAEMON_LISTEN_H

#include <stdbool.h>
#include <sys/un.h>

struct virtiofs_daemon_listener {
  int fd;
  int lock_fd;    /* -1: none */
  bool connected; /* @fd is the one front-end itself */
  bool bound;     /* the socket file is ours */
  bool died;      /* the last server there has, without ending */
  bool inside;    /* another process removes what was made: the paths are not the same here */
  char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
  char lock_path[sizeof(((struct sockaddr_un *)0)->sun_path) + sizeof(".pid")];
};

/**
 * Makes the socket, for the owner only, or also for @group, a name or a number, if it isn't NULL; a socket that a dead
 * server left is replaced, one in use is not. A lock on PATH.pid, which holds the process id, keeps two servers apart.
 * 0; -errno, after a line on stderr that begins with
 * @program.
 */
int virtiofs_daemon_listen_path(struct virtiofs_daemon_listener *listener, const char *program, const char *path,
                                const char *group);

/* The same with a descriptor that somebody else has made. */
int virtiofs_daemon_listen_fd(struct virtiofs_daemon_listener *listener, const char *program, int take_fd);

/* A front-end's connection; -ECANCELED when @stop_fd became readable; -errno. */
int virtiofs_daemon_accept(const struct virtiofs_daemon_listener *listener, int stop_fd);

/* In one of two processes that both have it: this one serves, and the other one removes what was made; or the other way
 * round. */
void virtiofs_daemon_listen_inside(struct virtiofs_daemon_listener *listener);
void virtiofs_daemon_listen_outside(struct virtiofs_daemon_listener *listener);

/* Removes what was made. */
void virtiofs_daemon_listen_end(struct virtiofs_daemon_listener *listener);

#endif
