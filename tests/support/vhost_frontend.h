/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * A vhost-user front-end for tests: sends what the test says, right or wrong, and reads replies. Knows no state.
 *
 * Written apart from lib/vhost, so that both can't share a mistake. Fails the test if the host doesn't play along.
 */
#ifndef VIRTIOFS_TESTS_SUPPORT_VHOST_FRONTEND_H
#define VIRTIOFS_TESTS_SUPPORT_VHOST_FRONTEND_H

#include <stddef.h>
#include <stdint.h>

#include <virtiofs/vhost_user.h>

#define VHOST_NEED_REPLY (VIRTIOFS_VHOST_USER_VERSION | VIRTIOFS_VHOST_USER_NEED_REPLY)

struct vhost_frontend {
  int fd;
  uint32_t flags; /* of each message's header; VIRTIOFS_VHOST_USER_VERSION at first */
  int timeout_ms; /* how long to wait for a reply; 0 at first, for a back-end in the same thread */
};

/** Connects a front-end; the other end's descriptor is the caller's. */
int vhost_frontend_init(struct vhost_frontend *fe);
void vhost_frontend_fini(struct vhost_frontend *fe);

/** Any bytes, with descriptors at the first of them; these stay the caller's. */
void vhost_frontend_raw(struct vhost_frontend *fe, const void *bytes, size_t size, const int *fds, uint32_t fd_count);

/** A message with fe->flags. */
void vhost_frontend_send(struct vhost_frontend *fe, uint32_t request, const void *payload, uint32_t size,
                         const int *fds, uint32_t fd_count);
void vhost_frontend_empty(struct vhost_frontend *fe, uint32_t request);
void vhost_frontend_u64(struct vhost_frontend *fe, uint32_t request, uint64_t value);
void vhost_frontend_state(struct vhost_frontend *fe, uint32_t request, uint32_t index, uint32_t num);
void vhost_frontend_addr(struct vhost_frontend *fe, uint32_t index, uint64_t desc, uint64_t avail, uint64_t used);
/** SET_VRING_KICK, _CALL or _ERR; @fd is the caller's, -1 sends "no descriptor". */
void vhost_frontend_vring_fd(struct vhost_frontend *fe, uint32_t request, uint32_t index, int fd);
void vhost_frontend_table(struct vhost_frontend *fe, const struct virtiofs_vhost_user_region *regions, const int *fds,
                          uint32_t count);
/** ADD_MEM_REG or REM_MEM_REG; @fd -1: without one. */
void vhost_frontend_region(struct vhost_frontend *fe, uint32_t request, const struct virtiofs_vhost_user_region *region,
                           int fd);

/** Return: 1 and a message; 0 if none came in time; -1 if the other end is closed. */
int vhost_frontend_receive(struct vhost_frontend *fe, struct virtiofs_vhost_user_message *msg);
/** The next thing is a reply to @request with a u64. Return: that. */
uint64_t vhost_frontend_reply_u64(struct vhost_frontend *fe, uint32_t request);
/** The next thing is a reply to @request with a vring state. Return: its num. */
uint32_t vhost_frontend_reply_state(struct vhost_frontend *fe, uint32_t request, uint32_t index);
/** Nothing came. */
void vhost_frontend_no_reply(struct vhost_frontend *fe);

/** A file for guest memory, of zeros. */
int vhost_frontend_memfd(uint64_t size);

/** How many descriptors this process has open, and how many mappings of files that vhost_frontend_memfd() made. */
unsigned vhost_frontend_count_fds(void);
unsigned vhost_frontend_count_maps(void);

#endif
