/* SPDX-License-Identifier: BSD-3-Clause */
/* Rules about ids, alone and in a server. */
#include "passthrough_share.h"

#include "backends/passthrough/idmap.h"

static struct idmap *rules(const char *text) {
  struct idmap *map;
  const char *why = "";
  size_t at = 0;
  int rc = virtiofs_passthrough_idmap_parse(&map, text, &why, &at);
  if (rc != 0)
    print_error("%zu: %s\n", at, why);
  assert_int_equal(rc, 0);
  return map;
}

static uint32_t to_host(const struct idmap *map, uint32_t id) {
  uint32_t host = 77777;
  assert_int_equal(virtiofs_passthrough_idmap_to_host(map, id, &host), 0);
  return host;
}

static void without_rules_all_stay(void **state) {
  (void)state;
  struct idmap *map = rules(" ");
  static const uint32_t ids[] = {0, 1, 1000, INT32_MAX, UINT32_MAX - 1, UINT32_MAX};
  for (size_t i = 0; i < sizeof ids / sizeof *ids; i++) {
    assert_int_equal(to_host(NULL, ids[i]), ids[i]);
    assert_int_equal(to_host(map, ids[i]), ids[i]);
    assert_int_equal(virtiofs_passthrough_idmap_to_guest(NULL, ids[i]), ids[i]);
    assert_int_equal(virtiofs_passthrough_idmap_to_guest(map, ids[i]), ids[i]);
  }
  virtiofs_passthrough_idmap_free(map);
  virtiofs_passthrough_idmap_free(NULL);
}

static void each_type(void **state) {
  (void)state;
  struct idmap *map = rules("guest:1000:5000:10 host:7000:2000:10\tsquash-guest:2000:99:5\n"
                            "squash-host:8000:98:2 forbid-guest:3000:2 map:4000:6000:100");
  uint32_t host = 77777;
  assert_int_equal(to_host(map, 999), 999);
  assert_int_equal(to_host(map, 1000), 5000);
  assert_int_equal(to_host(map, 1009), 5009);
  assert_int_equal(to_host(map, 1010), 1010);
  assert_int_equal(virtiofs_passthrough_idmap_to_guest(map, 5000), 5000); /* one way only */
  assert_int_equal(virtiofs_passthrough_idmap_to_guest(map, 7009), 2009);
  assert_int_equal(virtiofs_passthrough_idmap_to_guest(map, 7010), 7010);
  assert_int_equal(to_host(map, 2004), 99);
  assert_int_equal(to_host(map, 2005), 2005);
  assert_int_equal(virtiofs_passthrough_idmap_to_guest(map, 8001), 98);
  assert_int_equal(virtiofs_passthrough_idmap_to_host(map, 3000, &host), -EPERM);
  assert_int_equal(virtiofs_passthrough_idmap_to_host(map, 3001, &host), -EPERM);
  assert_int_equal(host, 77777);
  assert_int_equal(to_host(map, 3002), 3002);
  assert_int_equal(to_host(map, 4099), 6099);
  assert_int_equal(virtiofs_passthrough_idmap_to_guest(map, 6099), 4099);
  virtiofs_passthrough_idmap_free(map);
}

/* -1 names nobody, before and after. */
static void last_id(void **state) {
  (void)state;
  struct idmap *map = rules("squash-guest:0:1001:4294967295 squash-host:0:5:4294967295");
  assert_int_equal(to_host(map, 0), 1001);
  assert_int_equal(to_host(map, UINT32_MAX - 1), 1001);
  assert_int_equal(to_host(map, UINT32_MAX), UINT32_MAX);
  assert_int_equal(virtiofs_passthrough_idmap_to_guest(map, UINT32_MAX - 1), 5);
  assert_int_equal(virtiofs_passthrough_idmap_to_guest(map, UINT32_MAX), UINT32_MAX);
  virtiofs_passthrough_idmap_free(map);
}

