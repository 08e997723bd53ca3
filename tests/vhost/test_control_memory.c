/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "support/vhost_bench.h"

static void change_slot(struct vhost_bench *bench, uint32_t request, uint32_t n, int fd, int rc) {
  struct virtiofs_vhost_user_region region = vhost_bench_region(n);
  vhost_frontend_region(&bench->fe, request, &region, fd);
  vhost_bench_step(bench, rc);
}

static void add_slot(struct vhost_bench *bench, uint32_t n) {
  change_slot(bench, VIRTIOFS_VHOST_USER_ADD_MEM_REG, n, bench->memory_fd, 0);
}

static void a_table_reaches_the_device(void **state) {
  struct vhost_bench *bench = *state;
  vhost_bench_memory(bench);
  vhost_device_told(&bench->device, "memory=1");
  assert_int_equal(pwrite(bench->memory_fd, "guest", 5, 0x123), 5);
  uint64_t len = 5;
  uint32_t hint = 0;
  assert_memory_equal(virtiofs_memory_gpa(bench->device.map, 0x123, &len, &hint), "guest", 5);
  assert_memory_equal(virtiofs_memory_uva(bench->device.map, 0x7000123, 5), "guest", 5);
}

static void a_table_replaces_the_last(void **state) {
  struct vhost_bench *bench = *state;
  struct virtiofs_vhost_user_region regions[8];
  int fds[8];
  for (uint32_t i = 0; i < 8; i++) {
    regions[i] = vhost_bench_region(i);
    fds[i] = bench->memory_fd;
  }
  vhost_frontend_table(&bench->fe, regions, fds, 8);
  vhost_bench_step(bench, 0);
  vhost_frontend_table(&bench->fe, regions, fds, 0);
  vhost_bench_step(bench, 0);
  assert_int_equal(vhost_frontend_count_maps(), bench->maps);
  vhost_frontend_table(&bench->fe, regions + 3, fds, 2);
  vhost_bench_step(bench, 0);
  vhost_device_told(&bench->device, "memory=8 memory=0 memory=2");
  assert_int_equal(vhost_frontend_count_maps(), bench->maps + 2);
  assert_int_equal(vhost_frontend_count_fds(), bench->fds + 4);
}

/* The device holds a snapshot as long as a request needs it. */
static void a_replaced_table_lives_while_it_is_held(void **state) {
  struct vhost_bench *bench = *state;
  vhost_bench_memory(bench);
  struct virtiofs_memory *held = virtiofs_memory_ref(bench->device.map);
  vhost_frontend_table(&bench->fe, NULL, NULL, 0);
  vhost_bench_step(bench, 0);
  *(volatile char *)virtiofs_memory_uva(held, 0x7000000, 1) = 1;
  assert_int_equal(vhost_frontend_count_maps(), bench->maps + 1);
  virtiofs_memory_unref(held);
  assert_int_equal(vhost_frontend_count_maps(), bench->maps);
}

static void bad_regions_change_nothing(void **state) {
  struct vhost_bench *bench = *state;
  vhost_bench_memory(bench);
  vhost_bench_acks(bench);
  struct virtiofs_vhost_user_region bad[5];
  for (uint32_t i = 0; i < 5; i++)
    bad[i] = vhost_bench_region(1);
  bad[0].size = 0;
  bad[1].size = 0x100001;
  bad[2].gpa = UINT64_MAX - 0x1000;
  bad[3].mmap_offset = UINT64_MAX;
  bad[4].uva = vhost_bench_region(0).uva;
  const int fds[2] = {bench->memory_fd, bench->memory_fd};
  bench->device.trace[0] = '\0';
  for (size_t i = 0; i < 5; i++) {
    struct virtiofs_vhost_user_region two[2] = {vhost_bench_region(0), bad[i]};
    vhost_frontend_table(&bench->fe, two, fds, 2);
    vhost_bench_step(bench, 0);
    assert_int_not_equal(vhost_frontend_reply_u64(&bench->fe, VIRTIOFS_VHOST_USER_SET_MEM_TABLE), 0);
    vhost_frontend_region(&bench->fe, VIRTIOFS_VHOST_USER_ADD_MEM_REG, &bad[i], bench->memory_fd);
    vhost_bench_step(bench, 0);
    assert_int_not_equal(vhost_frontend_reply_u64(&bench->fe, VIRTIOFS_VHOST_USER_ADD_MEM_REG), 0);
  }
  vhost_device_told(&bench->device, "");
  assert_int_equal(vhost_frontend_count_maps(), bench->maps + 1);
  assert_int_equal(vhost_frontend_count_fds(), bench->fds + 4);
}

static void a_bad_table_ends_the_connection_unless_asked(void **state) {
  struct vhost_bench *bench = *state;
  struct virtiofs_vhost_user_region region = vhost_bench_region(0);
  region.mmap_offset = 1;
  vhost_frontend_table(&bench->fe, &region, &bench->memory_fd, 1);
  vhost_bench_step(bench, -EPROTO);
  assert_int_equal(bench->device.errors, 1);
}

