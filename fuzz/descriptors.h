/* SPDX-License-Identifier: BSD-3-Clause */
/** Descriptors to go with a message: what should come there and what shouldn't. And whether all were closed. */
#ifndef VIRTIOFS_FUZZ_DESCRIPTORS_H
#define VIRTIOFS_FUZZ_DESCRIPTORS_H

#include <stdint.h>

enum { FUZZ_MEMORY = 1 << 16 };

/* Guest memory in this process, of FUZZ_MEMORY bytes, the same each time; zeroed by fuzz_descriptors_begin(). */
unsigned char *fuzz_memory(void);

/* Before each input. */
void fuzz_descriptors_begin(void);

/* A new descriptor of one of some kinds: 0 is guest memory, 1 an eventfd. */
int fuzz_descriptor(uint8_t kind);

/* After each input: aborts if something that came after _begin() is open. */
void fuzz_descriptors_end(void);

#endif
