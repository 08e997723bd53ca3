/* SPDX-License-Identifier: BSD-3-Clause */
#include "backends/passthrough/xattrmap.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum rule_type { PREFIX, OK, BAD, UNSUPPORTED };
enum { CLIENT = 1, SERVER = 2, ALL = CLIENT | SERVER };

struct rule {
  enum rule_type type;
  unsigned scope;
  const char *key, *prepend; /* in xattrmap.text */
};

struct xattrmap {
  char *text; /* the rules' text, with each field ended by a NUL */
  size_t count;
  struct rule rules[];
};

struct parser {
  char *text, *at;
  struct xattrmap *map;
  const char *why;
};

static const char spaces[] = " \t\n\v\f\r";

static bool starts_with(const char *name, const char *prefix) {
  return strncmp(name, prefix, strlen(prefix)) == 0;
}

static void add(struct xattrmap *map, enum rule_type type, unsigned scope, const char *key, const char *prepend) {
  map->rules[map->count++] = (struct rule){.type = type, .scope = scope, .key = key, .prepend = prepend};
}

/* The field that ends at the next separator, which is made its NUL. NULL if there is none. */
static char *field(struct parser *parser, char separator) {
  char *begin = parser->at, *end = strchr(begin, separator);
  if (end == NULL) {
    parser->why = "a rule doesn't end";
    return NULL;
  }
  *end = '\0';
  parser->at = end + 1;
  return begin;
}

static bool type_of(const char *word, enum rule_type *type) {
  static const char *const words[] = {[PREFIX] = "prefix", [OK] = "ok", [BAD] = "bad", [UNSUPPORTED] = "unsupported"};
  for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
    *type = (enum rule_type)i;
    if (strcmp(word, words[i]) == 0)
      return true;
  }
  return false;
}

static unsigned scope_of(const char *word) {
  if (strcmp(word, "client") == 0)
    return CLIENT;
  if (strcmp(word, "server") == 0)
    return SERVER;
  return strcmp(word, "all") == 0 ? ALL : 0;
}

/* The short form. With a key, the names that others are moved to and from must not be had directly. */
static bool parse_map(struct parser *parser, char separator) {
  const char *key = field(parser, separator);
  const char *prepend = key == NULL ? NULL : field(parser, separator);
  if (prepend == NULL)
    return false;
  add(parser->map, PREFIX, ALL, key, prepend);
  if (*key == '\0') {
    add(parser->map, BAD, ALL, "", "");
  } else {
    add(parser->map, BAD, SERVER, "", key);
    add(parser->map, BAD, CLIENT, prepend, "");
    add(parser->map, OK, ALL, "", "");
  }
  parser->at += strspn(parser->at, spaces);
  if (*parser->at == '\0')
    return true;
  parser->why = "a rule follows a map";
  return false;
}

static bool parse_rule(struct parser *parser) {
  char *begin = parser->at;
  const char separator = *parser->at++;
  const char *word = field(parser, separator);
  if (word == NULL)
    return false;
  if (strcmp(word, "map") == 0)
    return parse_map(parser, separator);
  enum rule_type type;
  if (!type_of(word, &type)) {
    parser->at = begin;
    parser->why = "a rule's type is prefix, ok, bad, unsupported or map";
    return false;
  }
  const char *scope_word = field(parser, separator);
  if (scope_word == NULL)
    return false;
  unsigned scope = scope_of(scope_word);
  if (scope == 0) {
    parser->at = begin;
    parser->why = "a rule's scope is client, server or all";
    return false;
  }
  const char *key = field(parser, separator);
  const char *prepend = key == NULL ? NULL : field(parser, separator);
  if (prepend == NULL)
    return false;
  add(parser->map, type, scope, key, prepend);
  parser->at += strspn(parser->at, spaces);
  return true;
}

