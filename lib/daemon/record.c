/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/record.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <virtiofs/fuse.h>
#include <virtiofs/record.h>

#define TAG "record"
#define NS_PER_SEC 1000000000U
/* Header and arguments of a WRITE. */
#define WRITE_HEAD 80U
/* Segments of one writev(2), less than IOV_MAX. */
#define BATCH 64U

struct virtiofs_daemon_record {
  pthread_mutex_t lock; /* for all below but @stopped; held over a record's write, so that no two mix */
  int fd;
  off_t end;       /* of the last whole record */
  uint64_t number; /* of the last request */
  uint64_t start_ns, data_max;
  const struct virtiofs_log *log;
  atomic_bool stopped;
};

/* The part of a message that is stored: private bytes, then those of the segments from @skip on. */
struct part {
  const void *head;
  size_t head_len;
  const struct iovec *iov;
  uint32_t count;
  size_t skip, len; /* of the segments */
};

static uint64_t now(clockid_t clock) {
  struct timespec ts;
  clock_gettime(clock, &ts);
  return (uint64_t)ts.tv_sec * NS_PER_SEC + (uint64_t)ts.tv_nsec;
}

/* ---- the file ---- */

/* All of it. The array is used up. */
static int write_all(int fd, struct iovec *iov, int count) {
  while (count > 0) {
    ssize_t n = writev(fd, iov, count);
    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0)
      return -errno;
    if (n == 0)
      return -EIO;
    size_t done = (size_t)n;
    while (count > 0 && done >= iov->iov_len) {
      done -= iov->iov_len;
      iov++;
      count--;
    }
    if (count > 0) {
      iov->iov_base = (unsigned char *)iov->iov_base + done;
      iov->iov_len -= done;
    }
  }
  return 0;
}

/* A record usually goes out by one call; what has more segments takes several, which the lock keeps together. */
static int write_record(int fd, struct virtiofs_record *header, const struct part *part) {
  struct iovec iov[BATCH] = {{.iov_base = header, .iov_len = sizeof(*header)}};
  int count = 1, rc = 0;
  size_t skip = part->skip, left = part->len;
  header->size = (uint32_t)(sizeof(*header) + part->head_len + part->len);
  iov[count].iov_base = (void *)(uintptr_t)part->head;
  iov[count].iov_len = part->head_len;
  count += part->head_len > 0;
  for (uint32_t i = 0; i < part->count && left > 0 && rc == 0; i++) {
    size_t len = part->iov[i].iov_len;
    if (skip >= len) {
      skip -= len;
      continue;
    }
    len = len - skip < left ? len - skip : left;
    iov[count].iov_base = (unsigned char *)part->iov[i].iov_base + skip;
    iov[count++].iov_len = len;
    skip = 0;
    left -= len;
    if (count == BATCH) {
      rc = write_all(fd, iov, count);
      count = 0;
    }
  }
  return rc == 0 ? write_all(fd, iov, count) : rc;
}

/* The guest must not feel it: one line, and no more records. */
static void stop(struct virtiofs_daemon_record *record, int rc) {
  atomic_store(&record->stopped, true);
  virtiofs_log_write(record->log, VIRTIOFS_LOG_ERROR, TAG, "recording ends here: cannot write: %s", strerror(-rc));
}

/* Under the lock. */
static void append(struct virtiofs_daemon_record *record, struct virtiofs_record *header, struct part *part) {
  if (atomic_load(&record->stopped))
    return;
  int rc = write_record(record->fd, header, part);
  /* No half of a record may be followed by another one. */
  if (rc != 0 && ftruncate(record->fd, record->end) != 0)
    rc = -errno;
  else if (rc == -EFAULT) {
    /* The memory went away while it was looked at. What is in ours is still good. */
    part->len = 0;
    rc = write_record(record->fd, header, part);
  }
  if (rc != 0)
    stop(record, rc);
  else
    record->end += header->size;
}

/* ---- the tap ---- */

static size_t copy_head(const struct virtiofs_message *msg, unsigned char *head, size_t size) {
  size_t len = 0;
  for (uint32_t i = 0; i < msg->in_count && len < size; i++) {
    size_t piece = msg->in[i].iov_len < size - len ? msg->in[i].iov_len : size - len;
    memcpy(head + len, msg->in[i].iov_base, piece);
    len += piece;
  }
  return len;
}

/* Nothing is known of the driver's byte order here; no opcode is another one's mirror image. */
static bool has_opcode(const unsigned char *head, size_t len, uint32_t opcode) {
  uint32_t got;
  if (len < VIRTIOFS_FUSE_IN_HEADER)
    return false;
  memcpy(&got, head + sizeof(uint32_t), sizeof(got));
  return got == opcode || got == __builtin_bswap32(opcode);
}

/* How much of a message of @len bytes to store whose contents of a file begin at @data. */
static size_t stored(const struct virtiofs_daemon_record *record, size_t len, size_t data, bool has_data) {
  size_t most = has_data ? data + (size_t)record->data_max : VIRTIOFS_RECORD_STORED_MAX;
  return len < most ? len : most;
}

