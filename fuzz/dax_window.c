/* SPDX-License-Identifier: BSD-3-Clause */
/* A guest's maps and unmaps of a DAX window, with steps that fail, against a model of its pages. */
#include <string.h>

#include "support/window_model.h"
#include "target.h"

struct act {
  uint8_t kind, page, pages, file, file_page, fail_at;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct window_model model;
  struct act act;
  if (size == 0)
    return 0;
  window_model_init(&model, (data[0] & 1) != 0, 1 + data[0] / 2 % 32);
  for (size_t at = 1; size - at >= sizeof(act); at += sizeof(act)) {
    memcpy(&act, data + at, sizeof(act));
    uint64_t offset = (uint64_t)act.page * MODEL_PAGE, len = (uint64_t)act.pages * MODEL_PAGE;
    struct virtiofs_dax_map map = {.window_offset = offset,
                                   .len = len,
                                   .file = act.file % MODEL_FILES,
                                   .file_offset = (uint64_t)act.file_page * MODEL_PAGE,
                                   .writable = act.file >= 128};
    switch (act.kind % 8) {
    case 0:
      window_model_forget(&model);
      break;
    case 1:
      (void)window_model_clear(&model, act.fail_at % 16);
      break;
    case 2:
    case 3:
      (void)window_model_unmap(&model, offset, len, act.fail_at % 16);
      break;
    default:
      (void)window_model_map(&model, &map, act.fail_at % 16);
    }
  }
  window_model_fini(&model);
  return 0;
}
