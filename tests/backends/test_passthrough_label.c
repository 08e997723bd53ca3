/* SPDX-License-Identifier: BSD-3-Clause */
/* Security contexts on what is made. As root; skipped for others. */
#include "passthrough_share.h"

#include <sys/syscall.h>
#include <sys/xattr.h>

#include "backends/passthrough/share.h"

enum { USER = 1234, GROUP = 1235 };
static const char label[] = "system_u:object_r:tmp_t:s0";
static const char on_host[] = "user.map.security.selinux";

static void serve(struct share *s, const char *map) {
  if (geteuid() != 0)
    skip();
  virtiofs_passthrough_free(s->fs);
  share_serve(s, (struct virtiofs_passthrough_config){.xattrmap = map, .security_label = VIRTIOFS_PASSTHROUGH_AUTO});
  s->req.caller = (struct virtiofs_caller){.uid = USER, .gid = GROUP, .pid = 1};
}

/** One context and one group, as a guest sends them. */
static struct {
  _Alignas(8) unsigned char bytes[512];
  uint32_t size;
} ext;

static void put(const void *bytes, size_t size) {
  memcpy(ext.bytes + ext.size, bytes, size);
  ext.size += (uint32_t)size;
}

static struct virtiofs_extensions context(const char *name, const char *value) {
  const uint32_t head[] = {0, 1, (uint32_t)strlen(value), 0}, groups[] = {16, 32, 1, GROUP};
  memset(&ext, 0, sizeof ext);
  put(head, sizeof head);
  put(name, strlen(name) + 1);
  put(value, strlen(value));
  ext.size = (ext.size + 7) & ~7U;
  memcpy(ext.bytes, &ext.size, 4);
  put(groups, sizeof groups);
  return (struct virtiofs_extensions){.bytes = ext.bytes, .size = ext.size};
}

static int make_dir(struct share *s, const char *name, struct virtiofs_extensions extensions,
                    struct virtiofs_entry_out *out) {
  struct virtiofs_mkdir_in in = {
      .parent = s->root, .name = share_name(name), .mode = S_IFDIR | 0755, .extensions = extensions};
  return s->ops->mkdir(&s->req, &in, out);
}

static int make_node(struct share *s, const char *name, uint32_t mode, struct virtiofs_extensions extensions,
                     struct virtiofs_entry_out *out) {
  struct virtiofs_mknod_in in = {.parent = s->root, .name = share_name(name), .mode = mode, .extensions = extensions};
  return s->ops->mknod(&s->req, &in, out);
}

static int make_link(struct share *s, const char *name, struct virtiofs_extensions extensions,
                     struct virtiofs_entry_out *out) {
  struct virtiofs_symlink_in in = {
      .parent = s->root, .name = share_name(name), .target = share_name("x"), .extensions = extensions};
  return s->ops->symlink(&s->req, &in, out);
}

static int make_file(struct share *s, const char *name, uint32_t flags, struct virtiofs_extensions extensions,
                     struct virtiofs_create_out *out) {
  struct virtiofs_create_in in = {.parent = s->root,
                                  .name = share_name(name),
                                  .flags = flags | O_CREAT,
                                  .mode = S_IFREG | 0640,
                                  .extensions = extensions};
  return s->ops->create(&s->req, &in, out);
}

static void assert_labelled(struct share *s, const char *name, const char *xattr) {
  char path[300], value[64];
  snprintf(path, sizeof path, "%s/%s", s->dir, name);
  assert_int_equal(lgetxattr(path, xattr, value, sizeof value), strlen(label));
  assert_memory_equal(value, label, strlen(label));
  struct stat st = share_stat(s, name);
  assert_int_equal(st.st_uid, USER);
  assert_int_equal(st.st_gid, GROUP);
}

/* What the reply says is what is there after the label was set. */
static void assert_attr_is(struct share *s, const char *name, const struct virtiofs_attr *attr) {
  struct stat st = share_stat(s, name);
  share_assert_attr(attr, &st);
}

