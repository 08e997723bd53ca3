/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * Both sides of a ring run against each other by random steps, next to a model that knows what must come out: which
 * buffers, in which order, with which bytes and lengths, who has to be notified, and what is refused.
 *
 * Where the choices come from is the caller's: a generator, or the input of a fuzzer. Prints and aborts at the first
 * difference.
 */
#ifndef VIRTIOFS_TESTS_SUPPORT_RING_MODEL_H
#define VIRTIOFS_TESTS_SUPPORT_RING_MODEL_H

#include <stdbool.h>
#include <stdint.h>

struct ring_model_choices {
  /** A number below @limit, which is > 0. */
  uint32_t (*choose)(void *ctx, uint32_t limit);
  /** False: stop now. NULL: never. */
  bool (*more)(void *ctx);
  void *ctx;
};

/**
 * @num, @features, @base: of the ring
 * @tables:   the driver has indirect tables
 * @messages: how many buffers are to go there and back
 */
void ring_model_run(uint32_t num, uint64_t features, uint32_t base, bool tables, uint64_t messages,
                    const struct ring_model_choices *choices);

#endif
