/* SPDX-License-Identifier: BSD-3-Clause */
/* Requests that lie about themselves, and ids that were never given: an error, and life goes on. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "check.h"

/* ---- ids ---- */

static const uint64_t strange[] = {
    0, 2, 3, 0xffff, UINT32_MAX, UINT64_C(1) << 32, UINT64_C(1) << 63, UINT64_MAX, UINT64_C(0x5555555555555555)};
enum { STRANGE = sizeof(strange) / sizeof(strange[0]) };

/* Not one that is in use, by chance. */
static bool in_use(const struct test *t, uint64_t id) {
  for (unsigned i = 0; i < t->node_count; i++)
    if (t->nodes[i] == id)
      return true;
  for (unsigned i = 0; i < t->handle_count; i++)
    if (t->handles[i].handle == id)
      return true;
  return id == t->dir || id == t->server->work;
}

static void nodes(struct test *t) {
  for (unsigned i = 0; i < STRANGE; i++) {
    if (in_use(t, strange[i]))
      continue;
    bad(t, fs_getattr(t, strange[i]));
    bad(t, fs_lookup(t, strange[i], "x"));
    bad(t, fs_open(t, strange[i], O_RDONLY));
    bad(t, fs_opendir(t, strange[i]));
    bad(t, fs_mkdir(t, strange[i], "x", 0755));
    bad(t, fs_unlink(t, strange[i], "x"));
    bad(t, fs_readlink(t, strange[i]));
  }
  still_alive(t);
}

static void second_nodes(struct test *t) {
  uint64_t node = make_file(t, "file", "");
  for (unsigned i = 0; i < STRANGE; i++) {
    if (in_use(t, strange[i]))
      continue;
    bad(t, fs_rename(t, t->dir, "file", strange[i], "x"));
    int rc = fs_link(t, strange[i], t->dir, "x");
    expect(t, rc != 0, "LINK of nodeid %#llx succeeded", (unsigned long long)strange[i]);
    rc = fs_link(t, node, strange[i], "x");
    expect(t, rc != 0, "LINK into nodeid %#llx succeeded", (unsigned long long)strange[i]);
  }
  good(t, fs_lookup(t, t->dir, "file"));
}

static void handles(struct test *t) {
  struct file file = new_file(t, "file", "abc");
  for (unsigned i = 0; i < STRANGE; i++) {
    struct file other = {.node = file.node, .handle = strange[i]};
    if (in_use(t, other.handle))
      continue;
    bad(t, fs_read(t, other, 0, 10));
    bad(t, fs_write(t, other, 0, "x", 1));
    (void)fs_flush(t, other, 1);
    (void)fs_fsync(t, VIRTIOFS_FUSE_FSYNC, other, false);
    (void)fs_fallocate(t, other, 0, 0, 1);
    (void)fs_lseek(t, other, 0, 3);
    (void)fs_release(t, other);
    (void)fs_releasedir(t, other);
    bad(t, fs_readdir(t, VIRTIOFS_FUSE_READDIR, other, 0, 100));
  }
  good(t, fs_read(t, file, 0, 10));
  holds(t, "abc");
}

static void wrong_kinds(struct test *t) {
  struct file file = new_file(t, "file", "abc");
  struct file dir = open_dir(t, make_dir(t, "dir"));
  bad(t, fs_readdir(t, VIRTIOFS_FUSE_READDIR, file, 0, 4096));
  bad(t, fs_read(t, dir, 0, 100));
  (void)fs_release(t, dir);
  (void)fs_releasedir(t, file);
  still_alive(t);
}

static void forget_too_many(struct test *t) {
  uint64_t node = make_file(t, "file", "abc");
  fs_forget(t, node, UINT64_MAX);
  good(t, fs_lookup(t, t->dir, "file"));
  good(t, fs_getattr(t, t->got.entry.node));
}

static void forget_root(struct test *t) {
  fs_forget(t, VIRTIOFS_FUSE_ROOT, 1);
  fs_forget(t, VIRTIOFS_FUSE_ROOT, UINT64_MAX);
  good(t, fs_getattr(t, VIRTIOFS_FUSE_ROOT));
  good(t, fs_lookup(t, VIRTIOFS_FUSE_ROOT, t->server->name));
}

static void forget_zero(struct test *t) {
  fs_forget(t, 0, 1);
  fs_forget(t, 0, UINT64_MAX);
  still_alive(t);
}

static void forget_strange(struct test *t) {
  for (unsigned i = 0; i < STRANGE; i++)
    if (!in_use(t, strange[i]))
      fs_forget(t, strange[i], 1);
  still_alive(t);
}

