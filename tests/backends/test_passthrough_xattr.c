/* SPDX-License-Identifier: BSD-3-Clause */
/* Extended attributes, with the host's own calls as the oracle. */
#include "passthrough_share.h"

#include <sys/xattr.h>

#include <linux/posix_acl.h>
#include <linux/posix_acl_xattr.h>

static int try_set(struct share *s, uint64_t node, const char *name, const char *value, uint32_t flags) {
  struct iovec iov[2] = {{.iov_base = (void *)(uintptr_t)value, .iov_len = strlen(value) / 2}};
  iov[1] =
      (struct iovec){.iov_base = (char *)iov[0].iov_base + iov[0].iov_len, .iov_len = strlen(value) - iov[0].iov_len};
  struct virtiofs_setxattr_in in = {
      .node = node, .name = share_name(name), .flags = flags, .value = {.iov = iov, .count = 2, .size = strlen(value)}};
  return s->ops->setxattr(&s->req, &in);
}

/* Return: the size, or -errno. */
static int try_get(struct share *s, uint64_t node, const char *name, char *buf, uint32_t size) {
  struct iovec iov = {.iov_base = buf, .iov_len = size};
  struct virtiofs_getxattr_in in = {
      .node = node, .name = share_name(name), .size = size, .data = {.iov = &iov, .count = 1, .size = size}};
  struct virtiofs_xattr_out out = {.size_only = size == 0};
  int rc = s->ops->getxattr(&s->req, &in, &out);
  return rc == 0 ? (int)out.size : rc;
}

static int try_list(struct share *s, uint64_t node, char *buf, uint32_t size) {
  struct iovec iov = {.iov_base = buf, .iov_len = size};
  struct virtiofs_listxattr_in in = {.node = node, .size = size, .data = {.iov = &iov, .count = 1, .size = size}};
  struct virtiofs_xattr_out out = {.size_only = size == 0};
  int rc = s->ops->listxattr(&s->req, &in, &out);
  return rc == 0 ? (int)out.size : rc;
}

static int try_remove(struct share *s, uint64_t node, const char *name) {
  struct virtiofs_removexattr_in in = {.node = node, .name = share_name(name)};
  return s->ops->removexattr(&s->req, &in);
}

static void assert_value(struct share *s, uint64_t node, const char *name, const char *value) {
  char buf[64];
  assert_int_equal(try_get(s, node, name, NULL, 0), strlen(value));
  assert_int_equal(try_get(s, node, name, buf, sizeof buf), strlen(value));
  assert_memory_equal(buf, value, strlen(value));
}

static bool lists(struct share *s, uint64_t node, const char *name) {
  char names[1024];
  int size = try_list(s, node, names, sizeof names);
  assert_true(size >= 0);
  for (int at = 0; at < size; at += (int)strlen(names + at) + 1)
    if (strcmp(names + at, name) == 0)
      return true;
  return false;
}

static void serve(struct share *s, struct virtiofs_passthrough_config config) {
  virtiofs_passthrough_free(s->fs);
  share_serve(s, config);
}

/* A file's path on the host. */
static const char *path_of(const struct share *s, const char *name) {
  static char path[300];
  snprintf(path, sizeof path, "%s/%s", s->dir, name);
  return path;
}

static uint64_t make(struct share *s, struct virtiofs_passthrough_config config) {
  config.xattr = config.xattrmap == NULL;
  serve(s, config);
  share_put_file(s, "file", "text", 0644);
  if (setxattr(path_of(s, "file"), "user.host", "x", 1, 0) != 0)
    skip();
  return share_lookup(s, "file");
}

static void off_unless_asked_for(void **state) {
  struct share *s = *state;
  share_put_file(s, "file", "text", 0644);
  uint64_t node = share_lookup(s, "file");
  assert_int_equal(try_set(s, node, "user.a", "value", 0), -ENOSYS);
  assert_int_equal(try_get(s, node, "user.a", NULL, 0), -ENOSYS);
  assert_int_equal(try_get(s, node, "system.posix_acl_access", NULL, 0), -ENOSYS);
  assert_int_equal(try_list(s, node, NULL, 0), -ENOSYS);
  assert_int_equal(try_remove(s, node, "user.a"), -ENOSYS);
}

