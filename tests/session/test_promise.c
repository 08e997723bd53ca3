/* SPDX-License-Identifier: BSD-3-Clause */
/* What a backend promises: who is told, and what changes then. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "session/promise.h"
#include "support/session_bench.h"

#define OP(name) (UINT64_C(1) << FUSE_##name)
#define SECOND FUSE_INIT_EXT

enum { ROOT = 1, DIRECTORY = 2, FILE_IN_IT = 3 };

/* A directory with a directory with a file. */
static struct tree {
  uint64_t given[4];      /* replies that carried a node, less those forgotten */
  uint64_t semantics;     /* what the last operation was told */
  uint64_t of_this_mount; /* for init; UINT64_MAX: whatever there is */
  uint64_t was;           /* what init found */
  uint64_t dot;           /* what lookup says that "." is; 0: the truth */
  uint64_t offered;       /* flags, to init */
  uint16_t timeout;
  unsigned extensions;
} tree;

static char logged[512];

__attribute__((__format__(__printf__, 4, 0))) static void on_line(void *ctx, enum virtiofs_log_level level,
                                                                  const char *tag, const char *format, va_list args) {
  (void)ctx;
  (void)tag;
  if (level == VIRTIOFS_LOG_ERROR)
    (void)vsnprintf(logged, sizeof logged, format, args);
}

static int init(struct virtiofs_req *req, const struct virtiofs_init_in *in, struct virtiofs_init_out *out) {
  tree.semantics = virtiofs_req_semantics(req);
  tree.was = out->semantics;
  tree.offered = in->flags;
  if (tree.of_this_mount != UINT64_MAX)
    out->semantics = tree.of_this_mount;
  out->request_timeout = tree.timeout;
  return 0;
}

static struct virtiofs_attr attr_of(uint64_t node) {
  uint32_t type = node == FILE_IN_IT ? VIRTIOFS_S_IFREG : VIRTIOFS_S_IFDIR;
  return (struct virtiofs_attr){.ino = node, .mode = type | 0755, .flags = UINT32_MAX};
}

static int give(struct virtiofs_req *req, uint64_t node, struct virtiofs_entry_out *out) {
  tree.semantics = virtiofs_req_semantics(req);
  tree.given[node]++;
  out->node = node;
  out->attr = attr_of(node);
  return 0;
}

static int lookup(struct virtiofs_req *req, const struct virtiofs_lookup_in *in, struct virtiofs_entry_out *out) {
  if (virtiofs_name_is(&in->name, "."))
    return give(req, tree.dot != 0 ? tree.dot : in->parent, out);
  if (virtiofs_name_is(&in->name, ".."))
    return give(req, in->parent > ROOT ? in->parent - 1 : ROOT, out);
  return in->parent < FILE_IN_IT ? give(req, in->parent + 1, out) : -ENOTDIR;
}

static void forget(struct virtiofs_req *req, const struct virtiofs_forget_in *in) {
  tree.semantics = virtiofs_req_semantics(req);
  if (tree.given[in->node] < in->replies)
    abort();
  tree.given[in->node] -= in->replies;
}

static int getattr(struct virtiofs_req *req, const struct virtiofs_getattr_in *in, struct virtiofs_attr_out *out) {
  tree.semantics = virtiofs_req_semantics(req);
  out->attr = attr_of(in->node);
  return 0;
}

static int mkdir_(struct virtiofs_req *req, const struct virtiofs_mkdir_in *in, struct virtiofs_entry_out *out) {
  struct virtiofs_extensions all = in->extensions;
  struct virtiofs_extension one;
  while (virtiofs_extensions_next(&all, &one))
    tree.extensions++;
  return give(req, DIRECTORY, out);
}

static int readdirplus(struct virtiofs_req *req, const struct virtiofs_readdir_in *in,
                       struct virtiofs_readdir_out *out) {
  struct virtiofs_dirent entry = {.name = "d", .len = 1, .ino = 2, .next = 1};
  struct virtiofs_entry_out plus = {0};
  (void)in;
  give(req, DIRECTORY, &plus);
  return virtiofs_readdirplus_add(out, &entry, &plus) ? 0 : -EIO;
}

