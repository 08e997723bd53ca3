/* SPDX-License-Identifier: BSD-3-Clause */
#include "backends/passthrough/handle.h"

#include <errno.h>
#include <fcntl.h>
#include <stdalign.h>
#include <string.h>
#include <time.h>

#include "backends/passthrough/share.h"

_Static_assert(PASSTHROUGH_HANDLE_MAX >= MAX_HANDLE_SZ, "any handle fits");

/*
 * A file system that finds a file's number to be just given to another one says ENOMEM (the kernel's iget_locked()
 * can't say more), ext4 for one. That passes as soon as the other is made, and then the handle is stale; no memory may
 * last. Each pause is twice the one before: 0.8 s in all.
 */
enum { TRIES = 14, FIRST_PAUSE_NS = 100 * 1000 };

/** The system calls' form: a head, and behind it the bytes. */
struct wire {
  alignas(struct file_handle) unsigned char all[sizeof(struct file_handle) + PASSTHROUGH_HANDLE_MAX];
};

static struct file_handle *head_of(struct wire *wire) {
  return (struct file_handle *)(void *)wire->all;
}

int virtiofs_passthrough_handle_of(int dirfd, const char *name, struct handle *handle) {
  struct wire wire;
  struct file_handle *head = head_of(&wire);
  head->handle_bytes = PASSTHROUGH_HANDLE_MAX;
  if (name_to_handle_at(dirfd, name, head, &handle->mount_id, *name == '\0' ? AT_EMPTY_PATH : 0) != 0)
    return errno == EOVERFLOW ? -EOPNOTSUPP : virtiofs_passthrough_error(errno);
  handle->type = head->handle_type;
  handle->len = head->handle_bytes;
  if (handle->len == 0 || handle->len > PASSTHROUGH_HANDLE_MAX)
    return -EOPNOTSUPP;
  memcpy(handle->bytes, head->f_handle, handle->len);
  return 0;
}

static bool try_again(int error, int *tries) {
  if (error == EINTR)
    return true;
  if (error != ENOMEM || ++*tries == TRIES)
    return false;
  const struct timespec pause = {.tv_nsec = FIRST_PAUSE_NS << (*tries - 1)};
  (void)nanosleep(&pause, NULL);
  return true;
}

int virtiofs_passthrough_handle_open(int mount_fd, int type, const unsigned char *bytes, unsigned len) {
  struct wire wire;
  struct file_handle *head = head_of(&wire);
  head->handle_type = type;
  head->handle_bytes = len;
  memcpy(head->f_handle, bytes, len);
  int fd, tries = 0;
  do
    fd = open_by_handle_at(mount_fd, head, O_PATH | O_CLOEXEC);
  while (fd < 0 && try_again(errno, &tries));
  return fd < 0 ? virtiofs_passthrough_error(errno) : fd;
}
