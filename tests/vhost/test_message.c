/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <errno.h>
#include <string.h>

#include <cmocka.h>

#include <virtiofs/vhost_user.h>

static int check_header(uint32_t request, uint32_t flags, uint32_t size) {
  struct virtiofs_vhost_user_header header = {request, flags, size};
  return virtiofs_vhost_user_header_check(&header);
}

static int check(uint32_t request, uint32_t size, uint32_t fds) {
  struct virtiofs_vhost_user_message msg = {.header = {request, 1, size}, .fd_count = fds};
  return virtiofs_vhost_user_message_check(&msg);
}

static void names_are_known_up_to_the_largest_number(void **state) {
  (void)state;
  assert_string_equal(virtiofs_vhost_user_request_name(1), "GET_FEATURES");
  assert_string_equal(virtiofs_vhost_user_request_name(38), "REM_MEM_REG");
  assert_string_equal(virtiofs_vhost_user_request_name(31), "GET_INFLIGHT_FD");
  assert_string_equal(virtiofs_vhost_user_request_name(0), "?");
  assert_string_equal(virtiofs_vhost_user_request_name(46), "?");
  assert_string_equal(virtiofs_vhost_user_request_name(UINT32_MAX), "?");
  for (uint32_t i = 1; i < VIRTIOFS_VHOST_USER_REQUEST_MAX; i++)
    assert_string_not_equal(virtiofs_vhost_user_request_name(i), "?");
}

static void replies_are_those_of_the_specification(void **state) {
  (void)state;
  static const uint8_t replying[] = {1, 11, 15, 17, 22, 24, 26, 28, 30, 31, 36, 40, 41, 42, 43, 44, 45};
  for (uint32_t i = 0; i < 300; i++) {
    bool expected = i < 256 && memchr(replying, (int)i, sizeof replying) != NULL;
    assert_int_equal(virtiofs_vhost_user_replies(i), expected);
  }
}

static void header_wants_version_one(void **state) {
  (void)state;
  assert_int_equal(check_header(1, 1, 0), 0);
  assert_int_equal(check_header(1, 9, 0), 0);
  assert_int_equal(check_header(1, 0, 0), -EPROTO);
  assert_int_equal(check_header(1, 2, 0), -EPROTO);
  assert_int_equal(check_header(1, 3, 0), -EPROTO);
  assert_int_equal(check_header(99, 0, 0), -EPROTO);
}

static void header_refuses_replies_and_unknown_flags(void **state) {
  (void)state;
  assert_int_equal(check_header(1, 5, 0), -EPROTO);
  assert_int_equal(check_header(1, 0x11, 0), -EPROTO);
  assert_int_equal(check_header(1, 0x80000001U, 0), -EPROTO);
}

static void header_limits_the_payload(void **state) {
  (void)state;
  assert_int_equal(check_header(1, 1, 1), -EPROTO);
  assert_int_equal(check_header(2, 1, 9), -EPROTO);
  assert_int_equal(check_header(2, 1, UINT32_MAX), -EPROTO);
  assert_int_equal(check_header(5, 1, 264), 0);
  assert_int_equal(check_header(5, 1, 265), -EPROTO);
  assert_int_equal(check_header(24, 1, 268), 0);
  assert_int_equal(check_header(24, 1, 269), -EPROTO);
}

static void header_of_an_unserved_number(void **state) {
  (void)state;
  uint32_t most = sizeof(union virtiofs_vhost_user_payload);
  assert_int_equal(check_header(0, 1, 0), -ENOSYS);
  assert_int_equal(check_header(6, 1, 16), -ENOSYS);
  assert_int_equal(check_header(46, 1, most), -ENOSYS);
  assert_int_equal(check_header(UINT32_MAX, 1, most), -ENOSYS);
  assert_int_equal(check_header(46, 1, most + 1), -EPROTO);
  assert_int_equal(check_header(31, 1, UINT32_MAX), -EPROTO);
  assert_int_equal(check(31, 24, 8), -ENOSYS);
  assert_int_equal(check(1000, 0, 0), -ENOSYS);
}

/* Every message of one fixed size: that size alone passes. */
static void sizes_are_exact(void **state) {
  (void)state;
  static const struct {
    uint32_t request, size, fds;
  } fixed[] = {
      {1, 0, 0},  {2, 8, 0},  {3, 0, 0},  {4, 0, 0},  {8, 8, 0},  {9, 40, 0}, {10, 8, 0},  {11, 8, 0},  {15, 0, 0},
      {16, 8, 0}, {17, 0, 0}, {18, 8, 0}, {21, 0, 1}, {34, 0, 0}, {36, 0, 0}, {37, 40, 1}, {38, 40, 0},
  };
  for (size_t i = 0; i < sizeof fixed / sizeof fixed[0]; i++) {
    for (uint32_t size = 0; size <= 272; size++)
      assert_int_equal(check(fixed[i].request, size, fixed[i].fds), size == fixed[i].size ? 0 : -EPROTO);
  }
}

