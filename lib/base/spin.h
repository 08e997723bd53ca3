/* SPDX-License-Identifier: BSD-3-Clause */
/** A lock for a few instructions, in layers that make no system call. Never held over one. */
#ifndef VIRTIOFS_LIB_BASE_SPIN_H
#define VIRTIOFS_LIB_BASE_SPIN_H

#include <stdatomic.h>
#include <stdbool.h>

struct virtiofs_spin {
  atomic_bool taken;
};

static inline void virtiofs_spin_lock(struct virtiofs_spin *spin) {
  while (atomic_exchange_explicit(&spin->taken, true, memory_order_acquire)) {
    while (atomic_load_explicit(&spin->taken, memory_order_relaxed)) {
#if defined(__x86_64__) || defined(__i386__)
      __builtin_ia32_pause();
#elif defined(__aarch64__)
      __asm__ volatile("yield");
#endif
    }
  }
}

static inline void virtiofs_spin_unlock(struct virtiofs_spin *spin) {
  atomic_store_explicit(&spin->taken, false, memory_order_release);
}

#endif
