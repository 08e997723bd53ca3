/* SPDX-License-Identifier: BSD-3-Clause */
/* The writer of records: what is in the file after messages were shown to it, and what it refuses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include <linux/fuse.h>

#include <virtiofs/record.h>

#include "daemon/record.h"

enum { FILE_MAX = 1 << 22, DATA_MAX = 8 };

struct bench {
  char dir[64], path[80];
  struct virtiofs_daemon_record *record;
  struct virtiofs_log log;
  unsigned lines;
  char line[200];
  unsigned char *file; /* read back */
  size_t len, at;
};

__attribute__((__format__(__printf__, 4, 0))) static void on_line(void *ctx, enum virtiofs_log_level level,
                                                                  const char *tag, const char *format, va_list args) {
  struct bench *b = ctx;
  assert_int_equal(level, VIRTIOFS_LOG_ERROR);
  assert_string_equal(tag, "record");
  (void)vsnprintf(b->line, sizeof b->line, format, args);
  b->lines++;
}

static int setup(void **state) {
  struct bench *b = calloc(1, sizeof *b);
  assert_non_null(b);
  b->file = malloc(FILE_MAX);
  assert_non_null(b->file);
  strcpy(b->dir, "/tmp/virtiofs-record-XXXXXX");
  assert_non_null(mkdtemp(b->dir));
  (void)snprintf(b->path, sizeof b->path, "%s/record", b->dir);
  b->log = (struct virtiofs_log){.fn = on_line, .ctx = b};
  *state = b;
  return 0;
}

static int teardown(void **state) {
  struct bench *b = *state;
  virtiofs_daemon_record_close(b->record);
  (void)unlink(b->path);
  assert_int_equal(rmdir(b->dir), 0);
  free(b->file);
  free(b);
  return 0;
}

static void start(struct bench *b) {
  assert_int_equal(virtiofs_daemon_record_open(&b->record, "test", b->path, DATA_MAX, &b->log), 0);
}

/* Reads the file, and its header. */
static void finish(struct bench *b) {
  struct virtiofs_record_file header;
  virtiofs_daemon_record_close(b->record);
  b->record = NULL;
  int fd = open(b->path, O_RDONLY);
  assert_true(fd >= 0);
  ssize_t n = read(fd, b->file, FILE_MAX);
  assert_true(n >= (ssize_t)sizeof header && n < FILE_MAX);
  close(fd);
  b->len = (size_t)n;
  memcpy(&header, b->file, sizeof header);
  assert_memory_equal(header.magic, "vfsrec\r\n", 8);
  assert_int_equal(header.order, 0x01020304);
  assert_int_equal(header.version, 1);
  assert_int_equal(header.size, sizeof header);
  assert_int_equal(header.data_max, DATA_MAX);
  b->at = header.size;
}

/* The next record; its stored bytes. */
static const unsigned char *next(struct bench *b, struct virtiofs_record *header) {
  assert_true(b->len - b->at >= sizeof *header);
  memcpy(header, b->file + b->at, sizeof *header);
  assert_true(header->size >= sizeof *header && header->size <= b->len - b->at);
  const unsigned char *bytes = b->file + b->at + sizeof *header;
  b->at += header->size;
  return bytes;
}

static void assert_record(struct bench *b, unsigned kind, unsigned queue, uint64_t number, size_t len,
                          const void *bytes, size_t stored) {
  struct virtiofs_record header;
  const unsigned char *got = next(b, &header);
  assert_int_equal(header.kind, kind);
  assert_int_equal(header.queue, queue);
  assert_int_equal(header.number, number);
  assert_int_equal(header.len, len);
  assert_int_equal(header.size, sizeof header + stored);
  assert_memory_equal(got, bytes, stored);
}

/* A message of pieces of @each bytes; @iov has room for them. */
static struct virtiofs_message message(struct iovec *iov, void *in, size_t in_len, void *out, size_t out_len,
                                       size_t each) {
  struct virtiofs_message msg;
  uint32_t count[2] = {0, 0};
  for (size_t at = 0; at < in_len; at += each)
    iov[count[0]++] = (struct iovec){(char *)in + at, in_len - at < each ? in_len - at : each};
  for (size_t at = 0; at < out_len; at += each)
    iov[count[0] + count[1]++] = (struct iovec){(char *)out + at, out_len - at < each ? out_len - at : each};
  virtiofs_message_init(&msg, iov, count[0], count[1], NULL);
  return msg;
}

static void request(void *buf, size_t len, uint32_t opcode) {
  struct fuse_in_header header = {.len = (uint32_t)len, .opcode = opcode, .unique = 2, .nodeid = 1};
  memset(buf, 0x5a, len);
  memcpy(buf, &header, sizeof header);
}

