/* SPDX-License-Identifier: BSD-3-Clause */
/* What a guest is told that it may keep, and what a file is opened for because of that. */
#include "passthrough_share.h"

#include <grp.h>
#include <linux/fs.h>
#include <stdalign.h>
#include <sys/ioctl.h>
#include <sys/wait.h>

enum { NEVER = VIRTIOFS_PASSTHROUGH_CACHE_NEVER, AUTO = VIRTIOFS_PASSTHROUGH_CACHE_AUTO };
enum { ALWAYS = VIRTIOFS_PASSTHROUGH_CACHE_ALWAYS, METADATA = VIRTIOFS_PASSTHROUGH_CACHE_METADATA };
enum { BLOCK = 4096 };

static struct virtiofs_init_out serve(struct share *s, struct virtiofs_passthrough_config config) {
  struct virtiofs_init_in in = {.major = 7, .minor = 40};
  struct virtiofs_init_out out = {.semantics = 0};
  virtiofs_passthrough_free(s->fs);
  share_serve(s, config);
  assert_int_equal(s->ops->init(&s->req, &in, &out), 0);
  s->req.semantics = out.semantics; /* agreed on */
  return out;
}

static uint32_t open_flags(struct share *s, uint64_t node) {
  struct virtiofs_open_in in = {.node = node, .flags = O_RDWR};
  struct virtiofs_open_out out = {.handle = 0, .flags = 0xffff};
  assert_int_equal(s->ops->open(&s->req, &in, &out), 0);
  share_release(s, out.handle);
  return out.flags;
}

static uint32_t opendir_flags(struct share *s) {
  struct virtiofs_opendir_in in = {.node = s->root};
  struct virtiofs_open_out out = {.handle = 0, .flags = 0xffff};
  assert_int_equal(s->ops->opendir(&s->req, &in, &out), 0);
  share_releasedir(s, out.handle);
  return out.flags;
}

static uint32_t create_flags(struct share *s, const char *name) {
  struct virtiofs_create_out out;
  assert_int_equal(share_try_create(s, name, O_WRONLY, 0644, &out), 0);
  share_release(s, out.open.handle);
  share_forget(s, out.entry.node, 1);
  return out.open.flags;
}

static uint32_t tmpfile_flags(struct share *s) {
  struct virtiofs_tmpfile_in in = {.parent = s->root, .flags = O_RDWR, .mode = 0600};
  struct virtiofs_create_out out = {.open = {.handle = 0}};
  assert_int_equal(s->ops->tmpfile(&s->req, &in, &out), 0);
  share_release(s, out.open.handle);
  share_forget(s, out.entry.node, 1);
  return out.open.flags;
}

static void what_may_be_kept(void **state) {
  struct share *s = *state;
  static const struct {
    int cache;
    uint32_t file, dir;
  } cases[] = {
      {AUTO, 0, 0},
      {NEVER, VIRTIOFS_OPEN_DIRECT_IO, 0},
      {ALWAYS, VIRTIOFS_OPEN_KEEP_CACHE, VIRTIOFS_OPEN_KEEP_CACHE | VIRTIOFS_OPEN_CACHE_DIR},
      {METADATA, VIRTIOFS_OPEN_DIRECT_IO, VIRTIOFS_OPEN_KEEP_CACHE | VIRTIOFS_OPEN_CACHE_DIR},
  };
  share_put_file(s, "f", "text", 0644);
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    (void)serve(s, (struct virtiofs_passthrough_config){.cache = (enum virtiofs_passthrough_cache)cases[i].cache});
    uint64_t node = share_lookup(s, "f");
    assert_int_equal(open_flags(s, node), cases[i].file);
    assert_int_equal(opendir_flags(s), cases[i].dir);
    (void)unlinkat(s->fd, "new", 0);
    assert_int_equal(create_flags(s, "new"), cases[i].file);
    assert_int_equal(create_flags(s, "new"), cases[i].file); /* which is there by now */
    assert_int_equal(tmpfile_flags(s), cases[i].file);
    share_forget(s, node, 1);
  }
}

