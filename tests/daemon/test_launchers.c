/* SPDX-License-Identifier: BSD-3-Clause */
/* What launchers of virtiofsd pass, word for word: the server takes it, means the same, and ends when they leave. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include <virtiofs/client.h>

#include "support/program.h"

#define SECOND UINT64_C(1000000000)
#define DAY (86400 * SECOND)
#define PLUS VIRTIOFS_FUSE_DO_READDIRPLUS
#define LOCKS VIRTIOFS_FUSE_POSIX_LOCKS
#define FLOCKS VIRTIOFS_FUSE_FLOCK_LOCKS
#define BACK VIRTIOFS_FUSE_WRITEBACK_CACHE
#define ACL VIRTIOFS_FUSE_POSIX_ACL
#define MOUNTS VIRTIOFS_FUSE_SUBMOUNTS
#define KILL VIRTIOFS_FUSE_HANDLE_KILLPRIV_V2
#define MMAP VIRTIOFS_FUSE_DIRECT_IO_ALLOW_MMAP
/* What a vector may say anything about. */
#define ASKED (PLUS | LOCKS | FLOCKS | BACK | ACL | MOUNTS | KILL | MMAP)

enum { WORDS_MAX = PROGRAM_ARGS, NAME_MAX_BYTES = 128 };

struct vector {
  const char *who;
  const char *words[WORDS_MAX]; /* %D: the directory; %S: the socket, if it isn't passed as descriptor 9 */
  uint64_t flags;               /* of ASKED, those that are agreed on */
  uint64_t valid_ns;            /* of names */
  bool xattr, readonly;
  unsigned warnings;
};

static const struct vector vectors[] = {
    {.who = "libvirt, separate options",
     .words = {"--fd=9", "--shared-dir", "%D", "--cache", "always", "--sandbox", "namespace", "--xattr",
               "--thread-pool-size=200", "--rlimit-nofile=4096", "--log-level", "debug"},
     .flags = PLUS | LOCKS | FLOCKS | MOUNTS,
     .valid_ns = DAY,
     .xattr = true,
     .warnings = 1},
    {.who = "libvirt, cache none",
     .words = {"--fd=9", "--shared-dir", "%D", "--cache", "never"},
     .flags = LOCKS | FLOCKS | MOUNTS},
    {.who = "libvirt, one option",
     .words = {"--fd=9", "-o", "source=%D,cache=none,sandbox=namespace,xattr,flock,no_posix_lock",
               "--thread-pool-size=8", "-d"},
     .flags = FLOCKS | MOUNTS,
     .xattr = true,
     .warnings = 7},
    {.who = "libvirt, one option, nothing but what must be",
     .words = {"--fd=9", "-o", "source=%D"},
     .flags = PLUS | LOCKS | FLOCKS | MOUNTS,
     .valid_ns = SECOND,
     .warnings = 1},
    {.who = "Kata, Go",
     .words = {"--syslog", "--cache=auto", "--shared-dir=%D", "--fd=9", "--thread-pool-size=1", "--announce-submounts"},
     .flags = PLUS | LOCKS | FLOCKS | MOUNTS,
     .valid_ns = SECOND},
    {.who = "Kata, Rust",
     .words = {"--socket-path", "%S", "--shared-dir", "%D", "--cache", "never", "--thread-pool-size=1", "-o",
               "announce_submounts", "--xattr"},
     .flags = LOCKS | FLOCKS | MOUNTS,
     .xattr = true,
     .warnings = 1},
    {.who = "by hand, as the C server's manual page has it",
     .words = {"--socket-path=%S", "-o", "source=%D", "-o",
               "cache=always,timeout=2.5,writeback,no_flock,norace,modcaps=-fowner", "-f", "-o", "log_level=info", "-o",
               "no_readdirplus,posix_acl,killpriv_v2,allow_direct_io"},
     .flags = LOCKS | BACK | ACL | KILL | MOUNTS,
     .valid_ns = 5 * SECOND / 2,
     .xattr = true,
     .warnings = 13},
    {.who = "by hand, the later one counts",
     .words = {"--socket", "%S", "--shared-dir", "/nowhere", "--shared-dir=%D", "--writeback", "--cache=always",
               "--cache=metadata", "--allow-mmap", "--posix-acl", "--posix-acl=never", "--no-announce-submounts",
               "--killpriv-v2", "--no-killpriv-v2", "--tag=share"},
     .flags = PLUS | LOCKS | FLOCKS | MMAP,
     .valid_ns = DAY,
     .warnings = 1},
    {.who = "siliconflow",
     .words = {"--socket-path=%S", "--shared-dir=%D", "--num-request-queues=4", "--inode-file-handles=fallback",
               "--no-readdirplus", "--preserve-noatime", "--readonly"},
     .readonly = true,
     .flags = LOCKS | FLOCKS | MOUNTS,
     .valid_ns = SECOND},
};