static bool parse(struct parser *parser) {
  parser->at += strspn(parser->at, spaces);
  if (*parser->at == '\0') {
    parser->why = "there is no rule";
    return false;
  }
  while (*parser->at != '\0') {
    if (!parse_rule(parser))
      return false;
  }
  return true;
}

int virtiofs_passthrough_xattrmap_parse(struct xattrmap **map, const char *text, const char **why, size_t *at) {
  /* The shortest rule has 7 characters, ":ok:all::" more; the last, a map, makes at most 4 of 7. */
  const size_t most = strlen(text) / 7 + 4;
  *map = NULL;
  *why = NULL;
  *at = 0;
  struct parser parser = {.text = strdup(text), .map = malloc(sizeof **map + most * sizeof(struct rule))};
  if (parser.text == NULL || parser.map == NULL) {
    free(parser.text);
    free(parser.map);
    return -ENOMEM;
  }
  *parser.map = (struct xattrmap){.text = parser.text};
  parser.at = parser.text;
  if (parse(&parser)) {
    *map = parser.map;
    return 0;
  }
  *why = parser.why;
  *at = (size_t)(parser.at - parser.text);
  virtiofs_passthrough_xattrmap_free(parser.map);
  return -EINVAL;
}

void virtiofs_passthrough_xattrmap_free(struct xattrmap *map) {
  if (map == NULL)
    return;
  free(map->text);
  free(map);
}

static int join(struct xattr_name *out, const char *prefix, const char *name) {
  size_t prefix_len = strlen(prefix), len = strlen(name);
  if (prefix_len > PASSTHROUGH_XATTR_NAME_MAX || len > PASSTHROUGH_XATTR_NAME_MAX - prefix_len)
    return -ERANGE;
  memcpy(out->str, prefix, prefix_len);
  memcpy(out->str + prefix_len, name, len + 1);
  return 0;
}

int virtiofs_passthrough_xattrmap_client(const struct xattrmap *map, const char *name, struct xattr_name *out) {
  out->meant = false;
  if (map == NULL)
    return join(out, "", name);
  for (const struct rule *rule = map->rules; rule < map->rules + map->count; rule++) {
    if ((rule->scope & CLIENT) == 0 || !starts_with(name, rule->key))
      continue;
    switch (rule->type) {
    case PREFIX:
      out->meant = *rule->key != '\0' || *rule->prepend != '\0';
      return join(out, rule->prepend, name);
    case OK:
      out->meant = *rule->key != '\0';
      return join(out, "", name);
    case BAD:
      return -EPERM;
    case UNSUPPORTED:
      return -EOPNOTSUPP;
    }
  }
  return -EPERM;
}

const char *virtiofs_passthrough_xattrmap_server(const struct xattrmap *map, const char *name, bool *meant) {
  *meant = false;
  if (map == NULL)
    return name;
  for (const struct rule *rule = map->rules; rule < map->rules + map->count; rule++) {
    if ((rule->scope & SERVER) == 0 || !starts_with(name, rule->prepend))
      continue;
    *meant = *rule->prepend != '\0';
    switch (rule->type) {
    case PREFIX:
      name += strlen(rule->prepend);
      return *name == '\0' ? NULL : name; /* an empty name is none */
    case OK:
      return name;
    case BAD:
    case UNSUPPORTED:
      return NULL;
    }
  }
  return NULL;
}

bool virtiofs_passthrough_xattrmap_reaches(const struct xattrmap *map, const char *prefix) {
  for (const struct rule *rule = map->rules; rule < map->rules + map->count; rule++) {
    struct xattr_name begin;
    const char *prepend = rule->type == PREFIX ? rule->prepend : "";
    bool makes = rule->type == PREFIX || rule->type == OK;
    if ((rule->scope & CLIENT) == 0 || !makes || join(&begin, prepend, rule->key) != 0 || begin.str[0] == '\0')
      continue;
    if (strcmp(begin.str, "security.capability") != 0 &&
        (starts_with(begin.str, prefix) || starts_with(prefix, begin.str)))
      return true;
  }
  return false;
}
