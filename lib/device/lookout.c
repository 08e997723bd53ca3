/* SPDX-License-Identifier: BSD-3-Clause */
#include "device/lookout.h"

/* Shorter than that isn't worth reading the clock for. */
#define FIRST_NS 4000U

void virtiofs_lookout_init(struct virtiofs_lookout *lookout, uint64_t limit_ns) {
  *lookout = (struct virtiofs_lookout){.limit_ns = limit_ns};
}

void virtiofs_lookout_waited(struct virtiofs_lookout *lookout, uint64_t ns) {
  if (ns <= lookout->ns)
    return; /* long enough */
  if (ns > lookout->limit_ns) {
    lookout->ns = lookout->ns > FIRST_NS ? lookout->ns / 2 : 0;
    return;
  }
  /* Half as much again as it took: work that comes regularly is met from the second time on. */
  lookout->ns = ns + ns / 2 > FIRST_NS ? ns + ns / 2 : FIRST_NS;
  if (lookout->ns > lookout->limit_ns)
    lookout->ns = lookout->limit_ns;
}
