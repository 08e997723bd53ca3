/* SPDX-License-Identifier: BSD-3-Clause */
/* A driver's chunks, against a list that is looked through from front to back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <errno.h>
#include <string.h>

#include <cmocka.h>

#include <virtiofs/dax.h>

#include "support/seeded.h"

enum { SHIFT = 12, COUNT = 8, NODES = 3, NUMBERS = 6 };
#define CHUNK (UINT64_C(1) << SHIFT)

/* What is in each chunk, and when it was used last. */
struct model {
  bool mapped, writable;
  uint64_t node, number, last;
  unsigned users;
};

static struct virtiofs_dax_chunks *make(uint64_t len, uint32_t max) {
  struct virtiofs_dax_chunks *chunks;
  struct virtiofs_dax_chunks_config config = {.size = sizeof config, .len = len, .shift = SHIFT, .max_count = max};
  assert_int_equal(virtiofs_dax_chunks_new(&chunks, &config), 0);
  return chunks;
}

static void configs(void **state) {
  struct virtiofs_dax_chunks *chunks;
  const struct virtiofs_dax_chunks_config bad[] = {{.size = 0, .len = 1 << 21},
                                                   {.size = sizeof bad[0], .len = (1 << 21) - 1},
                                                   {.size = sizeof bad[0], .len = 1 << 21, .shift = 11},
                                                   {.size = sizeof bad[0], .len = UINT64_MAX, .shift = 31},
                                                   {.size = sizeof bad[0], .len = 1 << 21, .max_count = 1U << 31}};
  (void)state;
  for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    assert_int_equal(virtiofs_dax_chunks_new(&chunks, &bad[i]), -EINVAL);
    assert_null(chunks);
  }
  virtiofs_dax_chunks_free(NULL);
}

static void life(void **state) {
  struct virtiofs_dax_chunks *chunks = make(2 * CHUNK + 5, 0);
  struct virtiofs_dax_chunk a, b, c;
  struct virtiofs_window_range range;
  (void)state;
  assert_int_equal(virtiofs_dax_chunks_get(chunks, 7, CHUNK + 5, false, &a), 1);
  assert_int_equal(a.node, 7);
  assert_int_equal(a.file_offset, CHUNK);
  assert_int_equal(a.len, CHUNK);
  assert_false(a.writable);
  assert_int_equal(virtiofs_dax_chunks_get(chunks, 7, CHUNK, false, &b), -EBUSY); /* is being mapped */
  virtiofs_dax_chunks_mapped(chunks, &a, 0);
  assert_int_equal(virtiofs_dax_chunks_get(chunks, 7, CHUNK + 77, false, &b), 0);
  assert_int_equal(b.window_offset, a.window_offset);
  assert_int_equal(virtiofs_dax_chunks_get(chunks, 7, CHUNK, true, &c), -EBUSY); /* others look at it */
  virtiofs_dax_chunks_put(chunks, &a);
  virtiofs_dax_chunks_put(chunks, &b);
  assert_int_equal(virtiofs_dax_chunks_get(chunks, 7, CHUNK, true, &c), 1);
  assert_int_equal(c.window_offset, a.window_offset);
  assert_true(c.writable);
  virtiofs_dax_chunks_mapped(chunks, &c, 0);
  assert_int_equal(virtiofs_dax_chunks_get(chunks, 8, 0, false, &a), 1);
  virtiofs_dax_chunks_mapped(chunks, &a, 0);
  assert_int_equal(virtiofs_dax_chunks_get(chunks, 9, 0, false, &b), -EBUSY); /* both are used */
  assert_false(virtiofs_dax_chunks_drop(chunks, 8, &range));
  virtiofs_dax_chunks_put(chunks, &a);
  assert_int_equal(virtiofs_dax_chunks_get(chunks, 9, 0, false, &b), 1);
  assert_int_equal(b.window_offset, a.window_offset);
  virtiofs_dax_chunks_mapped(chunks, &b, -EIO);
  assert_int_equal(virtiofs_dax_chunks_get(chunks, 9, 0, false, &b), 1); /* it is not there */
  virtiofs_dax_chunks_mapped(chunks, &b, 0);
  virtiofs_dax_chunks_put(chunks, &b);
  virtiofs_dax_chunks_put(chunks, &c);
  assert_true(virtiofs_dax_chunks_drop(chunks, 7, &range));
  assert_int_equal(range.offset, c.window_offset);
  assert_int_equal(range.len, CHUNK);
  assert_false(virtiofs_dax_chunks_drop(chunks, 7, &range));
  assert_true(virtiofs_dax_chunks_reclaim(chunks, &range));
  assert_int_equal(range.offset, b.window_offset);
  assert_false(virtiofs_dax_chunks_reclaim(chunks, &range));
  assert_int_equal(virtiofs_dax_chunks_get(chunks, 9, (uint64_t)INT64_MAX + 1, false, &b), -EINVAL);
  virtiofs_dax_chunks_free(chunks);
}

