/* SPDX-License-Identifier: BSD-3-Clause */
/* The device's config space, for front-ends that have none of their own. */
#include "vhost/control.h"

/* A reply without a payload is this message's way to say no. Else it is as long as the request. */
int virtiofs_vhost_control_get_config(struct virtiofs_vhost_backend *backend, struct virtiofs_vhost_user_message *msg) {
  const struct virtiofs_vhost_events *events = backend->config.events;
  struct virtiofs_vhost_user_config *config = &msg->payload.config;
  if (!backend->config.has_config ||
      events->config(backend->config.ctx, config->offset, config->size, config->data) != 0)
    msg->header.size = 0;
  return 0;
}

/* All fields are read-only for a driver. Migration sends what the other side had, and that is what we have too. */
int virtiofs_vhost_control_set_config(struct virtiofs_vhost_backend *backend, struct virtiofs_vhost_user_message *msg) {
  if (backend->config.has_config && msg->payload.config.flags == VIRTIOFS_VHOST_USER_CONFIG_MIGRATION)
    return 0;
  backend->why = "the config space is read-only";
  return VIRTIOFS_VHOST_GUEST_FAULT;
}
