/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * The front-end's end of a back-end's requests: files that it wants in the window.
 *
 * The back-end is not trusted: what it names must lie in the window, must not overlap, and is unmapped as it was
 * mapped. One thread at a time.
 */
#ifndef VIRTIOFS_LIB_VHOST_SHMEM_H
#define VIRTIOFS_LIB_VHOST_SHMEM_H

#include <virtiofs/dax.h>
#include <virtiofs/host_window.h>
#include <virtiofs/vhost_user.h>

struct virtiofs_vhost_shmem {
  int fd; /* our end of the channel */
  struct virtiofs_host_window *window;
  struct virtiofs_dax_window *map; /* what is mapped */
  uint64_t mappings;               /* how many there ever were: each is a file of its own */

  /* The request that comes. */
  uint32_t received; /* bytes of it */
  int received_fd;   /* -1: none yet */
  bool wrong_fds;    /* more than one */
  struct virtiofs_vhost_user_header header;
  struct virtiofs_vhost_user_mmap mmap;
};

/* @take_fd: closed by fini, also after an error. 0 or -errno. */
int virtiofs_vhost_shmem_init(struct virtiofs_vhost_shmem *shmem, int take_fd, uint64_t len);
void virtiofs_vhost_shmem_fini(struct virtiofs_vhost_shmem *shmem);

/* One request, and the answer to it. 1; 0: there is none now; -ECONNRESET; -EPROTO: it is none. */
int virtiofs_vhost_shmem_process(struct virtiofs_vhost_shmem *shmem);

/* Sends @fd along if it isn't -1. 0 or -errno. */
int virtiofs_vhost_shmem_send(int channel, const struct virtiofs_vhost_user_header *header, const void *payload,
                              int fd);

#endif
