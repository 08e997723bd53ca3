/* SPDX-License-Identifier: BSD-3-Clause */
/** What POSIX and Linux say of a file system, as assertions in TAP: the same lines on every file system that is right.
 */
#ifndef VIRTIOFS_TESTS_POSIX_POSIX_H
#define VIRTIOFS_TESTS_POSIX_POSIX_H

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

/** Somebody with an effective uid and gid; ALICE is also a member of TEAM. The numbers need not be in /etc/passwd. */
struct user {
  uid_t uid;
  gid_t gid;
};
enum { ALICE_ID = 54321, BOB_ID = 54322, TEAM_ID = 54400 };
extern const struct user root, alice, bob;

/** Become that user from now on. */
void be(const struct user *user);

/** What follows is about this; a printf format. Part of each assertion's name. */
void topic(const char *format, ...) __attribute__((format(printf, 1, 2)));

/** The one assertion: @got should be @want; both may be negated errno values, which are shown by name. */
void is(const char *text, long got, long want);
#define IS(expr, want) is(#expr, (long)(expr), (long)(want))

/** The result of a system call, or the negated errno. */
long e(long rc);

extern long as_result;
/** What @expr is for another user. */
#define AS(user, expr) (be(&(user)), as_result = (long)(expr), be(&root), as_result)

/* Shorter than the calls that they stand for; all give a value or the negated errno. */
long opens(const char *path, int flags, mode_t mode); /**< opens and closes */
long file(const char *path, mode_t mode);             /**< makes a file with that mode, whatever the umask */
long fill(const char *path, const char *text);        /**< replaces the contents */
long dir(const char *path, mode_t mode);              /**< makes a directory with that mode, whatever the umask */
long mode_of(const char *path);                       /**< permissions; no link is followed here and below */
long type_of(const char *path);                       /**< S_IF... */
long size_of(const char *path);
long links_of(const char *path);
long uid_of(const char *path);
long gid_of(const char *path);
long inode_of(const char *path);
long same_file(const char *one, const char *other); /**< 1 or 0 */
bool holds(const char *path, const char *text);     /**< the contents are exactly that */
long access_as(const char *path, int mode);         /**< faccessat(2) by the effective ids */

/** Make the times of @path long ago, so that a change is seen. */
void age(const char *path);
/** 1 if the modification time, or the time of the last change, is not that of age() or of note_ctime(). */
long mtime_moved(const char *path);
void note_ctime(const char *path);
long ctime_moved(const char *path);

/** A name of so many bytes; one of a few static buffers. */
const char *name_of(size_t length);

/* Things of every type that can be made without being asked what for. */
struct kind {
  const char *name;
  mode_t type;
};
enum { KINDS = 5 };
extern const struct kind kinds[KINDS];
long make_kind(const char *path, mode_t type, mode_t mode);

/* One for each file of assertions. Each begins in an empty directory, as root, with umask 0. */
void test_open(void);
void test_open_flags(void);
void test_io(void);
void test_link(void);
void test_unlink(void);
void test_rename(void);
void test_rename_users(void);
void test_symlink(void);
void test_mkdir(void);
void test_rmdir(void);
void test_mknod(void);
void test_chmod(void);
void test_chown(void);
void test_truncate(void);
void test_utimens(void);
void test_access(void);
void test_sticky(void);
void test_limits(void);
void test_readdir(void);
void test_umask(void);
void test_tmpfile(void);
void test_privs(void);
void test_locks(void);
void test_interrupt(void);
void test_xattr(void);
void test_acl(void);

#endif
