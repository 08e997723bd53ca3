/* SPDX-License-Identifier: BSD-3-Clause */
/* What is said of one ring. Arguments are checked here; vring.c decides what follows from them. */
#include "vhost/control.h"

#include <errno.h>
#include <stddef.h>

#include <virtiofs/virtq.h>

/* The ring that a message is about; NULL if there is none of that number, which is compared in full width. */
static struct virtiofs_vhost_vring *ring_of(struct virtiofs_vhost_backend *backend, uint32_t index) {
  if (index < backend->vrings.count)
    return &backend->vrings.rings[index];
  backend->why = "there is no ring of that number";
  return NULL;
}

static bool is_packed(const struct virtiofs_vhost_backend *backend) {
  return (backend->vrings.features & VIRTIOFS_VIRTQ_F_RING_PACKED) != 0;
}

/* Drivers write the size into a register that some front-ends pass on as it is, so a bad one is the guest's. */
int virtiofs_vhost_control_set_vring_num(struct virtiofs_vhost_backend *backend,
                                         struct virtiofs_vhost_user_message *msg) {
  uint32_t index = msg->payload.state.index, num = msg->payload.state.num;
  const struct virtiofs_vhost_vring *ring = ring_of(backend, index);
  if (ring == NULL)
    return -EPROTO;
  if (ring->running && ring->num != num) {
    backend->why = "the ring is running";
    return -EPROTO;
  }
  if (!virtiofs_virtq_size_valid(num, backend->vrings.features)) {
    backend->why = "a ring's size is from 2 to 32768, and a power of two unless it is packed";
    int rc = virtiofs_vhost_vrings_num(&backend->vrings, index, 0);
    return rc != 0 ? rc : VIRTIOFS_VHOST_GUEST_FAULT;
  }
  return virtiofs_vhost_vrings_num(&backend->vrings, index, num);
}

/* The addresses are the guest's choice. The front-end has only translated them. */
int virtiofs_vhost_control_set_vring_addr(struct virtiofs_vhost_backend *backend,
                                          struct virtiofs_vhost_user_message *msg) {
  const struct virtiofs_vhost_user_vring_addr *addr = &msg->payload.addr;
  if (ring_of(backend, addr->index) == NULL)
    return -EPROTO;
  if (addr->desc % 16 != 0 || addr->avail % (is_packed(backend) ? 4 : 2) != 0 || addr->used % 4 != 0) {
    backend->why = "a ring's address is not aligned";
    int rc = virtiofs_vhost_vrings_addr_forget(&backend->vrings, addr->index);
    return rc != 0 ? rc : VIRTIOFS_VHOST_GUEST_FAULT;
  }
  return virtiofs_vhost_vrings_addr(&backend->vrings, addr->index, addr->desc, addr->avail, addr->used);
}

int virtiofs_vhost_control_set_vring_base(struct virtiofs_vhost_backend *backend,
                                          struct virtiofs_vhost_user_message *msg) {
  uint32_t index = msg->payload.state.index, base = msg->payload.state.num;
  if (ring_of(backend, index) == NULL)
    return -EPROTO;
  if (base > UINT16_MAX && !is_packed(backend)) {
    backend->why = "the base of a split ring has 16 bits";
    return -EPROTO;
  }
  return virtiofs_vhost_vrings_base(&backend->vrings, index, base);
}

int virtiofs_vhost_control_get_vring_base(struct virtiofs_vhost_backend *backend,
                                          struct virtiofs_vhost_user_message *msg) {
  if (ring_of(backend, msg->payload.state.index) == NULL)
    return -EPROTO;
  return virtiofs_vhost_vrings_stop(&backend->vrings, msg->payload.state.index, &msg->payload.state.num);
}

typedef int vring_fd_fn(struct virtiofs_vhost_vrings *vrings, uint32_t index, int take_fd);

/* SET_VRING_KICK, _CALL and _ERR are alike. The message's check has compared its "no descriptor" with what came. */
static int set_vring_fd(struct virtiofs_vhost_backend *backend, struct virtiofs_vhost_user_message *msg,
                        vring_fd_fn *fn) {
  uint32_t index = (uint32_t)(msg->payload.u64 & VIRTIOFS_VHOST_USER_VRING_INDEX_MASK);
  if (ring_of(backend, index) == NULL)
    return -EPROTO;
  int fd = -1;
  if (msg->fd_count > 0) {
    fd = msg->fds[0];
    msg->fds[0] = -1;
  }
  return fn(&backend->vrings, index, fd);
}

int virtiofs_vhost_control_set_vring_kick(struct virtiofs_vhost_backend *backend,
                                          struct virtiofs_vhost_user_message *msg) {
  return set_vring_fd(backend, msg, virtiofs_vhost_vrings_kick);
}

int virtiofs_vhost_control_set_vring_call(struct virtiofs_vhost_backend *backend,
                                          struct virtiofs_vhost_user_message *msg) {
  return set_vring_fd(backend, msg, virtiofs_vhost_vrings_call);
}

int virtiofs_vhost_control_set_vring_err(struct virtiofs_vhost_backend *backend,
                                         struct virtiofs_vhost_user_message *msg) {
  return set_vring_fd(backend, msg, virtiofs_vhost_vrings_err);
}

int virtiofs_vhost_control_set_vring_enable(struct virtiofs_vhost_backend *backend,
                                            struct virtiofs_vhost_user_message *msg) {
  uint32_t index = msg->payload.state.index, on = msg->payload.state.num;
  if (ring_of(backend, index) == NULL)
    return -EPROTO;
  if (on > 1) {
    backend->why = "a ring is enabled by 1 or disabled by 0";
    return -EPROTO;
  }
  return virtiofs_vhost_vrings_enable(&backend->vrings, index, on == 1);
}
