/* SPDX-License-Identifier: BSD-3-Clause */
/* The rules for names of extended attributes: those of virtiofsd's manual, and what is no rule. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "backends/passthrough/xattrmap.h"

static struct xattrmap *parse(const char *text) {
  struct xattrmap *map;
  const char *why;
  size_t at;
  assert_int_equal(virtiofs_passthrough_xattrmap_parse(&map, text, &why, &at), 0);
  assert_null(why);
  return map;
}

/* What a name of the guest's becomes: NULL for none, and then why. */
static void assert_client(const struct xattrmap *map, const char *guest, const char *host, int rc) {
  struct xattr_name name;
  assert_int_equal(virtiofs_passthrough_xattrmap_client(map, guest, &name), rc);
  if (host != NULL)
    assert_string_equal(name.str, host);
}

static void assert_server(const struct xattrmap *map, const char *host, const char *guest) {
  bool meant;
  const char *seen = virtiofs_passthrough_xattrmap_server(map, host, &meant);
  if (guest == NULL)
    assert_null(seen);
  else
    assert_string_equal(seen, guest);
}

static void no_map(void **state) {
  (void)state;
  assert_client(NULL, "user.a", "user.a", 0);
  assert_server(NULL, "user.a", "user.a");
}

/* "Prefix all attributes": by two rules, or by the map that stands for them. */
static void all_prefixed(void **state) {
  (void)state;
  static const char *const texts[] = {":prefix:all::user.virtiofs.::bad:all:::", ":map::user.virtiofs.:",
                                      " \t/map//user.virtiofs./\n ", "\n:prefix:all::user.virtiofs.:\n|bad|all|||\n"};
  for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
    struct xattrmap *map = parse(texts[i]);
    assert_client(map, "trusted.a", "user.virtiofs.trusted.a", 0);
    assert_client(map, "user.virtiofs.a", "user.virtiofs.user.virtiofs.a", 0);
    assert_server(map, "user.virtiofs.trusted.a", "trusted.a");
    assert_server(map, "user.a", NULL);
    assert_server(map, "user.virtiofs.", NULL);
    virtiofs_passthrough_xattrmap_free(map);
  }
}

/* "Prefix trusted., allow others through": what was moved can't be had under its name on the host. */
static void some_prefixed(void **state) {
  (void)state;
  static const char *const texts[] = {"/prefix/all/trusted./user.virtiofs./\n /bad/server//trusted./\n"
                                      " /bad/client/user.virtiofs.//\n /ok/all///",
                                      "/map/trusted./user.virtiofs./"};
  for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
    struct xattrmap *map = parse(texts[i]);
    assert_client(map, "trusted.a", "user.virtiofs.trusted.a", 0);
    assert_client(map, "user.virtiofs.trusted.a", NULL, -EPERM);
    assert_client(map, "user.a", "user.a", 0);
    assert_server(map, "user.virtiofs.trusted.a", "trusted.a");
    assert_server(map, "trusted.a", NULL);
    assert_server(map, "user.a", "user.a");
    virtiofs_passthrough_xattrmap_free(map);
  }
}

static void some_hidden(void **state) {
  (void)state;
  struct xattrmap *map = parse("/bad/all/security./security./ /unsupported/all/trusted./trusted./ /ok/all///");
  assert_client(map, "security.selinux", NULL, -EPERM);
  assert_client(map, "trusted.a", NULL, -EOPNOTSUPP);
  assert_client(map, "user.a", "user.a", 0);
  assert_server(map, "security.selinux", NULL);
  assert_server(map, "trusted.a", NULL);
  assert_server(map, "user.a", "user.a");
  virtiofs_passthrough_xattrmap_free(map);
}

/* The first rule of the right side counts; where none does, the name is refused and hidden. */
static void sides_and_order(void **state) {
  (void)state;
  struct xattrmap *map = parse(":ok:client:user.:: :prefix:server::user.v.: :bad:client:user.a:: :ok:server::user.b:");
  assert_client(map, "user.a", "user.a", 0);
  assert_client(map, "trusted.a", NULL, -EPERM);
  assert_server(map, "user.v.x", "x");
  assert_server(map, "user.b", "user.b");
  assert_server(map, "user.c", NULL);
  virtiofs_passthrough_xattrmap_free(map);
}