/* Is there, and isn't called. */
static int never(void) {
  abort();
}

#define ANY(type) ((type)(void (*)(void))never)
#define THERE(op) .op = ANY(__typeof__(((struct virtiofs_ops *)NULL)->op))

static const struct virtiofs_ops ops = {
    .size = sizeof ops,
    .init = init,
    .lookup = lookup,
    .forget = forget,
    .getattr = getattr,
    THERE(setattr),
    .mkdir = mkdir_,
    .readdirplus = readdirplus,
    THERE(readdir),
    THERE(open),
    THERE(read),
    THERE(write),
    THERE(readlink),
    THERE(getlk),
    THERE(setlk),
    THERE(setlkw),
    THERE(getxattr),
    THERE(setxattr),
};

static void begin(struct session_bench *b) {
  memset(&tree, 0, sizeof tree);
  tree.of_this_mount = UINT64_MAX;
  logged[0] = 0;
  session_bench_init(b);
  b->ops = ops;
  b->config.fs = &tree;
  b->config.log = (struct virtiofs_log){.fn = on_line, .level = VIRTIOFS_LOG_ERROR};
}

/* Every node has been taken back. */
static void end(struct session_bench *b) {
  session_bench_fini(b);
  for (unsigned i = ROOT + 1; i < sizeof tree.given / sizeof tree.given[0]; i++)
    assert_int_equal(tree.given[i], 0);
}

/* Mounts; the flags that are agreed on. */
static uint64_t mount(struct session_bench *b, uint32_t minor, uint64_t flags) {
  struct fuse_request r;
  struct fuse_init_out out;
  fuse_request_init(&r, 7, minor, flags);
  assert_int_equal(session_bench_get(b, &r, &out, sizeof out), 0);
  return (uint64_t)out.flags2 << 32 | out.flags;
}

static int ask_named(struct session_bench *b, uint32_t op, uint64_t parent, const char *name,
                     struct fuse_entry_out *out) {
  struct fuse_request r;
  fuse_request_named(&r, op, parent, name);
  return op == FUSE_LOOKUP ? session_bench_get(b, &r, out, sizeof *out) : session_bench_ask(b, &r);
}

static int find(struct session_bench *b, uint64_t parent, const char *name, struct fuse_entry_out *out) {
  return ask_named(b, FUSE_LOOKUP, parent, name, out);
}

static const uint64_t promises[] = {
    VIRTIOFS_SEMANTICS_ATOMIC_O_TRUNC,
    VIRTIOFS_SEMANTICS_EXPORT_SUPPORT,
    VIRTIOFS_SEMANTICS_DONT_MASK,
    VIRTIOFS_SEMANTICS_FLOCK_LOCKS,
    VIRTIOFS_SEMANTICS_WRITEBACK_CACHE,
    VIRTIOFS_SEMANTICS_HANDLE_KILLPRIV,
    VIRTIOFS_SEMANTICS_CACHE_SYMLINKS,
    VIRTIOFS_SEMANTICS_EXPLICIT_INVAL_DATA,
    VIRTIOFS_SEMANTICS_SUBMOUNTS,
    VIRTIOFS_SEMANTICS_HANDLE_KILLPRIV_V2,
    VIRTIOFS_SEMANTICS_SETXATTR_EXT,
    VIRTIOFS_SEMANTICS_SECURITY_CTX,
    VIRTIOFS_SEMANTICS_CREATE_SUPP_GROUP,
    VIRTIOFS_SEMANTICS_DIRECT_IO_ALLOW_MMAP,
    VIRTIOFS_SEMANTICS_NO_EXPORT_SUPPORT,
    VIRTIOFS_SEMANTICS_ALLOW_IDMAP,
    VIRTIOFS_SEMANTICS_POSIX_ACL | VIRTIOFS_SEMANTICS_DONT_MASK,
};

enum { PROMISES = sizeof promises / sizeof promises[0] };

static void none_is_made_by_itself(void **state) {
  struct session_bench b;
  (void)state;
  begin(&b);
  session_bench_open(&b);
  uint64_t agreed = mount(&b, 45, UINT64_MAX);
  for (unsigned i = 0; i < PROMISES; i++)
    assert_true((agreed & promises[i]) == 0);
  assert_true((agreed & FUSE_AUTO_INVAL_DATA) != 0 && (agreed & FUSE_POSIX_LOCKS) != 0);
  end(&b);
}