static void there_and_back(void **state) {
  struct share *s = *state;
  char buf[64];
  uint64_t node = make(s, (struct virtiofs_passthrough_config){0});
  assert_int_equal(try_set(s, node, "user.a", "value", XATTR_REPLACE), -ENODATA);
  assert_int_equal(try_set(s, node, "user.a", "value", XATTR_CREATE), 0);
  assert_int_equal(try_set(s, node, "user.a", "other", XATTR_CREATE), -EEXIST);
  assert_int_equal(try_set(s, node, "user.a", "other", 0x40), -EINVAL);
  assert_int_equal(getxattr(path_of(s, "file"), "user.a", buf, sizeof buf), 5);
  assert_memory_equal(buf, "value", 5);
  assert_value(s, node, "user.a", "value");
  assert_value(s, node, "user.host", "x");
  assert_int_equal(try_set(s, node, "user.a", "", 0), 0);
  assert_value(s, node, "user.a", "");
  assert_true(lists(s, node, "user.a") && lists(s, node, "user.host"));
  assert_int_equal(try_remove(s, node, "user.a"), 0);
  assert_int_equal(try_remove(s, node, "user.a"), -ENODATA);
  assert_int_equal(try_get(s, node, "user.a", buf, sizeof buf), -ENODATA);
  assert_int_equal(try_get(s, node, "nonsense", buf, sizeof buf), -EOPNOTSUPP);
}

static void room(void **state) {
  struct share *s = *state;
  char buf[64] = "";
  uint64_t node = make(s, (struct virtiofs_passthrough_config){0});
  assert_int_equal(try_set(s, node, "user.a", "value", 0), 0);
  assert_int_equal(try_get(s, node, "user.a", buf, 4), -ERANGE);
  assert_int_equal(try_get(s, node, "user.a", buf, 5), 5);
  int size = try_list(s, node, NULL, 0);
  assert_int_equal(size, sizeof "user.a" + sizeof "user.host");
  assert_int_equal(try_list(s, node, buf, (uint32_t)size - 1), -ERANGE);
  assert_int_equal(try_list(s, node, buf, (uint32_t)size), size);
}

static void directories_and_links(void **state) {
  struct share *s = *state;
  uint64_t file = make(s, (struct virtiofs_passthrough_config){.xattrmap = ":ok:all:trusted.:trusted.::ok:all:::"});
  assert_int_equal(mkdirat(s->fd, "dir", 0700), 0);
  assert_int_equal(symlinkat("file", s->fd, "link"), 0);
  assert_int_equal(mkfifoat(s->fd, "fifo", 0600), 0);
  uint64_t dir = share_lookup(s, "dir"), link = share_lookup(s, "link"), fifo = share_lookup(s, "fifo");
  assert_int_equal(try_set(s, dir, "user.a", "value", 0), 0);
  assert_value(s, dir, "user.a", "value");
  assert_int_equal(try_set(s, link, "user.a", "value", 0), -EPERM);
  assert_int_equal(try_get(s, link, "user.host", NULL, 0), -ENODATA); /* the target has it */
  assert_int_equal(try_set(s, fifo, "user.a", "value", 0), -EPERM);
  int oracle = lsetxattr(path_of(s, "link"), "trusted.b", "", 0, 0) == 0 ? 0 : -errno;
  assert_int_equal(try_set(s, link, "trusted.a", "value", 0), oracle);
  if (oracle == 0) {
    assert_value(s, link, "trusted.a", "value");
    assert_false(lists(s, file, "trusted.a"));
  }
}

/* The names that mean something to the host are not a guest's unless a rule says so. */
static void names_of_the_host(void **state) {
  struct share *s = *state;
  uint64_t node = make(s, (struct virtiofs_passthrough_config){0});
  assert_int_equal(try_set(s, node, "trusted.overlay.opaque", "y", 0), -EPERM);
  assert_int_equal(try_remove(s, node, "trusted.overlay.opaque"), -EPERM);
  assert_int_equal(try_set(s, node, "security.ima", "y", 0), -EPERM);
  assert_int_equal(try_get(s, node, "security.capability", NULL, 0), -ENODATA);
  assert_int_equal(try_remove(s, node, "security.capability"), -ENODATA);
  assert_int_equal(try_set(s, node, "system.posix_acl_access", "y", 0), -EOPNOTSUPP);
  assert_int_equal(try_get(s, node, "system.posix_acl_default", NULL, 0), -EOPNOTSUPP);
  assert_int_equal(try_get(s, node, "system.nfs4_acl", NULL, 0), -EOPNOTSUPP);
  if (setxattr(path_of(s, "file"), "trusted.a", "value", 5, 0) != 0)
    return; /* not the host's administrator */
  assert_false(lists(s, node, "trusted.a"));
  assert_int_equal(try_get(s, node, "trusted.a", NULL, 0), -ENODATA);
  serve(s, (struct virtiofs_passthrough_config){.xattrmap = ":ok:all:trusted.:trusted.::ok:all:::"});
  node = share_lookup(s, "file");
  assert_true(lists(s, node, "trusted.a"));
  assert_value(s, node, "trusted.a", "value");
  assert_int_equal(try_set(s, node, "trusted.a", "other", 0), 0);
  assert_int_equal(try_set(s, node, "security.ima", "y", 0), -EPERM);
}

