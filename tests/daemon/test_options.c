/* SPDX-License-Identifier: BSD-3-Clause */
/* The command line: what is wrong is said in one line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <string.h>

#include <cmocka.h>

#include "support/program.h"

static void wrong_options(void **state) {
  static const char *const wrong[][4] = {
      {NULL},
      {"--socket-path=/a", "--fd=9"},
      {"--socket-path"},
      {"--fd"},
      {"--fd=-1"},
      {"--fd=x"},
      {"--fd="},
      {"--fd=9x"},
      {"--fd=99999999999"},
      {"--fd=99999999999999999999999"},
      {"--socket-path=/a", "--queues=0"},
      {"--socket-path=/a", "--queues=65"},
      {"--socket-path=/a", "--queues=-1"},
      {"--socket-path=/a", "--queues=18446744073709551617"},
      {"--socket-path=/a", "--queues=0x1"},
      {"--socket-path=/a", "--queues="},
      {"--socket-path=/a", "--thread-pool-size=2147483648"},
      {"--socket-path=/a", "--thread-pool-size=-0"},
      {"--socket-path=/a", "--cache-size=4097"},
      {"--socket-path=/a", "--cache-size=1P"},
      {"--socket-path=/a", "--cache-size=G"},
      {"--socket-path=/a", "--cache-size=1GG"},
      {"--socket-path=/a", "--cache-size=-1G"},
      {"--socket-path=/a", "--cache-size=65T"},
      {"--socket-path=/a", "--cache-size=18446744073709551616"},
      {"--socket-path=/a", "--poll-us=1000001"},
      {"--socket-path=/a", "--poll-us=-1"},
      {"--socket-path=/a", "--poll-us=4294967295"},
      {"--socket-path=/a", "--log-level=loud"},
      {"--socket-path=/a", "--log-level="},
      {"--socket-path=/a", "--log-level=infos"},
      {"--socket-path=/a", "--fd=9", "--stay"},
      {"--fd=9", "--socket-group=0"},
      {"--socket-path=/nowhere/at/all", "--socket-group=no such group"},
      {"--socket-path=/nowhere/at/all", "--socket-group=4294967295"},
      {"--socket-path=/a", "--socket-group"},
      {"--socket-path=/a", "--tag="},
      {"--socket-path=/a", "--tag=a tag of more than thirty-six bytes is none"},
      {"--socket-path=/a", "--tag=a\nb"},
      {"--socket-path=/a", "--no-such-option"},
      {"--socket-path=/a", "-z"},
      {"--socket-path=/a", "--help=me"},
      {"--socket-path=/a", "--print-capabilities=all"},
      {"--socket-path=/a", "--t=1"}, /* --tag or --thread-pool-size? */
      {"--socket-path=/a", "argument"},
      {"--socket-path=/a", "--", "argument"},
  };
  struct program p;
  (void)state;
  for (unsigned i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
    program_start(&p, HELLO, wrong[i], -1, -1);
    int status = program_wait(&p);
    if (status != 1 || program_lines(&p, 1) != 1 || p.len[0] != 0 || strncmp(p.text[1], "hello: ", 7) != 0)
      fail_msg("%s %s: status %d, '%s'", wrong[i][0], wrong[i][1], status, p.text[1]);
  }
}

static void what_is_asked_of_the_program_itself(void **state) {
  static const char *const asks[][2] = {{"--help"}, {"--usage"}, {"--version"}, {"-?"}, {"-V"}};
  struct program p;
  (void)state;
  for (unsigned i = 0; i < 5; i++) {
    program_start(&p, HELLO, asks[i], -1, -1);
    assert_int_equal(program_wait(&p), 0);
    assert_int_equal(p.len[1], 0);
    assert_true(program_lines(&p, 0) >= 1);
    if (i == 0)
      assert_non_null(strstr(p.text[0], "--thread-pool-size"));
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(wrong_options),
      cmocka_unit_test(what_is_asked_of_the_program_itself),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
