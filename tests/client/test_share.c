/* SPDX-License-Identifier: BSD-3-Clause */
/* Two guests of one directory, each with a device: of two servers, or of one in this process that has two mounts. What
 * one of them has locked, the other and the host don't get. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include <virtiofs/client.h>
#include <virtiofs/device.h>
#include <virtiofs/passthrough.h>

enum { GUESTS = 2, OWNER = 4711, DEADLINE_MS = 60000 };

struct guest {
  pid_t server;
  struct virtiofs_device *dev;
  struct virtiofs_client *client;
  uint64_t node, handle;
};

static struct bench {
  char dir[64], path[80];
  int host; /* the file, by the host */
  struct virtiofs_passthrough *fs;
  struct guest guests[GUESTS];
} bench;

/* ---- requests ---- */

static struct virtiofs_client_request *request(struct guest *g, uint32_t queue, uint32_t opcode) {
  struct virtiofs_client_request *req = virtiofs_client_request_take(g->client, queue);
  assert_non_null(req);
  req->fuse.header.opcode = opcode;
  req->fuse.header.pid = 77;
  return req;
}

static int run(struct virtiofs_client_request *req, union virtiofs_fuse_out *out) {
  int rc = virtiofs_client_request_run(req);
  if (out != NULL)
    *out = req->out;
  virtiofs_client_request_give(req);
  return rc;
}

static void open_file(struct guest *g) {
  union virtiofs_fuse_out out;
  assert_int_equal(virtiofs_client_init(g->client, NULL, NULL), 0);
  struct virtiofs_client_request *req = request(g, 1, VIRTIOFS_FUSE_LOOKUP);
  req->fuse.in.lookup.parent = VIRTIOFS_FUSE_ROOT;
  req->fuse.in.lookup.name = (struct virtiofs_name){.str = "f", .len = 1};
  assert_int_equal(run(req, &out), 0);
  g->node = out.entry.node;
  req = request(g, 1, VIRTIOFS_FUSE_OPEN);
  req->fuse.in.open.node = g->node;
  req->fuse.in.open.flags = O_RDWR;
  assert_int_equal(run(req, &out), 0);
  g->handle = out.open.handle;
}

static struct virtiofs_client_request *lock_request(struct guest *g, uint32_t opcode, uint32_t type, bool flock) {
  struct virtiofs_client_request *req = request(g, 1, opcode);
  req->fuse.in.lk = (struct virtiofs_lk_in){.node = g->node,
                                            .handle = g->handle,
                                            .owner = OWNER, /* the same: numbers are each guest's own */
                                            .flock = flock,
                                            .lock = {.start = 0, .end = INT64_MAX, .type = type, .pid = 77}};
  return req;
}

static int lock(struct guest *g, uint32_t type, bool flock) {
  return run(lock_request(g, VIRTIOFS_FUSE_SETLK, type, flock), NULL);
}

static struct virtiofs_client_request *wait_begin(struct guest *g, uint32_t type, bool flock) {
  struct virtiofs_client_request *req = lock_request(g, VIRTIOFS_FUSE_SETLKW, type, flock);
  assert_int_equal(virtiofs_client_request_send(req), 0);
  virtiofs_client_kick(g->client, 1);
  /* Something else is answered meanwhile, and behind it. */
  struct virtiofs_client_request *more = request(g, 1, VIRTIOFS_FUSE_STATFS);
  more->fuse.in.statfs.node = g->node;
  assert_int_equal(run(more, NULL), 0);
  assert_true(req->in_flight);
  return req;
}

static int wait_end(struct guest *g, struct virtiofs_client_request *req) {
  while (req->in_flight)
    assert_true(virtiofs_client_wait(g->client, 1) >= 0);
  int rc = req->error;
  virtiofs_client_request_give(req);
  return rc;
}

static int host_lock(short type) {
  struct flock fl = {.l_type = type, .l_whence = SEEK_SET};
  return fcntl(bench.host, F_OFD_SETLK, &fl) == 0 ? 0 : -errno;
}

/* ---- where ---- */

