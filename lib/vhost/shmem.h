/* SPDX-License-Identifier: BSD-3-Clause */
/** What both ends of the channel of SET_BACKEND_REQ_FD send. */
#ifndef VIRTIOFS_LIB_VHOST_SHMEM_H
#define VIRTIOFS_LIB_VHOST_SHMEM_H

#include <virtiofs/vhost_user.h>

/* Sends @fd along if it isn't -1, and never waits. 0 or -errno. */
int virtiofs_vhost_shmem_send(int channel, const struct virtiofs_vhost_user_header *header, const void *payload,
                              int fd);

#endif
