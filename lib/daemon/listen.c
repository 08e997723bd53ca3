/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/listen.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* How long to wait for a server that is ending: 2 s. */
enum { PID_TEXT = 20, ENDING_STEPS = 200, ENDING_STEP_NS = 10000000 };
#define NO_GROUP ((gid_t)-1)

static int fail(const char *program, const char *what, const char *name, int error) {
  (void)fprintf(stderr, "%s: %s %s: %s\n", program, what, name, strerror(error));
  return -error;
}

/* Is the file that we have locked still the one at that path? A server that ends takes its own away. */
static bool is_at_path(int fd, const char *path) {
  struct stat ours, there;
  if (fstat(fd, &ours) != 0 || lstat(path, &there) != 0)
    return false;
  return ours.st_ino == there.st_ino && ours.st_dev == there.st_dev;
}

/* Has the server whose lock it is, or was, died and left one in a sandbox, which is about to? */
static bool is_ending(int fd) {
  char text[PID_TEXT + 1] = "";
  ssize_t n = pread(fd, text, PID_TEXT, 0);
  long pid = n > 0 ? strtol(text, NULL, 10) : 0;
  return pid > 0 && pid <= INT_MAX && kill((pid_t)pid, 0) != 0 && errno == ESRCH;
}

static void wait_a_moment(void) {
  static const struct timespec moment = {.tv_nsec = ENDING_STEP_NS};
  (void)nanosleep(&moment, NULL);
}

static int lock(int fd) {
  for (int i = 0;; i++) {
    if (flock(fd, LOCK_EX | LOCK_NB) == 0)
      return 0;
    if (errno != EWOULDBLOCK)
      return errno;
    if (i == ENDING_STEPS || !is_ending(fd))
      return EADDRINUSE;
    wait_a_moment();
  }
}

/* What somebody else has put there, by another name for one of our files or as none at all, is not to be written to. */
static bool is_lock(int fd) {
  struct stat st;
  return fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_nlink <= 1;
}

/* PATH.pid is left locked for as long as we live. */
static int take_lock(struct virtiofs_daemon_listener *listener, const char *program) {
  int fd;
  for (;;) {
    fd = open(listener->lock_path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
      return fail(program, "cannot create", listener->lock_path, errno);
    int error = lock(fd);
    if (error != 0) {
      close(fd);
      return fail(program, "another server has", listener->path, error);
    }
    if (is_at_path(fd, listener->lock_path))
      break;
    close(fd);
  }
  if (!is_lock(fd)) {
    close(fd);
    return fail(program, "there is something that is no lock at", listener->lock_path, EEXIST);
  }
  listener->lock_fd = fd;
  listener->died = is_ending(fd);
  if (ftruncate(fd, 0) != 0 || dprintf(fd, "%ld\n", (long)getpid()) < 0)
    return fail(program, "cannot write", listener->lock_path, errno);
  return 0;
}

static void fill_address(struct sockaddr_un *addr, const struct virtiofs_daemon_listener *listener) {
  *addr = (struct sockaddr_un){.sun_family = AF_UNIX};
  memcpy(addr->sun_path, listener->path, sizeof(addr->sun_path));
}

/* Does a program listen there, perhaps one that knows nothing of our lock? 0 or -errno. */
static int check_stale(const struct virtiofs_daemon_listener *listener) {
  struct sockaddr_un addr;
  fill_address(&addr, listener);
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0)
    return -errno;
  int rc = connect(fd, (const struct sockaddr *)&addr, sizeof(addr)) == 0 ? EADDRINUSE : errno;
  close(fd);
  if (rc == ECONNREFUSED || rc == ENOENT)
    return 0;
  return rc == EAGAIN || rc == EPROTOTYPE ? -EADDRINUSE : -rc;
}

/* Whoever has the lock may take away a socket that nobody serves any more. Nothing else is ever removed. */
static int remove_stale(const struct virtiofs_daemon_listener *listener, const char *program) {
  const char *path = listener->path;
  struct stat st;
  if (lstat(path, &st) != 0)
    return errno == ENOENT ? 0 : fail(program, "cannot use", path, errno);
  if (!S_ISSOCK(st.st_mode))
    return fail(program, "there is something that is no socket at", path, EEXIST);
  int rc = check_stale(listener);
  for (int i = 0; i < ENDING_STEPS && rc == -EADDRINUSE && listener->died; i++) {
    wait_a_moment();
    rc = check_stale(listener);
  }
  if (rc != 0)
    return fail(program, "cannot replace", path, -rc);
  return unlink(path) == 0 || errno == ENOENT ? 0 : fail(program, "cannot replace", path, errno);
}

/* By its name, or else its number. */
static int find_group(const char *program, const char *group, gid_t *gid) {
  char *end;
  *gid = NO_GROUP;
  if (group == NULL)
    return 0;
  errno = 0;
  const struct group *entry = getgrnam(group);
  unsigned long number = strtoul(group, &end, 10);
  if (entry != NULL)
    *gid = entry->gr_gid;
  else if (group[0] >= '0' && group[0] <= '9' && *end == 0 && number < NO_GROUP)
    *gid = (gid_t)number;
  else
    return fail(program, "there is no group", group, ENOENT);
  return 0;
}

