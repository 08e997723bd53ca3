/* SPDX-License-Identifier: BSD-3-Clause */
#include <virtiofs/data.h>

#include <limits.h>

void virtiofs_data_walk_start(struct virtiofs_data_walk *walk, const struct virtiofs_data *data, size_t size) {
  *walk = (struct virtiofs_data_walk){.next = data->iov,
                                      .end = data->count > 0 ? data->iov + data->count : data->iov,
                                      .left = size < data->size ? size : data->size};
}

/* Where the walk ends within a segment, or stopped within one. */
static int cut(struct virtiofs_data_walk *walk, const struct iovec **iov) {
  size_t rest = walk->next->iov_len - walk->skip;
  walk->part = (struct iovec){.iov_base = (char *)walk->next->iov_base + walk->skip,
                              .iov_len = rest < walk->left ? rest : walk->left};
  *iov = &walk->part;
  return 1;
}

int virtiofs_data_walk_next(struct virtiofs_data_walk *walk, const struct iovec **iov) {
  if (walk->left == 0)
    return 0;
  while (walk->next->iov_len == walk->skip) {
    walk->next++;
    walk->skip = 0;
  }
  if (walk->skip != 0 || walk->next->iov_len > walk->left)
    return cut(walk, iov);
  int count = 0;
  size_t bytes = 0;
  while (count < IOV_MAX && walk->next + count < walk->end && walk->next[count].iov_len <= walk->left - bytes)
    bytes += walk->next[count++].iov_len;
  *iov = walk->next;
  return count;
}

void virtiofs_data_walk_on(struct virtiofs_data_walk *walk, size_t done) {
  done = done < walk->left ? done : walk->left;
  walk->left -= done;
  walk->done += done;
  done += walk->skip;
  while (walk->next < walk->end && done >= walk->next->iov_len) {
    done -= walk->next->iov_len;
    walk->next++;
  }
  walk->skip = done;
}
