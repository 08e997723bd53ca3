/* SPDX-License-Identifier: BSD-3-Clause */
/* One check's life: what it begins from, what ends it, what is put away after it. */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "wire.h"

void fail(struct test *t, const char *format, ...) {
  va_list args;
  va_start(args, format);
  (void)vsnprintf(t->why, sizeof(t->why), format, args);
  va_end(args);
  t->verdict = FAILED;
  longjmp(t->end, 1);
}

void skip(struct test *t, const char *format, ...) {
  va_list args;
  va_start(args, format);
  (void)vsnprintf(t->why, sizeof(t->why), format, args);
  va_end(args);
  t->verdict = SKIPPED;
  longjmp(t->end, 1);
}

void expect(struct test *t, bool ok, const char *format, ...) {
  va_list args;
  if (ok)
    return;
  va_start(args, format);
  (void)vsnprintf(t->why, sizeof(t->why), format, args);
  va_end(args);
  t->verdict = FAILED;
  longjmp(t->end, 1);
}

static const char *error_name(int rc) {
  if (rc == 0)
    return "success";
  const char *name = strerrorname_np(-rc);
  return name != NULL ? name : "an unknown error";
}

static const char *what(const struct test *t) {
  return virtiofs_fuse_opcode_name(t->req.header.opcode);
}

void is(struct test *t, const char *name, uint64_t got, uint64_t wanted) {
  expect(t, got == wanted, "%s is %llu (%#llx), not %llu (%#llx)", name, (unsigned long long)got,
         (unsigned long long)got, (unsigned long long)wanted, (unsigned long long)wanted);
}

void good(struct test *t, int rc) {
  expect(t, rc == 0, "%s was answered %s, not success", what(t), error_name(rc));
}

void bad(struct test *t, int rc) {
  expect(t, rc < 0, "%s succeeded, and should not have", what(t));
  expect(t, rc != -ENOSYS, "%s was answered ENOSYS, which turns the operation off for the whole mount", what(t));
}

void refused(struct test *t, int rc, const int *errors) {
  char list[256] = "";
  for (const int *e = errors; *e != 0; e++) {
    if (rc == -*e)
      return;
    size_t at = strlen(list);
    (void)snprintf(list + at, sizeof(list) - at, "%s%s", e == errors ? "" : " or ", error_name(-*e));
  }
  fail(t, "%s was answered %s, not %s", what(t), error_name(rc), list);
}

void holds(struct test *t, const char *text) {
  size_t size = strlen(text);
  expect(t, t->size == size && memcmp(t->bytes, text, size) == 0, "%s gave %zu bytes '%.*s', not %zu bytes '%s'",
         what(t), t->size, (int)(t->size < 200 ? t->size : 200), (const char *)t->bytes, size, text);
}

bool agreed(const struct test *t, uint64_t flag) {
  return (t->server->init.flags & flag) == flag;
}

void able(struct test *t, int rc) {
  if (rc == -EOPNOTSUPP || rc == -ENOSYS || rc == -EPERM || rc == -EACCES)
    skip(t, "%s is answered %s here", what(t), error_name(rc));
  good(t, rc);
}

/* ---- before ---- */

/* The directory for all checks. */
static int find_work(struct test *t) {
  struct server *s = t->server;
  int rc = fs_mkdir(t, VIRTIOFS_FUSE_ROOT, s->name, 0755);
  if (rc == -EEXIST)
    rc = fs_lookup(t, VIRTIOFS_FUSE_ROOT, s->name);
  if (rc == 0) {
    s->work = t->got.entry.node;
    s->dirty = true;
    t->node_count = 0; /* it stays */
  }
  return rc;
}

static void remove_all(struct test *t, uint64_t parent, const char *name, int depth);

static void make_own_dir(struct test *t) {
  struct server *s = t->server;
  int rc = s->work != 0 ? 0 : find_work(t);
  if (rc == -ENOSYS || rc == -EROFS || rc == -EACCES || rc == -EPERM) {
    if ((t->check->begins & ANYWHERE) == 0)
      skip(t, "nothing can be made in the root: MKDIR is answered %s", error_name(rc));
    t->dir = VIRTIOFS_FUSE_ROOT;
    return;
  }
  if (rc != 0)
    fail(t, "cannot make the directory '%s': %s", s->name, error_name(rc));
  rc = fs_mkdir(t, s->work, "check", 0755);
  if (rc == -EEXIST) { /* of a check that the server has not survived */
    remove_all(t, s->work, "check", 0);
    rc = fs_mkdir(t, s->work, "check", 0755);
  }
  if (rc != 0)
    fail(t, "cannot make a directory for the check: %s", error_name(rc));
  t->dir = t->got.entry.node;
}

static void prepare(struct test *t) {
  struct server *s = t->server;
  unsigned begins = t->check->begins & BEGINS;
  int rc = 0;
  if (begins != MOUNTED)
    server_disconnect(s);
  if (begins != ALONE && s->client == NULL)
    rc = server_connect(s, &(struct options){0});
  if (rc != 0)
    fail(t, "cannot connect: %s", error_name(rc));
  if (begins == MOUNTED && !s->mounted)
    rc = server_mount(s);
  if (rc != 0)
    fail(t, "INIT as Linux sends it fails: %s", error_name(rc));
  if (begins == MOUNTED) {
    if (t->check->flag != 0 && !agreed(t, t->check->flag)) {
      unsigned bit = 0;
      while ((t->check->flag >> bit & 1) == 0)
        bit++;
      skip(t, "%s was not agreed on", virtiofs_fuse_init_flag_name(bit));
    }
    make_own_dir(t);
  }
}