static int bind_path(struct virtiofs_daemon_listener *listener, const char *program, gid_t gid) {
  struct sockaddr_un addr;
  fill_address(&addr, listener);
  listener->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (listener->fd < 0)
    return fail(program, "cannot make a socket for", listener->path, errno);
  mode_t before = umask(gid != NO_GROUP ? 0117 : 0077);
  int rc = bind(listener->fd, (const struct sockaddr *)&addr, sizeof(addr)) == 0 ? 0 : errno;
  umask(before);
  listener->bound = rc == 0;
  /* Before listen(): until then nobody can connect, whichever group it has. */
  if (rc == 0 && gid != NO_GROUP && fchownat(AT_FDCWD, listener->path, (uid_t)-1, gid, AT_SYMLINK_NOFOLLOW) != 0)
    rc = errno;
  if (rc == 0 && listen(listener->fd, 1) != 0)
    rc = errno;
  return rc == 0 ? 0 : fail(program, "cannot listen on", listener->path, rc);
}

int virtiofs_daemon_listen_path(struct virtiofs_daemon_listener *listener, const char *program, const char *path,
                                const char *group) {
  size_t len = strlen(path);
  gid_t gid;
  *listener = (struct virtiofs_daemon_listener){.fd = -1, .lock_fd = -1};
  if (len == 0 || len >= sizeof(listener->path))
    return fail(program, "cannot listen on", path, len == 0 ? ENOENT : ENAMETOOLONG);
  memcpy(listener->path, path, len);
  (void)snprintf(listener->lock_path, sizeof(listener->lock_path), "%s.pid", path);
  int rc = find_group(program, group, &gid);
  if (rc == 0)
    rc = take_lock(listener, program);
  if (rc == 0)
    rc = remove_stale(listener, program);
  if (rc == 0)
    rc = bind_path(listener, program, gid);
  if (rc != 0)
    virtiofs_daemon_listen_end(listener);
  return rc;
}

static int socket_option(int fd, int option, int *value) {
  socklen_t len = sizeof(*value);
  return getsockopt(fd, SOL_SOCKET, option, value, &len) == 0 ? 0 : -errno;
}

int virtiofs_daemon_listen_fd(struct virtiofs_daemon_listener *listener, const char *program, int take_fd) {
  int domain, type, listening;
  char name[32];
  *listener = (struct virtiofs_daemon_listener){.fd = take_fd, .lock_fd = -1};
  (void)snprintf(name, sizeof(name), "descriptor %d", take_fd);
  int rc = socket_option(take_fd, SO_DOMAIN, &domain);
  if (rc == 0)
    rc = socket_option(take_fd, SO_TYPE, &type);
  if (rc == 0)
    rc = socket_option(take_fd, SO_ACCEPTCONN, &listening);
  if (rc == 0 && (domain != AF_UNIX || type != SOCK_STREAM))
    rc = -EPROTOTYPE;
  if (rc != 0) {
    listener->fd = -1; /* whatever it is, it isn't ours to close */
    return fail(program, "cannot use", name, -rc);
  }
  listener->connected = listening == 0;
  (void)fcntl(take_fd, F_SETFD, FD_CLOEXEC);
  return 0;
}

int virtiofs_daemon_accept(const struct virtiofs_daemon_listener *listener, int stop_fd) {
  struct pollfd fds[2] = {{.fd = stop_fd, .events = POLLIN}, {.fd = listener->fd, .events = POLLIN}};
  for (;;) {
    if (poll(fds, 2, -1) < 0 && errno != EINTR)
      return -errno;
    if (fds[0].revents != 0)
      return -ECANCELED;
    if (fds[1].revents == 0)
      continue;
    int fd = accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC);
    if (fd >= 0)
      return fd;
    if (errno != EINTR && errno != ECONNABORTED && errno != EAGAIN)
      return -errno;
  }
}

/* The lock lies on a file system of the host's, which is not for a process that a guest may take over. */
void virtiofs_daemon_listen_inside(struct virtiofs_daemon_listener *listener) {
  listener->inside = true;
  if (listener->lock_fd >= 0)
    close(listener->lock_fd);
  listener->lock_fd = -1;
}

/* Who is connected, or wants to be, is to see that the other one hangs up or has gone. */
void virtiofs_daemon_listen_outside(struct virtiofs_daemon_listener *listener) {
  if (listener->fd >= 0)
    close(listener->fd);
  listener->fd = -1;
}

void virtiofs_daemon_listen_end(struct virtiofs_daemon_listener *listener) {
  if (listener->bound && !listener->inside)
    (void)unlink(listener->path);
  if (listener->fd >= 0)
    close(listener->fd);
  if (listener->lock_fd >= 0) {
    if (!listener->inside)
      (void)unlink(listener->lock_path);
    close(listener->lock_fd);
  }
  listener->fd = listener->lock_fd = -1;
  listener->bound = false;
}
