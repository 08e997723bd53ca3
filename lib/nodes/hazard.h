/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * Who uses a slot right now, without a counter that all queues would write to.
 *
 * Each lane (a queue's worker, a thread of the pool) says in a line of its own which slots it uses. Who wants to take a
 * slot away first makes it unfindable and then looks at all lanes. A use that outlasts the lane's call becomes a pin,
 * counted in the slot.
 */
#ifndef VIRTIOFS_LIB_NODES_HAZARD_H
#define VIRTIOFS_LIB_NODES_HAZARD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* A request names at most two nodes and two handles. */
#define VIRTIOFS_HAZARDS 4U

/* A slot's id, which stays where it is when the slot goes. Its lower half is 0 while the slot is not live. */
typedef _Atomic uint64_t virtiofs_idcell;

static inline bool virtiofs_idcell_dead(const virtiofs_idcell *cell) {
  return (uint32_t)atomic_load(cell) == 0;
}

struct virtiofs_hazard_lane {
  _Alignas(64) _Atomic(virtiofs_idcell *) used[VIRTIOFS_HAZARDS];
};

struct virtiofs_hazards {
  struct virtiofs_hazard_lane *lanes;
  uint32_t count;
};

/* 0 or -ENOMEM. */
int virtiofs_hazards_init(struct virtiofs_hazards *hazards, uint32_t lanes);
void virtiofs_hazards_fini(struct virtiofs_hazards *hazards);

/* The lane's thread only. What is set must be looked up again after it. */
static inline void virtiofs_hazard_set(struct virtiofs_hazard_lane *lane, uint32_t index, virtiofs_idcell *cell) {
  atomic_store(&lane->used[index], cell);
}

/* Does any lane use it? Any thread. */
bool virtiofs_hazards_hold(const struct virtiofs_hazards *hazards, const virtiofs_idcell *cell);

#endif
