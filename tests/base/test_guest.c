/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <string.h>

#include <cmocka.h>

#include "base/guest.h"

/* Ring fields are little-endian on every machine. */
static void ring_fields_are_little_endian(void **state) {
  (void)state;
  union {
    uint64_t whole;
    uint32_t half;
    uint16_t quarter;
    unsigned char bytes[8];
  } field = {.bytes = {1, 2, 3, 4, 5, 6, 7, 8}};
  assert_int_equal(virtiofs_guest_load64(&field.whole), UINT64_C(0x0807060504030201));
  assert_int_equal(virtiofs_guest_load32(&field.half), 0x04030201);
  assert_int_equal(virtiofs_guest_load16(&field.quarter), 0x0201);
  assert_int_equal(virtiofs_guest_load16_acquire(&field.quarter), 0x0201);
  assert_int_equal(virtiofs_guest_load16_sync(&field.quarter), 0x0201);
}

static void stores_are_little_endian_and_no_wider(void **state) {
  (void)state;
  _Alignas(8) unsigned char bytes[8] = {0};
  virtiofs_guest_store32((uint32_t *)(void *)bytes, 0xa1b2c3d4U);
  assert_memory_equal(bytes, ((unsigned char[]){0xd4, 0xc3, 0xb2, 0xa1, 0, 0, 0, 0}), 8);
  virtiofs_guest_store16((uint16_t *)(void *)bytes, 0x1122);
  virtiofs_guest_store16_sync((uint16_t *)(void *)(bytes + 4), 0x3344);
  assert_memory_equal(bytes, ((unsigned char[]){0x22, 0x11, 0xb2, 0xa1, 0x44, 0x33, 0, 0}), 8);
}

static void bytes_are_copied_as_they_are(void **state) {
  (void)state;
  unsigned char guest[3] = {1, 2, 3}, ours[3] = {0};
  virtiofs_guest_read(ours, guest, 3);
  assert_memory_equal(ours, guest, 3);
  virtiofs_guest_write(guest, (unsigned char[]){4, 5}, 2);
  assert_memory_equal(guest, ((unsigned char[]){4, 5, 3}), 3);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(ring_fields_are_little_endian),
      cmocka_unit_test(stores_are_little_endian_and_no_wider),
      cmocka_unit_test(bytes_are_copied_as_they_are),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
