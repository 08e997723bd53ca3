/* SPDX-License-Identifier: BSD-3-Clause */
#include "vhost/memory_table.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include "vhost/mapping.h"

/* Regions of a table in the making. Each holds a reference of its mapping. */
struct draft {
  struct virtiofs_memory_region *regions;
  uint32_t count;
};

static int draft_init(struct draft *draft, uint32_t capacity) {
  draft->count = 0;
  draft->regions = calloc(capacity > 0 ? capacity : 1, sizeof *draft->regions);
  return draft->regions != NULL ? 0 : -ENOMEM;
}

static void release(void *owner) {
  virtiofs_vhost_mapping_unref(owner);
}

static int draft_map(struct draft *draft, const struct virtiofs_vhost_user_region *region, int fd) {
  struct virtiofs_vhost_mapping *mapping;
  int rc = virtiofs_vhost_mapping_new(&mapping, fd, region->size, region->mmap_offset);
  if (rc != 0)
    return rc;
  draft->regions[draft->count++] = (struct virtiofs_memory_region){
      .gpa = region->gpa,
      .size = region->size,
      .uva = region->uva,
      .host = virtiofs_vhost_mapping_host(mapping),
      .owner = mapping,
  };
  return 0;
}

static void draft_keep(struct draft *draft, const struct virtiofs_memory_region *region) {
  (void)virtiofs_vhost_mapping_ref(region->owner);
  draft->regions[draft->count++] = *region;
}

/* Make the snapshot if all went well so far. The draft is gone afterwards, as are mappings that no snapshot has. */
static int draft_finish(struct draft *draft, int rc, struct virtiofs_memory **out) {
  if (rc == 0)
    rc = virtiofs_memory_new(out, draft->regions, draft->count, release);
  if (rc != 0) {
    for (uint32_t i = 0; i < draft->count; i++)
      release(draft->regions[i].owner);
  }
  free(draft->regions);
  return rc;
}

int virtiofs_vhost_memory_table_set(struct virtiofs_memory **out, const struct virtiofs_vhost_user_mem_table *table,
                                    const int *fds) {
  struct draft draft;
  *out = NULL;
  int rc = draft_init(&draft, table->count);
  if (rc != 0)
    return rc;
  for (uint32_t i = 0; i < table->count && rc == 0; i++)
    rc = draft_map(&draft, &table->regions[i], fds[i]);
  return draft_finish(&draft, rc, out);
}

int virtiofs_vhost_memory_table_add(struct virtiofs_memory **out, const struct virtiofs_memory *old,
                                    const struct virtiofs_vhost_user_region *region, int fd) {
  uint32_t count = old != NULL ? virtiofs_memory_count(old) : 0;
  struct draft draft;
  *out = NULL;
  int rc = draft_init(&draft, count + 1);
  if (rc != 0)
    return rc;
  for (uint32_t i = 0; i < count; i++)
    draft_keep(&draft, virtiofs_memory_region_get(old, i));
  return draft_finish(&draft, draft_map(&draft, region, fd), out);
}

/* The offset doesn't count: front-ends need not send it again. */
static bool is_same(const struct virtiofs_memory_region *have, const struct virtiofs_vhost_user_region *region) {
  return have->gpa == region->gpa && have->uva == region->uva && have->size == region->size;
}

int virtiofs_vhost_memory_table_remove(struct virtiofs_memory **out, const struct virtiofs_memory *old,
                                       const struct virtiofs_vhost_user_region *region) {
  uint32_t count = old != NULL ? virtiofs_memory_count(old) : 0;
  struct draft draft;
  *out = NULL;
  int rc = draft_init(&draft, count);
  if (rc != 0)
    return rc;
  for (uint32_t i = 0; i < count; i++) {
    const struct virtiofs_memory_region *have = virtiofs_memory_region_get(old, i);
    if (!is_same(have, region))
      draft_keep(&draft, have);
  }
  return draft_finish(&draft, draft.count < count ? 0 : -EPROTO, out);
}
