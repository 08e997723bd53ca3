/* SPDX-License-Identifier: BSD-3-Clause */
/* The window's map and its plans. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <errno.h>
#include <stdlib.h>

#include <cmocka.h>

#include "support/seeded.h"
#include "support/window_model.h"

#define P ((uint64_t)MODEL_PAGE)

static uint64_t rounds = 30000;

static struct virtiofs_dax_map of(uint64_t page, uint64_t pages, uint64_t file, uint64_t file_page, bool writable) {
  return (struct virtiofs_dax_map){
      .window_offset = page * P, .len = pages * P, .file = file, .file_offset = file_page * P, .writable = writable};
}

static int map(struct window_model *m, uint64_t page, uint64_t pages, uint64_t file, uint64_t file_page,
               bool writable) {
  struct virtiofs_dax_map want = of(page, pages, file, file_page, writable);
  return window_model_map(m, &want, 0);
}

static void never(void *ctx, int fd) {
  (void)ctx;
  fail_msg("descriptor %d is closed", fd);
}

static void configs(void **state) {
  const struct virtiofs_dax_window_config good = {.size = sizeof(good), .len = P, .close = never};
  struct virtiofs_dax_window_config bad;
  struct virtiofs_dax_window *window;
  (void)state;
  assert_int_equal(virtiofs_dax_window_new(&window, &good), 0);
  virtiofs_dax_window_free(window);
  virtiofs_dax_window_free(NULL);
  assert_int_equal(virtiofs_dax_window_new(&window, NULL), -EINVAL);
#define REFUSE(field, value, error)                                                                                    \
  do {                                                                                                                 \
    bad = good;                                                                                                        \
    bad.field = (value);                                                                                               \
    assert_int_equal(virtiofs_dax_window_new(&window, &bad), error);                                                   \
    assert_null(window);                                                                                               \
  } while (0)
  REFUSE(size, 0, -EINVAL);
  REFUSE(len, 0, -EINVAL);
  REFUSE(len, P + 1, -EINVAL);
  REFUSE(page_shift, 11, -EINVAL);
  REFUSE(page_shift, 13, -EINVAL); /* the window is no multiple of that */
  REFUSE(page_shift, 31, -EINVAL);
  REFUSE(max_mappings, VIRTIOFS_DAX_MAPPINGS_MAX + 1, -EINVAL);
  REFUSE(max_files, (1U << 20) + 1, -EINVAL);
  REFUSE(close, NULL, -EINVAL);
}

/* Both kinds of mapper see what the rules of reading are. */
static void ranges_that_are_none(void **state) {
  (void)state;
  for (unsigned cuts = 0; cuts < 2; cuts++) {
    struct window_model m;
    window_model_init(&m, cuts != 0, 0);
    static const uint64_t bad[][2] = {{0, 0},
                                      {1, MODEL_PAGE},
                                      {0, 1},
                                      {0, MODEL_PAGE + 1},
                                      {2048, MODEL_PAGE},
                                      {(uint64_t)MODEL_PAGES * MODEL_PAGE, MODEL_PAGE},
                                      {MODEL_PAGE, (uint64_t)MODEL_PAGES * MODEL_PAGE},
                                      {0, (uint64_t)(MODEL_PAGES + 1) * MODEL_PAGE},
                                      {UINT64_MAX - MODEL_PAGE + 1, MODEL_PAGE},
                                      {MODEL_PAGE, UINT64_MAX - MODEL_PAGE + 1},
                                      {0, UINT64_MAX - MODEL_PAGE + 1}};
    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
      struct virtiofs_dax_map want = {.window_offset = bad[i][0], .len = bad[i][1]};
      assert_int_equal(virtiofs_dax_window_check(m.window, bad[i][0], bad[i][1]), -EINVAL);
      assert_int_equal(window_model_map(&m, &want, 0), -EINVAL);
      assert_int_equal(window_model_unmap(&m, bad[i][0], bad[i][1], 0), -EINVAL);
    }
    static const uint64_t offsets[] = {
        1, 2048, INT64_MAX, (uint64_t)INT64_MAX + 1, UINT64_MAX - MODEL_PAGE + 1, (uint64_t)INT64_MAX - MODEL_PAGE + 1};
    for (unsigned i = 0; i < sizeof(offsets) / sizeof(offsets[0]); i++) {
      struct virtiofs_dax_map want = {.len = P, .file_offset = offsets[i]};
      assert_int_equal(window_model_map(&m, &want, 0), -EINVAL);
    }
    assert_int_equal(virtiofs_dax_window_count(m.window), 0);
    window_model_fini(&m);
  }
}