/* Each holds if the driver offers it, and operations hear of that. */
static void each_is_agreed_on_with_the_driver(void **state) {
  struct session_bench b;
  struct fuse_entry_out entry;
  (void)state;
  for (unsigned i = 0; i < PROMISES; i++) {
    begin(&b);
    b.ops.semantics = promises[i];
    session_bench_open(&b);
    assert_true((mount(&b, 45, UINT64_MAX) & promises[i]) == promises[i]);
    assert_true(tree.was == promises[i]);
    assert_true(tree.semantics == 0);
    assert_int_equal(find(&b, FUSE_ROOT_ID, "d", &entry), 0);
    assert_true(tree.semantics == promises[i]);
    tree.semantics = 0;
    session_bench_forget(&b, 1, entry.nodeid, 1);
    virtiofs_session_reclaim(b.session);
    assert_true(tree.semantics == promises[i]);
    /* Another guest doesn't know it. */
    assert_true((mount(&b, 45, ~promises[i]) & promises[i]) == 0);
    assert_int_equal(find(&b, FUSE_ROOT_ID, "d", &entry), 0);
    assert_true(tree.semantics == 0);
    end(&b);
  }
}

static void init_decides_for_one_mount(void **state) {
  struct session_bench b;
  (void)state;
  begin(&b);
  b.ops.semantics = VIRTIOFS_SEMANTICS_DONT_MASK;
  session_bench_open(&b);
  tree.of_this_mount = VIRTIOFS_SEMANTICS_ALLOW_IDMAP;
  uint64_t agreed = mount(&b, 45, UINT64_MAX);
  assert_true(tree.was == VIRTIOFS_SEMANTICS_DONT_MASK);
  assert_true((agreed & VIRTIOFS_SEMANTICS_ALLOW_IDMAP) != 0 && (agreed & VIRTIOFS_SEMANTICS_DONT_MASK) == 0);
  tree.of_this_mount = UINT64_MAX;
  agreed = mount(&b, 45, UINT64_MAX);
  assert_true((agreed & VIRTIOFS_SEMANTICS_ALLOW_IDMAP) == 0 && (agreed & VIRTIOFS_SEMANTICS_DONT_MASK) != 0);
  end(&b);
}

static void a_request_may_have_a_deadline(void **state) {
  struct session_bench b;
  struct fuse_request r;
  unsigned char out[sizeof(struct fuse_init_out)];
  uint16_t seconds;
  (void)state;
  begin(&b);
  session_bench_open(&b);
  for (unsigned i = 0; i < 4; i++) {
    tree.timeout = (i & 1) != 0 ? 77 : 0;
    fuse_request_init(&r, 7, 43, (i & 2) != 0 ? UINT64_MAX : ~VIRTIOFS_FUSE_REQUEST_TIMEOUT);
    assert_int_equal(session_bench_get(&b, &r, out, sizeof out), 0);
    memcpy(&seconds, out + 40, sizeof seconds); /* newer than <linux/fuse.h> */
    assert_int_equal(seconds, i == 3 ? 77 : 0);
  }
  end(&b);
}

/* ---- what can't be promised ---- */

