/* SPDX-License-Identifier: BSD-3-Clause */
/* What the parts of virtiofs-check share. */
#ifndef VIRTIOFS_CHECK_H
#define VIRTIOFS_CHECK_H

#include <setjmp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include <virtiofs/client.h>
#include <virtiofs/vhost_user.h>

/* ---- checks ---- */

struct test;
struct wire;

/* What a check finds when it begins; and whether it does what no guest's kernel would. */
enum begins {
  MOUNTED,   /* a mount, which it shares with others, and an empty directory of its own */
  CONNECTED, /* a connection of its own, and no INIT has been sent */
  ALONE,     /* nothing: it connects as it likes */
  BEGINS = 0xff,
  HOSTILE = 0x100,
  ANYWHERE = 0x200, /* MOUNTED: needs nothing to be made, so that a read-only file system does */
};

struct check {
  const char *name; /* within its group */
  const char *rule; /* one sentence, and where it stands */
  void (*run)(struct test *t);
  unsigned begins; /* enum begins */
  uint32_t op;     /* opcode without which there is nothing to check: ENOSYS skips it; 0: none */
  uint64_t flag;   /* INIT flag that must have been agreed on; 0: none */
};

struct group {
  const char *name;
  const struct check *checks;
  unsigned count;
};

#define CHECKS(label, array)                                                                                           \
  { .name = label, .checks = array, .count = sizeof(array) / sizeof((array)[0]) }

extern const struct group init_group, header_group, lookup_group, forget_group, getattr_group, setattr_group,
    create_group, open_group, read_group, write_group, readdir_group, readdirplus_group, rename_group, link_group,
    symlink_group, unlink_group, mkdir_group, mknod_group, xattr_group, space_group, sync_group, lock_group, misc_group,
    queues_group, rings_group, vhost_group, hostile_request_group, hostile_id_group, hostile_ring_group,
    hostile_vhost_group;

/* ---- the server ---- */

enum { DATA_MAX = 1 << 20, AREA_BYTES = DATA_MAX + (1 << 16), QUEUES_USED = 3 };

struct server {
  const char *path;
  char **command; /* starts a server when nobody listens; NULL: somebody else does that */
  pid_t pid;      /* of it; 0: not running */
  int timeout_ms;
  uint32_t queues;             /* request queues, no more than it has */
  uint32_t queues_wanted;      /* by the user */
  uint64_t features, protocol; /* what it offers */
  uint64_t queue_num;          /* what it says; 0: nothing */

  struct virtiofs_client *client; /* NULL: not connected */
  unsigned char *in, *out;        /* AREA_BYTES for a request, and as many for each queue's replies */
  bool mounted;
  struct virtiofs_fuse_init_out init; /* what was agreed on */
  uint64_t unique;
  uint64_t work;      /* node of the directory for all checks */
  char name[64];      /* of it */
  int died_of;        /* signal that ended our process, which we have not sent; 0: none */
  int gone;           /* -errno: nobody listens; 0: somebody does */
  bool dirty;         /* that directory has been made and not removed */
  const char *broken; /* why the connection is of no use; NULL: it is */
};

/* How a connection differs from the usual one. All zero: not at all. */
struct options {
  uint64_t features; /* 0: indirect descriptors and event index */
  uint32_t queues, queue_size;
  bool poll;
};

/* A socket that is connected to a server, which is started if it has to be. -errno. */
int server_socket(struct server *s);
/* The same, and nothing has been said on it. */
int server_socket_unasked(struct server *s);
/* A connection without INIT. 0 or -errno. */
int server_connect(struct server *s, const struct options *options);
/* INIT too. 0 or -errno. */
int server_mount(struct server *s);
void server_disconnect(struct server *s);
/* Has our process ended? Then @died_of may say why. @dying: it may be about to, if the connection broke. */
void server_look(struct server *s, bool dying);
/* It doesn't answer any more: the connection goes, and our own process too. */
void server_kill(struct server *s);
/* Ends the process that we have started. */
void server_stop(struct server *s);

/* ---- a check that runs ---- */

enum verdict { PASSED, FAILED, SKIPPED };

struct opened {
  uint64_t node, handle;
  bool dir;
};

/* A file that is open. */
struct file {
  uint64_t node, handle;
};

