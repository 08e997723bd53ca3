/* SPDX-License-Identifier: BSD-3-Clause */
/* The DAX window. */
#include <string.h>

#include "vhost/control.h"

#define NEEDED                                                                                                         \
  (VIRTIOFS_VHOST_USER_PROTOCOL_F_SHMEM | VIRTIOFS_VHOST_USER_PROTOCOL_F_BACKEND_REQ |                                 \
   VIRTIOFS_VHOST_USER_PROTOCOL_F_REPLY_ACK)

/* That the feature was acknowledged is no sign of a window: QEMU 11.1 does so for devices that have none. */
int virtiofs_vhost_control_window(struct virtiofs_vhost_backend *backend) {
  if (backend->window_told || !backend->window_asked || backend->backend_req_fd < 0 ||
      backend->config.window_len == 0 || (backend->protocol_features & NEEDED) != NEEDED)
    return 0;
  backend->window_told = true;
  return backend->config.events->window(backend->config.ctx, backend->backend_req_fd);
}

int virtiofs_vhost_control_get_shmem_config(struct virtiofs_vhost_backend *backend,
                                            struct virtiofs_vhost_user_message *msg) {
  struct virtiofs_vhost_user_shmem_config *shmem = &msg->payload.shmem;
  memset(shmem, 0, sizeof(*shmem));
  shmem->count = backend->config.window_len != 0 ? 1 : 0;
  shmem->sizes[0] = backend->config.window_len;
  msg->header.size = sizeof(*shmem);
  backend->window_asked = true;
  return virtiofs_vhost_control_window(backend);
}
