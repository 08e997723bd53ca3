/* SPDX-License-Identifier: BSD-3-Clause */
#include "support/window_model.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Not assert(): release builds of the fuzz targets check too. */
#define MUST(condition)                                                                                                \
  do {                                                                                                                 \
    if (!(condition)) {                                                                                                \
      (void)fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                                            \
      abort();                                                                                                         \
    }                                                                                                                  \
  } while (0)

static void close_one(void *ctx, int fd) {
  struct window_model *model = ctx;
  MUST(fd >= 0 && (uint32_t)fd < MODEL_FDS && model->fds[fd] != 0);
  /* Nothing that is mapped may need it: a mapping in the way may have to be mapped again in part. */
  model->fds[fd] = 0;
}

static int open_one(struct window_model *model, uint64_t file, bool writable) {
  for (uint32_t i = 0; i < MODEL_FDS; i++) {
    if (model->fds[i] != 0)
      continue;
    model->fds[i] = file + 1;
    model->fd_writable[i] = writable;
    return (int)i;
  }
  abort(); /* they are left open */
}

uint32_t window_model_open(const struct window_model *model) {
  uint32_t count = 0;
  for (uint32_t i = 0; i < MODEL_FDS; i++)
    count += model->fds[i] != 0;
  return count;
}

void window_model_init(struct window_model *model, bool cuts, uint32_t max_mappings) {
  *model = (struct window_model){.cuts = cuts};
  struct virtiofs_dax_window_config config = {.size = sizeof(config),
                                              .len = (uint64_t)MODEL_PAGES * MODEL_PAGE,
                                              .max_mappings = max_mappings,
                                              .max_files = MODEL_FILES * 2,
                                              .cuts = cuts,
                                              .close = close_one,
                                              .ctx = model};
  MUST(virtiofs_dax_window_new(&model->window, &config) == 0);
}

void window_model_fini(struct window_model *model) {
  virtiofs_dax_window_free(model->window);
  MUST(window_model_open(model) == 0);
}

static bool same_page(const struct model_page *a, const struct model_page *b) {
  return a->mapped == b->mapped &&
         (!a->mapped || (a->writable == b->writable && a->file == b->file && a->offset == b->offset));
}

/* Carries one step out, by the rules of who has the window. */
static void carry_out(struct window_model *model, const struct virtiofs_dax_step *step) {
  uint32_t first = (uint32_t)(step->window_offset / MODEL_PAGE), count = (uint32_t)(step->len / MODEL_PAGE);
  MUST(step->len > 0 && step->window_offset % MODEL_PAGE == 0 && step->len % MODEL_PAGE == 0);
  MUST(first < MODEL_PAGES && count <= MODEL_PAGES - first);
  if (!model->cuts && !step->map) {
    /* A whole mapping, and nothing but that. */
    uint32_t number = model->have[first].mapping;
    MUST(model->have[first].mapped &&
         (first == 0 || model->have[first - 1].mapping != number || !model->have[first - 1].mapped));
    for (uint32_t i = 0; i < count; i++)
      MUST(model->have[first + i].mapped && model->have[first + i].mapping == number);
    MUST(first + count == MODEL_PAGES || !model->have[first + count].mapped ||
         model->have[first + count].mapping != number);
  }
  model->mappings++;
  for (uint32_t i = 0; i < count; i++) {
    struct model_page *page = &model->have[first + i];
    MUST(model->cuts || !step->map || !page->mapped);
    *page = (struct model_page){.mapped = step->map};
    if (!step->map)
      continue;
    MUST(step->fd >= 0 && (uint32_t)step->fd < MODEL_FDS && model->fds[step->fd] != 0);
    MUST(!step->writable || model->fd_writable[step->fd]);
    page->writable = step->writable;
    page->file = model->fds[step->fd] - 1;
    page->offset = step->file_offset + (uint64_t)i * MODEL_PAGE;
    page->mapping = model->mappings;
  }
}

static bool same_step(const struct virtiofs_dax_step *a, const struct virtiofs_dax_step *b) {
  return a->map == b->map && a->writable == b->writable && a->fd == b->fd && a->window_offset == b->window_offset &&
         a->len == b->len && a->file_offset == b->file_offset;
}

/* The plan to its end. */
static int run(struct window_model *model, uint32_t fail_at) {
  struct virtiofs_dax_step step, again;
  uint32_t steps = 0;
  while (virtiofs_dax_window_step(model->window, &step)) {
    MUST(virtiofs_dax_window_step(model->window, &again) && same_step(&step, &again));
    MUST(++steps <= MODEL_PAGES + 4);
    bool fails = steps == fail_at;
    if (!fails)
      carry_out(model, &step);
    virtiofs_dax_window_done(model->window, fails ? -EIO : 0);
  }
  model->steps = steps;
  int rc = virtiofs_dax_window_end(model->window);
  MUST(rc == (fail_at != 0 && steps >= fail_at ? -EIO : 0));
  return rc;
}