static void broken_rules(void **state) {
  (void)state;
  static const struct {
    const char *text, *why;
    size_t at;
  } cases[] = {
      {"gast:0:0:1", "type", 0},
      {"guest", "numbers", 0},
      {"guest:0:0", "numbers", 0},
      {"guest:0:0:", "numbers", 0},
      {"guest:0:0:1:", "numbers", 0},
      {"guest:0:-1:1", "numbers", 0},
      {"guest:0: 1:1", "numbers", 0},
      {"guest:0:0:4294967296", "numbers", 0},
      {"guest:0:0:99999999999999999999999", "numbers", 0},
      {"forbid-guest:0:0:1", "numbers", 0},
      {"0:0:1", "type", 0},
      {"guest:0:0:0", "beyond", 0},
      {"map:0:1:4294967295", "beyond", 0},
      {"map:1:0:4294967295", "beyond", 0},
      {"squash-guest:0:4294967295:1", "beyond", 0},
      {"squash-guest:4294967295:0:1", "beyond", 0},
      {"map:0:0:10 guest:9:0:1", "overlaps", 11},
      {"guest:9:0:10 guest:0:50:10", "overlaps", 13},
      {"guest:5:0:1 guest:0:50:10", "overlaps", 12},
      {"map:0:0:10 map:10:9:1", "overlaps", 11},
      {"forbid-guest:0:10 map:1:1:1", "overlaps", 18},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct idmap *map = (struct idmap *)1;
    const char *why = "";
    size_t at = 1000;
    assert_int_equal(virtiofs_passthrough_idmap_parse(&map, cases[i].text, &why, &at), -EINVAL);
    assert_null(map);
    assert_int_equal(at, cases[i].at);
    if (strstr(why, cases[i].why) == NULL)
      fail_msg("%s: %s", cases[i].text, why);
  }
}

/* Many ranges, in any order, against the list itself. */
static void many_ranges(void **state) {
  (void)state;
  static char text[64 * 200];
  size_t len = 0;
  for (unsigned i = 0; i < 200; i++) {
    unsigned n = i * 77 % 200;
    len += (size_t)snprintf(text + len, sizeof text - len, "map:%u:%u:%u ", n * 10, 5000 + n * 100, 1 + n % 10);
  }
  struct idmap *map = rules(text);
  for (uint32_t id = 0; id < 2000; id++) {
    uint32_t n = id / 10, wanted = id % 10 <= n % 10 ? 5000 + n * 100 + id % 10 : id;
    assert_int_equal(to_host(map, id), wanted);
    if (wanted != id)
      assert_int_equal(virtiofs_passthrough_idmap_to_guest(map, wanted), id);
  }
  virtiofs_passthrough_idmap_free(map);
}

/* ---- in a server, as root ---- */

static void serve(struct share *s, const char *uids, const char *gids) {
  if (geteuid() != 0)
    skip();
  virtiofs_passthrough_free(s->fs);
  share_serve(s, (struct virtiofs_passthrough_config){.translate_uid = uids, .translate_gid = gids});
}

static void made_and_shown(void **state) {
  struct share *s = *state;
  struct virtiofs_entry_out out;
  struct virtiofs_create_out created;
  serve(s, "map:1000:5000:10", "map:2000:6000:10");
  s->req.caller = (struct virtiofs_caller){.uid = 1001, .gid = 2002, .pid = 1};
  assert_int_equal(share_try_mkdir(s, s->root, "dir", 0755, &out), 0);
  struct stat st = share_stat(s, "dir");
  assert_int_equal(st.st_uid, 5001);
  assert_int_equal(st.st_gid, 6002);
  assert_int_equal(out.attr.uid, 1001);
  assert_int_equal(out.attr.gid, 2002);
  assert_int_equal(share_try_create(s, "file", O_RDWR, 0644, &created), 0);
  assert_int_equal(share_stat(s, "file").st_uid, 5001);
  assert_int_equal(created.entry.attr.uid, 1001);
  struct virtiofs_getattr_in in = {.node = created.entry.node};
  struct virtiofs_attr_out attr;
  assert_int_equal(s->ops->getattr(&s->req, &in, &attr), 0);
  assert_int_equal(attr.attr.uid, 1001);
  assert_int_equal(attr.attr.gid, 2002);
  struct virtiofs_statx_in statx_in = {.node = created.entry.node};
  struct virtiofs_statx_out statx_out;
  assert_int_equal(s->ops->statx(&s->req, &statx_in, &statx_out), 0);
  assert_int_equal(statx_out.statx.attr.uid, 1001);
  uint64_t dir = share_opendir(s, s->root);
  assert_int_equal(share_list(s, s->root, dir, 0, 1 << 16, true), 0);
  for (uint32_t i = 0; i < s->list.count; i++)
    if (s->list.records[i].node != 0)
      assert_int_equal(s->list.records[i].attr.gid, 2002);
  share_releasedir(s, dir);
  share_release(s, created.open.handle);
}

static int owned(struct share *s, uint64_t node, uint32_t uid, uint32_t gid, struct virtiofs_attr_out *out) {
  struct virtiofs_setattr_in in = {.node = node, .valid = VIRTIOFS_SET_UID | VIRTIOFS_SET_GID, .uid = uid, .gid = gid};
  return s->ops->setattr(&s->req, &in, out);
}

