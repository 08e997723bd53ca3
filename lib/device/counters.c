/* SPDX-License-Identifier: BSD-3-Clause */
#include "device/counters.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int virtiofs_counters_new(struct virtiofs_counters **out, bool timed) {
  struct virtiofs_counters *counters = aligned_alloc(_Alignof(struct virtiofs_counters), sizeof(*counters));
  *out = counters;
  if (counters == NULL)
    return -ENOMEM;
  memset(counters, 0, sizeof(*counters));
  counters->timed = timed;
  return 0;
}

void virtiofs_counters_free(struct virtiofs_counters *counters) {
  free(counters);
}