static void what_is_promised(void **state) {
  struct share *s = *state;
  const uint64_t both = VIRTIOFS_SEMANTICS_WRITEBACK_CACHE | VIRTIOFS_SEMANTICS_DIRECT_IO_ALLOW_MMAP;
  static const struct {
    int cache;
    uint64_t promise;
  } cases[] = {
      {AUTO, VIRTIOFS_SEMANTICS_WRITEBACK_CACHE},
      {ALWAYS, VIRTIOFS_SEMANTICS_WRITEBACK_CACHE},
      {NEVER, VIRTIOFS_SEMANTICS_DIRECT_IO_ALLOW_MMAP},
      {METADATA, VIRTIOFS_SEMANTICS_DIRECT_IO_ALLOW_MMAP},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct virtiofs_passthrough_config config = {.cache = (enum virtiofs_passthrough_cache)cases[i].cache};
    struct virtiofs_init_out out = serve(s, config);
    assert_int_equal(out.semantics & both, 0);
    assert_int_equal(out.without & VIRTIOFS_BLOCKING_READDIRPLUS, 0);
    config.writeback = config.allow_mmap = config.no_readdirplus = true;
    out = serve(s, config);
    assert_int_equal(out.semantics & both, cases[i].promise);
    assert_int_equal(out.without & VIRTIOFS_BLOCKING_READDIRPLUS, VIRTIOFS_BLOCKING_READDIRPLUS);
  }
  struct virtiofs_passthrough *none;
  struct virtiofs_passthrough_config bad = {
      .size = sizeof bad, .shared_dir = s->dir, .cache = (enum virtiofs_passthrough_cache)(METADATA + 1)};
  assert_int_equal(virtiofs_passthrough_new(&none, &bad), -EINVAL);
}

/* ---- writing back ---- */

static int access_of(uint64_t handle) {
  return fcntl((int)handle, F_GETFL) & (O_ACCMODE | O_DIRECT | O_APPEND);
}

static void read_from_what_is_for_writing(void **state) {
  struct share *s = *state;
  char buf[8] = "";
  share_put_file(s, "f", "text", 0644);
  for (int writeback = 0; writeback < 2; writeback++) {
    (void)serve(s, (struct virtiofs_passthrough_config){.writeback = writeback != 0});
    uint64_t node = share_lookup(s, "f"), handle = share_open(s, node, O_WRONLY | O_APPEND);
    assert_int_equal(share_read(s, handle, 0, buf, 4), writeback ? 4 : -EBADF);
    share_release(s, handle);
    handle = share_open(s, node, O_RDONLY);
    assert_int_equal(access_of(handle), O_RDONLY);
    share_release(s, handle);
    share_forget(s, node, 1);
    /* A new file whose mode doesn't let its user read: the server does. */
    struct virtiofs_create_out out;
    s->req.caller = (struct virtiofs_caller){.uid = 4321, .gid = 4321};
    assert_int_equal(fchmodat(s->fd, ".", 0777, 0), 0);
    assert_int_equal(share_try_create(s, writeback ? "w" : "v", O_WRONLY, 0200, &out), 0);
    s->req.caller = (struct virtiofs_caller){.uid = geteuid(), .gid = getegid()};
    assert_int_equal(access_of(out.open.handle), writeback ? O_RDWR : O_WRONLY);
    share_release(s, out.open.handle);
    share_forget(s, out.entry.node, 1);
  }
}

