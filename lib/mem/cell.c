/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>

#include "base/spin.h"
#include "mem/map.h"

struct virtiofs_memory_cell {
  _Atomic(uint64_t) version; /* changes with @map */
  struct virtiofs_spin lock; /* for @map: between reading it and counting the reference it must not go */
  struct virtiofs_memory *map;
};

int virtiofs_memory_cell_new(struct virtiofs_memory_cell **out) {
  *out = calloc(1, sizeof(**out));
  return *out != NULL ? 0 : -ENOMEM;
}

void virtiofs_memory_cell_free(struct virtiofs_memory_cell *cell) {
  if (cell == NULL)
    return;
  virtiofs_memory_unref(cell->map);
  free(cell);
}

void virtiofs_memory_cell_set(struct virtiofs_memory_cell *cell, struct virtiofs_memory *take_map) {
  virtiofs_spin_lock(&cell->lock);
  struct virtiofs_memory *old = cell->map;
  cell->map = take_map;
  atomic_fetch_add_explicit(&cell->version, 1, memory_order_release);
  virtiofs_spin_unlock(&cell->lock);
  /* Not under the lock: it may unmap. */
  virtiofs_memory_unref(old);
}

bool virtiofs_memory_cell_get(struct virtiofs_memory_cell *cell, struct virtiofs_memory_view *view) {
  if (atomic_load_explicit(&cell->version, memory_order_acquire) == view->version)
    return false;
  struct virtiofs_memory *old = view->map;
  virtiofs_spin_lock(&cell->lock);
  view->map = virtiofs_memory_ref(cell->map);
  view->version = atomic_load_explicit(&cell->version, memory_order_relaxed);
  virtiofs_spin_unlock(&cell->lock);
  virtiofs_memory_unref(old);
  return true;
}
