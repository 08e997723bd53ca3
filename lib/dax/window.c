/* SPDX-License-Identifier: BSD-3-Clause */
/* What is mapped where, and the plan that changes it. */
#include <virtiofs/dax.h>

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "base/config.h"
#include "dax/files.h"
#include "dax/ranges.h"

enum { PAGE_SHIFT_MIN = 12, PAGE_SHIFT_MAX = 30 };
#define DEFAULT_MAPPINGS 65536U
#define DEFAULT_FILES 4096U
#define FILES_MAX (1U << 20)

/* What a plan is about to do. */
enum stage {
  STAGE_NONE,  /* there is no plan */
  STAGE_CLEAR, /* unmap all, whatever happens */
  STAGE_OLD,   /* unmap what is in the way, whole */
  STAGE_LEFT,  /* map again what the old mappings had before the range ... */
  STAGE_RIGHT, /* ... and after it */
  STAGE_CUT,   /* unmap the range, through mappings and gaps */
  STAGE_NEW,
  STAGE_OVER,
};

struct virtiofs_dax_window {
  uint64_t len;
  uint32_t page_shift;
  bool cuts;
  struct virtiofs_dax_ranges ranges;
  struct virtiofs_dax_files files;

  /* the plan */
  enum stage stage;
  int rc;
  uint64_t start, end;                   /* of the window */
  bool maps;                             /* @want is to be mapped in the end */
  struct virtiofs_dax_range want;        /* holds its file */
  struct virtiofs_dax_range left, right; /* what stays of old ones that are gone, and holds its file; or empty */
  uint64_t cleared;                      /* all before it was tried */
};

/* ---- life ---- */

static int complete(struct virtiofs_dax_window_config *config) {
  if (config->page_shift == 0)
    config->page_shift = PAGE_SHIFT_MIN;
  if (config->max_mappings == 0)
    config->max_mappings = DEFAULT_MAPPINGS;
  if (config->max_files == 0)
    config->max_files = DEFAULT_FILES;
  if (config->page_shift < PAGE_SHIFT_MIN || config->page_shift > PAGE_SHIFT_MAX || config->close == NULL ||
      config->max_mappings > VIRTIOFS_DAX_MAPPINGS_MAX || config->max_files > FILES_MAX)
    return -EINVAL;
  return config->len != 0 && config->len % (UINT64_C(1) << config->page_shift) == 0 ? 0 : -EINVAL;
}

int virtiofs_dax_window_new(struct virtiofs_dax_window **out, const struct virtiofs_dax_window_config *given) {
  struct virtiofs_dax_window_config config;
  *out = NULL;
  int rc = virtiofs_config_copy(&config, sizeof(config), given, given != NULL ? given->size : 0);
  if (rc == 0)
    rc = complete(&config);
  if (rc != 0)
    return rc;
  struct virtiofs_dax_window *window = calloc(1, sizeof(*window));
  if (window == NULL)
    return -ENOMEM;
  window->len = config.len;
  window->page_shift = config.page_shift;
  window->cuts = config.cuts;
  rc = virtiofs_dax_files_init(&window->files, config.max_files, config.close, config.ctx);
  if (rc == 0)
    rc = virtiofs_dax_ranges_init(&window->ranges, config.max_mappings);
  if (rc != 0) {
    virtiofs_dax_ranges_fini(&window->ranges);
    virtiofs_dax_files_fini(&window->files);
    free(window);
    return rc;
  }
  *out = window;
  return 0;
}

/* What the plan holds of files. */
static void let_go(struct virtiofs_dax_window *window) {
  struct virtiofs_dax_range *held[] = {&window->want, &window->left, &window->right};
  for (unsigned i = 0; i < 3; i++) {
    if (held[i]->len != 0)
      virtiofs_dax_files_unref(&window->files, held[i]->file);
    held[i]->len = 0;
  }
}

