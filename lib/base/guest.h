/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * Loads and stores of memory that a guest changes while we look.
 *
 * A value is loaded once into private memory and only the copy is used. The compiler must not go back to the original,
 * which plain loads and memcpy() would allow it to.
 */
#ifndef VIRTIOFS_LIB_BASE_GUEST_H
#define VIRTIOFS_LIB_BASE_GUEST_H

#include <endian.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline void virtiofs_guest_barrier(void) {
  __asm__ volatile("" ::: "memory");
}

/* Copies from the guest; what is behind the barrier can only read the copy. */
static inline void virtiofs_guest_read(void *dst, const void *guest, size_t len) {
  memcpy(dst, guest, len);
  virtiofs_guest_barrier();
}

static inline void virtiofs_guest_write(void *guest, const void *src, size_t len) {
  memcpy(guest, src, len);
  virtiofs_guest_barrier();
}

/* Ring fields are little-endian, aligned, and loaded whole. */
static inline uint16_t virtiofs_guest_load16(const uint16_t *guest) {
  return le16toh(__atomic_load_n(guest, __ATOMIC_RELAXED));
}

static inline uint16_t virtiofs_guest_load16_acquire(const uint16_t *guest) {
  return le16toh(__atomic_load_n(guest, __ATOMIC_ACQUIRE));
}

static inline uint32_t virtiofs_guest_load32(const uint32_t *guest) {
  return le32toh(__atomic_load_n(guest, __ATOMIC_RELAXED));
}

static inline uint64_t virtiofs_guest_load64(const uint64_t *guest) {
  return le64toh(__atomic_load_n(guest, __ATOMIC_RELAXED));
}

static inline void virtiofs_guest_store16(uint16_t *guest, uint16_t value) {
  __atomic_store_n(guest, htole16(value), __ATOMIC_RELAXED);
}

/* A store and a later load that no side may see in the other order: both sides store first and look then. */
static inline void virtiofs_guest_store16_sync(uint16_t *guest, uint16_t value) {
  __atomic_store_n(guest, htole16(value), __ATOMIC_SEQ_CST);
}

static inline uint16_t virtiofs_guest_load16_sync(const uint16_t *guest) {
  return le16toh(__atomic_load_n(guest, __ATOMIC_SEQ_CST));
}

static inline void virtiofs_guest_store32(uint32_t *guest, uint32_t value) {
  __atomic_store_n(guest, htole32(value), __ATOMIC_RELAXED);
}

static inline void virtiofs_guest_store32_sync(uint32_t *guest, uint32_t value) {
  __atomic_store_n(guest, htole32(value), __ATOMIC_SEQ_CST);
}

static inline uint32_t virtiofs_guest_load32_sync(const uint32_t *guest) {
  return le32toh(__atomic_load_n(guest, __ATOMIC_SEQ_CST));
}

static inline void virtiofs_guest_store64(uint64_t *guest, uint64_t value) {
  __atomic_store_n(guest, htole64(value), __ATOMIC_RELAXED);
}

#endif