static void batch_lies(struct test *t, uint32_t count) {
  raw_begin(t, VIRTIOFS_FUSE_BATCH_FORGET, 0);
  raw_u32(t, count);
  raw_u32(t, 0);
  raw_u64(t, UINT64_C(0x123456789));
  raw_u64(t, 1);
  t->room = 0;
  t->queue = 0;
  (void)send_raw(t);
  still_alive(t);
}

static void batch_more(struct test *t) {
  batch_lies(t, 2);
  batch_lies(t, UINT32_MAX);
  batch_lies(t, 0x10000000);
}

#define ROW(name, rule, run)                                                                                           \
  { name, rule, run, MOUNTED | HOSTILE, 0, 0 }
static const struct check hostile_id_checks[] = {
    ROW("nodes", "FUSE ids: nodeids that were never given are refused", nodes),
    ROW("second-nodes", "FUSE ids: RENAME's and LINK's other nodeid, too", second_nodes),
    ROW("handles", "FUSE ids: handles that were never given are refused, and harm no others", handles),
    ROW("kinds", "FUSE ids: a file's handle for a directory's, and the other way", wrong_kinds),
    ROW("forget-too-many", "FUSE FORGET: a FORGET of more than there are takes all there are, and nothing wraps",
        forget_too_many),
    ROW("forget-root", "FUSE FORGET: the root is never forgotten", forget_root),
    ROW("forget-0", "FUSE FORGET: a FORGET of nodeid 0 is ignored", forget_zero),
    ROW("forget-unknown", "FUSE FORGET: a FORGET of what was never given is ignored", forget_strange),
    ROW("batch-lies", "FUSE BATCH_FORGET: a count larger than what is there", batch_more),
};
const struct group hostile_id_group = CHECKS("hostile-id", hostile_id_checks);

/* ---- requests ---- */

/* One of each kind, as long as it has to be, about nothing that is there. */
static size_t sample(struct test *t, uint32_t opcode) {
  raw_begin(t, opcode, t->dir);
  raw_zeros(t, 100);
  memcpy(t->server->in + 40 + 60, "name", 5);
  t->queue = virtiofs_fuse_has_reply(opcode) ? 1 : 0;
  return t->in_len;
}

static bool harmless(uint32_t opcode) {
  return opcode != VIRTIOFS_FUSE_INIT && opcode != VIRTIOFS_FUSE_DESTROY && opcode != VIRTIOFS_FUSE_SETLKW;
}

enum { OPCODES = 55 };

/* The reply is whatever it is: it comes. */
static void throw(struct test * t) {
  t->anything = true;
  (void)send_raw(t);
}

static void cut_off(struct test *t) {
  for (uint32_t opcode = 1; opcode < OPCODES; opcode++)
    for (size_t size = 40; harmless(opcode) && size < 110; size++) {
      (void)sample(t, opcode);
      t->in_len = size;
      raw_len(t, (uint32_t)size);
      throw(t);
    }
  still_alive(t);
}

static void len_more(struct test *t) {
  for (uint32_t opcode = 1; opcode < OPCODES; opcode++) {
    if (!harmless(opcode))
      continue;
    size_t size = sample(t, opcode);
    raw_len(t, (uint32_t)size + 1);
    throw(t);
    (void)sample(t, opcode);
    raw_len(t, UINT32_MAX);
    throw(t);
  }
  still_alive(t);
}

static void len_less(struct test *t) {
  for (uint32_t opcode = 1; opcode < OPCODES; opcode++)
    for (uint32_t len = 0; harmless(opcode) && len < 64; len += 7) {
      (void)sample(t, opcode);
      raw_len(t, len);
      throw(t);
    }
  still_alive(t);
}

static void ones(struct test *t) {
  for (uint32_t opcode = 1; opcode < OPCODES; opcode++) {
    if (!harmless(opcode))
      continue;
    raw_begin(t, opcode, t->dir);
    memset(t->server->in + 40, 0xff, 200);
    t->in_len = 240;
    raw_len(t, 240);
    t->queue = virtiofs_fuse_has_reply(opcode) ? 1 : 0;
    throw(t);
  }
  still_alive(t);
}

static void rooms(struct test *t) {
  for (uint32_t opcode = 1; opcode < OPCODES; opcode++)
    for (size_t room = 0; harmless(opcode) && room < 32; room++) {
      (void)sample(t, opcode);
      t->room = room;
      throw(t);
    }
  still_alive(t);
}