/* The mode of a new file is for those who open it later; also for a server that isn't root. */
static void what_is_new_may_be_read_and_written(void **state) {
  struct share *s = *state;
  if (geteuid() != 0)
    skip();
  assert_int_equal(fchmod(s->fd, 0777), 0);
  pid_t child = fork();
  assert_true(child >= 0);
  if (child == 0) {
    static const uint32_t modes[] = {0444, 0200, 0};
    struct virtiofs_create_out out;
    int bad = setgroups(0, NULL) != 0 || setgid(4321) != 0 || setuid(4321) != 0;
    (void)serve(s, (struct virtiofs_passthrough_config){.writeback = true});
    for (unsigned i = 0; i < 3; i++) {
      const char *names[] = {"a", "b", "c"};
      bad |= share_try_create(s, names[i], O_WRONLY, modes[i], &out) != 0;
      bad |= bad == 0 && access_of(out.open.handle) != O_RDWR;
      struct virtiofs_tmpfile_in in = {.parent = s->root, .flags = O_WRONLY, .mode = modes[i]};
      bad |= s->ops->tmpfile(&s->req, &in, &out) != 0;
      bad |= bad == 0 && access_of(out.open.handle) != O_RDWR;
    }
    _exit(bad);
  }
  int status;
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_int_equal(status, 0);
  assert_int_equal(share_stat(s, "a").st_mode, S_IFREG | 0444);
}

/* Where a write goes to: the guest that writes back says where, any other only that it appends. */
static void appending(void **state) {
  struct share *s = *state;
  for (int writeback = 0; writeback < 2; writeback++) {
    share_put_file(s, "f", "0123456789", 0644);
    (void)serve(s, (struct virtiofs_passthrough_config){.writeback = writeback != 0});
    uint64_t node = share_lookup(s, "f"), handle = share_open(s, node, O_RDWR | O_APPEND);
    char buf[16] = "";
    assert_int_equal(share_write(s, handle, 4, "xy", O_RDWR | O_APPEND, 0), 2);
    assert_int_equal(share_write(s, handle, 0, "z", O_RDWR | O_APPEND, VIRTIOFS_WRITE_CACHE), 1);
    assert_int_equal(share_read(s, handle, 0, buf, sizeof buf), writeback ? 10 : 12);
    assert_string_equal(buf, writeback ? "z123xy6789" : "z123456789xy");
    share_release(s, handle);
    share_forget(s, node, 1);
  }
}

/* Changes the flag of chattr +a. False if the file system doesn't have it. */
static bool append_only(const struct share *s, const char *name, bool on) {
  int flags = 0, fd = openat(s->fd, name, O_RDONLY | O_CLOEXEC);
  bool had = ioctl(fd, FS_IOC_GETFLAGS, &flags) == 0;
  flags = on ? flags | FS_APPEND_FL : flags & ~FS_APPEND_FL;
  had = had && ioctl(fd, FS_IOC_SETFLAGS, &flags) == 0;
  close(fd);
  return had;
}

/* Whole pages of it can't be written back: what was there would come once more. So a guest doesn't keep them. */
static void what_may_only_grow(void **state) {
  struct share *s = *state;
  share_put_file(s, "f", "text", 0644);
  if (geteuid() != 0 || !append_only(s, "f", true))
    skip();
  for (int writeback = 0; writeback < 2; writeback++) {
    (void)serve(s, (struct virtiofs_passthrough_config){.writeback = writeback != 0});
    struct virtiofs_open_in in = {.node = share_lookup(s, "f"), .flags = O_WRONLY};
    struct virtiofs_open_out out = {.handle = 0};
    assert_int_equal(s->ops->open(&s->req, &in, &out), -EPERM);
    in.flags |= O_APPEND;
    assert_int_equal(s->ops->open(&s->req, &in, &out), 0);
    assert_int_equal(out.flags, writeback ? VIRTIOFS_OPEN_DIRECT_IO : 0);
    s->opened = in.node;
    assert_int_equal(share_write(s, out.handle, 0, "+", O_WRONLY | O_APPEND, 0), 1);
    share_release(s, out.handle);
    assert_int_equal(share_stat(s, "f").st_size, 5 + writeback);
    in.flags = O_RDONLY;
    assert_int_equal(s->ops->open(&s->req, &in, &out), 0);
    assert_int_equal(out.flags, 0);
    share_release(s, out.handle);
    share_forget(s, in.node, 1);
  }
  assert_true(append_only(s, "f", false));
}