enum { NODES_MAX = 4096, HANDLES_MAX = 1024, TEXT_MAX = 2048 };

struct test {
  struct server *server;
  const struct check *check;
  jmp_buf end;
  enum verdict verdict;
  char why[TEXT_MAX];
  uint64_t dir; /* the check's own directory */

  /* The message that was sent last. */
  struct virtiofs_fuse_request req;
  bool raw;      /* bytes of the check's own making */
  bool anything; /* whatever is answered is fine: the request lies about itself; for one message */
  bool is_message;
  uint32_t queue;
  size_t in_len, room;
  int64_t used;               /* what the ring says was written */
  uint32_t len;               /* what the reply's header says; 0: no reply */
  int error;                  /* of the reply, 0 .. -511 */
  bool answered;              /* it has come back */
  const unsigned char *bytes; /* the reply behind its header, in private memory */
  size_t size;                /* of it */
  union virtiofs_fuse_out got;
  char sent_text[TEXT_MAX], got_text[TEXT_MAX]; /* unless @is_message */
  unsigned char *copy;                          /* AREA_BYTES */

  /* What is to be given back. */
  uint64_t nodes[NODES_MAX];
  struct opened handles[HANDLES_MAX];
  unsigned node_count, handle_count;
  struct wire *wire; /* a front-end of the check's own */
};

/* Runs one check. */
void test_run(struct test *t, struct server *s, const struct check *check);
/* Removes the directory for all checks, if there is one on this connection. */
void test_finish(struct test *t, struct server *s);
/* The same on another connection, if there is still one. */
void test_clean(struct test *t, struct server *s);
/* What was sent and what came back, for people. */
void test_describe(const struct test *t, char *sent, char *got, size_t size);

