/* SPDX-License-Identifier: BSD-3-Clause */
/* The guest: what its driver does with a window, however the VMM has come by it. */
#ifndef VMM_WINDOW_GUEST_H
#define VMM_WINDOW_GUEST_H

#include <stdint.h>

#include <virtiofs/client.h>

/* Ends the program if @rc is negative; else it is given back. */
int64_t must(int64_t rc, const char *what);

struct guest {
  struct virtiofs_client *client;
  volatile char *window; /* region 0, wherever the guest has it */
  uint64_t window_len;
  const unsigned *messages; /* how many the VMM has seen */
  uint64_t node, handle;
};

/* Makes a file, maps it, loads and stores, and reads by a message what was stored. */
void guest_run(struct guest *guest);

#endif
