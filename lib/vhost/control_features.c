/* SPDX-License-Identifier: BSD-3-Clause */
/* Features, protocol features and what concerns the device as a whole. */
#include "vhost/control.h"

#include <errno.h>
#include <unistd.h>

/* Bits of SET_FEATURES that are the protocol's own, and none of the driver's business. */
#define OWN_FEATURES (VIRTIOFS_VHOST_USER_F_LOG_ALL | VIRTIOFS_VHOST_USER_F_PROTOCOL_FEATURES)

static int reply_u64(struct virtiofs_vhost_user_message *msg, uint64_t value) {
  msg->payload.u64 = value;
  msg->header.size = sizeof msg->payload.u64;
  return 0;
}

int virtiofs_vhost_control_get_features(struct virtiofs_vhost_backend *backend,
                                        struct virtiofs_vhost_user_message *msg) {
  return reply_u64(msg, (backend->config.features & ~OWN_FEATURES) | VIRTIOFS_VHOST_USER_F_PROTOCOL_FEATURES);
}

/* May come while rings run, when logging is switched: nothing is stopped or disabled by it. */
int virtiofs_vhost_control_set_features(struct virtiofs_vhost_backend *backend,
                                        struct virtiofs_vhost_user_message *msg) {
  uint64_t asked = msg->payload.u64;
  if ((asked & ~(backend->config.features | OWN_FEATURES)) != 0) {
    backend->why = "features that were not offered";
    return -EPROTO;
  }
  int rc = backend->config.events->features(backend->config.ctx, asked & ~OWN_FEATURES);
  if (rc != 0)
    return rc;
  virtiofs_vhost_vrings_features(&backend->vrings, asked & ~OWN_FEATURES);
  /*
   * A front-end that leaves the bit out enables no rings by message: they are enabled from now on. QEMU before 7.2 does
   * so although it has exchanged protocol features, so only the bit here tells.
   */
  if ((asked & VIRTIOFS_VHOST_USER_F_PROTOCOL_FEATURES) == 0)
    return virtiofs_vhost_vrings_enable_all(&backend->vrings);
  return 0;
}

int virtiofs_vhost_control_set_owner(struct virtiofs_vhost_backend *backend, struct virtiofs_vhost_user_message *msg) {
  (void)backend;
  (void)msg;
  return 0;
}

/* Deprecated, and front-ends never agreed on what it does. */
int virtiofs_vhost_control_reset_owner(struct virtiofs_vhost_backend *backend,
                                       struct virtiofs_vhost_user_message *msg) {
  (void)backend;
  (void)msg;
  return 0;
}

static uint64_t protocol_features(const struct virtiofs_vhost_backend *backend) {
  uint64_t offered = VIRTIOFS_VHOST_USER_PROTOCOL_F_MQ | VIRTIOFS_VHOST_USER_PROTOCOL_F_REPLY_ACK |
                     VIRTIOFS_VHOST_USER_PROTOCOL_F_BACKEND_REQ | VIRTIOFS_VHOST_USER_PROTOCOL_F_RESET_DEVICE |
                     VIRTIOFS_VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS;
  if (backend->config.has_config)
    offered |= VIRTIOFS_VHOST_USER_PROTOCOL_F_CONFIG;
  if (backend->config.window_len != 0)
    offered |= VIRTIOFS_VHOST_USER_PROTOCOL_F_SHMEM | VIRTIOFS_VHOST_USER_PROTOCOL_F_BACKEND_SEND_FD;
  return offered;
}

int virtiofs_vhost_control_get_protocol_features(struct virtiofs_vhost_backend *backend,
                                                 struct virtiofs_vhost_user_message *msg) {
  return reply_u64(msg, protocol_features(backend));
}

/* At any time, whether or not anybody has asked before: cloud-hypervisor doesn't when it restores a guest. */
int virtiofs_vhost_control_set_protocol_features(struct virtiofs_vhost_backend *backend,
                                                 struct virtiofs_vhost_user_message *msg) {
  if ((msg->payload.u64 & ~protocol_features(backend)) != 0) {
    backend->why = "protocol features that were not offered";
    return -EPROTO;
  }
  backend->protocol_features = msg->payload.u64;
  return virtiofs_vhost_control_window(backend);
}

int virtiofs_vhost_control_get_queue_num(struct virtiofs_vhost_backend *backend,
                                         struct virtiofs_vhost_user_message *msg) {
  return reply_u64(msg, backend->config.vrings);
}

/* Without a window nothing is sent there. It is kept open all the same, since front-ends take its end for the
 * back-end's. */
int virtiofs_vhost_control_set_backend_req_fd(struct virtiofs_vhost_backend *backend,
                                              struct virtiofs_vhost_user_message *msg) {
  if (backend->backend_req_fd >= 0)
    close(backend->backend_req_fd);
  backend->backend_req_fd = msg->fds[0];
  msg->fds[0] = -1;
  return virtiofs_vhost_control_window(backend);
}

int virtiofs_vhost_control_reset_device(struct virtiofs_vhost_backend *backend,
                                        struct virtiofs_vhost_user_message *msg) {
  (void)msg;
  int rc = virtiofs_vhost_vrings_reset(&backend->vrings);
  int reset = backend->config.events->reset(backend->config.ctx);
  return rc != 0 ? rc : reset;
}