static void make_share(struct bench *b) {
  memset(b, 0, sizeof *b);
  strcpy(b->dir, "/tmp/virtiofs-share-XXXXXX");
  assert_non_null(mkdtemp(b->dir));
  (void)snprintf(b->path, sizeof b->path, "%s/f", b->dir);
  b->host = open(b->path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  assert_true(b->host >= 0);
}

static int two_servers(void **state) {
  make_share(&bench);
  for (int i = 0; i < GUESTS; i++) {
    struct guest *g = &bench.guests[i];
    int fds[2];
    char fd[16];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    assert_int_equal(fcntl(fds[1], F_SETFD, FD_CLOEXEC), 0);
    g->server = fork();
    if (g->server == 0) {
      (void)snprintf(fd, sizeof fd, "%d", fds[0]);
      execl(PASSTHROUGH, PASSTHROUGH, "--fd", fd, "--shared-dir", bench.dir, "--log-level", "error", (char *)NULL);
      _exit(127);
    }
    close(fds[0]);
    struct virtiofs_client_config config = {
        .size = sizeof config, .fd = fds[1], .max_data = 8192, .timeout_ms = DEADLINE_MS};
    assert_int_equal(virtiofs_client_new(&g->client, &config), 0);
    open_file(g);
  }
  *state = &bench;
  return 0;
}

static int one_server(void **state) {
  make_share(&bench);
  struct virtiofs_passthrough_config config = {.size = sizeof config, .shared_dir = bench.dir};
  assert_int_equal(virtiofs_passthrough_new(&bench.fs, &config), 0);
  for (int i = 0; i < GUESTS; i++) {
    struct guest *g = &bench.guests[i];
    struct virtiofs_device_config device = {
        .size = sizeof device, .ops = virtiofs_passthrough_ops(), .fs = bench.fs, .request_queues = 1};
    assert_int_equal(virtiofs_device_new(&g->dev, &device), 0);
    struct virtiofs_client_config client = {.size = sizeof client,
                                            .transport = virtiofs_device_transport(),
                                            .device = g->dev,
                                            .max_data = 8192,
                                            .timeout_ms = DEADLINE_MS};
    assert_int_equal(virtiofs_client_new(&g->client, &client), 0);
    open_file(g);
  }
  *state = &bench;
  return 0;
}

/* The guest is gone, with all that it has, and its server ends. */
static void leave(struct guest *g) {
  int status = 0;
  virtiofs_client_free(g->client);
  g->client = NULL;
  virtiofs_device_free(g->dev);
  g->dev = NULL;
  if (g->server > 0) {
    assert_int_equal(waitpid(g->server, &status, 0), g->server);
    assert_int_equal(status, 0);
  }
  g->server = 0;
}

static int teardown(void **state) {
  (void)state;
  for (int i = 0; i < GUESTS; i++)
    leave(&bench.guests[i]);
  virtiofs_passthrough_free(bench.fs);
  close(bench.host);
  (void)unlink(bench.path);
  return rmdir(bench.dir);
}

/* ---- tests ---- */

static void they_exclude_each_other(void **state) {
  struct guest *one = bench.guests, *other = one + 1;
  (void)state;
  for (int flock = 0; flock < 2; flock++) {
    assert_int_equal(lock(one, F_WRLCK, flock), 0);
    assert_int_equal(lock(other, F_RDLCK, flock), -EAGAIN);
    if (!flock)
      assert_int_equal(host_lock(F_RDLCK), -EAGAIN);
    assert_int_equal(lock(one, F_RDLCK, flock), 0);
    assert_int_equal(lock(other, F_RDLCK, flock), 0);
    assert_int_equal(lock(other, F_WRLCK, flock), -EAGAIN);
    assert_int_equal(lock(one, F_UNLCK, flock), 0);
    assert_int_equal(lock(other, F_WRLCK, flock), 0);
    assert_int_equal(lock(other, F_UNLCK, flock), 0);
  }
  assert_int_equal(host_lock(F_WRLCK), 0);
  assert_int_equal(lock(one, F_RDLCK, false), -EAGAIN);
}

static void whose_it_is(void **state) {
  struct guest *one = bench.guests, *other = one + 1;
  union virtiofs_fuse_out out;
  (void)state;
  assert_int_equal(lock(one, F_WRLCK, false), 0);
  assert_int_equal(run(lock_request(one, VIRTIOFS_FUSE_GETLK, F_WRLCK, false), &out), 0);
  assert_int_equal(out.getlk.lock.type, F_UNLCK);
  assert_int_equal(run(lock_request(other, VIRTIOFS_FUSE_GETLK, F_RDLCK, false), &out), 0);
  assert_int_equal(out.getlk.lock.type, F_WRLCK);
  assert_int_equal(out.getlk.lock.pid, 0); /* who is in another guest has no number here */
  struct virtiofs_client_request *req = lock_request(one, VIRTIOFS_FUSE_GETLK, F_RDLCK, false);
  req->fuse.in.lk.owner++;
  assert_int_equal(run(req, &out), 0);
  assert_int_equal(out.getlk.lock.pid, 77);
}

static void one_waits_for_the_other(void **state) {
  struct guest *one = bench.guests, *other = one + 1;
  (void)state;
  for (int flock = 0; flock < 2; flock++) {
    assert_int_equal(lock(one, F_WRLCK, flock), 0);
    struct virtiofs_client_request *req = wait_begin(other, F_WRLCK, flock);
    assert_int_equal(lock(one, F_UNLCK, flock), 0);
    assert_int_equal(wait_end(other, req), 0);
    assert_int_equal(lock(one, F_RDLCK, flock), -EAGAIN);
    assert_int_equal(lock(other, F_UNLCK, flock), 0);
  }
  assert_int_equal(host_lock(F_WRLCK), 0);
  struct virtiofs_client_request *req = wait_begin(one, F_WRLCK, false);
  assert_int_equal(host_lock(F_UNLCK), 0);
  assert_int_equal(wait_end(one, req), 0);
  assert_int_equal(host_lock(F_WRLCK), -EAGAIN);
}

static void an_interrupt_ends_it(void **state) {
  struct guest *one = bench.guests, *other = one + 1;
  (void)state;
  assert_int_equal(lock(one, F_WRLCK, false), 0);
  struct virtiofs_client_request *req = wait_begin(other, F_RDLCK, false);
  struct virtiofs_client_request *interrupt = request(other, 0, VIRTIOFS_FUSE_INTERRUPT);
  interrupt->fuse.in.interrupt.unique = req->fuse.header.unique;
  assert_int_equal(run(interrupt, NULL), 0);
  assert_int_equal(wait_end(other, req), -EINTR);
  assert_int_equal(lock(one, F_UNLCK, false), 0);
  assert_int_equal(host_lock(F_WRLCK), 0); /* nobody has it in the end */
}

static void a_release_ends_it(void **state) {
  struct guest *one = bench.guests, *other = one + 1;
  (void)state;
  assert_int_equal(lock(one, F_WRLCK, false), 0);
  struct virtiofs_client_request *req = wait_begin(other, F_RDLCK, false);
  struct virtiofs_client_request *release = request(other, 1, VIRTIOFS_FUSE_RELEASE);
  release->fuse.in.release.node = other->node;
  release->fuse.in.release.handle = other->handle;
  assert_int_equal(run(release, NULL), 0);
  assert_int_equal(wait_end(other, req), -ENOLCK);
}

/* A guest that goes has no locks any more, and waits for none. */
static void who_leaves_has_none(void **state) {
  struct guest *one = bench.guests, *other = one + 1;
  (void)state;
  assert_int_equal(lock(one, F_WRLCK, false), 0);
  assert_int_equal(lock(one, F_WRLCK, true), 0);
  struct virtiofs_client_request *req = wait_begin(other, F_WRLCK, false);
  leave(one);
  assert_int_equal(wait_end(other, req), 0);
  assert_int_equal(lock(other, F_WRLCK, true), 0);
  assert_int_equal(lock(other, F_UNLCK, false), 0);
  assert_int_equal(host_lock(F_WRLCK), 0);
  (void)wait_begin(other, F_WRLCK, false);
  leave(other); /* while it waits */
  assert_int_equal(host_lock(F_UNLCK), 0);
  assert_int_equal(host_lock(F_WRLCK), 0);
}

/* A guest that is started anew begins without any. */
static void a_new_mount_has_none(void **state) {
  struct guest *one = bench.guests, *other = one + 1;
  (void)state;
  assert_int_equal(lock(one, F_WRLCK, false), 0);
  assert_int_equal(lock(one, F_RDLCK, true), 0);
  open_file(one);
  assert_int_equal(lock(other, F_WRLCK, false), 0);
  assert_int_equal(lock(other, F_WRLCK, true), 0);
}

#define BOTH(name)                                                                                                     \
  {#name " of two servers", name, two_servers, teardown, NULL}, {                                                      \
#name " of one server", name, one_server, teardown, NULL                                                           \
  }

int main(void) {
  const struct CMUnitTest tests[] = {
      BOTH(they_exclude_each_other), BOTH(whose_it_is),       BOTH(one_waits_for_the_other),
      BOTH(an_interrupt_ends_it),    BOTH(a_release_ends_it), BOTH(who_leaves_has_none),
      BOTH(a_new_mount_has_none),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