/* These end the check. */
_Noreturn void fail(struct test *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
_Noreturn void skip(struct test *t, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* These end it unless things are as they should. @rc is what a call returned: 0 or -errno. */
void expect(struct test *t, bool ok, const char *format, ...) __attribute__((format(printf, 3, 4)));
void is(struct test *t, const char *what, uint64_t got, uint64_t wanted);
void good(struct test *t, int rc);
void bad(struct test *t, int rc);
void refused(struct test *t, int rc, const int *errors);
void holds(struct test *t, const char *text); /* the reply's data */
/* An error that is one of these. */
#define REFUSED(t, rc, ...) refused(t, rc, (const int[]){__VA_ARGS__, 0})

bool agreed(const struct test *t, uint64_t flag);
/* For things that file systems may lack: EOPNOTSUPP, EPERM and the like skip the check. */
void able(struct test *t, int rc);

/* ---- messages ---- */

/* Begins a request: @t->req is zero but for the header. */
union virtiofs_fuse_in *begin(struct test *t, uint32_t opcode);
/* Encodes @t->req, sends it with @data behind it, and waits. Returns the reply's error; other trouble ends the check.
 */
int call(struct test *t, const void *data, size_t size);
/* The first half: puts it into the server's area. */
void encode(struct test *t, const void *data, size_t size);
/* The second half, for bytes that were changed in between: the reply is not decoded. */
int send_raw(struct test *t);
/* The same, with pieces of the check's own choice; they lie in the areas. */
int send_pieces(struct test *t, const struct iovec *in, uint32_t in_count, const struct iovec *out, uint32_t out_count);

/* Bytes of one's own, from a header on; its length is kept right. */
void raw_begin(struct test *t, uint32_t opcode, uint64_t node);
void raw_u32(struct test *t, uint32_t value);
void raw_u64(struct test *t, uint64_t value);
void raw_bytes(struct test *t, const void *data, size_t size);
void raw_string(struct test *t, const char *text); /* with its NUL */
void raw_zeros(struct test *t, size_t size);
void raw_len(struct test *t, uint32_t len); /* says that it has so many */
uint32_t reply_u16(const struct test *t, size_t at);
uint32_t reply_u32(const struct test *t, size_t at); /* of the reply behind its header */
uint64_t reply_u64(const struct test *t, size_t at);

/* The server still does what it is asked. */
void still_alive(struct test *t);

/* ---- requests: 0 or -errno, what they got in @t->got, or @t->bytes ---- */

void track_node(struct test *t, uint64_t node);
void track_handle(struct test *t, uint64_t node, uint64_t handle, bool dir);
void untrack_handle(struct test *t, uint64_t handle);

int fs_lookup(struct test *t, uint64_t parent, const char *name);
void fs_forget(struct test *t, uint64_t node, uint64_t count);
int fs_getattr(struct test *t, uint64_t node);
int fs_getattr_of(struct test *t, struct file file);
int fs_setattr(struct test *t, const struct virtiofs_setattr_in *in);
int fs_mkdir(struct test *t, uint64_t parent, const char *name, uint32_t mode);
int fs_mknod(struct test *t, uint64_t parent, const char *name, uint32_t mode, uint32_t minor);
int fs_symlink(struct test *t, uint64_t parent, const char *name, const char *target);
int fs_link(struct test *t, uint64_t node, uint64_t parent, const char *name);
int fs_readlink(struct test *t, uint64_t node);
int fs_unlink(struct test *t, uint64_t parent, const char *name);
int fs_rmdir(struct test *t, uint64_t parent, const char *name);
int fs_rename(struct test *t, uint64_t parent, const char *name, uint64_t to, const char *new_name);
int fs_rename2(struct test *t, uint64_t parent, const char *name, uint64_t to, const char *new_name, uint32_t flags);
int fs_open(struct test *t, uint64_t node, uint32_t flags);
int fs_opendir(struct test *t, uint64_t node);
int fs_create(struct test *t, uint64_t parent, const char *name, uint32_t flags, uint32_t mode);
int fs_read(struct test *t, struct file file, uint64_t offset, uint32_t size);
int fs_write(struct test *t, struct file file, uint64_t offset, const void *data, size_t size);
int fs_release(struct test *t, struct file file);
int fs_releasedir(struct test *t, struct file file);
int fs_flush(struct test *t, struct file file, uint64_t owner);
int fs_fsync(struct test *t, uint32_t opcode, struct file file, bool data_only);
/* @opcode: READDIR or READDIRPLUS. */
int fs_readdir(struct test *t, uint32_t opcode, struct file dir, uint64_t offset, uint32_t size);
int fs_fallocate(struct test *t, struct file file, uint32_t mode, uint64_t offset, uint64_t length);
int fs_lseek(struct test *t, struct file file, uint64_t offset, uint32_t whence);
int fs_copy(struct test *t, uint32_t opcode, struct file from, uint64_t at, struct file to, uint64_t to_at,
            uint64_t len);
int fs_setxattr(struct test *t, uint64_t node, const char *name, const void *value, size_t size, uint32_t flags);
int fs_getxattr(struct test *t, uint64_t node, const char *name, uint32_t size);
int fs_listxattr(struct test *t, uint64_t node, uint32_t size);
int fs_removexattr(struct test *t, uint64_t node, const char *name);
int fs_lock(struct test *t, uint32_t opcode, struct file file, uint64_t owner, const struct virtiofs_lock *lock,
            bool flock);
int fs_statfs(struct test *t, uint64_t node);

/* ---- things in the check's own directory, made or the check ends ---- */

uint64_t make_dir(struct test *t, const char *name);
/* An empty file in a directory. */
void make_in(struct test *t, uint64_t dir, const char *name);
/* A file with these contents, closed. */
uint64_t make_file(struct test *t, const char *name, const char *contents);
/* The same, open for reading and writing. */
struct file new_file(struct test *t, const char *name, const char *contents);
struct file open_file(struct test *t, uint64_t node, uint32_t flags);
struct file open_dir(struct test *t, uint64_t node);
struct virtiofs_attr attr_of(struct test *t, uint64_t node);
/* There is no such name. */
void absent(struct test *t, uint64_t parent, const char *name);
/* A node that the server has given and that was forgotten. */
uint64_t stale_node(struct test *t);

/* A listing. */
struct listed {
  char name[256];
  uint64_t ino, next, node;
  uint32_t type;
  struct virtiofs_attr attr;
};
enum { LISTED_MAX = 512 };
/* All of a directory from @offset on, by replies of @size bytes; how many there are. "." and ".." are left out. */
unsigned list_all(struct test *t, uint32_t opcode, struct file dir, uint64_t offset, uint32_t size,
                  struct listed *entries);
/* The next record of the reply; @at is advanced. False: there is no other. */
bool next_record(struct test *t, uint32_t opcode, size_t *at, struct listed *entry);

#endif