/* ---- after ---- */

static void empty(struct test *t, uint64_t node, int depth) {
  if (fs_opendir(t, node) != 0)
    return;
  struct file dir = {.node = node, .handle = t->got.open.handle};
  struct listed *entries = calloc(LISTED_MAX, sizeof(*entries));
  unsigned count = 1;
  for (int rounds = 0; entries != NULL && count > 0 && rounds < 64; rounds++) {
    count = list_all(t, VIRTIOFS_FUSE_READDIR, dir, 0, 32768, entries);
    for (unsigned i = 0; i < count; i++)
      remove_all(t, node, entries[i].name, depth + 1);
  }
  free(entries);
  (void)fs_releasedir(t, dir);
}

static void remove_all(struct test *t, uint64_t parent, const char *name, int depth) {
  int rc = fs_unlink(t, parent, name);
  if (rc == 0 || depth > 16)
    return;
  if (fs_rmdir(t, parent, name) == 0 || fs_lookup(t, parent, name) != 0)
    return;
  empty(t, t->got.entry.node, depth);
  (void)fs_rmdir(t, parent, name);
}

static void give_back(struct test *t) {
  while (t->handle_count > 0) {
    struct opened *o = &t->handles[t->handle_count - 1];
    struct file file = {.node = o->node, .handle = o->handle};
    if (o->dir)
      (void)fs_releasedir(t, file);
    else
      (void)fs_release(t, file);
    if (t->handle_count > 0 && o == &t->handles[t->handle_count - 1])
      t->handle_count--;
  }
  while (t->node_count > 0)
    fs_forget(t, t->nodes[--t->node_count], 1);
}

static const struct check putting_away = {.name = "put away"};

/* Whatever goes wrong here is another check's business. */
static void put_away(struct test *t) {
  struct server *s = t->server;
  if (setjmp(t->end) != 0 || s->broken != NULL || !s->mounted || s->client == NULL)
    return;
  t->check = &putting_away;
  if (s->work != 0)
    remove_all(t, s->work, "check", 0);
  give_back(t);
}

/* What came of it stays, whatever is sent afterwards. */
static void keep(struct test *t) {
  static char sent[TEXT_MAX], got[TEXT_MAX];
  test_describe(t, sent, got, TEXT_MAX);
  t->is_message = false;
  memcpy(t->sent_text, sent, TEXT_MAX);
  memcpy(t->got_text, got, TEXT_MAX);
}

void test_finish(struct test *t, struct server *s) {
  t->server = s;
  t->check = &putting_away;
  if (setjmp(t->end) == 0 && s->client != NULL && s->mounted && s->work != 0)
    s->dirty = fs_rmdir(t, VIRTIOFS_FUSE_ROOT, s->name) != 0;
  s->work = 0;
}

void test_clean(struct test *t, struct server *s) {
  t->server = s;
  t->check = &putting_away;
  if (!s->dirty || server_connect(s, &(struct options){0}) != 0 || server_mount(s) != 0)
    return;
  if (setjmp(t->end) == 0 && fs_lookup(t, VIRTIOFS_FUSE_ROOT, s->name) == 0)
    remove_all(t, VIRTIOFS_FUSE_ROOT, s->name, 0);
}

/* A server that we have started must not die. */
static void look_at_server(struct test *t) {
  struct server *s = t->server;
  server_look(s, t->verdict == FAILED);
  if (s->died_of == 0)
    return;
  size_t at = t->verdict == FAILED ? strlen(t->why) : 0;
  (void)snprintf(t->why + at, sizeof(t->why) - at, "%sthe server died of signal %d (%s)", at > 0 ? "; " : "",
                 s->died_of, strsignal(s->died_of));
  t->verdict = FAILED;
  s->died_of = 0;
}

static void run(struct test *t) {
  if (setjmp(t->end) != 0)
    return;
  prepare(t);
  t->check->run(t);
  /* What a message has broken shows in the next one. */
  if ((t->check->begins & BEGINS) == MOUNTED)
    still_alive(t);
}

void test_run(struct test *t, struct server *s, const struct check *check) {
  t->server = s;
  t->check = check;
  t->verdict = PASSED;
  t->why[0] = t->sent_text[0] = t->got_text[0] = 0;
  t->is_message = false;
  t->node_count = t->handle_count = 0;
  t->dir = 0;
  t->used = 0;
  s->broken = NULL;
  s->died_of = 0;
  run(t);
  if (t->verdict == FAILED)
    keep(t);
  enum verdict verdict = t->verdict;
  static char why[TEXT_MAX];
  memcpy(why, t->why, TEXT_MAX);
  bool message = t->is_message;
  put_away(t);
  t->is_message = message && verdict != FAILED;
  t->verdict = verdict;
  memcpy(t->why, why, TEXT_MAX);
  t->check = check;
  wire_close(t);
  look_at_server(t);
  /* A server that breaks one rule may break its state with it. */
  if (s->broken != NULL || (verdict == FAILED && s->command != NULL))
    server_kill(s);
  else if ((check->begins & BEGINS) != MOUNTED)
    server_disconnect(s);
}