static void operations_that_are_missing(void **state) {
  struct session_bench b;
  (void)state;
  static const struct {
    uint64_t promise;
    size_t op;
    const char *name;
  } cases[] = {
      {VIRTIOFS_SEMANTICS_ATOMIC_O_TRUNC, offsetof(struct virtiofs_ops, open), "ATOMIC_O_TRUNC"},
      {VIRTIOFS_SEMANTICS_EXPORT_SUPPORT, offsetof(struct virtiofs_ops, lookup), "EXPORT_SUPPORT"},
      {VIRTIOFS_SEMANTICS_FLOCK_LOCKS, offsetof(struct virtiofs_ops, setlk), "FLOCK_LOCKS"},
      {VIRTIOFS_SEMANTICS_FLOCK_LOCKS, offsetof(struct virtiofs_ops, setlkw), "FLOCK_LOCKS"},
      {VIRTIOFS_SEMANTICS_WRITEBACK_CACHE, offsetof(struct virtiofs_ops, write), "WRITEBACK_CACHE"},
      {VIRTIOFS_SEMANTICS_WRITEBACK_CACHE, offsetof(struct virtiofs_ops, setattr), "WRITEBACK_CACHE"},
      {VIRTIOFS_SEMANTICS_POSIX_ACL | VIRTIOFS_SEMANTICS_DONT_MASK, offsetof(struct virtiofs_ops, getxattr),
       "POSIX_ACL"},
      {VIRTIOFS_SEMANTICS_CACHE_SYMLINKS, offsetof(struct virtiofs_ops, readlink), "CACHE_SYMLINKS"},
      {VIRTIOFS_SEMANTICS_SETXATTR_EXT, offsetof(struct virtiofs_ops, setxattr), "SETXATTR_EXT"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    begin(&b);
    b.ops.semantics = cases[i].promise;
    memset((unsigned char *)&b.ops + cases[i].op, 0, sizeof(void (*)(void)));
    assert_int_equal(virtiofs_session_new(&b.session, &b.config), -EINVAL);
    assert_null(b.session);
    assert_non_null(strstr(logged, cases[i].name));
    script_fs_fini(&b.fs);
  }
}

static void promises_that_are_none(void **state) {
  static const uint64_t bad[] = {
      UINT64_C(1) << 63,
      FUSE_ASYNC_READ,
      FUSE_INIT_EXT,
      VIRTIOFS_FUSE_PASSTHROUGH,
      VIRTIOFS_FUSE_HAS_RESEND,
      VIRTIOFS_SEMANTICS_POSIX_ACL,
      VIRTIOFS_SEMANTICS_EXPORT_SUPPORT | VIRTIOFS_SEMANTICS_NO_EXPORT_SUPPORT,
  };
  struct session_bench b;
  struct fuse_request r;
  struct fuse_entry_out entry;
  (void)state;
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    begin(&b);
    b.ops.semantics = bad[i];
    assert_int_equal(virtiofs_session_new(&b.session, &b.config), -EINVAL);
    assert_true(logged[0] != 0);
    /* For one mount it is that which fails. */
    b.ops.semantics = 0;
    session_bench_open(&b);
    tree.of_this_mount = bad[i];
    logged[0] = 0;
    fuse_request_init(&r, 7, 45, UINT64_MAX);
    assert_int_equal(session_bench_ask(&b, &r), -EIO);
    assert_true(logged[0] != 0);
    assert_int_equal(find(&b, FUSE_ROOT_ID, "d", &entry), -EIO);
    tree.of_this_mount = UINT64_MAX;
    assert_true(mount(&b, 45, UINT64_MAX) != 0);
    end(&b);
  }
}

/* ---- what changes ---- */