static void overlaps(void **state) {
  (void)state;
  for (unsigned cuts = 0; cuts < 2; cuts++) {
    struct window_model m;
    window_model_init(&m, cuts != 0, 0);
    assert_int_equal(map(&m, 10, 20, 1, 100, false), 0);
    assert_int_equal(m.steps, 1);
    /* In its middle: two pieces stay. */
    assert_int_equal(map(&m, 15, 5, 2, 0, true), 0);
    assert_int_equal(m.steps, cuts ? 1 : 4);
    assert_int_equal(virtiofs_dax_window_count(m.window), 3);
    /* Over the ends of two, and one between. */
    assert_int_equal(map(&m, 12, 10, 3, 7, false), 0);
    assert_int_equal(m.steps, cuts ? 1 : 6);
    /* Just so already. */
    assert_int_equal(map(&m, 12, 10, 3, 7, false), 0);
    assert_int_equal(m.steps, 0);
    /* To be written, too. */
    assert_int_equal(map(&m, 12, 10, 3, 7, true), 0);
    assert_int_equal(m.steps, cuts ? 1 : 2);
    assert_int_equal(window_model_unmap(&m, 14 * P, 4 * P, 0), 0);
    assert_int_equal(window_model_unmap(&m, 40 * P, 4 * P, 0), 0);
    assert_int_equal(m.steps, 0); /* nothing was there */
    assert_int_equal(window_model_unmap(&m, 0, MODEL_PAGES * P, 0), 0);
    assert_int_equal(virtiofs_dax_window_count(m.window), 0);
    assert_int_equal(window_model_open(&m), 0);
    window_model_fini(&m);
  }
}

/* A limit is met before anything is done. */
static void limits(void **state) {
  (void)state;
  for (unsigned cuts = 0; cuts < 2; cuts++) {
    struct window_model m;
    window_model_init(&m, cuts != 0, 3);
    for (uint64_t i = 0; i < 3; i++)
      assert_int_equal(map(&m, i * 4, 3, i, 0, false), 0);
    assert_int_equal(map(&m, 20, 1, 1, 0, false), -ENOMEM);
    assert_int_equal(map(&m, 1, 1, 1, 0, false), -ENOMEM);      /* two more */
    assert_int_equal(window_model_unmap(&m, P, P, 0), -ENOMEM); /* one more */
    assert_int_equal(map(&m, 2, 1, 1, 0, false), -ENOMEM);      /* one more */
    assert_int_equal(map(&m, 0, 3, 1, 0, false), 0);            /* in place of another */
    assert_int_equal(window_model_unmap(&m, 0, P, 0), 0);       /* smaller */
    assert_int_equal(map(&m, 0, 12, 1, 0, false), 0);           /* in place of all */
    assert_int_equal(map(&m, 3, 1, 1, 50, false), 0);           /* three then */
    assert_int_equal(virtiofs_dax_window_count(m.window), 3);
    window_model_fini(&m);

    window_model_init(&m, cuts != 0, 0);
    for (uint64_t i = 0; i < MODEL_FILES; i++) {
      assert_int_equal(map(&m, 2 * i, 1, i, 0, false), 0);
      assert_int_equal(map(&m, 2 * i + 1, 1, i, 0, true), 0);
    }
    assert_int_equal(map(&m, 40, 1, 30, 0, false), -ENOMEM);
    assert_int_equal(window_model_unmap(&m, 0, P, 0), 0);
    assert_int_equal(map(&m, 40, 1, 0, 0, false), 0);
    window_model_fini(&m);
  }
}

