/* SPDX-License-Identifier: BSD-3-Clause */
#include "fake_req.h"

#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <virtiofs/log.h>

unsigned fake_handed_back;
char fake_log_last[256];
unsigned fake_log_count;
static pthread_mutex_t log_lock = PTHREAD_MUTEX_INITIALIZER;

void *virtiofs_req_fs(const struct virtiofs_req *req) {
  return req->fs;
}

struct virtiofs_caller virtiofs_req_caller(const struct virtiofs_req *req) {
  return req->caller;
}

uint64_t virtiofs_req_semantics(const struct virtiofs_req *req) {
  return req->semantics;
}

const void *virtiofs_req_session(const struct virtiofs_req *req) {
  return req->session;
}

static pthread_mutex_t req_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t req_done = PTHREAD_COND_INITIALIZER;

void virtiofs_req_set_data(struct virtiofs_req *req, void *data) {
  req->data = data;
}

void *virtiofs_req_data(const struct virtiofs_req *req) {
  return req->data;
}

bool virtiofs_req_interrupted(const struct virtiofs_req *req) {
  return req->interrupted;
}

void virtiofs_req_complete(struct virtiofs_req *req, int rc) {
  pthread_mutex_lock(&req_lock);
  assert(!req->completed);
  req->completed = true;
  req->rc = rc;
  pthread_cond_broadcast(&req_done);
  pthread_mutex_unlock(&req_lock);
}

void virtiofs_req_on_cancel(struct virtiofs_req *req, virtiofs_req_cancel_fn *fn) {
  pthread_mutex_lock(&req_lock);
  req->on_cancel = fn;
  pthread_mutex_unlock(&req_lock);
  if (req->cancelled && fn != NULL)
    fn(req);
}

void fake_cancel(struct virtiofs_req *req) {
  pthread_mutex_lock(&req_lock);
  virtiofs_req_cancel_fn *fn = req->completed ? NULL : req->on_cancel;
  pthread_mutex_unlock(&req_lock);
  if (fn != NULL)
    fn(req);
}

int fake_wait(struct virtiofs_req *req, unsigned ms) {
  struct timespec until;
  clock_gettime(CLOCK_REALTIME, &until);
  until.tv_nsec += (long)ms % 1000 * 1000000;
  until.tv_sec += (time_t)(ms / 1000 + (unsigned)(until.tv_nsec / 1000000000));
  until.tv_nsec %= 1000000000;
  pthread_mutex_lock(&req_lock);
  while (!req->completed && pthread_cond_timedwait(&req_done, &req_lock, &until) == 0)
    continue;
  int rc = req->completed ? req->rc : VIRTIOFS_PENDING;
  pthread_mutex_unlock(&req_lock);
  return rc;
}

bool virtiofs_name_is(const struct virtiofs_name *name, const char *text) {
  return name->len == strlen(text) && memcmp(name->str, text, name->len) == 0;
}

static uint32_t record_size(const struct virtiofs_readdir_out *out, uint32_t len) {
  const uint32_t head = out->plus ? 152 : 24;
  return (head + len + 7) & ~7U;
}

bool virtiofs_readdir_fits(const struct virtiofs_readdir_out *out, uint32_t len) {
  return out->count < FAKE_RECORDS && record_size(out, len) <= out->room;
}

static struct fake_record *take(struct virtiofs_readdir_out *out, const struct virtiofs_dirent *entry) {
  assert(entry->len >= 1 && entry->len <= 255 && memchr(entry->name, '/', entry->len) == NULL);
  if (!virtiofs_readdir_fits(out, entry->len))
    return NULL;
  out->room -= record_size(out, entry->len);
  struct fake_record *record = &out->records[out->count++];
  *record = (struct fake_record){.len = entry->len, .type = entry->type, .ino = entry->ino, .next = entry->next};
  memcpy(record->name, entry->name, entry->len);
  return record;
}

bool virtiofs_readdir_add(struct virtiofs_readdir_out *out, const struct virtiofs_dirent *entry) {
  assert(!out->plus);
  return take(out, entry) != NULL;
}

bool virtiofs_readdirplus_add(struct virtiofs_readdir_out *out, const struct virtiofs_dirent *entry,
                              const struct virtiofs_entry_out *plus) {
  assert(out->plus);
  struct fake_record *record = take(out, entry);
  if (plus == NULL || plus->node == 0)
    return record != NULL;
  if (record == NULL) {
    struct virtiofs_forget_in in = {.node = plus->node, .replies = 1};
    fake_handed_back++;
    out->ops->forget(out->req, &in);
    return false;
  }
  record->node = plus->node;
  record->attr = plus->attr;
  return true;
}

void virtiofs_log_write(const struct virtiofs_log *log, enum virtiofs_log_level level, const char *tag,
                        const char *format, ...) {
  (void)level;
  (void)tag;
  if (log == NULL)
    return;
  va_list args;
  va_start(args, format);
  pthread_mutex_lock(&log_lock);
  vsnprintf(fake_log_last, sizeof fake_log_last, format, args);
  fake_log_count++;
  pthread_mutex_unlock(&log_lock);
  va_end(args);
}
