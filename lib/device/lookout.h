/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * How long a queue's worker looks for more work before it sleeps: as long as that has paid lately.
 *
 * Waking a thread costs more than most requests take. A wait that ended soon makes the next look longer, up to the
 * limit; one that didn't, shorter, down to none: an idle queue costs nothing, and a slow one next to nothing.
 */
#ifndef VIRTIOFS_LIB_DEVICE_LOOKOUT_H
#define VIRTIOFS_LIB_DEVICE_LOOKOUT_H

#include <stdbool.h>
#include <stdint.h>

struct virtiofs_lookout {
  uint64_t limit_ns; /* 0: sleep at once */
  uint64_t ns;       /* of the next look, 0 .. limit_ns */
};

void virtiofs_lookout_init(struct virtiofs_lookout *lookout, uint64_t limit_ns);

/* Work came @ns after the worker had nothing to do, looking and sleeping together. */
void virtiofs_lookout_waited(struct virtiofs_lookout *lookout, uint64_t ns);

#endif
