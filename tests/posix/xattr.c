/* SPDX-License-Identifier: BSD-3-Clause */
/* Extended attributes and POSIX ACLs. */
#include "posix.h"

#include <linux/capability.h>
#include <linux/posix_acl.h>
#include <linux/posix_acl_xattr.h>
#include <linux/xattr.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/xattr.h>

static long set(const char *path, const char *name, const char *value, int flags) {
  return e(lsetxattr(path, name, value, strlen(value), flags));
}

static long get(const char *path, const char *name, const char *value) {
  char buf[64];
  ssize_t n = lgetxattr(path, name, buf, sizeof buf);
  return n < 0 ? -errno : n == (ssize_t)strlen(value) && memcmp(buf, value, strlen(value)) == 0;
}

static long size(const char *path, const char *name) {
  return e(lgetxattr(path, name, NULL, 0));
}

static long listed(const char *path, const char *name) {
  char names[4096];
  ssize_t n = llistxattr(path, names, sizeof names);
  if (n < 0)
    return -errno;
  for (ssize_t at = 0; at < n; at += (ssize_t)strlen(names + at) + 1)
    if (strcmp(names + at, name) == 0)
      return 1;
  return 0;
}

static void there_and_back(void) {
  char buf[64];
  topic("attributes");
  IS(file("f", 0644), 0);
  note_ctime("f");
  age("f");
  IS(set("f", "user.a", "value", XATTR_REPLACE), -ENODATA);
  IS(set("f", "user.a", "value", XATTR_CREATE), 0);
  IS(set("f", "user.a", "value", XATTR_CREATE), -EEXIST);
  IS(ctime_moved("f"), 1);
  IS(mtime_moved("f"), 0);
  IS(get("f", "user.a", "value"), 1);
  IS(size("f", "user.a"), 5);
  IS(e(lgetxattr("f", "user.a", buf, 4)), -ERANGE);
  IS(e(lgetxattr("f", "user.a", buf, 5)), 5);
  IS(set("f", "user.a", "other", XATTR_REPLACE), 0);
  IS(get("f", "user.a", "other"), 1);
  IS(set("f", "user.empty", "", 0), 0);
  IS(size("f", "user.empty"), 0);
  IS(listed("f", "user.a") + listed("f", "user.empty"), 2);
  IS(e(llistxattr("f", buf, 3)), -ERANGE);
  IS(e(lremovexattr("f", "user.a")), 0);
  IS(e(lremovexattr("f", "user.a")), -ENODATA);
  IS(size("f", "user.a"), -ENODATA);
  IS(listed("f", "user.a"), 0);
  topic("names and values");
  char name[300] = "user.";
  memset(name + 5, 'n', 250);
  IS(set("f", name, "long", 0), 0);
  IS(get("f", name, "long"), 1);
  name[255] = 'n';
  IS(set("f", name, "long", 0), -ERANGE);
  IS(set("f", "", "x", 0), -ERANGE);
  IS(set("f", "user.", "x", 0), -EINVAL);
  IS(set("f", "nonsense", "x", 0), -EOPNOTSUPP);
  IS(set("f", "user.a", "x", 4), -EINVAL);
  IS(set("none", "user.a", "x", 0), -ENOENT);
  char *big = calloc(1, 65537);
  IS(e(setxattr("f", "user.big", big, 65537, 0)), -E2BIG);
  IS(e(setxattr("f", "user.big", big, 2000, 0)), 0);
  IS(size("f", "user.big"), 2000);
  free(big);
}

static void by_kind(void) {
  for (int i = 0; i < KINDS; i++) {
    bool has = kinds[i].type == S_IFREG || kinds[i].type == S_IFDIR;
    topic("a %s", kinds[i].name);
    IS(make_kind("x", kinds[i].type, 0755), 0);
    IS(set("x", "user.a", "value", 0), has ? 0 : -EPERM);
    IS(size("x", "user.a"), has ? 5 : -ENODATA);
    IS(e(remove("x")), 0);
  }
}

static void rights(void) {
  topic("rights");
  IS(file("g", 0644), 0);
  IS(set("g", "user.a", "value", 0), 0);
  IS(AS(bob, get("g", "user.a", "value")), 1);
  IS(AS(bob, set("g", "user.a", "other", 0)), -EACCES);
  IS(AS(bob, e(lremovexattr("g", "user.a"))), -EACCES);
  IS(e(chmod("g", 0622)), 0);
  IS(AS(bob, size("g", "user.a")), -EACCES);
  IS(AS(bob, listed("g", "user.a")), 1);
  IS(AS(bob, set("g", "user.a", "other", 0)), 0);
  IS(AS(bob, set("g", "trusted.a", "other", 0)), -EPERM);
  IS(AS(bob, size("g", "trusted.a")), -ENODATA);
  IS(dir("tmp", 01777), 0);
  IS(AS(bob, set("tmp", "user.a", "value", 0)), -EPERM);
  IS(e(chmod("tmp", 0777)), 0);
  IS(AS(bob, set("tmp", "user.a", "value", 0)), 0);
}

static long give_capability(void) {
  struct vfs_cap_data data = {.magic_etc = VFS_CAP_REVISION_2}; /* zeros and ones in any byte order that runs here */
  data.data[0].permitted = 1U << CAP_NET_RAW;
  return e(setxattr("cap", "security.capability", &data, XATTR_CAPS_SZ_2, 0));
}

