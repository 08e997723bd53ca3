/* SPDX-License-Identifier: BSD-3-Clause */
/* A mount on this host: the kernel is the driver. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <mntent.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include <virtiofs/device.h>
#include <virtiofs/stats.h>

#include "support/script_fs.h"

/* ctest shows it as skipped. */
enum { SKIPPED = 77 };

struct bench {
  struct script_fs fs;
  struct virtiofs_device *dev;
  struct virtiofs_fusedev_config config;
  char dir[64], path[96];
  pthread_t thread;
  bool running;
  uint64_t rate_ops;
  int rc;
};

static struct bench bench;

static void *serve(void *arg) {
  struct bench *b = arg;
  b->rc = virtiofs_device_mount(b->dev, &b->config);
  return NULL;
}

static void start(uint32_t queues, uint32_t pool_threads) {
  struct bench *b = &bench;
  struct virtiofs_device_config config = {.size = sizeof config,
                                          .ops = &script_fs_ops,
                                          .fs = &b->fs,
                                          .request_queues = queues,
                                          .pool_threads = pool_threads,
                                          .rate_ops = b->rate_ops,
                                          .rate_burst_ms = 1,
                                          .drain_ms = 200};
  assert_int_equal(virtiofs_device_new(&b->dev, &config), 0);
  assert_int_equal(pthread_create(&b->thread, NULL, serve, b), 0);
  b->running = true;
  script_fs_wait_calls(&b->fs, FUSE_INIT, 1);
}

static int join(void) {
  pthread_join(bench.thread, NULL);
  bench.running = false;
  return bench.rc;
}

static int stop(void) {
  virtiofs_device_stop(bench.dev);
  return join();
}

static const char *at(const char *name) {
  (void)snprintf(bench.path, sizeof bench.path, "%s/%s", bench.dir, name);
  return bench.path;
}

static int setup(void **state) {
  (void)state;
  memset(&bench, 0, sizeof bench);
  script_fs_init(&bench.fs);
  strcpy(bench.dir, "/tmp/virtiofs-mount-XXXXXX");
  if (mkdtemp(bench.dir) == NULL)
    return -1;
  bench.config.size = sizeof bench.config;
  bench.config.mountpoint = bench.dir;
  return 0;
}

static int teardown(void **state) {
  (void)state;
  if (bench.running)
    (void)stop();
  while (script_fs_pending(&bench.fs) != 0)
    script_fs_answer(&bench.fs, -EIO);
  virtiofs_device_free(bench.dev);
  script_fs_fini(&bench.fs);
  return rmdir(bench.dir);
}

static void files_are_there(void **state) {
  (void)state;
  struct stat st;
  unsigned char bytes[SCRIPT_FILE_SIZE + 1];
  bench.fs.records = 100;
  start(2, 0);
  assert_int_equal(stat(at("17"), &st), 0);
  assert_true(S_ISREG(st.st_mode));
  assert_int_equal(stat(at("none"), &st), -1);
  assert_int_equal(errno, ENOENT);
  int fd = open(at("17"), O_RDONLY);
  assert_true(fd >= 0);
  assert_int_equal(pread(fd, bytes, sizeof bytes, 0), SCRIPT_FILE_SIZE);
  for (unsigned i = 0; i < SCRIPT_FILE_SIZE; i++)
    assert_int_equal(bytes[i], script_fs_byte(i));
  close(fd);
  DIR *dir = opendir(bench.dir);
  unsigned names = 0;
  assert_non_null(dir);
  while (readdir(dir) != NULL)
    names++;
  closedir(dir);
  assert_int_equal(names, 100);
  assert_int_equal(stop(), -ECANCELED);
  assert_int_equal(script_fs_calls(&bench.fs, FUSE_DESTROY), 1);
}

/* Whoever has answered, and whichever thread has read it. */
static void requests_are_counted(void **state) {
  (void)state;
  struct virtiofs_stats_op looked = {0}, op;
  struct stat st;
  start(2, 2);
  for (unsigned i = 0; i < 20; i++)
    assert_int_equal(stat(at("none"), &st), -1);
  assert_int_equal(stop(), -ECANCELED);
  for (uint32_t i = 1; i <= 2; i++) {
    struct virtiofs_stats_queue queue;
    assert_int_equal(virtiofs_stats_read_op(bench.dev, i, FUSE_LOOKUP, &op, sizeof op), 0);
    looked.count += op.count;
    looked.errors += op.errors;
    assert_int_equal(virtiofs_stats_read_queue(bench.dev, i, &queue, sizeof queue), 0);
    assert_int_equal(queue.in_flight, 0);
  }
  assert_int_equal(looked.count, 20);
  assert_int_equal(looked.errors, 20);
}