/* A request's token is its number and, in the lowest bit, whether its reply has a file's contents. */
static uint64_t on_request(void *ctx, uint32_t queue, const struct virtiofs_message *msg) {
  struct virtiofs_daemon_record *record = ctx;
  unsigned char head[VIRTIOFS_FUSE_IN_HEADER];
  struct virtiofs_record header = {.kind = VIRTIOFS_RECORD_REQUEST,
                                   .queue = (uint16_t)queue,
                                   .time_ns = now(CLOCK_MONOTONIC) - record->start_ns,
                                   .len = msg->in_len,
                                   .room = msg->out_len};
  if (atomic_load_explicit(&record->stopped, memory_order_relaxed))
    return 0;
  size_t head_len = copy_head(msg, head, sizeof(head));
  bool writes = has_opcode(head, head_len, VIRTIOFS_FUSE_WRITE);
  bool reads = has_opcode(head, head_len, VIRTIOFS_FUSE_READ);
  struct part part = {.head = head,
                      .head_len = head_len,
                      .iov = msg->in,
                      .count = msg->in_count,
                      .skip = head_len,
                      .len = stored(record, msg->in_len, WRITE_HEAD, writes) - head_len};
  pthread_mutex_lock(&record->lock);
  header.number = ++record->number;
  append(record, &header, &part);
  pthread_mutex_unlock(&record->lock);
  return header.number << 1 | (reads ? 1U : 0U);
}

static void on_reply(void *ctx, uint32_t queue, const struct virtiofs_message *msg, size_t used, uint64_t token) {
  struct virtiofs_daemon_record *record = ctx;
  struct virtiofs_record header = {.kind = VIRTIOFS_RECORD_REPLY,
                                   .queue = (uint16_t)queue,
                                   .time_ns = now(CLOCK_MONOTONIC) - record->start_ns,
                                   .number = token >> 1,
                                   .len = used};
  struct part part = {.iov = msg->out,
                      .count = msg->out_count,
                      .len = stored(record, used, VIRTIOFS_FUSE_OUT_HEADER, (token & 1) != 0)};
  if (token == 0)
    return;
  pthread_mutex_lock(&record->lock);
  append(record, &header, &part);
  pthread_mutex_unlock(&record->lock);
}

const struct virtiofs_tap virtiofs_daemon_record_tap = {
    .size = sizeof(struct virtiofs_tap), .request = on_request, .reply = on_reply};

/* ---- life ---- */

static int fail(const char *program, const char *what, const char *path, int error) {
  (void)fprintf(stderr, "%s: %s %s: %s\n", program, what, path, strerror(error));
  return -error;
}

/* Nothing is touched before it is known to be a regular file that no other server writes to. */
static int open_file(const char *path, const char **what) {
  struct stat st;
  *what = "cannot record to";
  int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0600);
  if (fd < 0) {
    if (errno == ELOOP)
      *what = "cannot record to what is no regular file:";
    return -errno;
  }
  int rc = fstat(fd, &st) == 0 ? 0 : -errno;
  if (rc == 0 && !S_ISREG(st.st_mode)) {
    *what = "cannot record to what is no regular file:";
    rc = -EINVAL;
  }
  /* By another name it may be one of ours, put there by who may write to that directory. */
  if (rc == 0 && st.st_nlink > 1) {
    *what = "cannot record to what has other names:";
    rc = -EMLINK;
  }
  if (rc == 0 && flock(fd, LOCK_EX | LOCK_NB) != 0) {
    *what = "another server records to";
    rc = errno == EWOULDBLOCK ? -EBUSY : -errno;
  }
  if (rc == 0 && (fchmod(fd, 0600) != 0 || ftruncate(fd, 0) != 0))
    rc = -errno;
  if (rc == 0)
    return fd;
  close(fd);
  return rc;
}

static int begin(struct virtiofs_daemon_record *record) {
  struct virtiofs_record_file header = {.order = VIRTIOFS_RECORD_ORDER,
                                        .version = VIRTIOFS_RECORD_VERSION,
                                        .size = sizeof(header),
                                        .wall_ns = now(CLOCK_REALTIME),
                                        .monotonic_ns = now(CLOCK_MONOTONIC),
                                        .data_max = record->data_max};
  struct iovec iov = {.iov_base = &header, .iov_len = sizeof(header)};
  memcpy(header.magic, VIRTIOFS_RECORD_MAGIC, sizeof(header.magic));
  record->start_ns = header.monotonic_ns;
  record->end = sizeof(header);
  return write_all(record->fd, &iov, 1);
}

int virtiofs_daemon_record_open(struct virtiofs_daemon_record **out, const char *program, const char *path,
                                uint64_t data_max, const struct virtiofs_log *log) {
  const char *what;
  *out = NULL;
  struct virtiofs_daemon_record *record = calloc(1, sizeof(*record));
  if (record == NULL)
    return fail(program, "cannot record to", path, ENOMEM);
  record->data_max = data_max;
  record->log = log;
  pthread_mutex_init(&record->lock, NULL);
  record->fd = open_file(path, &what);
  int rc = record->fd < 0 ? record->fd : begin(record);
  if (rc != 0) {
    virtiofs_daemon_record_close(record);
    return fail(program, what, path, -rc);
  }
  *out = record;
  return 0;
}

void virtiofs_daemon_record_close(struct virtiofs_daemon_record *record) {
  if (record == NULL)
    return;
  if (record->fd >= 0)
    close(record->fd);
  pthread_mutex_destroy(&record->lock);
  free(record);
}