static void dots_are_looked_up_if_that_is_promised(void **state) {
  struct session_bench b;
  struct fuse_entry_out dir, file, out;
  (void)state;
  begin(&b);
  b.ops.semantics = VIRTIOFS_SEMANTICS_EXPORT_SUPPORT;
  session_bench_open(&b);
  (void)mount(&b, 38, UINT64_MAX);
  assert_int_equal(find(&b, FUSE_ROOT_ID, "d", &dir), 0);
  assert_int_equal(find(&b, dir.nodeid, "f", &file), 0);
  /* Itself, whatever its type; each reply counts as any other. */
  assert_int_equal(find(&b, file.nodeid, ".", &out), 0);
  assert_int_equal(out.nodeid, file.nodeid);
  assert_int_equal(find(&b, dir.nodeid, ".", &out), 0);
  assert_int_equal(out.nodeid, dir.nodeid);
  assert_int_equal(find(&b, file.nodeid, "..", &out), 0);
  assert_int_equal(out.nodeid, dir.nodeid);
  assert_int_equal(tree.given[DIRECTORY], 3);
  assert_int_equal(tree.given[FILE_IN_IT], 2);
  assert_int_equal(find(&b, dir.nodeid, "..", &out), 0);
  assert_int_equal(out.nodeid, FUSE_ROOT_ID);
  assert_int_equal(find(&b, FUSE_ROOT_ID, "..", &out), 0);
  assert_int_equal(out.nodeid, FUSE_ROOT_ID);
  assert_int_equal(find(&b, FUSE_ROOT_ID, ".", &out), 0);
  assert_int_equal(out.nodeid, FUSE_ROOT_ID);
  session_bench_forget(&b, 1, FUSE_ROOT_ID, 3);
  session_bench_forget(&b, 1, dir.nodeid, 2);
  virtiofs_session_reclaim(b.session);
  assert_int_equal(tree.given[DIRECTORY], 3);
  session_bench_forget(&b, 1, dir.nodeid, 1);
  virtiofs_session_reclaim(b.session);
  assert_int_equal(tree.given[DIRECTORY], 0);
  /* What is forgotten is gone; the root never is. */
  assert_int_equal(find(&b, dir.nodeid, ".", &out), -ESTALE);
  assert_int_equal(find(&b, FUSE_ROOT_ID, ".", &out), 0);
  /* No other operation takes these names. */
  assert_int_equal(ask_named(&b, FUSE_UNLINK, FUSE_ROOT_ID, "..", NULL), -EINVAL);
  assert_int_equal(ask_named(&b, FUSE_RMDIR, FUSE_ROOT_ID, ".", NULL), -EINVAL);
  /* Nor does it for a driver that didn't ask for it. */
  (void)mount(&b, 38, ~VIRTIOFS_FUSE_EXPORT_SUPPORT);
  assert_int_equal(find(&b, FUSE_ROOT_ID, ".", &out), -EINVAL);
  assert_int_equal(find(&b, FUSE_ROOT_ID, "..", &out), -EINVAL);
  end(&b);
}

static void a_node_that_is_not_itself(void **state) {
  struct session_bench b;
  struct fuse_entry_out dir, out;
  (void)state;
  begin(&b);
  b.ops.semantics = VIRTIOFS_SEMANTICS_EXPORT_SUPPORT;
  session_bench_open(&b);
  (void)mount(&b, 38, UINT64_MAX);
  assert_int_equal(find(&b, FUSE_ROOT_ID, "d", &dir), 0);
  tree.dot = FILE_IN_IT;
  assert_int_equal(find(&b, dir.nodeid, ".", &out), -EIO);
  assert_int_equal(tree.given[FILE_IN_IT], 0);
  end(&b);
}

static int make_extended(struct session_bench *b, bool context, bool group) {
  struct fuse_request r;
  static const uint32_t groups[] = {16, 32, 1, 100};
  static const uint32_t ctx[] = {32, 1, 1, 0};
  fuse_request_mkdir(&r, FUSE_ROOT_ID, "new", 0755);
  size_t before = r.len;
  if (context) {
    fuse_request_put(&r, ctx, sizeof ctx);
    fuse_request_put(&r, "security.x\0v\0\0\0\0", 16);
  }
  if (group)
    fuse_request_put(&r, groups, sizeof groups);
  r.header.total_extlen = (uint16_t)((r.len - before) / 8);
  return session_bench_ask(b, &r);
}

static void extensions_come_if_they_are_agreed_on(void **state) {
  struct session_bench b;
  (void)state;
  const uint64_t both = VIRTIOFS_SEMANTICS_SECURITY_CTX | VIRTIOFS_SEMANTICS_CREATE_SUPP_GROUP;
  for (unsigned i = 0; i < 4; i++) {
    begin(&b);
    b.ops.semantics = both;
    session_bench_open(&b);
    uint64_t known = ((i & 1) != 0 ? VIRTIOFS_SEMANTICS_SECURITY_CTX : 0) |
                     ((i & 2) != 0 ? VIRTIOFS_SEMANTICS_CREATE_SUPP_GROUP : 0);
    assert_true((mount(&b, 38, SECOND | known) & both) == known);
    for (unsigned sent = 0; sent < 4; sent++) {
      tree.extensions = 0;
      assert_int_equal(make_extended(&b, (sent & 1) != 0, (sent & 2) != 0), (sent & ~i) == 0 ? 0 : -EINVAL);
      assert_int_equal(tree.extensions, (sent & ~i) == 0 ? (sent & 1) + (sent >> 1) : 0);
    }
    /* A driver before 7.38 doesn't say where they begin, so they are not taken from it. */
    assert_true((mount(&b, 37, UINT64_MAX) & both) == 0);
    tree.extensions = 0;
    assert_int_equal(make_extended(&b, true, true), 0);
    assert_int_equal(tree.extensions, 0);
    end(&b);
  }
}