static void requests_wait_for_their_turn(void **state) {
  (void)state;
  enum { COUNT = 10, PER_SECOND = 100 };
  struct timespec begun, now;
  struct stat st;
  bench.rate_ops = PER_SECOND;
  start(2, 0);
  clock_gettime(CLOCK_MONOTONIC, &begun);
  for (unsigned i = 0; i < COUNT; i++)
    assert_int_equal(stat(at("none"), &st), -1);
  clock_gettime(CLOCK_MONOTONIC, &now);
  long ms = (now.tv_sec - begun.tv_sec) * 1000 + (now.tv_nsec - begun.tv_nsec) / 1000000;
  assert_true(ms >= (COUNT - 3) * 1000 / PER_SECOND); /* both threads may have found that there was one left */
  assert_int_equal(stop(), -ECANCELED);
}

static void whoever_unmounts_ends_it(void **state) {
  (void)state;
  struct stat outside, inside;
  assert_int_equal(stat(bench.dir, &outside), 0);
  for (int i = 1; i <= 3; i++) {
    if (i == 1) {
      start(1, 0);
    } else { /* the same device again */
      assert_int_equal(pthread_create(&bench.thread, NULL, serve, &bench), 0);
      bench.running = true;
      script_fs_wait_calls(&bench.fs, FUSE_INIT, (unsigned)i);
    }
    assert_int_equal(stat(bench.dir, &inside), 0);
    assert_int_not_equal(inside.st_dev, outside.st_dev);
    assert_int_equal(umount2(bench.dir, 0), 0);
    assert_int_equal(join(), 0);
  }
}

static void who_has_a_file_open_is_cut_off(void **state) {
  (void)state;
  char byte;
  struct stat st, now;
  assert_int_equal(stat(bench.dir, &st), 0);
  start(2, 0);
  int fd = open(at("20"), O_RDONLY);
  assert_true(fd >= 0);
  assert_int_equal(stop(), -ECANCELED);
  assert_int_equal(pread(fd, &byte, 1, 5000), -1);
  assert_int_equal(errno, ENOTCONN);
  close(fd);
  assert_int_equal(stat(bench.dir, &now), 0);
  assert_int_equal(now.st_dev, st.st_dev);
}

/* Another process asks, so that a signal can end it. */
static pid_t ask(const char *name) {
  pid_t pid = fork();
  if (pid == 0) {
    struct stat st;
    _exit(stat(at(name), &st) == 0 ? 0 : errno);
  }
  assert_true(pid > 0);
  return pid;
}

