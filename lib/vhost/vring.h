/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * The rings as the front-end has described them, and the one decision about each: should it run?
 *
 * A ring runs while it is started, enabled, has a size and addresses, and these lie in the guest's memory. What is
 * missing may come in any order. Arguments are right when they get here: the handlers of the messages have seen to it.
 *
 * Functions that return int give 0 or what the device returned. A ring that the device refuses with -EPROTO (the guest
 * gave nonsense) is no error: it is tried again when the next thing about it or the memory changes. Its err descriptor
 * is signalled, once until it has run or was stopped; one that comes later, when it comes.
 */
#ifndef VIRTIOFS_LIB_VHOST_VRING_H
#define VIRTIOFS_LIB_VHOST_VRING_H

#include "base/log.h"
#include "vhost/backend.h"

struct virtiofs_vhost_vrings {
  const struct virtiofs_vhost_events *events;
  void *ctx;
  const struct virtiofs_log *log;
  struct virtiofs_memory *map;           /* referenced; NULL: not told yet */
  uint64_t features;                     /* that the driver has accepted: which layout the rings have */
  struct virtiofs_log_limit not_started; /* lines about rings that can't run */
  uint32_t count;
  struct virtiofs_vhost_vring *rings;
};

/** Return: 0; -ENOMEM. */
int virtiofs_vhost_vrings_init(struct virtiofs_vhost_vrings *vrings,
                               const struct virtiofs_vhost_backend_config *config) VIRTIOFS_MUST_USE;

/** Stops what runs, closes and frees all. */
void virtiofs_vhost_vrings_fini(struct virtiofs_vhost_vrings *vrings);

/** The driver has accepted features. Rings that run stay as they are. */
void virtiofs_vhost_vrings_features(struct virtiofs_vhost_vrings *vrings, uint64_t acked);

/** @num: not while the ring runs; 0: it was nonsense, and the ring doesn't run until a better one comes. */
int virtiofs_vhost_vrings_num(struct virtiofs_vhost_vrings *vrings, uint32_t index, uint32_t num) VIRTIOFS_MUST_USE;

/** New addresses of a running ring stop it and start it again where it was. */
int virtiofs_vhost_vrings_addr(struct virtiofs_vhost_vrings *vrings, uint32_t index, uint64_t desc, uint64_t avail,
                               uint64_t used) VIRTIOFS_MUST_USE;

/** The addresses were nonsense: the ring doesn't run until better ones come. */
int virtiofs_vhost_vrings_addr_forget(struct virtiofs_vhost_vrings *vrings, uint32_t index) VIRTIOFS_MUST_USE;

/** A base that comes late moves a running ring, unless that is where it began. */
int virtiofs_vhost_vrings_base(struct virtiofs_vhost_vrings *vrings, uint32_t index, uint32_t base) VIRTIOFS_MUST_USE;

/** Starts the ring. @take_fd: -1 for none; owned by the ring from now on, in any case. */
int virtiofs_vhost_vrings_kick(struct virtiofs_vhost_vrings *vrings, uint32_t index, int take_fd) VIRTIOFS_MUST_USE;

/** @take_fd: as above; after an error the old descriptor stays and this one is closed. */
int virtiofs_vhost_vrings_call(struct virtiofs_vhost_vrings *vrings, uint32_t index, int take_fd) VIRTIOFS_MUST_USE;
int virtiofs_vhost_vrings_err(struct virtiofs_vhost_vrings *vrings, uint32_t index, int take_fd) VIRTIOFS_MUST_USE;

int virtiofs_vhost_vrings_enable(struct virtiofs_vhost_vrings *vrings, uint32_t index, bool on) VIRTIOFS_MUST_USE;
int virtiofs_vhost_vrings_enable_all(struct virtiofs_vhost_vrings *vrings) VIRTIOFS_MUST_USE;

/** GET_VRING_BASE: the ring is stopped. Only the kick descriptor goes; size, addresses, whether it is enabled stay. */
int virtiofs_vhost_vrings_stop(struct virtiofs_vhost_vrings *vrings, uint32_t index, uint32_t *base) VIRTIOFS_MUST_USE;

/** RESET_DEVICE: all as at first, but for the descriptors for notifications, which front-ends don't send again. */
int virtiofs_vhost_vrings_reset(struct virtiofs_vhost_vrings *vrings) VIRTIOFS_MUST_USE;

/**
 * The guest's memory changes. Rings that don't lie in the new memory are stopped first; those that lie in it go on,
 * told by events->memory; then those that could not run before are tried.
 * @take_map: its reference is taken, also after an error, and then the old memory stays
 */
int virtiofs_vhost_vrings_memory(struct virtiofs_vhost_vrings *vrings,
                                 struct virtiofs_memory *take_map) VIRTIOFS_MUST_USE;

#endif
