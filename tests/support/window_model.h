/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * What a DAX window must be, page by page, beside struct virtiofs_dax_window: requests go into both, a mapper that
 * knows the front-end's rules carries the steps out, and they are compared.
 */
#ifndef VIRTIOFS_TESTS_SUPPORT_WINDOW_MODEL_H
#define VIRTIOFS_TESTS_SUPPORT_WINDOW_MODEL_H

#include <stdbool.h>
#include <stdint.h>

#include <virtiofs/dax.h>

#define MODEL_PAGES 64U
#define MODEL_PAGE 4096U
#define MODEL_FILES 8U
#define MODEL_FDS 64U

/* What is in a page of the window. */
struct model_page {
  bool mapped, writable;
  uint64_t file, offset;
  uint32_t mapping; /* pages with one number were mapped at once */
};

struct window_model {
  struct virtiofs_dax_window *window;
  bool cuts;
  struct model_page want[MODEL_PAGES]; /* what is to be there; an unknown page has any_page */
  struct model_page have[MODEL_PAGES]; /* what the mapper did */
  bool any_page[MODEL_PAGES];          /* something failed there: it may be mapped or not */
  uint32_t mappings;                   /* numbers given */
  uint64_t fds[MODEL_FDS];             /* which file is behind a descriptor, + 1; 0: it is not open */
  bool fd_writable[MODEL_FDS];
  uint32_t steps;
  uint32_t fail_at; /* this step fails, counted from 1; 0: none */
};

void window_model_init(struct window_model *model, bool cuts, uint32_t max_mappings);
void window_model_fini(struct window_model *model);

/* Each: a whole request, with checks of every step and of what it leaves. @fail_at: which of its steps fails; 0: none.
 * The request's result. */
int window_model_map(struct window_model *model, const struct virtiofs_dax_map *map, uint32_t fail_at);
int window_model_unmap(struct window_model *model, uint64_t offset, uint64_t len, uint32_t fail_at);
int window_model_clear(struct window_model *model, uint32_t fail_at);

/* The front-end has gone. */
void window_model_forget(struct window_model *model);

/* How many descriptors are open. */
uint32_t window_model_open(const struct window_model *model);

#endif
