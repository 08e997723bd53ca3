/* SPDX-License-Identifier: BSD-3-Clause */
/* Requests out of /dev/fuse, and replies into it. */
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include "fusedev/mount.h"

#define PAGE 4096U
/* File contents begin at a page: what is before them ends there. */
#define REQUEST_HEAD (sizeof(struct fuse_in_header) + sizeof(struct fuse_write_in))
#define REPLY_HEAD (sizeof(struct fuse_out_header))

_Static_assert(REQUEST_HEAD <= PAGE && REPLY_HEAD <= PAGE, "a page holds them");

struct entry {
  struct virtiofs_message msg;
  struct virtiofs_fusedev_channel *channel;
  struct entry *next;   /* on the list of the free */
  unsigned char *pages; /* request and reply; NULL: not used yet */
  struct iovec iov[4];
  _Alignas(max_align_t) unsigned char data[];
};

struct virtiofs_fusedev_channel {
  int fd;
  uint32_t count;
  size_t body, stride;           /* bytes behind a head; between entries */
  struct entry *free;            /* the reader's */
  _Atomic(struct entry *) given; /* given back since the reader looked */
  unsigned char *entries;
  void *(*pages)(void *ctx, size_t bytes);
  void *pages_ctx;
};

static struct entry *entry_at(const struct virtiofs_fusedev_channel *channel, uint32_t i) {
  return (struct entry *)(void *)(channel->entries + i * channel->stride);
}

static struct entry *entry_of(struct virtiofs_message *msg) {
  return (struct entry *)(void *)((unsigned char *)msg - offsetof(struct entry, msg));
}

/* Bytes of a message: a page for the head of a request, its body, and the same for the reply. */
static size_t pages_size(const struct virtiofs_fusedev_channel *channel) {
  return 2 * (PAGE + channel->body);
}

/* A descriptor of its own has a queue of its own for what it has in hand. */
static int clone_fd(int fd) {
  uint32_t from = (uint32_t)fd;
  int clone = open("/dev/fuse", O_RDWR | O_CLOEXEC | O_NONBLOCK);
  if (clone < 0)
    return -errno;
  if (ioctl(clone, FUSE_DEV_IOC_CLONE, &from) != 0) {
    int error = errno;
    close(clone);
    return -error;
  }
  return clone;
}

int virtiofs_fusedev_channel_new(struct virtiofs_fusedev_channel **out, struct virtiofs_fusedev *mount) {
  size_t align = _Alignof(max_align_t);
  *out = NULL;
  struct virtiofs_fusedev_channel *channel = calloc(1, sizeof(*channel));
  if (channel == NULL)
    return -ENOMEM;
  channel->count = mount->messages;
  channel->pages = mount->pages;
  channel->pages_ctx = mount->pages_ctx;
  /* Names and values may be as long as 64 KiB, whatever a WRITE may be; the kernel asks for 8 KiB at least. */
  channel->body = (mount->max_write > 2 * 65536U ? mount->max_write : 2 * 65536U) + PAGE;
  channel->stride = (sizeof(struct entry) + mount->message_data + align - 1) / align * align;
  channel->entries = calloc(channel->count, channel->stride);
  channel->fd = clone_fd(mount->fd);
  if (channel->entries == NULL || channel->fd < 0) {
    int rc = channel->entries == NULL ? -ENOMEM : channel->fd;
    virtiofs_fusedev_channel_free(channel);
    return rc;
  }
  for (uint32_t i = channel->count; i-- > 0;) {
    struct entry *entry = entry_at(channel, i);
    entry->channel = channel;
    entry->next = channel->free;
    channel->free = entry;
  }
  *out = channel;
  return 0;
}

void virtiofs_fusedev_channel_close(struct virtiofs_fusedev_channel *channel) {
  if (channel->fd >= 0)
    close(channel->fd);
  channel->fd = -1;
}

void virtiofs_fusedev_channel_free(struct virtiofs_fusedev_channel *channel) {
  if (channel == NULL)
    return;
  bool own = channel->pages == NULL && channel->entries != NULL;
  for (uint32_t i = 0; own && i < channel->count; i++)
    if (entry_at(channel, i)->pages != NULL)
      munmap(entry_at(channel, i)->pages, pages_size(channel));
  virtiofs_fusedev_channel_close(channel);
  free(channel->entries);
  free(channel);
}