static void promised_if_asked(void **state) {
  struct share *s = *state;
  struct virtiofs_init_in in = {.major = 7, .minor = 38};
  struct virtiofs_init_out out = {.semantics = 0};
  assert_int_equal(s->ops->init(&s->req, &in, &out), 0);
  assert_int_equal(out.semantics & VIRTIOFS_SEMANTICS_SECURITY_CTX, 0);
  serve(s, NULL);
  assert_int_equal(s->ops->init(&s->req, &in, &out), 0);
  assert_true((out.semantics & VIRTIOFS_SEMANTICS_SECURITY_CTX) != 0);
  virtiofs_passthrough_free(s->fs);
  struct virtiofs_passthrough_config config = {
      .size = sizeof config, .shared_dir = s->dir, .security_label = VIRTIOFS_PASSTHROUGH_ALWAYS};
  assert_int_equal(virtiofs_passthrough_new(&s->fs, &config), 0);
  s->req.fs = s->fs;
  assert_int_equal(s->ops->init(&s->req, &in, &out), -EOPNOTSUPP);
  in.flags = VIRTIOFS_SEMANTICS_SECURITY_CTX;
  assert_int_equal(s->ops->init(&s->req, &in, &out), 0);
  struct virtiofs_passthrough *none;
  config.security_label = (enum virtiofs_passthrough_mode)3;
  assert_int_equal(virtiofs_passthrough_new(&none, &config), -EINVAL);
}

static void each_type_gets_it(void **state) {
  struct share *s = *state;
  struct virtiofs_entry_out out;
  struct virtiofs_create_out created;
  serve(s, ":map:security.selinux:trusted.map.:");
  static const char trusted[] = "trusted.map.security.selinux";
  assert_int_equal(make_dir(s, "dir", context("security.selinux", label), &out), 0);
  assert_attr_is(s, "dir", &out.attr);
  assert_int_equal(make_node(s, "fifo", S_IFIFO | 0600, context("security.selinux", label), &out), 0);
  assert_attr_is(s, "fifo", &out.attr);
  assert_int_equal(make_link(s, "link", context("security.selinux", label), &out), 0);
  assert_attr_is(s, "link", &out.attr);
  assert_int_equal(make_node(s, "node", S_IFREG | 04755, context("security.selinux", label), &out), 0);
  assert_attr_is(s, "node", &out.attr);
  assert_int_equal(out.attr.mode, S_IFREG | 04755);
  assert_int_equal(make_file(s, "file", O_WRONLY, context("security.selinux", label), &created), 0);
  assert_attr_is(s, "file", &created.entry.attr);
  assert_int_equal(created.entry.attr.mode, S_IFREG | 0640);
  assert_int_equal(created.entry.attr.nlink, 1);
  share_release(s, created.open.handle);
  static const char *const names[] = {"dir", "fifo", "link", "node", "file"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    assert_labelled(s, names[i], trusted);
}

static void open_file_works(void **state) {
  struct share *s = *state;
  struct virtiofs_create_out out;
  static const uint32_t ways[] = {O_RDONLY, O_WRONLY, O_RDWR, O_RDWR | O_TRUNC};
  char name[16], byte;
  serve(s, ":map:security.selinux:user.map.:");
  for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
    snprintf(name, sizeof name, "f%zu", i);
    assert_int_equal(make_file(s, name, ways[i], context("security.selinux", label), &out), 0);
    assert_labelled(s, name, on_host);
    s->opened = out.entry.node;
    if (ways[i] != O_RDONLY)
      assert_int_equal(share_write(s, out.open.handle, 0, "x", 0, 0), 1);
    if (ways[i] != O_WRONLY)
      assert_int_equal(share_read(s, out.open.handle, 0, &byte, 1), ways[i] != O_RDONLY);
    share_release(s, out.open.handle);
  }
  /* The name is there: it is opened, and what it has stays. */
  assert_int_equal(make_file(s, "f1", O_RDWR | O_EXCL, context("security.selinux", "other"), &out), -EEXIST);
  assert_int_equal(make_file(s, "f1", O_RDWR, context("security.selinux", "other"), &out), 0);
  assert_labelled(s, "f1", on_host);
  share_release(s, out.open.handle);
}

