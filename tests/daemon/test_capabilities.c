/* SPDX-License-Identifier: BSD-3-Clause */
/* --print-capabilities, which libvirt asks for before anything else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include <cjson/cJSON.h>
#include <cmocka.h>

#include "support/program.h"

static void one_object(void **state) {
  static const char *const ways[][4] = {{"--print-capabilities"},
                                        {"--print-capabilities", "--socket-path=/nowhere/at/all"},
                                        {"--socket-path=/a", "--fd=9", "--print-capabilities"}};
  struct program p;
  (void)state;
  for (unsigned i = 0; i < 3; i++) {
    program_start(&p, HELLO, ways[i], -1, -1);
    assert_int_equal(program_wait(&p), 0);
    assert_int_equal(p.len[1], 0);
    const char *end;
    cJSON *object = cJSON_ParseWithOpts(p.text[0], &end, 0);
    assert_true(cJSON_IsObject(object));
    assert_string_equal(end, "\n");
    assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, "type")), "fs");
    assert_true(cJSON_IsArray(cJSON_GetObjectItemCaseSensitive(object, "features")));
    cJSON_Delete(object);
  }
}

static void nowhere_to_write(void **state) {
  static const char *const args[] = {"--print-capabilities", NULL};
  struct program p;
  (void)state;
  int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
  if (full < 0)
    skip();
  program_start(&p, HELLO, args, -1, full);
  close(full);
  assert_int_equal(program_wait(&p), 1);
  assert_int_equal(program_lines(&p, 1), 1);
  assert_memory_equal(p.text[1], "hello: ", 7);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(one_object), cmocka_unit_test(nowhere_to_write)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
