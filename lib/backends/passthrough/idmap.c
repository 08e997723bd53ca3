/* SPDX-License-Identifier: BSD-3-Clause */
#include "backends/passthrough/idmap.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* UINT32_MAX is no id, so the last one ends there. */
static const uint64_t ids_end = UINT32_MAX;

enum kind { ONE_TO_ONE, SQUASH, FORBID };

/** Ids from @from to before @end. */
struct range {
  uint32_t from, end, to;
  enum kind kind;
};

struct list {
  struct range *ranges; /* ascending, none overlaps another */
  size_t count;
};

struct idmap {
  struct list to_host, to_guest;
};

static const struct {
  const char *name;
  bool guest, host; /* which way */
  enum kind kind;
} types[] = {
    {"guest", true, false, ONE_TO_ONE},   {"host", false, true, ONE_TO_ONE},     {"squash-guest", true, false, SQUASH},
    {"squash-host", false, true, SQUASH}, {"forbid-guest", true, false, FORBID}, {"map", true, true, ONE_TO_ONE},
};
enum { TYPES = sizeof types / sizeof *types, NUMBERS = 3 };

/** One rule as it is read. */
struct rule {
  size_t type;
  uint64_t numbers[NUMBERS]; /* from, to, count */
};

static const char *read_type(const char *at, size_t *type) {
  size_t len = strcspn(at, ": \t\n");
  for (size_t i = 0; i < TYPES; i++) {
    if (strlen(types[i].name) == len && memcmp(types[i].name, at, len) == 0) {
      *type = i;
      return at + len;
    }
  }
  return NULL;
}

static const char *read_number(const char *at, uint64_t *number) {
  if (*at != ':' || at[1] < '0' || at[1] > '9')
    return NULL;
  *number = 0;
  for (at++; *at >= '0' && *at <= '9'; at++) {
    *number = *number * 10 + (uint64_t)(*at - '0');
    if (*number > UINT32_MAX)
      return NULL;
  }
  return at;
}

static bool in_range(const struct rule *rule) {
  const uint64_t from = rule->numbers[0], to = rule->numbers[1], count = rule->numbers[2];
  const uint64_t targets = types[rule->type].kind == ONE_TO_ONE ? count : 1;
  return count > 0 && from + count <= ids_end && to + targets <= ids_end;
}

/* Return: the end of the rule; NULL, and *why. */
static const char *read_rule(const char *at, struct rule *rule, const char **why) {
  *why = "the type must be guest, host, squash-guest, squash-host, forbid-guest or map";
  at = read_type(at, &rule->type);
  if (at == NULL)
    return NULL;
  *why = "numbers below 4294967296 must follow, with ':' before each: FROM, TO and COUNT, or FROM and COUNT to forbid";
  for (size_t i = 0; i < NUMBERS && at != NULL; i++) {
    if (i == 1 && types[rule->type].kind == FORBID)
      rule->numbers[i] = 0;
    else
      at = read_number(at, &rule->numbers[i]);
  }
  if (at == NULL || (*at != '\0' && strchr(" \t\n", *at) == NULL))
    return NULL;
  *why = "the range is empty or goes beyond the last id, 4294967294";
  return in_range(rule) ? at : NULL;
}

static int insert(struct list *list, struct range range, const char **why) {
  size_t at = 0;
  while (at < list->count && list->ranges[at].from < range.from)
    at++;
  if ((at > 0 && list->ranges[at - 1].end > range.from) || (at < list->count && list->ranges[at].from < range.end)) {
    *why = "the range overlaps another's for the same way";
    return -EINVAL;
  }
  struct range *grown = realloc(list->ranges, (list->count + 1) * sizeof *grown);
  if (grown == NULL)
    return -ENOMEM;
  list->ranges = grown;
  memmove(grown + at + 1, grown + at, (list->count - at) * sizeof *grown);
  grown[at] = range;
  list->count++;
  return 0;
}

static int add(struct idmap *map, const struct rule *rule, const char **why) {
  const uint32_t from = (uint32_t)rule->numbers[0], to = (uint32_t)rule->numbers[1], count = (uint32_t)rule->numbers[2];
  struct range range = {.from = from, .end = from + count, .to = to, .kind = types[rule->type].kind};
  bool both = types[rule->type].guest && types[rule->type].host;
  int rc = types[rule->type].guest ? insert(&map->to_host, range, why) : 0;
  if (both)
    range = (struct range){.from = to, .end = to + count, .to = from, .kind = ONE_TO_ONE};
  return rc == 0 && types[rule->type].host ? insert(&map->to_guest, range, why) : rc;
}

int virtiofs_passthrough_idmap_parse(struct idmap **map, const char *text, const char **why, size_t *at) {
  struct rule rule;
  int rc = 0;
  *map = calloc(1, sizeof **map);
  if (*map == NULL)
    return -ENOMEM;
  const char *next = text;
  while (rc == 0 && *(next += strspn(next, " \t\n")) != '\0') {
    const char *end = read_rule(next, &rule, why);
    rc = end != NULL ? add(*map, &rule, why) : -EINVAL;
    *at = (size_t)(next - text);
    next = end;
  }
  if (rc != 0) {
    virtiofs_passthrough_idmap_free(*map);
    *map = NULL;
  }
  return rc;
}

void virtiofs_passthrough_idmap_free(struct idmap *map) {
  if (map == NULL)
    return;
  free(map->to_host.ranges);
  free(map->to_guest.ranges);
  free(map);
}

static const struct range *find(const struct list *list, uint32_t id) {
  size_t low = 0, high = list->count;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (list->ranges[middle].end <= id)
      low = middle + 1;
    else
      high = middle;
  }
  return low < list->count && list->ranges[low].from <= id ? &list->ranges[low] : NULL;
}

static uint32_t target(const struct range *range, uint32_t id) {
  return range->kind == ONE_TO_ONE ? range->to + (id - range->from) : range->to;
}

int virtiofs_passthrough_idmap_to_host(const struct idmap *map, uint32_t guest, uint32_t *host) {
  const struct range *range = map != NULL ? find(&map->to_host, guest) : NULL;
  if (range != NULL && range->kind == FORBID)
    return -EPERM;
  *host = range != NULL ? target(range, guest) : guest;
  return 0;
}

uint32_t virtiofs_passthrough_idmap_to_guest(const struct idmap *map, uint32_t host) {
  const struct range *range = map != NULL ? find(&map->to_guest, host) : NULL;
  return range != NULL ? target(range, host) : host;
}