static void nameless_file_gets_it(void **state) {
  struct share *s = *state;
  char value[64];
  serve(s, ":map:security.selinux:user.map.:");
  struct virtiofs_tmpfile_in in = {
      .parent = s->root, .flags = O_RDWR, .mode = S_IFREG | 0600, .extensions = context("security.selinux", label)};
  struct virtiofs_create_out out = {.open = {.handle = 0}};
  int rc = s->ops->tmpfile(&s->req, &in, &out);
  if (rc == -EOPNOTSUPP)
    skip();
  assert_int_equal(rc, 0);
  assert_int_equal(fgetxattr((int)out.open.handle, on_host, value, sizeof value), strlen(label));
  share_release(s, out.open.handle);
}

/* Nothing is left on the host, and nothing held, of what can't have its context. */
static void no_context_no_file(void **state) {
  struct share *s = *state;
  struct virtiofs_entry_out out;
  struct virtiofs_create_out created;
  serve(s, ":map:security.selinux:user.map.:");
  int before = share_open_fds();
  /* Linux keeps user.* for files and directories. */
  assert_int_equal(make_link(s, "x", context("security.selinux", label), &out), -EPERM);
  assert_int_equal(make_node(s, "x", S_IFIFO | 0600, context("security.selinux", label), &out), -EPERM);
  virtiofs_passthrough_free(s->fs);
  share_serve(
      s, (struct virtiofs_passthrough_config){.xattrmap = ":prefix:client:security.selinux:system.none.::ok:all:::",
                                              .security_label = VIRTIOFS_PASSTHROUGH_AUTO});
  assert_int_equal(make_dir(s, "x", context("security.selinux", label), &out), -EOPNOTSUPP);
  assert_int_equal(make_file(s, "x", O_RDWR, context("security.selinux", label), &created), -EOPNOTSUPP);
  assert_int_equal(make_node(s, "x", S_IFREG | 0600, context("security.selinux", label), &out), -EOPNOTSUPP);
  assert_false(share_has(s, "x"));
  assert_int_equal(share_open_fds(), before);
}

/* What was taken away again costs nothing. */
static void no_context_no_charge(void **state) {
  struct share *s = *state;
  struct virtiofs_entry_out out;
  struct virtiofs_create_out created;
  struct virtiofs_passthrough_usage usage;
  if (geteuid() != 0)
    skip();
  virtiofs_passthrough_free(s->fs);
  share_serve(
      s, (struct virtiofs_passthrough_config){.xattrmap = ":prefix:client:security.selinux:system.none.::ok:all:::",
                                              .security_label = VIRTIOFS_PASSTHROUGH_AUTO,
                                              .quota_bytes = 1 << 20});
  struct virtiofs_extensions extensions = context("security.selinux", label);
  assert_int_equal(make_dir(s, "x", extensions, &out), -EOPNOTSUPP);
  assert_int_equal(make_node(s, "x", S_IFIFO | 0600, extensions, &out), -EOPNOTSUPP);
  virtiofs_passthrough_free(s->fs);
  share_serve(s, (struct virtiofs_passthrough_config){.xattrmap = ":map:security.selinux:user.map.:",
                                                      .security_label = VIRTIOFS_PASSTHROUGH_AUTO,
                                                      .quota_bytes = 1 << 20});
  assert_int_equal(make_link(s, "x", extensions, &out), -EPERM);
  assert_int_equal(make_node(s, "x", S_IFIFO | 0600, extensions, &out), -EPERM);
  assert_false(share_has(s, "x"));
  virtiofs_passthrough_usage(s->fs, &usage, sizeof usage);
  assert_int_equal(usage.quota_inodes, 0);
  assert_int_equal(make_file(s, "f", O_RDWR, extensions, &created), 0);
  share_release(s, created.open.handle);
  virtiofs_passthrough_usage(s->fs, &usage, sizeof usage);
  assert_int_equal(usage.quota_inodes, 1);
}