void virtiofs_dax_window_forget(struct virtiofs_dax_window *window) {
  let_go(window);
  window->stage = STAGE_NONE;
  for (uint64_t at = 0;;) {
    const struct virtiofs_dax_range *range = virtiofs_dax_ranges_after(&window->ranges, at);
    if (range == NULL)
      break;
    at = range->start + range->len;
    virtiofs_dax_files_unref(&window->files, range->file);
  }
  virtiofs_dax_ranges_clear(&window->ranges);
}

void virtiofs_dax_window_free(struct virtiofs_dax_window *window) {
  if (window == NULL)
    return;
  virtiofs_dax_window_forget(window);
  virtiofs_dax_ranges_fini(&window->ranges);
  virtiofs_dax_files_fini(&window->files);
  free(window);
}

/* ---- looking ---- */

static bool on_page(const struct virtiofs_dax_window *window, uint64_t offset) {
  return (offset & ((UINT64_C(1) << window->page_shift) - 1)) == 0;
}

int virtiofs_dax_window_check(const struct virtiofs_dax_window *window, uint64_t window_offset, uint64_t len) {
  bool good = len != 0 && on_page(window, window_offset) && on_page(window, len) && window_offset < window->len &&
              len <= window->len - window_offset;
  return good ? 0 : -EINVAL;
}

bool virtiofs_dax_window_has_file(const struct virtiofs_dax_window *window, uint64_t file, bool writable) {
  return virtiofs_dax_files_find(&window->files, file, writable) != VIRTIOFS_DAX_NO_FILE;
}

uint32_t virtiofs_dax_window_count(const struct virtiofs_dax_window *window) {
  return window->ranges.count;
}

bool virtiofs_dax_window_find(const struct virtiofs_dax_window *window, uint64_t window_offset,
                              struct virtiofs_dax_mapping *out) {
  const struct virtiofs_dax_range *range = virtiofs_dax_ranges_after(&window->ranges, window_offset);
  if (range == NULL)
    return false;
  *out = (struct virtiofs_dax_mapping){.window_offset = range->start,
                                       .len = range->len,
                                       .file_offset = range->offset,
                                       .file = window->files.files[range->file].key,
                                       .writable = range->writable};
  return true;
}

/* The first range that overlaps the plan's. */
static struct virtiofs_dax_range *first_old(const struct virtiofs_dax_window *window) {
  struct virtiofs_dax_range *range = virtiofs_dax_ranges_after(&window->ranges, window->start);
  return range != NULL && range->start < window->end ? range : NULL;
}

/* ---- making a plan ---- */

/* How many ranges more there will be at most while the plan goes on. */
static uint32_t room_needed(const struct virtiofs_dax_window *window) {
  uint32_t pieces = window->maps ? 1 : 0, gone = 0;
  const struct virtiofs_dax_range *range = first_old(window);
  if (range != NULL && range->start < window->start)
    pieces++;
  for (; range != NULL && range->start < window->end && gone < 3; gone++) {
    uint64_t end = range->start + range->len;
    if (end > window->end)
      pieces++;
    range = virtiofs_dax_ranges_after(&window->ranges, end);
  }
  return pieces > gone ? pieces - gone : 0;
}

static int begin(struct virtiofs_dax_window *window, uint64_t window_offset, uint64_t len, bool maps) {
  assert(window->stage == STAGE_NONE);
  window->start = window_offset;
  window->end = window_offset + len;
  window->maps = maps;
  window->rc = 0;
  int rc = virtiofs_dax_ranges_reserve(&window->ranges, room_needed(window));
  if (rc == 0 && window->cuts)
    window->stage = maps ? STAGE_NEW : STAGE_CUT;
  else if (rc == 0)
    window->stage = STAGE_OLD;
  return rc;
}

/* The number of the file with one user more, who is the plan. @map's descriptor is gone. */
static uint32_t take_file(struct virtiofs_dax_window *window, const struct virtiofs_dax_map *map) {
  struct virtiofs_dax_files *files = &window->files;
  uint32_t file = virtiofs_dax_files_find(files, map->file, map->writable);
  if (file != VIRTIOFS_DAX_NO_FILE)
    virtiofs_dax_files_ref(files, file);
  else if (map->take_fd >= 0)
    file = virtiofs_dax_files_add(files, map->file, map->writable, map->take_fd);
  else
    return file;
  if (map->take_fd >= 0 && (file == VIRTIOFS_DAX_NO_FILE || files->files[file].fd != map->take_fd))
    files->close(files->ctx, map->take_fd);
  return file;
}