static void mapped(void **state) {
  struct share *s = *state;
  uint64_t node = make(s, (struct virtiofs_passthrough_config){.xattrmap = ":map::user.guest.:"});
  assert_int_equal(try_set(s, node, "security.capability", "value", 0), 0);
  assert_int_equal(getxattr(path_of(s, "file"), "user.guest.security.capability", NULL, 0), 5);
  assert_value(s, node, "security.capability", "value");
  assert_true(lists(s, node, "security.capability"));
  assert_false(lists(s, node, "user.host"));
  assert_int_equal(try_list(s, node, NULL, 0), sizeof "security.capability");
  assert_int_equal(try_set(s, node, "system.posix_acl_access", "y", 0), -EOPNOTSUPP);
  assert_int_equal(try_remove(s, node, "security.capability"), 0);
  assert_int_equal(try_list(s, node, NULL, 0), 0);
}

static void broken_map(void **state) {
  struct share *s = *state;
  struct virtiofs_passthrough *fs;
  struct virtiofs_passthrough_config config = {.size = sizeof config, .shared_dir = s->dir, .xattrmap = ":ok:none:::"};
  assert_int_equal(virtiofs_passthrough_new(&fs, &config), -EINVAL);
  assert_null(fs);
  assert_string_equal(fake_log_last, "the map of xattrs, character 1: a rule's scope is client, server or all");
}

/* ---- POSIX ACLs ---- */

struct acl {
  struct posix_acl_xattr_header header;
  struct posix_acl_xattr_entry entries[5];
};

/* user::rwx user:1234:rwx group::r-x mask::rwx other::--- */
static struct acl acl_of(uint16_t mask) {
  return (struct acl){.header = {.a_version = POSIX_ACL_XATTR_VERSION},
                      .entries = {{.e_tag = ACL_USER_OBJ, .e_perm = 7, .e_id = (uint32_t)ACL_UNDEFINED_ID},
                                  {.e_tag = ACL_USER, .e_perm = 7, .e_id = 1234},
                                  {.e_tag = ACL_GROUP_OBJ, .e_perm = 5, .e_id = (uint32_t)ACL_UNDEFINED_ID},
                                  {.e_tag = ACL_MASK, .e_perm = mask, .e_id = (uint32_t)ACL_UNDEFINED_ID},
                                  {.e_tag = ACL_OTHER, .e_perm = 0, .e_id = (uint32_t)ACL_UNDEFINED_ID}}};
}

static int set_acl(struct share *s, uint64_t node, const char *name, struct acl acl, uint32_t flags) {
  struct iovec iov = {.iov_base = &acl, .iov_len = sizeof acl};
  struct virtiofs_setxattr_in in = {.node = node,
                                    .name = share_name(name),
                                    .setxattr_flags = flags,
                                    .value = {.iov = &iov, .count = 1, .size = sizeof acl}};
  return s->ops->setxattr(&s->req, &in);
}

static void serve_acls(struct share *s) {
  serve(s, (struct virtiofs_passthrough_config){.posix_acl = true});
  struct virtiofs_init_in in = {.major = 7, .minor = 38};
  struct virtiofs_init_out out = {.root = VIRTIOFS_ROOT_NODE};
  assert_int_equal(s->ops->init(&s->req, &in, &out), 0);
  if ((out.semantics & VIRTIOFS_SEMANTICS_POSIX_ACL) == 0)
    skip(); /* the directory's file system has none */
  s->req.semantics = out.semantics;
}

static void guests_without_acls(void **state) {
  struct share *s = *state;
  serve_acls(s);
  struct virtiofs_init_in in = {.major = 7, .minor = 38};
  struct virtiofs_init_out out = {.root = VIRTIOFS_ROOT_NODE};
  virtiofs_passthrough_free(s->fs);
  struct virtiofs_passthrough_config config = {
      .size = sizeof config, .shared_dir = s->dir, .posix_acl = true, .posix_acl_required = true};
  assert_int_equal(virtiofs_passthrough_new(&s->fs, &config), 0);
  s->req.fs = s->fs;
  assert_int_equal(s->ops->init(&s->req, &in, &out), -EOPNOTSUPP);
  in.flags = VIRTIOFS_SEMANTICS_POSIX_ACL;
  assert_int_equal(s->ops->init(&s->req, &in, &out), 0);
}