static int answer_of(pid_t pid) {
  int status;
  assert_int_equal(waitpid(pid, &status, 0), pid);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static void an_answer_may_come_later(void **state) {
  (void)state;
  start(1, 0);
  script_fs_pend(&bench.fs, UINT64_C(1) << FUSE_LOOKUP);
  pid_t first = ask("30"), second = ask("31");
  script_fs_wait_pending(&bench.fs, 2);
  script_fs_answer(&bench.fs, 0);
  script_fs_answer(&bench.fs, -EACCES);
  int one = answer_of(first), two = answer_of(second);
  assert_int_equal(one + two, EACCES);
  script_fs_pend(&bench.fs, 0);
  assert_int_equal(stop(), -ECANCELED);
}

/* What never answers doesn't hold up the end, and may answer long after. */
static void a_silent_backend_is_answered_for(void **state) {
  (void)state;
  start(1, 0);
  script_fs_pend(&bench.fs, UINT64_C(1) << FUSE_LOOKUP);
  pid_t pid = ask("30");
  script_fs_wait_pending(&bench.fs, 1);
  assert_int_equal(stop(), -ECANCELED);
  assert_int_not_equal(answer_of(pid), 0);
  assert_int_equal(script_fs_pending(&bench.fs), 1);
  script_fs_answer(&bench.fs, 0);
}

/* More requests than messages: they wait in the kernel, and none is lost. */
static void messages_run_out_and_come_back(void **state) {
  (void)state;
  enum { ASKERS = 9 };
  pid_t pids[ASKERS];
  char name[16];
  bench.config.messages = 2;
  start(1, 0);
  script_fs_pend(&bench.fs, UINT64_C(1) << FUSE_LOOKUP);
  for (int i = 0; i < ASKERS; i++) {
    (void)snprintf(name, sizeof name, "%d", 40 + i);
    pids[i] = ask(name);
  }
  for (int i = 0; i < ASKERS; i++) {
    script_fs_wait_pending(&bench.fs, i < ASKERS - 1 ? 2 : 1);
    script_fs_answer(&bench.fs, 0);
  }
  for (int i = 0; i < ASKERS; i++)
    assert_int_equal(answer_of(pids[i]), 0);
  script_fs_pend(&bench.fs, 0);
  assert_int_equal(stop(), -ECANCELED);
}

static int cancel_pipe[2];

static void on_cancel(struct virtiofs_req *req) {
  (void)req;
  assert_int_equal(write(cancel_pipe[1], "c", 1), 1);
}

static int waits_for_cancel(struct script_fs *fs, struct virtiofs_req *req, unsigned opcode, int rc, void *out) {
  (void)fs;
  (void)out;
  if (opcode == FUSE_LOOKUP)
    virtiofs_req_on_cancel(req, on_cancel);
  return rc;
}

static void a_signal_reaches_the_operation(void **state) {
  (void)state;
  char byte;
  assert_int_equal(pipe(cancel_pipe), 0);
  start(1, 0);
  script_fs_set_hook(&bench.fs, waits_for_cancel, NULL);
  script_fs_pend(&bench.fs, UINT64_C(1) << FUSE_LOOKUP);
  pid_t pid = ask("30");
  script_fs_wait_pending(&bench.fs, 1);
  /* Also while it is only on its way: the kernel sends INTERRUPT once it has been read. */
  assert_int_equal(kill(pid, SIGTERM), 0);
  assert_int_equal(read(cancel_pipe[0], &byte, 1), 1);
  script_fs_answer(&bench.fs, -EINTR);
  assert_int_equal(answer_of(pid), -SIGTERM);
  script_fs_set_hook(&bench.fs, NULL, NULL);
  script_fs_pend(&bench.fs, 0);
  assert_int_equal(stop(), -ECANCELED);
  close(cancel_pipe[0]);
  close(cancel_pipe[1]);
}

static void what_cannot_be_mounted_on(void **state) {
  (void)state;
  struct bench *b = &bench;
  struct virtiofs_device_config config = {.size = sizeof config, .ops = &script_fs_ops, .fs = &b->fs};
  assert_int_equal(virtiofs_device_new(&b->dev, &config), 0);
  b->config.mountpoint = NULL;
  assert_int_equal(virtiofs_device_mount(b->dev, &b->config), -EINVAL);
  b->config.mountpoint = "/dev/null";
  assert_int_equal(virtiofs_device_mount(b->dev, &b->config), -ENOTDIR);
  b->config.mountpoint = "/nothing/there";
  assert_int_equal(virtiofs_device_mount(b->dev, &b->config), -ENOENT);
  b->config.mountpoint = b->dir;
  b->config.messages = 1025;
  assert_int_equal(virtiofs_device_mount(b->dev, &b->config), -EINVAL);
  b->config.messages = 0;
  b->config.source = "a,fd=1";
  assert_int_equal(virtiofs_device_mount(b->dev, &b->config), -EINVAL);
  b->config.size++;
  assert_int_equal(virtiofs_device_mount(b->dev, NULL), -EINVAL);
}

/* ---- channels alone: another reader than a device ---- */

static void raw_messages(void **state) {
  (void)state;
  struct virtiofs_fusedev *mount;
  struct virtiofs_fusedev_channel *channel;
  struct virtiofs_message *msg;
  struct fuse_in_header header;
  bench.config.message_data = 16;
  assert_int_equal(virtiofs_fusedev_new(&mount, &bench.config), 0);
  assert_int_equal(virtiofs_fusedev_channel_new(&channel, mount), 0);
  struct pollfd pfd = {.fd = virtiofs_fusedev_channel_fd(channel), .events = POLLIN};
  assert_int_equal(poll(&pfd, 1, -1), 1);
  assert_int_equal(virtiofs_fusedev_read(channel, &msg), 1);
  assert_true(msg->in_len >= sizeof header + 8);
  memcpy(&header, msg->in[0].iov_base, sizeof header);
  assert_int_equal(header.opcode, FUSE_INIT);
  assert_int_equal(header.len, msg->in_len);
  /* Room for the largest reply that there will be. */
  assert_true(msg->out_len > (1 << 20));
  memset(virtiofs_fusedev_message_data(msg), 0xff, 16);
  assert_int_equal(virtiofs_fusedev_read(channel, &msg), 0);
  struct fuse_out_header refused = {.len = sizeof refused, .error = -EPROTO, .unique = header.unique};
  memcpy(msg->out[0].iov_base, &refused, sizeof refused);
  virtiofs_message_complete(msg, sizeof refused);
  /* A mount whose INIT failed gives errors, and ends. */
  struct stat st;
  assert_int_equal(stat(at("x"), &st), -1);
  assert_int_equal(virtiofs_fusedev_unmount(mount), 0);
  assert_int_equal(virtiofs_fusedev_unmount(mount), -EINVAL);
  assert_int_equal(virtiofs_fusedev_read(channel, &msg), -ENODEV);
  virtiofs_fusedev_channel_free(channel);
  virtiofs_fusedev_free(mount);
}

static void the_mount_goes_with_its_object(void **state) {
  (void)state;
  struct virtiofs_fusedev *mount;
  struct stat before, now;
  assert_int_equal(stat(bench.dir, &before), 0);
  assert_int_equal(virtiofs_fusedev_new(&mount, &bench.config), 0);
  virtiofs_fusedev_free(mount);
  assert_int_equal(stat(bench.dir, &now), 0);
  assert_int_equal(now.st_dev, before.st_dev);
}

/* Mounts of our own, which no other program looks into or keeps in a namespace that it makes meanwhile; and we keep
 * none of theirs. Where that can't be had, all is as on any host. */
static void leave_the_host(void) {
  struct mntent entry;
  char text[4096];
  if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0)
    return;
  FILE *mounts = setmntent("/proc/self/mounts", "re");
  while (mounts != NULL && getmntent_r(mounts, &entry, text, sizeof text) != NULL)
    if (strncmp(entry.mnt_type, "fuse", 4) == 0)
      (void)umount2(entry.mnt_dir, MNT_DETACH);
  if (mounts != NULL)
    (void)endmntent(mounts);
}