static int check_map(const struct virtiofs_dax_window *window, const struct virtiofs_dax_map *map) {
  int rc = virtiofs_dax_window_check(window, map->window_offset, map->len);
  if (rc == 0 &&
      (!on_page(window, map->file_offset) || map->file_offset > INT64_MAX || map->len > INT64_MAX - map->file_offset))
    rc = -EINVAL;
  return rc;
}

static bool is_there(const struct virtiofs_dax_window *window, const struct virtiofs_dax_range *want) {
  const struct virtiofs_dax_range *range = first_old(window);
  return range != NULL && range->start == want->start && range->len == want->len && range->offset == want->offset &&
         range->file == want->file;
}

int virtiofs_dax_window_map(struct virtiofs_dax_window *window, const struct virtiofs_dax_map *map) {
  int rc = check_map(window, map);
  if (rc != 0) {
    if (map->take_fd >= 0)
      window->files.close(window->files.ctx, map->take_fd);
    return rc;
  }
  uint32_t file = take_file(window, map);
  if (file == VIRTIOFS_DAX_NO_FILE)
    return -ENOMEM;
  rc = begin(window, map->window_offset, map->len, true);
  if (rc != 0) {
    virtiofs_dax_files_unref(&window->files, file);
    return rc;
  }
  window->want = (struct virtiofs_dax_range){.start = map->window_offset,
                                             .len = map->len,
                                             .offset = map->file_offset,
                                             .file = file,
                                             .writable = map->writable};
  if (is_there(window, &window->want))
    window->stage = STAGE_OVER;
  return 0;
}

int virtiofs_dax_window_unmap(struct virtiofs_dax_window *window, uint64_t window_offset, uint64_t len) {
  int rc = virtiofs_dax_window_check(window, window_offset, len);
  return rc == 0 ? begin(window, window_offset, len, false) : rc;
}

void virtiofs_dax_window_clear(struct virtiofs_dax_window *window) {
  assert(window->stage == STAGE_NONE);
  window->start = 0;
  window->end = window->len;
  window->maps = false;
  window->rc = 0;
  window->cleared = 0;
  window->stage = window->cuts ? STAGE_CUT : STAGE_CLEAR;
}

/* ---- carrying it out ---- */

static void to_map(const struct virtiofs_dax_window *window, const struct virtiofs_dax_range *range,
                   struct virtiofs_dax_step *step) {
  *step = (struct virtiofs_dax_step){.map = true,
                                     .writable = range->writable,
                                     .fd = window->files.files[range->file].fd,
                                     .window_offset = range->start,
                                     .len = range->len,
                                     .file_offset = range->offset};
}

/* The range of the stage; NULL: it has nothing to do. */
static struct virtiofs_dax_range *of_stage(struct virtiofs_dax_window *window) {
  switch (window->stage) {
  case STAGE_CLEAR:
    return virtiofs_dax_ranges_after(&window->ranges, window->cleared);
  case STAGE_OLD:
  case STAGE_CUT:
    return first_old(window);
  case STAGE_LEFT:
    return window->left.len != 0 ? &window->left : NULL;
  case STAGE_RIGHT:
    return window->right.len != 0 ? &window->right : NULL;
  case STAGE_NEW:
    return &window->want;
  default:
    return NULL;
  }
}

static enum stage after(const struct virtiofs_dax_window *window) {
  switch (window->stage) {
  case STAGE_OLD:
    return STAGE_LEFT;
  case STAGE_LEFT:
    return STAGE_RIGHT;
  case STAGE_RIGHT:
    return window->maps && window->rc == 0 ? STAGE_NEW : STAGE_OVER;
  default:
    return STAGE_OVER;
  }
}