struct rig {
  char dir[64], socket[96], words[WORDS_MAX][NAME_MAX_BYTES];
  const char *args[WORDS_MAX + 1];
  struct program program;
};

/* With the rig's names in place of %D and %S. */
static void fill_in(const struct rig *rig, const char *word, char filled[NAME_MAX_BYTES]) {
  const char *mark = strchr(word, '%');
  if (mark == NULL)
    (void)snprintf(filled, NAME_MAX_BYTES, "%s", word);
  else
    (void)snprintf(filled, NAME_MAX_BYTES, "%.*s%s%s", (int)(mark - word), word,
                   mark[1] == 'D' ? rig->dir : rig->socket, mark + 2);
}

static int setup(void **state) {
  struct rig *rig = calloc(1, sizeof *rig);
  char path[128];
  assert_non_null(rig);
  (void)strcpy(rig->dir, "/tmp/virtiofs-launch-XXXXXX");
  assert_non_null(mkdtemp(rig->dir));
  (void)snprintf(rig->socket, sizeof rig->socket, "%s.sock", rig->dir);
  (void)snprintf(path, sizeof path, "%s/file", rig->dir);
  int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
  assert_true(fd >= 0);
  assert_int_equal(write(fd, "served", 6), 6);
  close(fd);
  *state = rig;
  return 0;
}

static int teardown(void **state) {
  struct rig *rig = *state;
  char path[128];
  (void)snprintf(path, sizeof path, "%s/file", rig->dir);
  (void)unlink(path);
  (void)unlink(rig->socket);
  (void)rmdir(rig->dir);
  free(rig);
  return 0;
}

/* A listening socket there, as libvirt makes it. */
static int listen_at(const char *path) {
  struct sockaddr_un addr = {.sun_family = AF_UNIX};
  memcpy(addr.sun_path, path, strlen(path) + 1);
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  assert_true(fd >= 0);
  assert_int_equal(bind(fd, (const struct sockaddr *)&addr, sizeof addr), 0);
  assert_int_equal(listen(fd, 1), 0);
  return fd;
}

static void start(struct rig *rig, const struct vector *vector) {
  int fd = -1;
  bool by_path = false;
  memset(rig->args, 0, sizeof rig->args);
  for (unsigned i = 0; i < WORDS_MAX && vector->words[i] != NULL; i++) {
    fill_in(rig, vector->words[i], rig->words[i]);
    rig->args[i] = rig->words[i];
    by_path = by_path || strstr(vector->words[i], "%S") != NULL;
  }
  if (!by_path)
    fd = listen_at(rig->socket);
  program_start(&rig->program, PASSTHROUGH, rig->args, fd, -1);
  if (fd >= 0)
    close(fd);
}

/* As soon as it listens. */
static struct virtiofs_client *connect_soon(struct rig *rig) {
  struct virtiofs_client_config config = {
      .size = sizeof config, .socket_path = rig->socket, .max_data = 8192, .timeout_ms = 60000};
  struct virtiofs_client *client;
  time_t deadline = time(NULL) + 60;
  int rc;
  while ((rc = virtiofs_client_new(&client, &config)) == -ENOENT || rc == -ECONNREFUSED) {
    assert_true(time(NULL) < deadline);
    sched_yield();
  }
  assert_int_equal(rc, 0);
  return client;
}

static void assert_serves(struct virtiofs_client *client, const struct vector *vector) {
  struct virtiofs_fuse_init_out got;
  struct virtiofs_client_request *req = virtiofs_client_request_take(client, 1);
  assert_int_equal(virtiofs_client_init(client, NULL, &got), 0);
  if ((got.flags & ASKED) != vector->flags)
    fail_msg("%s: flags %#llx, not %#llx", vector->who, (unsigned long long)(got.flags & ASKED),
             (unsigned long long)vector->flags);
  req->fuse.header = (struct virtiofs_fuse_header){.opcode = VIRTIOFS_FUSE_LOOKUP};
  req->fuse.in.lookup.parent = VIRTIOFS_FUSE_ROOT;
  req->fuse.in.lookup.name = (struct virtiofs_name){.str = "file", .len = 4};
  assert_int_equal(virtiofs_client_request_run(req), 0);
  assert_int_equal(req->out.entry.attr.size, 6);
  assert_int_equal(req->out.entry.entry_valid_ns, vector->valid_ns);
  assert_int_equal(req->out.entry.attr_valid_ns, vector->valid_ns);
  uint64_t node = req->out.entry.node;
  memset(&req->fuse.in, 0, sizeof req->fuse.in);
  req->fuse.header = (struct virtiofs_fuse_header){.opcode = VIRTIOFS_FUSE_LISTXATTR};
  req->fuse.in.listxattr.node = node;
  req->fuse.in.listxattr.size = 4096;
  assert_int_equal(virtiofs_client_request_run(req), vector->xattr ? 0 : -ENOSYS);
  memset(&req->fuse.in, 0, sizeof req->fuse.in);
  req->fuse.header = (struct virtiofs_fuse_header){.opcode = VIRTIOFS_FUSE_SETATTR};
  req->fuse.in.setattr = (struct virtiofs_setattr_in){.node = node, .valid = VIRTIOFS_SET_MODE, .mode = 0600};
  assert_int_equal(virtiofs_client_request_run(req), vector->readonly ? -EROFS : 0);
  virtiofs_client_request_give(req);
}