static bool can_mount(void) {
  struct virtiofs_fusedev_config config = {.size = sizeof config, .mountpoint = "/tmp"};
  struct virtiofs_fusedev *mount;
  char dir[] = "/tmp/virtiofs-mount-XXXXXX";
  config.mountpoint = mkdtemp(dir);
  int rc = config.mountpoint != NULL ? virtiofs_fusedev_new(&mount, &config) : -errno;
  if (rc == 0)
    virtiofs_fusedev_free(mount);
  else
    printf("skipped: this machine can't mount FUSE file systems: %s\n", strerror(-rc));
  (void)rmdir(dir);
  return rc == 0;
}

#define MOUNT_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      MOUNT_TEST(files_are_there),
      MOUNT_TEST(requests_are_counted),
      MOUNT_TEST(requests_wait_for_their_turn),
      MOUNT_TEST(whoever_unmounts_ends_it),
      MOUNT_TEST(who_has_a_file_open_is_cut_off),
      MOUNT_TEST(an_answer_may_come_later),
      MOUNT_TEST(a_silent_backend_is_answered_for),
      MOUNT_TEST(messages_run_out_and_come_back),
      MOUNT_TEST(a_signal_reaches_the_operation),
      MOUNT_TEST(what_cannot_be_mounted_on),
      MOUNT_TEST(raw_messages),
      MOUNT_TEST(the_mount_goes_with_its_object),
  };
  leave_the_host();
  if (!can_mount())
    return SKIPPED;
  return cmocka_run_group_tests(tests, NULL, NULL);
}