bool virtiofs_dax_window_step(struct virtiofs_dax_window *window, struct virtiofs_dax_step *step) {
  const struct virtiofs_dax_range *range = NULL;
  assert(window->stage != STAGE_NONE);
  while (window->stage != STAGE_OVER && (range = of_stage(window)) == NULL)
    window->stage = after(window);
  if (window->stage == STAGE_OVER)
    return false;
  if (window->stage == STAGE_CUT)
    *step = (struct virtiofs_dax_step){.fd = -1, .window_offset = window->start, .len = window->end - window->start};
  else if (window->stage == STAGE_OLD || window->stage == STAGE_CLEAR)
    *step = (struct virtiofs_dax_step){.fd = -1, .window_offset = range->start, .len = range->len};
  else
    to_map(window, range, step);
  return true;
}

/* A part of @range, which gets the file's next user. */
static struct virtiofs_dax_range part(struct virtiofs_dax_window *window, const struct virtiofs_dax_range *range,
                                      uint64_t start, uint64_t end) {
  struct virtiofs_dax_range piece = *range;
  piece.start = start;
  piece.len = end - start;
  piece.offset += start - range->start;
  virtiofs_dax_files_ref(&window->files, piece.file);
  return piece;
}

/* An old range is not mapped any more; what of it lies outside of the plan's is kept in mind. */
static void put_aside(struct virtiofs_dax_window *window) {
  struct virtiofs_dax_range old = *first_old(window);
  if (old.start < window->start)
    window->left = part(window, &old, old.start, window->start);
  if (old.start + old.len > window->end)
    window->right = part(window, &old, window->end, old.start + old.len);
  virtiofs_dax_ranges_erase(&window->ranges, old.start);
  virtiofs_dax_files_unref(&window->files, old.file);
}

/* It is mapped: the user is the range in the tree now. */
static void put_in(struct virtiofs_dax_window *window, struct virtiofs_dax_range *range) {
  virtiofs_dax_ranges_insert(&window->ranges, range);
  range->len = 0;
}

/* The mapper has cut what was there by itself. */
static void cut(struct virtiofs_dax_window *window) {
  while (first_old(window) != NULL)
    put_aside(window);
  if (window->left.len != 0)
    put_in(window, &window->left);
  if (window->right.len != 0)
    put_in(window, &window->right);
}

static void succeed(struct virtiofs_dax_window *window) {
  struct virtiofs_dax_range *range = of_stage(window);
  switch (window->stage) {
  case STAGE_OLD:
    put_aside(window);
    break;
  case STAGE_CLEAR:
    window->cleared = range->start + range->len;
    virtiofs_dax_files_unref(&window->files, range->file);
    virtiofs_dax_ranges_erase(&window->ranges, range->start);
    break;
  case STAGE_CUT:
    cut(window);
    window->stage = STAGE_OVER;
    break;
  case STAGE_NEW:
    cut(window);
    put_in(window, range);
    window->stage = STAGE_OVER;
    break;
  default:
    put_in(window, range);
  }
}

void virtiofs_dax_window_done(struct virtiofs_dax_window *window, int rc) {
  assert(window->stage != STAGE_NONE && window->stage != STAGE_OVER);
  if (rc == 0) {
    succeed(window);
    return;
  }
  if (window->rc == 0)
    window->rc = rc;
  struct virtiofs_dax_range *range = of_stage(window);
  switch (window->stage) {
  case STAGE_CLEAR:
    /* Whoever has it says that it isn't so: there is no use in keeping it. */
    window->cleared = range->start + range->len;
    virtiofs_dax_files_unref(&window->files, range->file);
    virtiofs_dax_ranges_erase(&window->ranges, range->start);
    break;
  case STAGE_OLD:
    /* What was put aside before comes back as far as it is outside. */
    window->stage = STAGE_LEFT;
    break;
  case STAGE_LEFT:
  case STAGE_RIGHT:
    virtiofs_dax_files_unref(&window->files, range->file);
    range->len = 0;
    break;
  default:
    window->stage = STAGE_OVER;
  }
}

int virtiofs_dax_window_end(struct virtiofs_dax_window *window) {
  assert(window->stage == STAGE_OVER);
  let_go(window);
  window->stage = STAGE_NONE;
  return window->rc;
}