int virtiofs_fusedev_channel_fd(const struct virtiofs_fusedev_channel *channel) {
  return channel->fd;
}

/* NULL if all are in flight. */
static struct entry *take(struct virtiofs_fusedev_channel *channel) {
  if (channel->free == NULL)
    channel->free = atomic_exchange(&channel->given, NULL);
  struct entry *entry = channel->free;
  if (entry != NULL)
    channel->free = entry->next;
  return entry;
}

static void put_back(struct virtiofs_fusedev_channel *channel, struct entry *entry) {
  entry->next = channel->free;
  channel->free = entry;
}

static bool has_pages(struct virtiofs_fusedev_channel *channel, struct entry *entry) {
  if (entry->pages != NULL)
    return true;
  if (channel->pages != NULL) {
    entry->pages = channel->pages(channel->pages_ctx, pages_size(channel));
    return entry->pages != NULL;
  }
  void *pages = mmap(NULL, pages_size(channel), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  entry->pages = pages != MAP_FAILED ? pages : NULL;
  return entry->pages != NULL;
}

/* The first @bytes of a request or a reply, whose head ends where a page does. */
static void set_segments(struct iovec iov[2], unsigned char *page, size_t head, size_t bytes) {
  size_t first = bytes < head ? bytes : head;
  iov[0] = (struct iovec){.iov_base = page + PAGE - head, .iov_len = first};
  iov[1] = (struct iovec){.iov_base = page + PAGE, .iov_len = bytes - first};
}

static unsigned char *reply_page(const struct entry *entry) {
  return entry->pages + PAGE + entry->channel->body;
}

static void complete(struct virtiofs_message *msg, size_t used) {
  virtiofs_fusedev_reply(msg, used);
  virtiofs_fusedev_message_free(msg);
}

int virtiofs_fusedev_read(struct virtiofs_fusedev_channel *channel, struct virtiofs_message **msg) {
  struct entry *entry = take(channel);
  if (entry == NULL)
    return -ENOBUFS;
  if (!has_pages(channel, entry)) {
    put_back(channel, entry);
    return -ENOMEM;
  }
  struct iovec room[2];
  set_segments(room, entry->pages, REQUEST_HEAD, REQUEST_HEAD + channel->body);
  ssize_t n = readv(channel->fd, room, 2);
  if (n <= 0) {
    int error = n < 0 ? errno : ENODEV;
    put_back(channel, entry);
    /* ENOENT: whoever asked has gone away meanwhile. */
    return error == EAGAIN || error == EINTR || error == ENOENT ? 0 : -error;
  }
  set_segments(entry->iov, entry->pages, REQUEST_HEAD, (size_t)n);
  set_segments(entry->iov + 2, reply_page(entry), REPLY_HEAD, REPLY_HEAD + channel->body);
  virtiofs_message_init(&entry->msg, entry->iov, 2, 2, complete);
  *msg = &entry->msg;
  return 1;
}

void *virtiofs_fusedev_message_data(struct virtiofs_message *msg) {
  return entry_of(msg)->data;
}

void virtiofs_fusedev_reply(struct virtiofs_message *msg, size_t used) {
  struct entry *entry = entry_of(msg);
  if (used == 0 || entry->channel->fd < 0)
    return;
  /* The sink may have changed the segments that it was given. */
  struct iovec iov[2];
  set_segments(iov, reply_page(entry), REPLY_HEAD, used);
  /* ENOENT: nobody waits for it any more. There is no other error that somebody could do something about. */
  ssize_t written = writev(entry->channel->fd, iov, iov[1].iov_len > 0 ? 2 : 1);
  (void)written;
}

void virtiofs_fusedev_message_free(struct virtiofs_message *msg) {
  struct entry *entry = entry_of(msg);
  struct virtiofs_fusedev_channel *channel = entry->channel;
  entry->next = atomic_load(&channel->given);
  while (!atomic_compare_exchange_weak(&channel->given, &entry->next, entry))
    continue;
}