/* As set-user-id: what is changed loses it. */
static void capabilities(void) {
  topic("capabilities of a file");
  IS(file("cap", 0777), 0);
  IS(AS(bob, give_capability()), -EPERM);
  IS(give_capability(), 0);
  IS(size("cap", "security.capability"), XATTR_CAPS_SZ_2);
  IS(e(chmod("cap", 0766)), 0);
  IS(size("cap", "security.capability"), XATTR_CAPS_SZ_2);
  IS(fill("cap", "text"), 0);
  IS(size("cap", "security.capability"), -ENODATA);
  IS(give_capability(), 0);
  int fd = open("cap", O_RDWR); /* root's writes too, unlike set-user-id */
  IS(e(pwrite(fd, "x", 1, 0)), 1);
  IS(size("cap", "security.capability"), -ENODATA);
  IS(give_capability(), 0);
  IS(e(fallocate(fd, 0, 0, 100)), 0);
  IS(size("cap", "security.capability"), -ENODATA);
  IS(give_capability(), 0);
  IS(e(copy_file_range(fd, &(loff_t){0}, fd, &(loff_t){50}, 4, 0)), 4);
  IS(size("cap", "security.capability"), -ENODATA);
  IS(give_capability(), 0);
  IS(e(ftruncate(fd, 10)), 0);
  IS(size("cap", "security.capability"), -ENODATA);
  close(fd);
  IS(give_capability(), 0);
  IS(AS(bob, e(truncate("cap", 1))), 0);
  IS(size("cap", "security.capability"), -ENODATA);
  IS(give_capability(), 0);
  IS(e(chown("cap", ALICE_ID, ALICE_ID)), 0);
  IS(size("cap", "security.capability"), -ENODATA);
}

void test_xattr(void) {
  there_and_back();
  by_kind();
  rights();
  capabilities();
}

struct acl {
  struct posix_acl_xattr_header header;
  struct posix_acl_xattr_entry entries[5];
};

/* user::rwx user:ALICE:@alices group::--- mask::@mask other::--- */
static long set_acl(const char *path, const char *name, uint16_t alices, uint16_t mask) {
  const uint32_t no_id = (uint32_t)ACL_UNDEFINED_ID;
  struct acl acl = {.header = {.a_version = POSIX_ACL_XATTR_VERSION},
                    .entries = {{ACL_USER_OBJ, 7, no_id},
                                {ACL_USER, alices, ALICE_ID},
                                {ACL_GROUP_OBJ, 0, no_id},
                                {ACL_MASK, mask, no_id},
                                {ACL_OTHER, 0, no_id}}};
  return e(setxattr(path, name, &acl, sizeof acl, 0));
}

void test_acl(void) {
  static const char access_acl[] = "system.posix_acl_access", default_acl[] = "system.posix_acl_default";
  topic("an access ACL");
  IS(fill("f", "text"), 0);
  IS(e(chmod("f", 0600)), 0);
  IS(size("f", access_acl), -ENODATA);
  IS(AS(alice, access_as("f", R_OK)), -EACCES);
  IS(set_acl("f", access_acl, 6, 6), 0);
  IS(mode_of("f"), 0760);
  IS(size("f", access_acl), sizeof(struct acl));
  IS(listed("f", access_acl), 1);
  IS(AS(alice, access_as("f", R_OK | W_OK)), 0);
  IS(AS(alice, opens("f", O_RDWR, 0)), 0);
  IS(AS(bob, access_as("f", R_OK)), -EACCES);
  IS(e(chmod("f", 0740)), 0); /* the mask */
  IS(AS(alice, opens("f", O_RDONLY, 0)), 0);
  IS(AS(alice, opens("f", O_RDWR, 0)), -EACCES);
  IS(AS(alice, set_acl("f", access_acl, 7, 7)), -EPERM);
  IS(e(removexattr("f", access_acl)), 0);
  IS(AS(alice, opens("f", O_RDONLY, 0)), -EACCES);
  IS(set_acl("f", default_acl, 7, 7), -EACCES);
  topic("a default ACL");
  IS(dir("d", 0755), 0);
  IS(set_acl("d", default_acl, 7, 7), 0);
  IS(mode_of("d"), 0755);
  umask(077); /* it counts no longer */
  IS(opens("d/f", O_RDWR | O_CREAT, 0666), 0);
  IS(e(mkdir("d/sub", 0777)), 0);
  IS(e(mknod("d/fifo", S_IFIFO | 0640, 0)), 0);
  umask(0);
  IS(mode_of("d/f"), 0660);
  IS(mode_of("d/sub"), 0770);
  IS(mode_of("d/fifo"), 0640);
  IS(size("d/f", access_acl), sizeof(struct acl));
  IS(size("d/f", default_acl), -ENODATA);
  IS(size("d/sub", default_acl), sizeof(struct acl));
  IS(AS(alice, opens("d/f", O_RDWR, 0)), 0);
  IS(AS(bob, opens("d/f", O_RDONLY, 0)), -EACCES);
  IS(AS(alice, opens("d/sub/new", O_RDWR | O_CREAT, 0600)), 0);
  topic("set-group-id with an ACL of a stranger to the group");
  IS(e(chown("f", ALICE_ID, BOB_ID)), 0);
  IS(e(chmod("f", 02770)), 0);
  IS(AS(alice, set_acl("f", access_acl, 7, 7)), 0);
  IS(mode_of("f"), 0770);
  IS(e(chown("f", ALICE_ID, TEAM_ID)), 0);
  IS(e(chmod("f", 02770)), 0);
  IS(AS(alice, set_acl("f", access_acl, 6, 7)), 0);
  IS(mode_of("f"), 02770);
}