static void no_nul(struct test *t) {
  static const uint32_t opcodes[] = {VIRTIOFS_FUSE_LOOKUP, VIRTIOFS_FUSE_UNLINK, VIRTIOFS_FUSE_RMDIR,
                                     VIRTIOFS_FUSE_REMOVEXATTR};
  for (unsigned i = 0; i < 4; i++) {
    raw_begin(t, opcodes[i], t->dir);
    raw_bytes(t, "name", 4);
    bad(t, send_raw(t));
  }
}

/* Three up is beside the share, or in its root if that is all the server sees. Whatever is made there goes again; an
 * error does not mean that nothing was made. */
static void make_outside(struct test *t) {
  char up[128], name[100];
  (void)snprintf(name, sizeof(name), "%s.outside", t->server->name);
  (void)snprintf(up, sizeof(up), "../../../%s", name);
  int rc = fs_mkdir(t, t->dir, up, 0700);
  bool in_root = fs_lookup(t, VIRTIOFS_FUSE_ROOT, name) == 0;
  bool removed = fs_rmdir(t, t->dir, up) == 0 || fs_rmdir(t, VIRTIOFS_FUSE_ROOT, name) == 0;
  expect(t, rc != 0 && !in_root && !removed, "MKDIR of '%s' made a directory%s%s", up,
         in_root ? " in the root of the share" : "", rc != 0 ? ", and was answered by an error" : "");
}

static void huge_read(struct test *t) {
  struct file file = new_file(t, "file", "abc");
  static const uint32_t sizes[] = {UINT32_MAX, UINT32_MAX - 15, INT32_MAX, 1U << 30};
  for (unsigned i = 0; i < 4; i++) {
    raw_begin(t, VIRTIOFS_FUSE_READ, file.node);
    raw_u64(t, file.handle);
    raw_u64(t, 0);
    raw_u32(t, sizes[i]);
    raw_zeros(t, 20);
    (void)send_raw(t);
  }
  good(t, fs_read(t, file, 0, 10));
  holds(t, "abc");
}

static void huge_readdir(struct test *t) {
  struct file dir = open_dir(t, t->dir);
  for (uint32_t opcode = VIRTIOFS_FUSE_READDIR; opcode <= VIRTIOFS_FUSE_READDIRPLUS; opcode += 16) {
    raw_begin(t, opcode, dir.node);
    raw_u64(t, dir.handle);
    raw_u64(t, 0);
    raw_u32(t, UINT32_MAX);
    raw_zeros(t, 20);
    (void)send_raw(t);
  }
  still_alive(t);
}

static void huge_xattr(struct test *t) {
  uint64_t node = make_file(t, "file", "");
  raw_begin(t, VIRTIOFS_FUSE_GETXATTR, node);
  raw_u32(t, UINT32_MAX);
  raw_u32(t, 0);
  raw_string(t, "user.x");
  (void)send_raw(t);
  raw_begin(t, VIRTIOFS_FUSE_LISTXATTR, node);
  raw_u32(t, UINT32_MAX);
  raw_u32(t, 0);
  (void)send_raw(t);
  raw_begin(t, VIRTIOFS_FUSE_SETXATTR, node);
  raw_u32(t, UINT32_MAX);
  raw_u32(t, 0);
  raw_u64(t, 0);
  raw_string(t, "user.x");
  bad(t, send_raw(t));
  still_alive(t);
}

static void setattr_nsec(struct test *t) {
  uint64_t node = make_file(t, "file", "");
  static const uint32_t values[] = {1000000000, 0x3fffffff, 0x3ffffffe, UINT32_MAX};
  for (unsigned i = 0; i < 4; i++) {
    struct virtiofs_setattr_in in = {.node = node,
                                     .valid = VIRTIOFS_SET_ATIME | VIRTIOFS_SET_MTIME,
                                     .atime = {.sec = 5, .nsec = values[i]},
                                     .mtime = {.sec = 5, .nsec = values[i]}};
    int rc = fs_setattr(t, &in);
    expect(t, rc != 0 || t->got.attr.attr.atime.sec < 10, "a time of %u ns was taken for the present", values[i]);
  }
}

static void setattr_owner(struct test *t) {
  uint64_t node = make_file(t, "file", "");
  struct virtiofs_attr before = attr_of(t, node);
  struct virtiofs_setattr_in in = {.node = node, .valid = VIRTIOFS_SET_UID, .uid = UINT32_MAX};
  int rc = fs_setattr(t, &in);
  struct virtiofs_attr after = attr_of(t, node);
  is(t, "the owner", after.uid, before.uid);
  (void)rc;
}