static void acls(void **state) {
  struct share *s = *state;
  serve_acls(s);
  share_put_file(s, "file", "text", 02640);
  uint64_t node = share_lookup(s, "file");
  assert_int_equal(try_get(s, node, "system.posix_acl_access", NULL, 0), -ENODATA);
  assert_int_equal(set_acl(s, node, "system.posix_acl_access", acl_of(6), 0), 0);
  assert_int_equal(share_stat(s, "file").st_mode & 07777, 02760); /* the mask is the group's bits */
  struct acl got;
  assert_int_equal(try_get(s, node, "system.posix_acl_access", (char *)&got, sizeof got), sizeof got);
  struct acl expected = acl_of(6);
  assert_memory_equal(&got, &expected, sizeof got);
  assert_true(lists(s, node, "system.posix_acl_access"));
  assert_int_equal(set_acl(s, node, "system.posix_acl_access", acl_of(7), VIRTIOFS_SETXATTR_ACL_KILL_SGID), 0);
  assert_int_equal(share_stat(s, "file").st_mode & 07777, 0770);
  assert_int_equal(try_remove(s, node, "system.posix_acl_access"), 0);
}

/* The umask counts where no default ACL takes its place. */
static void masks(void **state) {
  struct share *s = *state;
  struct virtiofs_entry_out out;
  serve_acls(s);
  static const mode_t plain[] = {0750, 0640}, inherited[] = {0770, 0660};
  for (int with_acl = 0; with_acl < 2; with_acl++) {
    const mode_t *expected = with_acl != 0 ? inherited : plain;
    if (with_acl != 0)
      assert_int_equal(set_acl(s, s->root, "system.posix_acl_default", acl_of(7), 0), 0);
    struct virtiofs_mkdir_in mkdir_in = {.parent = s->root, .name = share_name("dir"), .mode = 0777, .umask = 027};
    assert_int_equal(s->ops->mkdir(&s->req, &mkdir_in, &out), 0);
    assert_int_equal(share_stat(s, "dir").st_mode & 07777, expected[0]);
    struct virtiofs_mknod_in mknod_in = {
        .parent = s->root, .name = share_name("node"), .mode = S_IFREG | 0666, .umask = 027};
    assert_int_equal(s->ops->mknod(&s->req, &mknod_in, &out), 0);
    assert_int_equal(share_stat(s, "node").st_mode & 07777, expected[1]);
    struct virtiofs_create_in create_in = {
        .parent = s->root, .name = share_name("file"), .mode = S_IFREG | 0666, .flags = O_RDWR, .umask = 027};
    struct virtiofs_create_out created = {.open = {.handle = 0}};
    assert_int_equal(s->ops->create(&s->req, &create_in, &created), 0);
    assert_int_equal(share_stat(s, "file").st_mode & 07777, expected[1]);
    share_release(s, created.open.handle);
    struct virtiofs_tmpfile_in tmpfile_in = {.parent = s->root, .mode = S_IFREG | 0666, .flags = O_RDWR, .umask = 027};
    int rc = s->ops->tmpfile(&s->req, &tmpfile_in, &created);
    if (rc == 0) {
      assert_int_equal(created.entry.attr.mode & 07777, expected[1]);
      share_release(s, created.open.handle);
    }
    assert_int_equal(unlinkat(s->fd, "dir", AT_REMOVEDIR) | unlinkat(s->fd, "node", 0) | unlinkat(s->fd, "file", 0), 0);
  }
}

/* Where the guest has applied it already, it is not applied again. */
static void masked_by_the_guest(void **state) {
  struct share *s = *state;
  struct virtiofs_entry_out out;
  struct virtiofs_mkdir_in in = {.parent = s->root, .name = share_name("dir"), .mode = 0777, .umask = 027};
  assert_int_equal(s->ops->mkdir(&s->req, &in, &out), 0);
  assert_int_equal(share_stat(s, "dir").st_mode & 07777, 0777);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      share_test(off_unless_asked_for),
      share_test(there_and_back),
      share_test(room),
      share_test(directories_and_links),
      share_test(names_of_the_host),
      share_test(mapped),
      share_test(broken_map),
      share_test(acls),
      share_test(guests_without_acls),
      share_test(masks),
      share_test(masked_by_the_guest),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
