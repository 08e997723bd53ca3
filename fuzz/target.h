/* SPDX-License-Identifier: BSD-3-Clause */
/** What a target is, and how it takes its input apart. */
#ifndef VIRTIOFS_FUZZ_TARGET_H
#define VIRTIOFS_FUZZ_TARGET_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Called by libFuzzer, or by replay.c for each file of a corpus. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The input, from front to back; zeros where it has ended. */
struct fuzz_input {
  const uint8_t *data;
  size_t left;
};

static inline size_t fuzz_take(struct fuzz_input *in, void *to, size_t len) {
  size_t have = len < in->left ? len : in->left;
  memset(to, 0, len);
  memcpy(to, in->data, have);
  in->data += have;
  in->left -= have;
  return have;
}

static inline uint8_t fuzz_u8(struct fuzz_input *in) {
  uint8_t value;
  fuzz_take(in, &value, sizeof(value));
  return value;
}

static inline uint16_t fuzz_u16(struct fuzz_input *in) {
  uint16_t value;
  fuzz_take(in, &value, sizeof(value));
  return value;
}

#endif