static bool meant_for_host(const struct xattrmap *map, const char *name) {
  struct xattr_name host;
  bool seen;
  assert_int_equal(virtiofs_passthrough_xattrmap_client(map, name, &host), 0);
  (void)virtiofs_passthrough_xattrmap_server(map, host.str, &seen);
  assert_int_equal(seen, host.meant);
  return host.meant;
}

/* A rule for all names is no word for one of them. */
static void what_is_meant(void **state) {
  (void)state;
  assert_false(meant_for_host(NULL, "trusted.a"));
  struct xattrmap *map = parse(":ok:all:trusted.:trusted.::ok:all:::");
  assert_true(meant_for_host(map, "trusted.a"));
  assert_false(meant_for_host(map, "security.a"));
  virtiofs_passthrough_xattrmap_free(map);
  map = parse(":prefix:all::trusted.v.:");
  assert_true(meant_for_host(map, "user.a"));
  virtiofs_passthrough_xattrmap_free(map);
  map = parse(":prefix:all:::");
  assert_false(meant_for_host(map, "trusted.a"));
  virtiofs_passthrough_xattrmap_free(map);
}

static void long_names(void **state) {
  (void)state;
  char name[300];
  struct xattrmap *map = parse(":map::user.v.:");
  memset(name, 'x', sizeof name);
  name[256] = '\0';
  assert_client(NULL, name, NULL, -ERANGE);
  name[255] = '\0';
  assert_client(NULL, name, name, 0);
  assert_client(map, name, NULL, -ERANGE);
  name[248] = '\0';
  struct xattr_name out;
  assert_int_equal(virtiofs_passthrough_xattrmap_client(map, name, &out), 0);
  assert_int_equal(strlen(out.str), 255);
  name[249] = 'x';
  name[248] = 'x';
  name[249] = '\0';
  assert_client(map, name, NULL, -ERANGE);
  virtiofs_passthrough_xattrmap_free(map);
}

static void refused(void **state) {
  (void)state;
  static const struct {
    const char *text, *why;
    size_t at;
  } texts[] = {
      {"", "there is no rule", 0},
      {" \n", "there is no rule", 2},
      {":", "a rule doesn't end", 1},
      {":ok", "a rule doesn't end", 1},
      {":ok:", "a rule doesn't end", 4},
      {":ok:all", "a rule doesn't end", 4},
      {":ok:all:", "a rule doesn't end", 8},
      {":ok:all:a:b", "a rule doesn't end", 10},
      {":map:", "a rule doesn't end", 5},
      {":map:a:b", "a rule doesn't end", 7},
      {":map:a:b::ok:all:::", "a rule follows a map", 9},
      {":good:all:::", "a rule's type is prefix, ok, bad, unsupported or map", 0},
      {"::all:::", "a rule's type is prefix, ok, bad, unsupported or map", 0},
      {":ok:all::: /ok/both///", "a rule's scope is client, server or all", 11},
  };
  for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
    struct xattrmap *map = (void *)&map;
    const char *why;
    size_t at;
    assert_int_equal(virtiofs_passthrough_xattrmap_parse(&map, texts[i].text, &why, &at), -EINVAL);
    assert_null(map);
    assert_string_equal(why, texts[i].why);
    assert_int_equal(at, texts[i].at);
  }
}

/* As many rules as a text can have. */
static void many_rules(void **state) {
  (void)state;
  char text[10 * 200 + sizeof ":map:a:b:"] = "";
  for (int i = 0; i < 200; i++)
    strcat(text, ":ok:all:::");
  strcat(text, ":map:a:b:");
  struct xattrmap *map = parse(text);
  assert_client(map, "user.a", "user.a", 0);
  virtiofs_passthrough_xattrmap_free(map);
  virtiofs_passthrough_xattrmap_free(parse(":map:a:b:"));
  virtiofs_passthrough_xattrmap_free(NULL);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(no_map),      cmocka_unit_test(all_prefixed),    cmocka_unit_test(some_prefixed),
      cmocka_unit_test(some_hidden), cmocka_unit_test(sides_and_order), cmocka_unit_test(what_is_meant),
      cmocka_unit_test(long_names),  cmocka_unit_test(refused),         cmocka_unit_test(many_rules),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