static void given_away(void **state) {
  struct share *s = *state;
  struct virtiofs_attr_out out;
  serve(s, "map:1000:5000:10 forbid-guest:0:10", "squash-guest:0:42:4294967295 squash-host:42:7:1");
  share_put_file(s, "f", "text", 0644);
  uint64_t node = share_lookup(s, "f");
  assert_int_equal(owned(s, node, 1009, 55, &out), 0);
  assert_int_equal(share_stat(s, "f").st_uid, 5009);
  assert_int_equal(share_stat(s, "f").st_gid, 42);
  assert_int_equal(out.attr.uid, 1009);
  assert_int_equal(out.attr.gid, 7);
  assert_int_equal(owned(s, node, 9, 55, &out), -EPERM);
  assert_int_equal(share_stat(s, "f").st_uid, 5009);
  struct virtiofs_setattr_in in = {.node = node, .valid = VIRTIOFS_SET_MODE, .mode = 0600};
  assert_int_equal(s->ops->setattr(&s->req, &in, &out), 0); /* no id, nothing forbidden */
  in = (struct virtiofs_setattr_in){.node = node, .valid = VIRTIOFS_SET_GID, .gid = 1};
  assert_int_equal(s->ops->setattr(&s->req, &in, &out), 0);
  assert_int_equal(share_stat(s, "f").st_uid, 5009);
}

static void forbidden_makes_nothing(void **state) {
  struct share *s = *state;
  struct virtiofs_entry_out out;
  struct virtiofs_create_out created;
  serve(s, "forbid-guest:0:1", "forbid-guest:100:1");
  int before = share_open_fds();
  for (int i = 0; i < 2; i++) {
    s->req.caller =
        i == 0 ? (struct virtiofs_caller){.uid = 0, .gid = 5} : (struct virtiofs_caller){.uid = 5, .gid = 100};
    assert_int_equal(share_try_mkdir(s, s->root, "x", 0755, &out), -EPERM);
    assert_int_equal(share_try_mknod(s, "x", S_IFIFO | 0644, 0, 0, &out), -EPERM);
    assert_int_equal(share_try_symlink(s, "x", "y", &out), -EPERM);
    assert_int_equal(share_try_create(s, "x", O_RDWR, 0644, &created), -EPERM);
    assert_false(share_has(s, "x"));
  }
  assert_int_equal(share_open_fds(), before);
}

/* Who isn't root on the host has none of root's rights there: the file that is there already is not his to open. */
static void squashed_root_is_not_root(void **state) {
  struct share *s = *state;
  struct virtiofs_create_out out;
  serve(s, "squash-guest:0:1234:4294967295", "squash-guest:0:1234:4294967295");
  share_put_file(s, "secret", "secret", 0600);
  s->req.caller = (struct virtiofs_caller){.uid = 0, .gid = 0, .pid = 1};
  assert_int_equal(share_try_create(s, "secret", O_RDWR, 0644, &out), -EACCES);
}

static void group_of_directory_is_translated(void **state) {
  struct share *s = *state;
  serve(s, "map:1000:5000:10", "map:2000:6000:10");
  assert_int_equal(fchown(s->fd, 0, 6001) | fchmod(s->fd, 02777), 0);
  const struct { uint32_t size, type, count, gid; } ext = {.size = 16, .type = 32, .count = 1, .gid = 2001};
  struct virtiofs_create_in in = {.parent = s->root,
                                  .name = share_name("f"),
                                  .flags = O_RDWR | O_CREAT,
                                  .mode = S_IFREG | 02755,
                                  .extensions = {.bytes = &ext, .size = sizeof ext}};
  struct virtiofs_create_out out = {.open = {.handle = 0}};
  s->req.caller = (struct virtiofs_caller){.uid = 1001, .gid = 2005, .pid = 1};
  assert_int_equal(s->ops->create(&s->req, &in, &out), 0);
  assert_int_equal(share_stat(s, "f").st_gid, 6001);
  assert_int_equal(share_stat(s, "f").st_mode & 07777, 02755);
  share_release(s, out.open.handle);
}

static void refused_configs(void **state) {
  struct share *s = *state;
  struct virtiofs_passthrough *fs;
  struct virtiofs_passthrough_config config = {
      .size = sizeof config, .shared_dir = s->dir, .translate_uid = "map:0:0:1", .posix_acl = true};
  assert_int_equal(virtiofs_passthrough_new(&fs, &config), -EINVAL);
  config.posix_acl = false;
  config.translate_gid = "map:0:1:1 map:0:2:1";
  assert_int_equal(virtiofs_passthrough_new(&fs, &config), -EINVAL);
  assert_string_equal(fake_log_last,
                      "the map of gids, rule at character 11: the range overlaps another's for the same way");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(without_rules_all_stay),
      cmocka_unit_test(each_type),
      cmocka_unit_test(last_id),
      cmocka_unit_test(broken_rules),
      cmocka_unit_test(many_ranges),
      share_test(made_and_shown),
      share_test(given_away),
      share_test(forbidden_makes_nothing),
      share_test(squashed_root_is_not_root),
      share_test(group_of_directory_is_translated),
      share_test(refused_configs),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