static uint64_t show(struct bench *b, uint32_t queue, struct virtiofs_message *msg) {
  return virtiofs_daemon_record_tap.request(b->record, queue, msg);
}

static void show_reply(struct bench *b, uint32_t queue, struct virtiofs_message *msg, size_t used, uint64_t token) {
  virtiofs_daemon_record_tap.reply(b->record, queue, msg, used, token);
}

static void both_directions(void **state) {
  struct bench *b = *state;
  unsigned char in[100], out[200];
  struct iovec iov[400];
  request(in, sizeof in, FUSE_LOOKUP);
  memset(out, 0xc3, sizeof out);
  start(b);
  /* The first is answered after the second. */
  struct virtiofs_message a = message(iov, in, sizeof in, out, sizeof out, 7);
  struct virtiofs_message c = message(iov + 200, in, 60, NULL, 0, 60);
  uint64_t first = show(b, 1, &a), second = show(b, 0, &c);
  show_reply(b, 0, &c, 0, second);
  show_reply(b, 1, &a, 150, first);
  finish(b);
  size_t begin = b->at;
  assert_record(b, VIRTIOFS_RECORD_REQUEST, 1, 1, 100, in, 100);
  assert_record(b, VIRTIOFS_RECORD_REQUEST, 0, 2, 60, in, 60);
  assert_record(b, VIRTIOFS_RECORD_REPLY, 0, 2, 0, out, 0);
  assert_record(b, VIRTIOFS_RECORD_REPLY, 1, 1, 150, out, 150);
  assert_int_equal(b->at, b->len);
  /* The room, and times that don't go back on one thread. */
  struct virtiofs_record header;
  uint64_t before = 0;
  b->at = begin;
  for (unsigned i = 0; i < 4; i++) {
    (void)next(b, &header);
    assert_int_equal(header.room, i == 0 ? 200 : 0);
    assert_true(header.time_ns >= before && header.time_ns < UINT64_C(300000000000));
    before = header.time_ns;
  }
}

/* In either byte order, and only there. */
static void contents_of_files_are_cut(void **state) {
  struct bench *b = *state;
  unsigned char in[200], out[200];
  struct iovec iov[80];
  static const uint32_t writes[] = {FUSE_WRITE, __builtin_bswap32(FUSE_WRITE)};
  static const uint32_t reads[] = {FUSE_READ, __builtin_bswap32(FUSE_READ)};
  memset(out, 0xc3, sizeof out);
  start(b);
  for (unsigned i = 0; i < 2; i++) {
    request(in, sizeof in, writes[i]);
    struct virtiofs_message msg = message(iov, in, sizeof in, out, 24, 11);
    show_reply(b, 1, &msg, 24, show(b, 1, &msg));
    request(in, sizeof in, reads[i]);
    msg = message(iov, in, 80, out, 200, 9);
    show_reply(b, 1, &msg, 200, show(b, 1, &msg));
  }
  finish(b);
  for (unsigned i = 0; i < 2; i++) {
    request(in, sizeof in, writes[i]);
    assert_record(b, VIRTIOFS_RECORD_REQUEST, 1, 1 + 2 * i, 200, in, 80 + DATA_MAX);
    assert_record(b, VIRTIOFS_RECORD_REPLY, 1, 1 + 2 * i, 24, out, 24);
    request(in, sizeof in, reads[i]);
    assert_record(b, VIRTIOFS_RECORD_REQUEST, 1, 2 + 2 * i, 80, in, 80);
    assert_record(b, VIRTIOFS_RECORD_REPLY, 1, 2 + 2 * i, 200, out, 16 + DATA_MAX);
  }
  assert_int_equal(b->at, b->len);
}