/* ---- O_DIRECT ---- */

/* The host's file system may not have it. */
static bool host_has_direct(const struct share *s) {
  int fd = openat(s->fd, "f", O_RDONLY | O_DIRECT | O_CLOEXEC);
  if (fd >= 0)
    close(fd);
  return fd >= 0;
}

static void direct_only_if_allowed(void **state) {
  struct share *s = *state;
  share_put_file(s, "f", "text", 0644);
  if (!host_has_direct(s))
    skip();
  for (int allowed = 0; allowed < 2; allowed++) {
    (void)serve(s, (struct virtiofs_passthrough_config){.allow_direct_io = allowed != 0});
    uint64_t node = share_lookup(s, "f"), handle = share_open(s, node, O_RDWR | O_DIRECT);
    assert_int_equal(access_of(handle), allowed ? O_RDWR | O_DIRECT : O_RDWR);
    share_release(s, handle);
    handle = share_open(s, node, O_RDWR);
    assert_int_equal(access_of(handle), O_RDWR);
    share_release(s, handle);
    share_forget(s, node, 1);
    struct virtiofs_create_out out;
    assert_int_equal(share_try_create(s, allowed ? "n" : "m", O_WRONLY | O_DIRECT, 0644, &out), 0);
    assert_int_equal(access_of(out.open.handle), allowed ? O_WRONLY | O_DIRECT : O_WRONLY);
    share_release(s, out.open.handle);
    share_forget(s, out.entry.node, 1);
  }
}

/* Memory, offset and length as they come. */
static void direct_and_unaligned(void **state) {
  struct share *s = *state;
  static char text[2 * BLOCK + 1];
  alignas(BLOCK) static char buf[3 * BLOCK];
  memset(text, 't', 2 * BLOCK);
  share_put_file(s, "f", "text", 0644);
  if (!host_has_direct(s))
    skip();
  (void)serve(s, (struct virtiofs_passthrough_config){.allow_direct_io = true, .writeback = true});
  struct virtiofs_create_out out;
  assert_int_equal(share_try_create(s, "g", O_RDWR | O_DIRECT, 0644, &out), 0);
  uint64_t node = out.entry.node, handle = out.open.handle;
  assert_int_equal(share_write(s, handle, 0, text, O_RDWR | O_DIRECT, 0), 2 * BLOCK);
  assert_int_equal(share_write(s, handle, 3, "abc", O_RDWR | O_DIRECT, 0), 3);
  assert_int_equal(share_write(s, handle, 2 * BLOCK, "end", O_RDWR | O_DIRECT, 0), 3);
  assert_int_equal(share_read(s, handle, 0, buf, BLOCK), BLOCK);
  assert_int_equal(memcmp(buf, "tttabctt", 8), 0);
  assert_int_equal(share_read(s, handle, 1, buf + 1, 5), 5);
  assert_int_equal(memcmp(buf + 1, "ttabc", 5), 0);
  assert_int_equal(share_read(s, handle, BLOCK, buf, 2 * BLOCK), BLOCK + 3);
  assert_int_equal(memcmp(buf + BLOCK, "end", 3), 0);
  assert_int_equal(share_read(s, handle, 2 * BLOCK + 1, buf + 7, 100), 2);
  share_release(s, handle);
  share_forget(s, node, 1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      share_test(what_may_be_kept),
      share_test(what_is_promised),
      share_test(read_from_what_is_for_writing),
      share_test(what_is_new_may_be_read_and_written),
      share_test(appending),
      share_test(what_may_only_grow),
      share_test(direct_only_if_allowed),
      share_test(direct_and_unaligned),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
