/* SPDX-License-Identifier: BSD-3-Clause */
/* A VMM whose device is another process: virtio's registers come in, vhost-user's messages go out; and requests to map
 * come in. */
#ifndef VMM_WINDOW_VHOST_USER_H
#define VMM_WINDOW_VHOST_USER_H

#include <pthread.h>

#include <virtiofs/shmem.h>
#include <virtiofs/transport.h>

enum { QUEUES = 2 }; /* the high-priority queue and one for requests */

struct vhost_user {
  int sock;
  uint64_t features; /* offered */
  /* As in inprocess.h; the back-end says how large it is. */
  struct virtiofs_host_window *window;
  struct virtiofs_shmem *shmem;
  pthread_t mapper; /* serves @shmem all the time, as the back-end may answer a message only when it has its map */
  int end_fd;       /* ends it */
  struct virtiofs_memory *memory;
  int kick_fds[QUEUES], call_fds[QUEUES];
  unsigned messages;
};

extern const struct virtiofs_transport vhost_user_registers;

/* Connects, agrees on features, and gets the window. */
void vhost_user_new(struct vhost_user *vmm, const char *path);
void vhost_user_free(struct vhost_user *vmm);

#endif