/* But for those about the machine. */
static unsigned warnings(const struct program *program) {
  unsigned count = 0;
  for (const char *at = program->text[1]; (at = strstr(at, "WARN daemon: ")) != NULL; at++)
    count += strncmp(at, "WARN daemon: no system log", 26) != 0;
  return count;
}

static void each_vector(void **state) {
  struct rig *rig = *state;
  for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
    start(rig, &vectors[i]);
    struct virtiofs_client *client = connect_soon(rig);
    assert_serves(client, &vectors[i]);
    virtiofs_client_free(client);
    int status = program_wait(&rig->program);
    if (status != 0 || warnings(&rig->program) != vectors[i].warnings)
      fail_msg("%s: status %d, '%s'", vectors[i].who, status, rig->program.text[1]);
    (void)unlink(rig->socket); /* if it was passed, it is the launcher's */
  }
}

/* libvirt ends it so, and Kata: before its front-end has left, or ever came. */
static void a_signal_is_not_the_front_ends_end(void **state) {
  struct rig *rig = *state;
  static const struct { int signal, once, stay; } cases[] = {{SIGTERM, 1, 0}, {SIGHUP, 1, 0}, {SIGINT, 0, 0}};
  static const struct vector kinds[] = {
      {.words = {"--socket-path=%S", "--shared-dir=%D", "--log-level=error"}},
      {.words = {"--socket-path=%S", "--shared-dir=%D", "--log-level=error", "--once", "--stay"}},
  };
  for (unsigned i = 0; i < 12; i++) {
    const unsigned which = i / 4, kind = i & 1, connected = (i & 2) != 0;
    start(rig, &kinds[kind]);
    struct virtiofs_client *client = NULL;
    if (connected)
      client = connect_soon(rig);
    while (access(rig->socket, F_OK) != 0)
      sched_yield();
    assert_int_equal(kill(rig->program.pid, cases[which].signal), 0);
    assert_int_equal(program_wait(&rig->program), kind == 0 ? cases[which].once : cases[which].stay);
    virtiofs_client_free(client);
    assert_int_not_equal(access(rig->socket, F_OK), 0);
  }
}

static void one_that_stays(void **state) {
  struct rig *rig = *state;
  static const struct vector stays = {.words = {"--socket-path=%S", "--shared-dir=%D", "--stay"},
                                      .flags = PLUS | LOCKS | FLOCKS | MOUNTS,
                                      .valid_ns = SECOND};
  start(rig, &stays);
  for (unsigned i = 0; i < 3; i++) {
    struct virtiofs_client *client = connect_soon(rig);
    assert_serves(client, &stays);
    virtiofs_client_free(client);
  }
  assert_int_equal(kill(rig->program.pid, SIGTERM), 0);
  assert_int_equal(program_wait(&rig->program), 0);
}

/* The environment's word counts more, as in a server whose log is env_logger's. */
static void rust_log(void **state) {
  struct rig *rig = *state;
  static const struct vector quiet = {.words = {"--socket-path=%S", "--shared-dir=%D", "--log-level=trace", "-f"}};
  static const char *const said[] = {"off", "virtiofsd=warn", "warn,virtiofsd::server=trace"};
  static const unsigned lines[] = {0, 1, 1};
  for (unsigned i = 0; i < 3; i++) {
    assert_int_equal(setenv("RUST_LOG", said[i], 1), 0);
    start(rig, &quiet);
    assert_int_equal(unsetenv("RUST_LOG"), 0);
    virtiofs_client_free(connect_soon(rig));
    assert_int_equal(program_wait(&rig->program), 0);
    assert_int_equal(program_lines(&rig->program, 1), lines[i]);
  }
}

#define RIGGED(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      RIGGED(each_vector),
      RIGGED(a_signal_is_not_the_front_ends_end),
      RIGGED(one_that_stays),
      RIGGED(rust_log),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