/* The backend says all flags always. */
static void attributes_have_flags_that_the_driver_knows(void **state) {
  struct session_bench b;
  struct fuse_request r;
  struct fuse_entry_out dir, file;
  struct fuse_attr_out attr;
  (void)state;
  for (unsigned known = 0; known < 2; known++) {
    begin(&b);
    b.ops.semantics = VIRTIOFS_SEMANTICS_SUBMOUNTS | VIRTIOFS_SEMANTICS_HAS_INODE_DAX;
    session_bench_open(&b);
    (void)mount(&b, 45, known != 0 ? UINT64_MAX : ~VIRTIOFS_FUSE_SUBMOUNTS);
    assert_int_equal(find(&b, FUSE_ROOT_ID, "d", &dir), 0);
    assert_int_equal(find(&b, dir.nodeid, "f", &file), 0);
    /* DAX is not, as there is no window. */
    assert_int_equal(dir.attr.flags, known != 0 ? FUSE_ATTR_SUBMOUNT : 0);
    assert_int_equal(file.attr.flags, 0);
    fuse_request_getattr(&r, dir.nodeid, NULL);
    assert_int_equal(session_bench_get(&b, &r, &attr, sizeof attr), 0);
    assert_int_equal(attr.attr.flags, known != 0 ? FUSE_ATTR_SUBMOUNT : 0);
    fuse_request_read(&r, FUSE_READDIRPLUS, FUSE_ROOT_ID, 0, 0, 4096);
    struct fuse_message *m = session_bench_send(&b, 1, &r, NULL);
    assert_int_equal(fuse_message_error(m), 0);
    assert_true(fuse_message_size(m) >= sizeof dir);
    memcpy(&dir, fuse_message_args(m), sizeof dir);
    assert_int_equal(dir.attr.flags, known != 0 ? FUSE_ATTR_SUBMOUNT : 0);
    fuse_message_free(m);
    end(&b);
  }
}

/* ---- operations ---- */

static void each_operation_has_its_bit(void **state) {
  (void)state;
  assert_true(virtiofs_session_operations(&(struct virtiofs_ops){.size = sizeof ops}) == 0);
  assert_true(virtiofs_session_operations(&ops) ==
              (OP(LOOKUP) | OP(FORGET) | OP(GETATTR) | OP(SETATTR) | OP(MKDIR) | OP(READDIRPLUS) | OP(READDIR) |
               OP(OPEN) | OP(READ) | OP(WRITE) | OP(READLINK) | OP(GETLK) | OP(SETLK) | OP(SETLKW) | OP(GETXATTR) |
               OP(SETXATTR)));
  uint64_t all = virtiofs_session_operations(&script_fs_ops);
  const uint64_t has = OP(LOOKUP) | OP(READDIRPLUS) | OP(RENAME) | OP(RENAME2) | OP(CREATE) | OP(FALLOCATE) | OP(LSEEK);
  assert_true((all & has) == has);
  assert_true((all & (OP(INIT) | OP(DESTROY) | OP(INTERRUPT) | OP(BATCH_FORGET))) == 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(none_is_made_by_itself),
      cmocka_unit_test(each_is_agreed_on_with_the_driver),
      cmocka_unit_test(init_decides_for_one_mount),
      cmocka_unit_test(a_request_may_have_a_deadline),
      cmocka_unit_test(operations_that_are_missing),
      cmocka_unit_test(promises_that_are_none),
      cmocka_unit_test(dots_are_looked_up_if_that_is_promised),
      cmocka_unit_test(a_node_that_is_not_itself),
      cmocka_unit_test(extensions_come_if_they_are_agreed_on),
      cmocka_unit_test(attributes_have_flags_that_the_driver_knows),
      cmocka_unit_test(each_operation_has_its_bit),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