/* A guest that names something else than a label. */
static void labels_only(void **state) {
  struct share *s = *state;
  struct virtiofs_entry_out out;
  struct virtiofs_create_out created;
  static const char *const others[] = {
      "security.capability", "trusted.overlay.opaque", "system.posix_acl_access", "user.a",
      "security.ima",        "security.selinux2"};
  serve(s, NULL);
  int before = share_open_fds();
  for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
    assert_int_equal(make_dir(s, "x", context(others[i], label), &out), -EPERM);
    assert_int_equal(make_file(s, "x", O_RDWR, context(others[i], label), &created), -EPERM);
  }
  assert_false(share_has(s, "x"));
  assert_int_equal(share_open_fds(), before);
  /* A guest without a context sends only the group. */
  const uint32_t groups[] = {16, 32, 1, GROUP};
  assert_int_equal(make_dir(s, "y", (struct virtiofs_extensions){.bytes = groups, .size = sizeof groups}, &out), 0);
}

/* The label may be changed later, as setfiles(8) does; no other of the host's names may. */
static void labels_change(void **state) {
  struct share *s = *state;
  serve(s, NULL);
  share_put_file(s, "f", "text", 0644);
  struct iovec iov = {(void *)(uintptr_t)label, strlen(label)};
  struct virtiofs_setxattr_in in = {.node = share_lookup(s, "f"),
                                    .name = share_name("security.selinux"),
                                    .value = {.iov = &iov, .count = 1, .size = iov.iov_len}};
  int rc = s->ops->setxattr(&s->req, &in);
  assert_true(rc == 0 || rc == -EOPNOTSUPP); /* what the host's own setxattr(2) says, not ours */
  in.name = share_name("security.ima");
  assert_int_equal(s->ops->setxattr(&s->req, &in), -EPERM);
}

/* Where SELinux is, a thread writes into a file of its own in /proc what it makes files with. */
static void host_labels_itself(void **state) {
  struct share *s = *state;
  struct virtiofs_create_out created;
  struct virtiofs_entry_out out;
  char path[300], text[64] = "";
  serve(s, NULL);
  assert_int_equal(s->fs->task_fd, -1); /* not on the machines that tests run on, so one is made up */
  snprintf(path, sizeof path, "%s/%ld", s->base, (long)syscall(SYS_gettid));
  assert_int_equal(mkdir(path, 0755), 0);
  strcat(path, "/attr");
  assert_int_equal(mkdir(path, 0755), 0);
  strcat(path, "/fscreate");
  int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  assert_true(fd >= 0);
  s->fs->task_fd = open(s->base, O_PATH | O_DIRECTORY | O_CLOEXEC);
  assert_int_equal(make_file(s, "f", O_RDWR, context("security.selinux", label), &created), 0);
  share_release(s, created.open.handle);
  assert_int_equal(pread(fd, text, sizeof text, 0), strlen(label));
  assert_int_equal(text[0], '\n'); /* taken back */
  assert_string_equal(text + 1, label + 1);
  assert_int_equal(ftruncate(fd, 0), 0);
  assert_int_equal(make_dir(s, "f", context("security.selinux", label), &out), -EEXIST);
  assert_int_equal(pread(fd, text, sizeof text, 0), strlen(label));
  assert_int_equal(text[0], '\n');
  close(fd);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      share_test(promised_if_asked),     share_test(each_type_gets_it),  share_test(open_file_works),
      share_test(nameless_file_gets_it), share_test(no_context_no_file), share_test(no_context_no_charge),
      share_test(labels_only),           share_test(labels_change),      share_test(host_labels_itself),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
