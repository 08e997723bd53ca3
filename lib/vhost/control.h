/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * What a back-end knows, and the handlers of its messages. For backend.c and the control_*.c files alone.
 */
#ifndef VIRTIOFS_LIB_VHOST_CONTROL_H
#define VIRTIOFS_LIB_VHOST_CONTROL_H

#include "base/log.h"
#include "vhost/backend.h"
#include "vhost/vring.h"

struct virtiofs_vhost_backend {
  struct virtiofs_vhost_backend_config config;
  struct virtiofs_vhost_vrings vrings;
  uint64_t protocol_features;             /* those that the front-end has chosen */
  int backend_req_fd;                     /* our way to speak to the front-end unasked; -1: none */
  bool window_asked, window_told;         /* GET_SHMEM_CONFIG came; the device knows that it can map */
  const char *why;                        /* a handler's words for its failure; NULL: the error's number has to do */
  struct virtiofs_log_limit guest_faults; /* lines about what a guest got wrong */
};

/** A handler's return value: the guest has done wrong, not the front-end. Nack if asked; the connection stays. */
#define VIRTIOFS_VHOST_GUEST_FAULT 1

/**
 * virtiofs_vhost_control_fn - act on a message
 * @msg: checked by virtiofs_vhost_user_message_check(). If it has a reply of its own the handler turns @msg into that:
 * payload and header.size. Descriptors that it keeps it replaces by -1, all others are closed after it.
 *
 * Return: 0; -errno; VIRTIOFS_VHOST_GUEST_FAULT. An error in a message that has a reply of its own ends the connection.
 */
typedef int virtiofs_vhost_control_fn(struct virtiofs_vhost_backend *backend, struct virtiofs_vhost_user_message *msg);

/* control_features.c */
virtiofs_vhost_control_fn virtiofs_vhost_control_get_features;
virtiofs_vhost_control_fn virtiofs_vhost_control_set_features;
virtiofs_vhost_control_fn virtiofs_vhost_control_set_owner;
virtiofs_vhost_control_fn virtiofs_vhost_control_reset_owner;
virtiofs_vhost_control_fn virtiofs_vhost_control_get_protocol_features;
virtiofs_vhost_control_fn virtiofs_vhost_control_set_protocol_features;
virtiofs_vhost_control_fn virtiofs_vhost_control_get_queue_num;
virtiofs_vhost_control_fn virtiofs_vhost_control_set_backend_req_fd;
virtiofs_vhost_control_fn virtiofs_vhost_control_reset_device;

/* control_memory.c */
virtiofs_vhost_control_fn virtiofs_vhost_control_set_mem_table;
virtiofs_vhost_control_fn virtiofs_vhost_control_get_max_mem_slots;
virtiofs_vhost_control_fn virtiofs_vhost_control_add_mem_reg;
virtiofs_vhost_control_fn virtiofs_vhost_control_rem_mem_reg;

/* control_vring.c */
virtiofs_vhost_control_fn virtiofs_vhost_control_set_vring_num;
virtiofs_vhost_control_fn virtiofs_vhost_control_set_vring_addr;
virtiofs_vhost_control_fn virtiofs_vhost_control_set_vring_base;
virtiofs_vhost_control_fn virtiofs_vhost_control_get_vring_base;
virtiofs_vhost_control_fn virtiofs_vhost_control_set_vring_kick;
virtiofs_vhost_control_fn virtiofs_vhost_control_set_vring_call;
virtiofs_vhost_control_fn virtiofs_vhost_control_set_vring_err;
virtiofs_vhost_control_fn virtiofs_vhost_control_set_vring_enable;

/* control_config.c */
virtiofs_vhost_control_fn virtiofs_vhost_control_get_config;
virtiofs_vhost_control_fn virtiofs_vhost_control_set_config;

/* control_window.c */
virtiofs_vhost_control_fn virtiofs_vhost_control_get_shmem_config;

/* Tells the device of its window once the front-end has said all that it takes. 0 or -errno. */
int virtiofs_vhost_control_window(struct virtiofs_vhost_backend *backend);

#endif
