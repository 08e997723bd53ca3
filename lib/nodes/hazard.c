/* SPDX-License-Identifier: BSD-3-Clause */
#include "nodes/hazard.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int virtiofs_hazards_init(struct virtiofs_hazards *hazards, uint32_t lanes) {
  size_t bytes = lanes * sizeof(hazards->lanes[0]);
  hazards->lanes = aligned_alloc(_Alignof(struct virtiofs_hazard_lane), bytes);
  hazards->count = hazards->lanes != NULL ? lanes : 0;
  if (hazards->lanes == NULL)
    return -ENOMEM;
  memset(hazards->lanes, 0, bytes);
  return 0;
}

void virtiofs_hazards_fini(struct virtiofs_hazards *hazards) {
  free(hazards->lanes);
  *hazards = (struct virtiofs_hazards){0};
}

bool virtiofs_hazards_hold(const struct virtiofs_hazards *hazards, const virtiofs_idcell *cell) {
  for (uint32_t lane = 0; lane < hazards->count; lane++)
    for (uint32_t i = 0; i < VIRTIOFS_HAZARDS; i++)
      if (atomic_load(&hazards->lanes[lane].used[i]) == cell)
        return true;
  return false;
}