static void extension_lies(struct test *t) {
  static const uint16_t units[] = {1, 2, 100, UINT16_MAX};
  for (unsigned i = 0; i < 4; i++) {
    raw_begin(t, VIRTIOFS_FUSE_MKDIR, t->dir);
    raw_u32(t, 0755);
    raw_u32(t, 0);
    raw_string(t, "x");
    raw_bytes(t, "\xff\xff\xff\xff\x20\0\0\0\xff\xff\xff\xff\xff\xff", 14);
    memcpy(t->server->in + 36, &units[i], sizeof(units[i]));
    if (send_raw(t) == 0) {
      track_node(t, reply_u64(t, 0));
      good(t, fs_rmdir(t, t->dir, "x"));
    }
  }
  still_alive(t);
}

static void no_room_to_make(struct test *t) {
  struct virtiofs_create_in *in = &begin(t, VIRTIOFS_FUSE_CREATE)->create;
  *in = (struct virtiofs_create_in){
      .parent = t->dir, .name = {.str = "file", .len = 4}, .flags = O_CREAT | O_RDWR, .mode = S_IFREG | 0644};
  encode(t, NULL, 0);
  t->room = 100;
  bad(t, send_raw(t));
  absent(t, t->dir, "file");
}

static void no_room_for_dir(struct test *t) {
  struct virtiofs_mkdir_in *in = &begin(t, VIRTIOFS_FUSE_MKDIR)->mkdir;
  *in = (struct virtiofs_mkdir_in){.parent = t->dir, .name = {.str = "dir", .len = 3}, .mode = 0755};
  encode(t, NULL, 0);
  t->room = 64;
  bad(t, send_raw(t));
  absent(t, t->dir, "dir");
}

static void no_room_to_write(struct test *t) {
  struct file file = new_file(t, "file", "0123");
  struct virtiofs_write_in *in = &begin(t, VIRTIOFS_FUSE_WRITE)->write;
  *in = (struct virtiofs_write_in){.node = file.node, .handle = file.handle, .size = 1, .data.size = 1};
  encode(t, "X", 1);
  t->room = 16; /* an error fits */
  bad(t, send_raw(t));
  good(t, fs_read(t, file, 0, 10));
  holds(t, "0123");
}

static void seeks_past(struct test *t) {
  struct file file = new_file(t, "file", "abc"), other = new_file(t, "other", "");
  (void)fs_lseek(t, file, UINT64_MAX, 3);
  (void)fs_fallocate(t, file, UINT32_MAX, UINT64_MAX, UINT64_MAX);
  (void)fs_copy(t, VIRTIOFS_FUSE_COPY_FILE_RANGE, file, UINT64_MAX - 1, other, UINT64_MAX - 1, UINT64_MAX);
  is(t, "the size", attr_of(t, file.node).size, 3);
}

static const struct check hostile_request_checks[] = {
    ROW("cut-off", "FUSE: a request of each kind, cut off at each byte, is answered", cut_off),
    ROW("length-more", "FUSE: a header that says more bytes than there are", len_more),
    ROW("length-less", "FUSE: a header that says fewer bytes than there are, or than a header has", len_less),
    ROW("ones", "FUSE: a request of each kind, all bits set", ones),
    ROW("rooms", "FUSE: a request of each kind with room for 0 to 31 bytes", rooms),
    ROW("no-nul", "FUSE: a name without its NUL is refused", no_nul),
    ROW("outside", "FUSE names: nothing is made by a name that leads out of the share", make_outside),
    ROW("read-huge", "FUSE sizes: READ of 4 GiB does not allocate 4 GiB", huge_read),
    ROW("readdir-huge", "FUSE sizes: READDIR of 4 GiB", huge_readdir),
    ROW("xattr-huge", "FUSE sizes: attributes of 4 GiB", huge_xattr),
    ROW("time-nanoseconds",
        "FUSE times: a second or more of nanoseconds is refused, or at least not taken for a command", setattr_nsec),
    ROW("owner-2^32", "chown(2): an owner of 2^32 - 1 is no owner", setattr_owner),
    ROW("extensions", "FUSE extensions: extensions that lie about their lengths", extension_lies),
    ROW("ranges", "FUSE ranges: ranges that wrap", seeks_past),
    ROW("no-room-create", "FUSE replies: where CREATE's reply doesn't fit nothing is made", no_room_to_make),
    ROW("no-room-mkdir", "FUSE replies: where MKDIR's reply doesn't fit nothing is made", no_room_for_dir),
    ROW("no-room-write", "FUSE replies: where WRITE's reply doesn't fit nothing is written", no_room_to_write),
};
const struct group hostile_request_group = CHECKS("hostile-request", hostile_request_checks);
