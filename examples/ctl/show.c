/* SPDX-License-Identifier: BSD-3-Clause */
#include "show.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { CELL_MAX = 128, COLUMNS = 7 };

static const struct {
  const char *title, *member;
} columns[COLUMNS] = {
    {"NAME", "name"},   {"STATE", "state"}, {"NODES", "nodes"},        {"HANDLES", "handles"},
    {"SINCE", "since"}, {"TAG", "tag"},     {"SOCKET", "socket-path"},
};

static void write_time(char cell[CELL_MAX], double seconds) {
  time_t when = (time_t)seconds;
  struct tm tm;
  if (localtime_r(&when, &tm) == NULL || strftime(cell, CELL_MAX, "%Y-%m-%d %H:%M:%S", &tm) == 0)
    (void)snprintf(cell, CELL_MAX, "%.0f", seconds);
}

static void write_cell(char cell[CELL_MAX], const cJSON *item) {
  if (cJSON_IsString(item))
    (void)snprintf(cell, CELL_MAX, "%s", item->valuestring);
  else if (cJSON_IsNumber(item) && strcmp(item->string, "since") == 0)
    write_time(cell, item->valuedouble);
  else if (cJSON_IsNumber(item))
    (void)snprintf(cell, CELL_MAX, "%.0f", item->valuedouble);
  else
    (void)snprintf(cell, CELL_MAX, "-");
}

/* A mount has a directory in the place of a socket. */
static const cJSON *member(const cJSON *share, int column) {
  const cJSON *item = cJSON_GetObjectItemCaseSensitive(share, columns[column].member);
  return item == NULL && column == COLUMNS - 1 ? cJSON_GetObjectItemCaseSensitive(share, "mountpoint") : item;
}

/* The last column needs no spaces after it. */
static void print_cell(const char *cell, int column, const int widths[COLUMNS]) {
  if (column == COLUMNS - 1)
    (void)printf("%s\n", cell);
  else
    (void)printf("%-*s  ", widths[column], cell);
}

static void print_error(const cJSON *share) {
  const cJSON *error = cJSON_GetObjectItemCaseSensitive(share, "error");
  const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(error, "message"));
  if (text != NULL)
    (void)printf("  %s\n", text);
}

void show_list(const cJSON *result) {
  const cJSON *list = cJSON_GetObjectItemCaseSensitive(result, "shares"), *share;
  char cell[CELL_MAX];
  int widths[COLUMNS];
  for (int column = 0; column < COLUMNS; column++) {
    widths[column] = (int)strlen(columns[column].title);
    cJSON_ArrayForEach(share, list) {
      write_cell(cell, member(share, column));
      int len = (int)strlen(cell);
      widths[column] = len > widths[column] ? len : widths[column];
    }
  }
  for (int column = 0; column < COLUMNS; column++)
    print_cell(columns[column].title, column, widths);
  cJSON_ArrayForEach(share, list) {
    for (int column = 0; column < COLUMNS; column++) {
      write_cell(cell, member(share, column));
      print_cell(cell, column, widths);
    }
    print_error(share);
  }
}

void show_members(const cJSON *result) {
  const cJSON *item;
  char cell[CELL_MAX];
  cJSON_ArrayForEach(item, result) {
    write_cell(cell, item);
    (void)printf("%s: %s\n", item->string, cell);
  }
}