/* Too short for a header; in a thousand pieces; larger than anything. */
static void odd_shapes(void **state) {
  struct bench *b = *state;
  static unsigned char in[3000];
  static struct iovec iov[3000];
  unsigned char *huge = malloc(VIRTIOFS_RECORD_STORED_MAX + 1);
  assert_non_null(huge);
  request(huge, VIRTIOFS_RECORD_STORED_MAX + 1, FUSE_LOOKUP);
  request(in, sizeof in, FUSE_LOOKUP);
  start(b);
  struct virtiofs_message msg = message(iov, in, 0, NULL, 0, 1);
  (void)show(b, 1, &msg);
  for (size_t len = 1; len < 45; len++) {
    msg = message(iov, in, len, NULL, 0, 3);
    (void)show(b, 1, &msg);
  }
  for (size_t each = 1; each < 50; each++) {
    msg = message(iov, in, sizeof in, NULL, 0, each);
    (void)show(b, 1, &msg);
  }
  msg = message(iov, huge, VIRTIOFS_RECORD_STORED_MAX + 1, NULL, 0, VIRTIOFS_RECORD_STORED_MAX);
  (void)show(b, 1, &msg);
  finish(b);
  for (size_t len = 0; len < 45; len++)
    assert_record(b, VIRTIOFS_RECORD_REQUEST, 1, len + 1, len, in, len);
  for (size_t each = 1; each < 50; each++)
    assert_record(b, VIRTIOFS_RECORD_REQUEST, 1, 45 + each, sizeof in, in, sizeof in);
  assert_record(b, VIRTIOFS_RECORD_REQUEST, 1, 95, VIRTIOFS_RECORD_STORED_MAX + 1, huge, VIRTIOFS_RECORD_STORED_MAX);
  assert_int_equal(b->at, b->len);
  free(huge);
}

enum { THREADS = 4, EACH = 500 };

struct worker {
  struct bench *b;
  uint32_t queue;
};

static void *work(void *arg) {
  struct worker *w = arg;
  unsigned char in[1000], out[500];
  struct iovec iov[40];
  for (size_t i = 0; i < EACH; i++) {
    size_t len = 40 + i;
    request(in, len, FUSE_LOOKUP);
    memset(in + 40, (int)w->queue, len - 40);
    memset(out, (int)w->queue, sizeof out);
    struct virtiofs_message msg = message(iov, in, len, out, sizeof out, 100);
    show_reply(w->b, w->queue, &msg, sizeof out, show(w->b, w->queue, &msg));
  }
  return NULL;
}