static void slots_come_and_go(void **state) {
  struct vhost_bench *bench = *state;
  vhost_frontend_table(&bench->fe, NULL, NULL, 0);
  vhost_bench_step(bench, 0);
  add_slot(bench, 0);
  add_slot(bench, 2);
  add_slot(bench, 1);
  change_slot(bench, VIRTIOFS_VHOST_USER_REM_MEM_REG, 2, -1, 0);
  vhost_device_told(&bench->device, "memory=0 memory=1 memory=2 memory=3 memory=2");
  assert_int_equal(vhost_frontend_count_maps(), bench->maps + 2);
}

static void slots_need_no_table_before(void **state) {
  struct vhost_bench *bench = *state;
  add_slot(bench, 5);
  vhost_device_told(&bench->device, "memory=1");
}

static void a_stray_descriptor_of_a_removal_is_closed(void **state) {
  struct vhost_bench *bench = *state;
  add_slot(bench, 0);
  unsigned fds = vhost_frontend_count_fds();
  change_slot(bench, VIRTIOFS_VHOST_USER_REM_MEM_REG, 0, bench->memory_fd, 0);
  assert_int_equal(vhost_frontend_count_fds(), fds);
  change_slot(bench, VIRTIOFS_VHOST_USER_REM_MEM_REG, 0, bench->memory_fd, -EPROTO);
  assert_int_equal(vhost_frontend_count_fds(), fds);
}

static void a_slot_in_use_is_not_added_again(void **state) {
  struct vhost_bench *bench = *state;
  add_slot(bench, 0);
  change_slot(bench, VIRTIOFS_VHOST_USER_ADD_MEM_REG, 0, bench->memory_fd, -EPROTO);
  vhost_device_told(&bench->device, "memory=1");
}

static void memory_may_come_after_all_else(void **state) {
  struct vhost_bench *bench = *state;
  vhost_frontend_u64(&bench->fe, VIRTIOFS_VHOST_USER_SET_FEATURES, 0);
  vhost_bench_step(bench, 0);
  vhost_frontend_state(&bench->fe, VIRTIOFS_VHOST_USER_SET_VRING_NUM, 1, 8);
  vhost_bench_step(bench, 0);
  vhost_bench_addr(bench, 1);
  vhost_bench_kick(bench, 1);
  vhost_frontend_table(&bench->fe, NULL, NULL, 0);
  vhost_bench_step(bench, 0);
  add_slot(bench, 3);
  add_slot(bench, 0);
  vhost_device_told(&bench->device, "features=0 memory=0 memory=1 memory=2 start1");
}

static void memory_under_a_running_ring(void **state) {
  struct vhost_bench *bench = *state;
  vhost_bench_run(bench, 0);
  add_slot(bench, 1);
  vhost_device_told(&bench->device, "memory=2");
  bench->device.stop_base = 21;
  change_slot(bench, VIRTIOFS_VHOST_USER_REM_MEM_REG, 0, -1, 0);
  vhost_device_told(&bench->device, "stop0 memory=1");
  add_slot(bench, 0);
  vhost_device_told(&bench->device, "memory=2 start0");
  assert_int_equal(bench->device.started[0].base, 21);
}

/* The table is all right, so the front-end is told so, and the ring is the guest's affair. */
static void a_ring_that_the_device_refuses_is_no_fault_of_the_table(void **state) {
  struct vhost_bench *bench = *state;
  vhost_bench_run(bench, 0);
  vhost_frontend_table(&bench->fe, NULL, NULL, 0);
  vhost_bench_step(bench, 0);
  bench->device.start_rc = -EPROTO;
  vhost_bench_acks(bench);
  vhost_bench_memory(bench);
  assert_int_equal(vhost_frontend_reply_u64(&bench->fe, VIRTIOFS_VHOST_USER_SET_MEM_TABLE), 0);
  assert_int_equal(bench->device.errors, 0);
}

static void memory_that_the_device_refuses_is_told(void **state) {
  struct vhost_bench *bench = *state;
  vhost_bench_acks(bench);
  bench->device.memory_rc = -ENOMEM;
  vhost_bench_memory(bench);
  assert_int_not_equal(vhost_frontend_reply_u64(&bench->fe, VIRTIOFS_VHOST_USER_SET_MEM_TABLE), 0);
  assert_int_equal(vhost_frontend_count_maps(), bench->maps);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, vhost_bench_setup, vhost_bench_teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(a_table_reaches_the_device),
      TEST(a_table_replaces_the_last),
      TEST(a_replaced_table_lives_while_it_is_held),
      TEST(bad_regions_change_nothing),
      TEST(a_bad_table_ends_the_connection_unless_asked),
      TEST(slots_come_and_go),
      TEST(slots_need_no_table_before),
      TEST(a_stray_descriptor_of_a_removal_is_closed),
      TEST(a_slot_in_use_is_not_added_again),
      TEST(memory_may_come_after_all_else),
      TEST(memory_under_a_running_ring),
      TEST(a_ring_that_the_device_refuses_is_no_fault_of_the_table),
      TEST(memory_that_the_device_refuses_is_told),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