/* What the window says of a page. */
static struct model_page said(const struct window_model *model, uint32_t page) {
  struct virtiofs_dax_mapping m;
  uint64_t at = (uint64_t)page * MODEL_PAGE;
  if (!virtiofs_dax_window_find(model->window, at, &m) || m.window_offset > at)
    return (struct model_page){0};
  MUST(at - m.window_offset < m.len);
  return (struct model_page){
      .mapped = true, .writable = m.writable, .file = m.file, .offset = m.file_offset + (at - m.window_offset)};
}

static void compare(struct window_model *model) {
  uint64_t files = 0;
  for (uint32_t i = 0; i < MODEL_PAGES; i++) {
    struct model_page map = said(model, i);
    MUST(same_page(&map, &model->have[i]));
    if (model->any_page[i] && !model->have[i].mapped)
      model->want[i] = model->have[i];
    MUST(same_page(&model->want[i], &model->have[i]));
    model->any_page[i] = false;
    if (map.mapped)
      files |= UINT64_C(1) << (map.file * 2 + map.writable);
  }
  /* One descriptor for each file and access that is mapped, and no other. */
  MUST((uint32_t)__builtin_popcountll(files) == window_model_open(model));
}

/* After a failure: pages of the range, and of older mappings that reach into it, may be lost. */
static void allow_loss(struct window_model *model, uint64_t offset, uint64_t len) {
  uint32_t first = (uint32_t)(offset / MODEL_PAGE), count = (uint32_t)(len / MODEL_PAGE);
  for (uint32_t i = 0; i < MODEL_PAGES; i++)
    for (uint32_t k = 0; k < count && !model->any_page[i]; k++)
      model->any_page[i] = i == first + k || (model->have[i].mapped && model->have[first + k].mapped &&
                                              model->have[i].mapping == model->have[first + k].mapping);
}

static void expect(struct window_model *model, uint64_t offset, uint64_t len, const struct model_page *page) {
  for (uint32_t i = 0; i < len / MODEL_PAGE; i++) {
    struct model_page *want = &model->want[offset / MODEL_PAGE + i];
    *want = *page;
    want->offset += (uint64_t)i * MODEL_PAGE;
  }
}

int window_model_map(struct window_model *model, const struct virtiofs_dax_map *given, uint32_t fail_at) {
  struct virtiofs_dax_map map = *given;
  struct model_page page = {.mapped = true, .writable = map.writable, .file = map.file, .offset = map.file_offset};
  bool has = virtiofs_dax_window_has_file(model->window, map.file, map.writable);
  /* Sometimes one too many. */
  map.take_fd = has && map.file % 2 == 0 ? -1 : open_one(model, map.file, map.writable);
  int rc = virtiofs_dax_window_map(model->window, &map);
  if (rc == 0) {
    struct model_page before[MODEL_PAGES];
    memcpy(before, model->want, sizeof(before));
    if (fail_at != 0)
      allow_loss(model, map.window_offset, map.len);
    rc = run(model, fail_at);
    if (rc == 0)
      expect(model, map.window_offset, map.len, &page);
    else
      memcpy(model->want, before, sizeof(before));
  }
  compare(model);
  return rc;
}

int window_model_unmap(struct window_model *model, uint64_t offset, uint64_t len, uint32_t fail_at) {
  int rc = virtiofs_dax_window_unmap(model->window, offset, len);
  if (rc == 0) {
    if (fail_at != 0)
      allow_loss(model, offset, len);
    rc = run(model, fail_at);
    if (rc == 0)
      expect(model, offset, len, &(struct model_page){0});
  }
  compare(model);
  return rc;
}

int window_model_clear(struct window_model *model, uint32_t fail_at) {
  virtiofs_dax_window_clear(model->window);
  int rc = run(model, fail_at);
  if (rc == 0 || !model->cuts) {
    /* Without cuts what could not be unmapped is given up. */
    memset(model->want, 0, sizeof(model->want));
    if (rc != 0)
      memset(model->have, 0, sizeof(model->have));
  }
  compare(model);
  return rc;
}

void window_model_forget(struct window_model *model) {
  virtiofs_dax_window_forget(model->window);
  memset(model->want, 0, sizeof(model->want));
  memset(model->have, 0, sizeof(model->have));
  compare(model);
}