/* No two mix, and each number is one request's. */
static void many_threads(void **state) {
  struct bench *b = *state;
  struct worker workers[THREADS];
  pthread_t threads[THREADS];
  static uint64_t open_number[THREADS];
  unsigned char number_seen[THREADS * EACH + 1] = {0};
  start(b);
  for (uint32_t i = 0; i < THREADS; i++) {
    workers[i] = (struct worker){b, i};
    assert_int_equal(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
  }
  for (uint32_t i = 0; i < THREADS; i++)
    pthread_join(threads[i], NULL);
  finish(b);
  for (unsigned i = 0; i < 2 * THREADS * EACH; i++) {
    struct virtiofs_record header;
    const unsigned char *bytes = next(b, &header);
    bool is_request = header.kind == VIRTIOFS_RECORD_REQUEST;
    size_t skip = is_request ? 40 : 0;
    assert_true(header.queue < THREADS && header.number >= 1 && header.number <= THREADS * EACH);
    assert_int_equal(header.size, sizeof header + header.len);
    for (size_t k = skip; k < header.len; k++)
      assert_int_equal(bytes[k], header.queue);
    assert_int_equal(number_seen[header.number], is_request ? 0 : 1);
    number_seen[header.number]++;
    if (!is_request)
      assert_int_equal(open_number[header.queue], header.number);
    open_number[header.queue] = header.number;
  }
  assert_int_equal(b->at, b->len);
}

/* As a full disk: it is said once, what is there is whole, and nobody else feels it. */
static void a_file_that_may_not_grow(void **state) {
  struct bench *b = *state;
  struct rlimit before, less = {.rlim_cur = 40 + 3 * 140 + 77, .rlim_max = RLIM_INFINITY};
  unsigned char in[100];
  struct iovec iov[10];
  (void)signal(SIGXFSZ, SIG_IGN);
  assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
  less.rlim_max = before.rlim_max;
  request(in, sizeof in, FUSE_LOOKUP);
  start(b);
  assert_int_equal(setrlimit(RLIMIT_FSIZE, &less), 0);
  struct virtiofs_message msg = message(iov, in, sizeof in, NULL, 0, 30);
  uint64_t token = 0;
  for (unsigned i = 0; i < 10; i++)
    token = show(b, 1, &msg);
  show_reply(b, 1, &msg, 0, token);
  assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
  (void)show(b, 1, &msg);
  assert_int_equal(b->lines, 1);
  assert_non_null(strstr(b->line, strerror(EFBIG)));
  finish(b);
  for (unsigned i = 1; i <= 3; i++)
    assert_record(b, VIRTIOFS_RECORD_REQUEST, 1, i, sizeof in, in, sizeof in);
  assert_int_equal(b->at, b->len);
}

/* A front-end may take its memory back at any time. What can't be looked at is left out. */
static void memory_that_goes_away(void **state) {
  struct bench *b = *state;
  unsigned char in[40];
  void *gone = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  struct iovec iov[2] = {{in, sizeof in}, {gone, 4096}};
  struct virtiofs_message msg;
  assert_true(gone != MAP_FAILED);
  request(in, sizeof in, FUSE_LOOKUP);
  start(b);
  virtiofs_message_init(&msg, iov, 2, 0, NULL);
  (void)show(b, 1, &msg);
  (void)show(b, 1, &msg);
  finish(b);
  assert_record(b, VIRTIOFS_RECORD_REQUEST, 1, 1, 40 + 4096, in, 40);
  assert_record(b, VIRTIOFS_RECORD_REQUEST, 1, 2, 40 + 4096, in, 40);
  assert_int_equal(b->at, b->len);
  assert_int_equal(b->lines, 0);
  munmap(gone, 4096);
}

/* Is the file among our descriptors, and none of them for a program that is run? */
static void assert_not_inherited(const char *path) {
  struct stat wanted, st;
  unsigned found = 0;
  assert_int_equal(stat(path, &wanted), 0);
  for (int fd = 0; fd < 1024; fd++) {
    if (fstat(fd, &st) != 0 || st.st_ino != wanted.st_ino || st.st_dev != wanted.st_dev)
      continue;
    assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    found++;
  }
  assert_int_equal(found, 1);
}

static void the_file_is_the_owners(void **state) {
  struct bench *b = *state;
  struct stat st;
  int fd = open(b->path, O_WRONLY | O_CREAT, 0644);
  assert_true(fd >= 0);
  assert_int_equal(write(fd, "an old record", 13), 13);
  close(fd);
  mode_t before = umask(0);
  start(b);
  umask(before);
  assert_int_equal(stat(b->path, &st), 0);
  assert_int_equal(st.st_mode & 07777, 0600);
  assert_int_equal(st.st_size, sizeof(struct virtiofs_record_file));
  assert_not_inherited(b->path);
  /* Two servers can't share it. */
  struct virtiofs_daemon_record *other;
  assert_int_equal(virtiofs_daemon_record_open(&other, "test", b->path, 0, &b->log), -EBUSY);
  assert_null(other);
  finish(b);
}

static void what_is_no_file_is_refused(void **state) {
  struct bench *b = *state;
  char target[100];
  struct stat st;
  assert_int_equal(virtiofs_daemon_record_open(&b->record, "test", b->dir, 0, &b->log), -EISDIR);
  assert_int_equal(mkfifo(b->path, 0600), 0);
  assert_true(virtiofs_daemon_record_open(&b->record, "test", b->path, 0, &b->log) < 0);
  /* Also with somebody who reads it. */
  int fd = open(b->path, O_RDONLY | O_NONBLOCK);
  assert_int_equal(virtiofs_daemon_record_open(&b->record, "test", b->path, 0, &b->log), -EINVAL);
  close(fd);
  assert_int_equal(unlink(b->path), 0);
  (void)snprintf(target, sizeof target, "%s/target", b->dir);
  assert_int_equal(symlink(target, b->path), 0);
  assert_int_equal(virtiofs_daemon_record_open(&b->record, "test", b->path, 0, &b->log), -ELOOP);
  assert_int_equal(lstat(target, &st), -1);
  /* Another name of a file that has been there before: it stays as it is. */
  assert_int_equal(unlink(b->path), 0);
  fd = open(target, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
  assert_int_equal(write(fd, "text", 4), 4);
  close(fd);
  assert_int_equal(link(target, b->path), 0);
  assert_int_equal(virtiofs_daemon_record_open(&b->record, "test", b->path, 0, &b->log), -EMLINK);
  assert_int_equal(lstat(target, &st), 0);
  assert_true(st.st_size == 4 && (st.st_mode & 0777) == 0644);
  assert_int_equal(unlink(target), 0);
  assert_null(b->record);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(both_directions, setup, teardown),
      cmocka_unit_test_setup_teardown(contents_of_files_are_cut, setup, teardown),
      cmocka_unit_test_setup_teardown(odd_shapes, setup, teardown),
      cmocka_unit_test_setup_teardown(many_threads, setup, teardown),
      cmocka_unit_test_setup_teardown(a_file_that_may_not_grow, setup, teardown),
      cmocka_unit_test_setup_teardown(memory_that_goes_away, setup, teardown),
      cmocka_unit_test_setup_teardown(the_file_is_the_owners, setup, teardown),
      cmocka_unit_test_setup_teardown(what_is_no_file_is_refused, setup, teardown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
