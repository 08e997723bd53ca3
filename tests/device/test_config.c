/* SPDX-License-Identifier: BSD-3-Clause */
/* The config space; virtio 1.3, 5.11.4. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "device/config.h"

static const char long_tag[] = "0123456789abcdefghijklmnopqrstuvwxyz";

static void tags(void **state) {
  struct virtiofs_config_space config;
  unsigned char bytes[40];
  (void)state;
  assert_int_equal(virtiofs_config_space_init(&config, "tag", 0x01020304), 0);
  assert_int_equal(virtiofs_config_space_read(&config, 0, 40, bytes), 0);
  assert_memory_equal(bytes, "tag\0\0\0\0", 8);
  for (unsigned i = 3; i < 36; i++)
    assert_int_equal(bytes[i], 0);
  assert_memory_equal(bytes + 36, "\x04\x03\x02\x01", 4);
  /* As long as the field, and then there is no NUL. */
  assert_int_equal(sizeof long_tag - 1, 36);
  assert_int_equal(virtiofs_config_space_init(&config, long_tag, 1), 0);
  assert_int_equal(virtiofs_config_space_read(&config, 0, 40, bytes), 0);
  assert_memory_equal(bytes, long_tag, 36);
  assert_memory_equal(bytes + 36, "\x01\0\0\0", 4);
  assert_int_equal(virtiofs_config_space_init(&config, NULL, 1), 0);
  assert_int_equal(config.tag[0], 0);
}

static void refused_tags(void **state) {
  struct virtiofs_config_space config;
  char longer[64];
  (void)state;
  (void)strcpy(longer, long_tag);
  (void)strcat(longer, "!");
  assert_int_equal(virtiofs_config_space_init(&config, "", 1), -EINVAL);
  assert_int_equal(virtiofs_config_space_init(&config, longer, 1), -EINVAL);
  assert_int_equal(virtiofs_config_space_init(&config, "a\nb", 1), -EINVAL);
  assert_int_equal(virtiofs_config_space_init(&config, "\n", 1), -EINVAL);
}

/* Traps 92: offset and size are a guest's. */
static void bounds(void **state) {
  struct virtiofs_config_space config;
  (void)state;
  assert_int_equal(virtiofs_config_space_init(&config, long_tag, 7), 0);
  for (uint32_t offset = 0; offset <= 41; offset++) {
    for (uint32_t size = 0; size <= 44; size++) {
      unsigned char *bytes = malloc(size != 0 ? size : 1);
      assert_non_null(bytes);
      bool inside = offset <= 44 && size <= 44 - offset;
      assert_int_equal(virtiofs_config_space_read(&config, offset, size, bytes), inside ? 0 : -EINVAL);
      if (inside && size > 0)
        assert_memory_equal(bytes, (unsigned char *)&config + offset, size);
      free(bytes);
    }
  }
  unsigned char byte;
  assert_int_equal(virtiofs_config_space_read(&config, UINT32_MAX, 1, &byte), -EINVAL);
  assert_int_equal(virtiofs_config_space_read(&config, 1, UINT32_MAX, &byte), -EINVAL);
  assert_int_equal(virtiofs_config_space_read(&config, UINT32_MAX, UINT32_MAX, &byte), -EINVAL);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(tags),
      cmocka_unit_test(refused_tags),
      cmocka_unit_test(bounds),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