static void failures(void **state) {
  (void)state;
  for (unsigned cuts = 0; cuts < 2; cuts++)
    for (uint32_t fail_at = 1; fail_at < 8; fail_at++) {
      struct window_model m;
      window_model_init(&m, cuts != 0, 0);
      assert_int_equal(map(&m, 0, 10, 1, 0, false), 0);
      assert_int_equal(map(&m, 12, 4, 2, 0, true), 0);
      assert_int_equal(map(&m, 16, 4, 3, 0, true), 0);
      struct virtiofs_dax_map want = of(5, 13, 4, 0, false);
      int rc = window_model_map(&m, &want, fail_at);
      assert_int_equal(rc, fail_at <= m.steps ? -EIO : 0);
      rc = window_model_clear(&m, fail_at);
      if (rc == 0)
        assert_int_equal(window_model_open(&m), 0);
      window_model_forget(&m);
      assert_int_equal(window_model_open(&m), 0);
      window_model_fini(&m);
    }
}

/* The second of two in the way stays, and with it what the first had outside. */
static void what_stays(void **state) {
  struct window_model m;
  struct virtiofs_dax_mapping found;
  (void)state;
  window_model_init(&m, false, 0);
  assert_int_equal(map(&m, 0, 10, 1, 0, false), 0);
  assert_int_equal(map(&m, 12, 4, 2, 0, true), 0);
  struct virtiofs_dax_map want = of(5, 13, 4, 0, false);
  assert_int_equal(window_model_map(&m, &want, 2), -EIO);
  assert_int_equal(virtiofs_dax_window_count(m.window), 2);
  assert_true(virtiofs_dax_window_find(m.window, 0, &found));
  assert_int_equal(found.len, 5 * P);
  assert_true(virtiofs_dax_window_find(m.window, 5 * P, &found));
  assert_int_equal(found.window_offset, 12 * P);
  window_model_fini(&m);
}

/* Whoever has the window goes amid a plan. */
static void forget_amid(void **state) {
  (void)state;
  for (unsigned steps = 0; steps < 4; steps++) {
    struct window_model m;
    struct virtiofs_dax_step step;
    window_model_init(&m, false, 0);
    assert_int_equal(map(&m, 10, 20, 1, 100, false), 0);
    struct virtiofs_dax_map want = of(15, 5, 2, 0, true);
    want.take_fd = MODEL_FDS - 1;
    m.fds[want.take_fd] = 3;
    m.fd_writable[want.take_fd] = true;
    assert_int_equal(virtiofs_dax_window_map(m.window, &want), 0);
    for (unsigned i = 0; i < steps; i++) {
      assert_true(virtiofs_dax_window_step(m.window, &step));
      virtiofs_dax_window_done(m.window, 0);
    }
    window_model_forget(&m);
    assert_int_equal(window_model_open(&m), 0);
    assert_int_equal(map(&m, 10, 20, 1, 100, false), 0);
    window_model_fini(&m);
  }
}

static void any(void **state) {
  (void)state;
  for (unsigned cuts = 0; cuts < 2; cuts++) {
    struct window_model m;
    window_model_init(&m, cuts != 0, 20);
    for (uint64_t i = 0; i < rounds; i++) {
      uint64_t page = seeded_below(MODEL_PAGES), pages = 1 + seeded_below(seeded_below(4) == 0 ? MODEL_PAGES : 6);
      uint32_t fail_at = seeded_below(10) == 0 ? 1 + (uint32_t)seeded_below(5) : 0;
      struct virtiofs_dax_map want =
          of(page, pages, seeded_below(MODEL_FILES), seeded_below(100), seeded_below(2) == 0);
      uint64_t what = seeded_below(100);
      if (what < 60)
        (void)window_model_map(&m, &want, fail_at);
      else if (what < 98)
        (void)window_model_unmap(&m, page * P, pages * P, fail_at);
      else if (what < 99)
        (void)window_model_clear(&m, fail_at);
      else
        window_model_forget(&m);
    }
    window_model_fini(&m);
  }
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(configs),     cmocka_unit_test(ranges_that_are_none),
      cmocka_unit_test(overlaps),    cmocka_unit_test(limits),
      cmocka_unit_test(failures),    cmocka_unit_test(what_stays),
      cmocka_unit_test(forget_amid), cmocka_unit_test(any),
  };
  if (argc > 1)
    rounds = strtoull(argv[1], NULL, 10);
  return cmocka_run_group_tests(tests, NULL, NULL);
}