static struct model *find(struct model *model, uint64_t node, uint64_t number) {
  for (unsigned i = 0; i < COUNT; i++)
    if (model[i].mapped && model[i].node == node && model[i].number == number)
      return &model[i];
  return NULL;
}

/* Which would have to go: the one that nobody uses and that was used last of all the longest time ago. */
static struct model *oldest(struct model *model) {
  struct model *found = NULL;
  for (unsigned i = 0; i < COUNT; i++) {
    if (!model[i].mapped)
      return NULL; /* there is room */
    if (model[i].users == 0 && (found == NULL || model[i].last < found->last))
      found = &model[i];
  }
  return found;
}

static void any(void **state) {
  struct virtiofs_dax_chunks *chunks = make(100 * CHUNK, COUNT);
  struct model model[COUNT] = {{0}};
  struct virtiofs_dax_chunk got[COUNT * 4];
  unsigned held = 0;
  (void)state;
  for (uint64_t now = 1; now < 200000; now++) {
    uint64_t node = 1 + seeded_below(NODES), number = seeded_below(NUMBERS);
    bool writable = seeded_below(4) == 0;
    if (held > 0 && (held == COUNT * 4 || seeded_below(2) == 0)) {
      unsigned i = (unsigned)seeded_below(held);
      struct model *m = &model[got[i].index];
      m->users--;
      m->last = now;
      virtiofs_dax_chunks_put(chunks, &got[i]);
      got[i] = got[--held];
      continue;
    }
    struct model *m = find(model, node, number), *goes = m == NULL ? oldest(model) : NULL;
    bool full = m == NULL && goes == NULL;
    for (unsigned i = 0; i < COUNT; i++)
      full = full && model[i].mapped;
    int rc = virtiofs_dax_chunks_get(chunks, node, number << SHIFT, writable, &got[held]);
    bool busy = full || (m != NULL && writable && !m->writable && m->users > 0);
    assert_int_equal(rc, busy ? -EBUSY : m == NULL || (writable && !m->writable) ? 1 : 0);
    if (busy)
      continue;
    struct model *at = &model[got[held].index];
    assert_true(got[held].index < COUNT);
    assert_true(m == NULL || at == m);
    assert_true(goes == NULL || at == goes);
    bool fails = rc == 1 && seeded_below(20) == 0;
    if (rc == 1)
      virtiofs_dax_chunks_mapped(chunks, &got[held], fails ? -ENOMEM : 0);
    if (fails) {
      memset(at, 0, sizeof *at);
      continue;
    }
    if (m == NULL)
      *at = (struct model){.mapped = true, .node = node, .number = number};
    at->writable |= writable;
    at->users++;
    held++;
    if (seeded_below(1000) == 0) {
      virtiofs_dax_chunks_reset(chunks);
      memset(model, 0, sizeof model);
      held = 0;
    }
  }
  virtiofs_dax_chunks_free(chunks);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(configs), cmocka_unit_test(life), cmocka_unit_test(any)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
