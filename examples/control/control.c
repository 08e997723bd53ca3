/* SPDX-License-Identifier: BSD-3-Clause */
/* A synthetic file system: reading a file shows a live value of this process, writing one changes it.
 * cc control.c -o control $(pkg-config --cflags --libs libvirtiofs-daemon)
 * ./control --socket-path=/tmp/control.sock; then in the guest: cat /mnt/pid; echo hello > /mnt/greeting */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <virtiofs/virtiofs.h>

#define ROOT 1
#define FIRST 2
#define VALUE_MAX 256

/* What the guest may change. */
struct control {
  pthread_mutex_t lock;
  char greeting[VALUE_MAX];
  uint64_t counter;
};

/* One file: makes its text, and takes a new one unless it can't be written. */
struct value {
  const char *name;
  int (*show)(struct control *control, char *text, size_t size);
  int (*store)(struct control *control, const char *text);
};

static int show_pid(struct control *control, char *text, size_t size) {
  (void)control;
  return snprintf(text, size, "%ld\n", (long)getpid());
}

static int show_time(struct control *control, char *text, size_t size) {
  struct timespec now;
  (void)control;
  clock_gettime(CLOCK_REALTIME, &now);
  return snprintf(text, size, "%lld.%09ld\n", (long long)now.tv_sec, now.tv_nsec);
}

static int show_cpu(struct control *control, char *text, size_t size) {
  struct rusage usage;
  (void)control;
  getrusage(RUSAGE_SELF, &usage);
  return snprintf(text, size, "%lld.%06ld\n", (long long)usage.ru_utime.tv_sec, (long)usage.ru_utime.tv_usec);
}

static int show_greeting(struct control *control, char *text, size_t size) {
  return snprintf(text, size, "%s\n", control->greeting);
}

static int store_greeting(struct control *control, const char *text) {
  (void)snprintf(control->greeting, sizeof(control->greeting), "%.*s", (int)strcspn(text, "\n"), text);
  return 0;
}

static int show_counter(struct control *control, char *text, size_t size) {
  return snprintf(text, size, "%" PRIu64 "\n", control->counter);
}

static int store_counter(struct control *control, const char *text) {
  char *end;
  errno = 0;
  unsigned long long value = strtoull(text, &end, 10);
  if (errno != 0 || end == text || (*end != 0 && *end != '\n') || text[0] == '-')
    return -EINVAL;
  control->counter = value;
  return 0;
}

static const struct value values[] = {
    {"counter", show_counter, store_counter}, {"cpu", show_cpu, NULL}, {"greeting", show_greeting, store_greeting},
    {"pid", show_pid, NULL},                  {"time", show_time, NULL},
};
#define VALUES (sizeof(values) / sizeof(values[0]))

static const struct value *value_of(uint64_t node) {
  return &values[node - FIRST];
}

/* The text as it is now; its length. */
static size_t show(struct control *control, uint64_t node, char *text) {
  pthread_mutex_lock(&control->lock);
  int len = value_of(node)->show(control, text, VALUE_MAX);
  pthread_mutex_unlock(&control->lock);
  return len > 0 && len < VALUE_MAX ? (size_t)len : VALUE_MAX - 1;
}

static struct virtiofs_attr attributes(uint64_t node) {
  struct virtiofs_attr attr = {.ino = node, .nlink = 1};
  if (node == ROOT)
    attr.mode = VIRTIOFS_S_IFDIR | 0555;
  else
    attr.mode = VIRTIOFS_S_IFREG | (value_of(node)->store != NULL ? 0666U : 0444U);
  return attr;
}

static int lookup(struct virtiofs_req *req, const struct virtiofs_lookup_in *in, struct virtiofs_entry_out *out) {
  (void)req;
  if (in->parent != ROOT)
    return -ENOTDIR;
  for (uint64_t i = 0; i < VALUES; i++) {
    if (!virtiofs_name_is(&in->name, values[i].name))
      continue;
    out->node = FIRST + i;
    out->attr = attributes(out->node);
    out->entry_valid_ns = VIRTIOFS_FOREVER;
    return 0;
  }
  return -ENOENT;
}

static int get_attributes(struct virtiofs_req *req, const struct virtiofs_getattr_in *in,
                          struct virtiofs_attr_out *out) {
  (void)req;
  out->attr = attributes(in->node);
  return 0;
}

/* `echo x > file` truncates first; there is nothing to do for it, and nothing else to set. */
static int set_attributes(struct virtiofs_req *req, const struct virtiofs_setattr_in *in,
                          struct virtiofs_attr_out *out) {
  (void)req;
  uint32_t allowed = VIRTIOFS_SET_SIZE | VIRTIOFS_SET_MTIME | VIRTIOFS_SET_MTIME_NOW | VIRTIOFS_SET_CTIME;
  if (in->node == ROOT || (in->valid & ~allowed) != 0 || value_of(in->node)->store == NULL)
    return -EPERM;
  out->attr = attributes(in->node);
  return 0;
}

/* Sizes are 0, as in /proc: the guest has to read by itself, past its cache. */
static int open_value(struct virtiofs_req *req, const struct virtiofs_open_in *in, struct virtiofs_open_out *out) {
  (void)req;
  if (in->node == ROOT)
    return -EISDIR;
  if ((in->flags & O_ACCMODE) != O_RDONLY && value_of(in->node)->store == NULL)
    return -EACCES;
  out->flags = VIRTIOFS_OPEN_DIRECT_IO;
  return 0;
}

static int read_value(struct virtiofs_req *req, const struct virtiofs_read_in *in, struct virtiofs_read_out *out) {
  char text[VALUE_MAX];
  size_t len = show(virtiofs_req_fs(req), in->node, text);
  if (in->offset < len)
    out->size = (uint32_t)virtiofs_data_fill(&in->data, 0, text + in->offset, len - in->offset);
  return 0;
}

static int write_value(struct virtiofs_req *req, const struct virtiofs_write_in *in, struct virtiofs_write_out *out) {
  struct control *control = virtiofs_req_fs(req);
  char text[VALUE_MAX] = {0};
  const struct value *value = value_of(in->node);
  if (value->store == NULL)
    return -EACCES;
  if (in->offset != 0 || in->size >= sizeof(text))
    return -EFBIG;
  size_t len = virtiofs_data_copy(&in->data, 0, text, sizeof(text) - 1);
  text[len] = 0;
  pthread_mutex_lock(&control->lock);
  int rc = value->store(control, text);
  pthread_mutex_unlock(&control->lock);
  out->size = in->size;
  return rc;
}

static int list(struct virtiofs_req *req, const struct virtiofs_readdir_in *in, struct virtiofs_readdir_out *out) {
  (void)req;
  for (uint64_t i = in->offset; i < VALUES; i++) {
    struct virtiofs_dirent entry = {.name = values[i].name,
                                    .len = (uint32_t)strlen(values[i].name),
                                    .ino = FIRST + i,
                                    .type = VIRTIOFS_S_IFREG,
                                    .next = i + 1};
    if (!virtiofs_readdir_add(out, &entry))
      break;
  }
  return 0;
}

int main(int argc, char **argv) {
  static struct control control = {.lock = PTHREAD_MUTEX_INITIALIZER, .greeting = "hello"};
  struct virtiofs_ops ops = {
      .size = sizeof(ops),
      .lookup = lookup,
      .getattr = get_attributes,
      .setattr = set_attributes,
      .open = open_value,
      .read = read_value,
      .write = write_value,
      .readdir = list,
  };
  return virtiofs_main(argc, argv, &ops, &control);
}
