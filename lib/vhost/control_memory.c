/* SPDX-License-Identifier: BSD-3-Clause */
/* The guest's memory: as one table, or slot by slot. */
#include "vhost/control.h"

#include <errno.h>
#include <stddef.h>

#include "vhost/memory_table.h"

/* What is wrong with a region is the front-end's doing: the guest can't choose its memory. */
static int take(struct virtiofs_vhost_backend *backend, int rc, struct virtiofs_memory *map) {
  if (rc == -EPROTO)
    backend->why = "a region is empty, wraps, overlaps another, is not in its file or is not known";
  if (rc == -E2BIG)
    backend->why = "too many regions";
  return rc != 0 ? rc : virtiofs_vhost_vrings_memory(&backend->vrings, map);
}

int virtiofs_vhost_control_set_mem_table(struct virtiofs_vhost_backend *backend,
                                         struct virtiofs_vhost_user_message *msg) {
  struct virtiofs_memory *map;
  int rc = virtiofs_vhost_memory_table_set(&map, &msg->payload.table, msg->fds);
  return take(backend, rc, map);
}

int virtiofs_vhost_control_get_max_mem_slots(struct virtiofs_vhost_backend *backend,
                                             struct virtiofs_vhost_user_message *msg) {
  (void)backend;
  msg->payload.u64 = VIRTIOFS_MEMORY_REGIONS_MAX;
  msg->header.size = sizeof msg->payload.u64;
  return 0;
}

int virtiofs_vhost_control_add_mem_reg(struct virtiofs_vhost_backend *backend,
                                       struct virtiofs_vhost_user_message *msg) {
  struct virtiofs_memory *map;
  int rc = virtiofs_vhost_memory_table_add(&map, backend->vrings.map, &msg->payload.region.region, msg->fds[0]);
  return take(backend, rc, map);
}

int virtiofs_vhost_control_rem_mem_reg(struct virtiofs_vhost_backend *backend,
                                       struct virtiofs_vhost_user_message *msg) {
  struct virtiofs_memory *map;
  int rc = virtiofs_vhost_memory_table_remove(&map, backend->vrings.map, &msg->payload.region.region);
  return take(backend, rc, map);
}
