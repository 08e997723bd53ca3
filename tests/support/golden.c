/* SPDX-License-Identifier: BSD-3-Clause */
#include "support/golden.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <ctype.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void add_bytes(unsigned char *bytes, size_t *len, const char *line) {
  char *end;
  while (isxdigit((unsigned char)*line)) {
    assert_true(*len < GOLDEN_BYTES);
    bytes[(*len)++] = (unsigned char)strtoul(line, &end, 16);
    line = end + (*end == ' ');
  }
}

static void add_line(struct golden *golden, const char *line) {
  if (line[0] == '#') {
    (void)snprintf(golden->origin, sizeof golden->origin, "%.79s", line + 2);
  } else if (strncmp(line, "flags ", 6) == 0) {
    golden->proto.flags = strtoull(line + 6, NULL, 0);
  } else if (strncmp(line, "minor ", 6) == 0) {
    golden->proto.minor = (uint32_t)strtoul(line + 6, NULL, 0);
  } else {
    assert_true(golden->expectations < GOLDEN_EXPECTATIONS);
    (void)snprintf(golden->expected[golden->expectations++], sizeof golden->expected[0], "%.99s", line);
  }
}

void golden_load(struct golden *golden, const char *folder, const char *name) {
  char line[200], path[300];
  enum { TEXT, BYTES, REPLY } part = TEXT;
  (void)snprintf(path, sizeof path, "%s/%s.hex", folder, name);
  FILE *file = fopen(path, "r");
  assert_non_null(file);
  memset(golden, 0, sizeof *golden);
  (void)snprintf(golden->name, sizeof golden->name, "%s", name);
  /* They are from a little-endian driver, and read on any machine. */
  golden->proto = (struct virtiofs_fuse_proto){.agreed = true, .swapped = __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__};
  while (fgets(line, sizeof line, file) != NULL) {
    line[strcspn(line, "\n")] = 0;
    if (strcmp(line, "bytes") == 0)
      part = BYTES;
    else if (strcmp(line, "reply") == 0)
      part = REPLY;
    else if (part == TEXT)
      add_line(golden, line);
    else if (part == BYTES)
      add_bytes(golden->bytes, &golden->len, line);
    else
      add_bytes(golden->reply, &golden->reply_len, line);
  }
  (void)fclose(file);
  assert_true(golden->len >= VIRTIOFS_FUSE_IN_HEADER);
  assert_true(golden->proto.minor > 0 && golden->proto.minor <= VIRTIOFS_FUSE_MINOR);
}

unsigned golden_each(const char *folder, void (*fn)(const struct golden *golden)) {
  static struct golden golden;
  struct dirent *entry;
  char name[64];
  unsigned count = 0;
  DIR *dir = opendir(folder);
  assert_non_null(dir);
  while ((entry = readdir(dir)) != NULL) {
    const char *end = strstr(entry->d_name, ".hex");
    if (end == NULL)
      continue;
    (void)snprintf(name, sizeof name, "%.*s", (int)(end - entry->d_name), entry->d_name);
    golden_load(&golden, folder, name);
    fn(&golden);
    count++;
  }
  (void)closedir(dir);
  return count;
}

const struct golden_field *golden_find(const struct golden_field *table, size_t count, const char *name, size_t len) {
  for (size_t i = 0; i < count; i++)
    if (strlen(table[i].name) == len && strncmp(table[i].name, name, len) == 0)
      return &table[i];
  return NULL;
}

uint64_t golden_number(const void *base, const struct golden_field *field) {
  const unsigned char *at = (const unsigned char *)base + field->offset;
  uint64_t wide;
  uint32_t word;
  uint16_t half;
  switch (field->width) {
  case 8:
    memcpy(&wide, at, sizeof wide);
    return wide;
  case 4:
    memcpy(&word, at, sizeof word);
    return word;
  case 2:
    memcpy(&half, at, sizeof half);
    return half;
  default:
    return *at;
  }
}