static void descriptors_are_counted(void **state) {
  (void)state;
  assert_int_equal(check(1, 0, 1), -EPROTO);
  assert_int_equal(check(9, 40, 1), -EPROTO);
  assert_int_equal(check(21, 0, 0), -EPROTO);
  assert_int_equal(check(21, 0, 2), -EPROTO);
  assert_int_equal(check(37, 40, 0), -EPROTO);
  assert_int_equal(check(37, 40, 2), -EPROTO);
  assert_int_equal(check(38, 40, 1), 0);
  assert_int_equal(check(38, 40, 2), -EPROTO);
}

static int check_table(uint32_t count, uint32_t size, uint32_t fds) {
  struct virtiofs_vhost_user_message msg = {.header = {5, 1, size}, .fd_count = fds};
  msg.payload.table.count = count;
  return virtiofs_vhost_user_message_check(&msg);
}

static void a_table_is_as_long_as_it_says(void **state) {
  (void)state;
  for (uint32_t n = 0; n <= 8; n++)
    assert_int_equal(check_table(n, 8 + 32 * n, n), 0);
  assert_int_equal(check_table(1, 8, 1), -EPROTO);
  assert_int_equal(check_table(1, 39, 1), -EPROTO);
  assert_int_equal(check_table(1, 72, 1), -EPROTO);
  assert_int_equal(check_table(2, 72, 1), -EPROTO);
  assert_int_equal(check_table(2, 72, 3), -EPROTO);
  assert_int_equal(check_table(9, 264, 8), -EPROTO);
  /* 8 + 32 * count would be 8 in 32 bits. */
  assert_int_equal(check_table(0x08000000, 8, 0), -EPROTO);
  assert_int_equal(check_table(0, 4, 0), -EPROTO);
}

static int check_config(uint32_t request, uint32_t config_size, uint32_t size) {
  struct virtiofs_vhost_user_message msg = {.header = {request, 1, size}};
  msg.payload.config.size = config_size;
  return virtiofs_vhost_user_message_check(&msg);
}

static void a_config_is_as_long_as_it_says(void **state) {
  (void)state;
  for (uint32_t request = 24; request <= 25; request++) {
    assert_int_equal(check_config(request, 0, 12), 0);
    assert_int_equal(check_config(request, 256, 268), 0);
    assert_int_equal(check_config(request, 257, 269), -EPROTO);
    assert_int_equal(check_config(request, 40, 51), -EPROTO);
    assert_int_equal(check_config(request, 40, 53), -EPROTO);
    assert_int_equal(check_config(request, UINT32_MAX, 11), -EPROTO);
  }
}

static int check_vring_fd(uint32_t request, uint64_t value, uint32_t fds) {
  struct virtiofs_vhost_user_message msg = {.header = {request, 1, 8}, .fd_count = fds};
  msg.payload.u64 = value;
  return virtiofs_vhost_user_message_check(&msg);
}

static void a_vring_descriptor_comes_unless_it_says_no(void **state) {
  (void)state;
  for (uint32_t request = 12; request <= 14; request++) {
    assert_int_equal(check_vring_fd(request, 255, 1), 0);
    assert_int_equal(check_vring_fd(request, 0x100, 0), 0);
    assert_int_equal(check_vring_fd(request, 0, 0), -EPROTO);
    assert_int_equal(check_vring_fd(request, 0, 2), -EPROTO);
    assert_int_equal(check_vring_fd(request, 0x100, 1), -EPROTO);
    assert_int_equal(check_vring_fd(request, 0x200, 1), -EPROTO);
    assert_int_equal(check_vring_fd(request, UINT64_C(1) << 32, 1), -EPROTO);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(names_are_known_up_to_the_largest_number),
      cmocka_unit_test(replies_are_those_of_the_specification),
      cmocka_unit_test(header_wants_version_one),
      cmocka_unit_test(header_refuses_replies_and_unknown_flags),
      cmocka_unit_test(header_limits_the_payload),
      cmocka_unit_test(header_of_an_unserved_number),
      cmocka_unit_test(sizes_are_exact),
      cmocka_unit_test(descriptors_are_counted),
      cmocka_unit_test(a_table_is_as_long_as_it_says),
      cmocka_unit_test(a_config_is_as_long_as_it_says),
      cmocka_unit_test(a_vring_descriptor_comes_unless_it_says_no),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
