/* SPDX-License-Identifier: BSD-3-Clause */
/* What is asked on a control socket, and in a file of shares. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>
#include <cmocka.h>

#include "daemon/request.h"

/* In memory that ends where the text does. */
static int parse_bytes(struct virtiofs_daemon_request *request, const char *text, size_t len,
                       struct virtiofs_daemon_error *error) {
  char *bytes = malloc(len > 0 ? len : 1);
  assert_non_null(bytes);
  memcpy(bytes, text, len);
  *error = (struct virtiofs_daemon_error){0};
  int rc = virtiofs_daemon_request_parse(request, bytes, len, error);
  free(bytes);
  assert_int_equal(rc, error->code);
  assert_int_equal(error->text[0] != 0, rc != 0);
  return rc;
}

static struct virtiofs_daemon_request parsed(const char *text) {
  struct virtiofs_daemon_request request;
  struct virtiofs_daemon_error error;
  if (parse_bytes(&request, text, strlen(text), &error) != 0)
    fail_msg("%s: %s", text, error.text);
  return request;
}

/* After an error it has its id at most. */
static void refused_bytes(const char *text, size_t len, int code, const char *words) {
  static const struct virtiofs_daemon_request none;
  struct virtiofs_daemon_request request;
  struct virtiofs_daemon_error error;
  int rc = parse_bytes(&request, text, len, &error);
  if (rc != code || strstr(error.text, words) == NULL)
    fail_msg("%.200s: %d, '%s' and not '%s'", text, rc, error.text, words);
  assert_null(request.name);
  assert_int_equal(request.option_count + request.fd_count, 0);
  virtiofs_daemon_request_free(&request);
  assert_memory_equal(&request, &none, sizeof none);
}

static void refused(const char *text, const char *words) {
  refused_bytes(text, strlen(text), -EINVAL, words);
}

static void each_command(void **state) {
  static const char *const lines[] = {
      "{\"command\":\"add\",\"name\":\"a\"}",
      "{\"command\":\"remove\",\"name\":\"a\"}",
      "{\"command\":\"list\"}",
      "{\"command\":\"status\"}",
      "{\"command\":\"version\"}",
      "{\"command\":\"log-level\",\"level\":\"warn\"}",
      "{\"command\":\"stop\"}",
  };
  (void)state;
  for (unsigned i = 0; i < VIRTIOFS_DAEMON_COMMANDS; i++) {
    struct virtiofs_daemon_request request = parsed(lines[i]);
    assert_int_equal(request.command, i);
    assert_null(request.id);
    assert_null(request.tag);
    assert_false(request.now);
    virtiofs_daemon_request_free(&request);
  }
}

static void all_of_add(void **state) {
  (void)state;
  struct virtiofs_daemon_request request = parsed(
      " { \"fds\" : [\"shared-dir\", \"socket\"], \"options\":[\"--cache\", \"never\", \"\"], \"tag\":\"t \\u00e4\",\n"
      "\"name\":\"a.B_9-\", \"id\":\"x\", \"socket-path\":\"/run/a\", \"command\":\"add\"} \r\n");
  assert_int_equal(request.command, VIRTIOFS_DAEMON_ADD);
  assert_string_equal(request.name, "a.B_9-");
  assert_string_equal(request.socket_path, "/run/a");
  assert_string_equal(request.tag, "t \xc3\xa4");
  assert_int_equal(request.option_count, 3);
  assert_string_equal(request.options[0], "--cache");
  assert_string_equal(request.options[2], "");
  assert_int_equal(request.fd_count, 2);
  assert_int_equal(request.fds[0], VIRTIOFS_DAEMON_FD_DIR);
  assert_int_equal(request.fds[1], VIRTIOFS_DAEMON_FD_SOCKET);
  assert_string_equal(cJSON_GetStringValue(request.id), "x");
  virtiofs_daemon_request_free(&request);
}

static void the_others_members(void **state) {
  static const char *const levels[] = {"error", "warn", "info", "debug", "trace"};
  char line[100];
  (void)state;
  struct virtiofs_daemon_request request = parsed("{\"command\":\"remove\",\"name\":\"a\",\"mode\":\"now\",\"id\":17}");
  assert_true(request.now);
  assert_true(cJSON_GetNumberValue(request.id) == 17);
  virtiofs_daemon_request_free(&request);
  request = parsed("{\"command\":\"remove\",\"name\":\"a\",\"mode\":\"drain\"}");
  assert_false(request.now);
  virtiofs_daemon_request_free(&request);
  for (unsigned i = 0; i < 5; i++) {
    (void)snprintf(line, sizeof line, "{\"command\":\"log-level\",\"name\":\"n\",\"level\":\"%s\"}", levels[i]);
    request = parsed(line);
    assert_int_equal(request.level, VIRTIOFS_LOG_ERROR + i);
    assert_string_equal(request.name, "n");
    virtiofs_daemon_request_free(&request);
  }
}

static void what_is_no_request(void **state) {
  (void)state;
  refused("", "no JSON object");
  refused(" ", "no JSON object");
  refused("{", "no JSON object");
  refused("[]", "no JSON object");
  refused("null", "no JSON object");
  refused("\"stop\"", "no JSON object");
  refused("{\"command\":\"stop\"}}", "no JSON object");
  refused("{\"command\":\"stop\"} {}", "no JSON object");
  refused("{\"command\":\"stop\",}", "no JSON object");
  refused("{}", "'command' must be there");
  refused("{\"Command\":\"stop\"}", "'command' must be there");
  refused("{\"command\":7}", "'command' must be there");
  refused("{\"command\":\"halt\"}", "no command 'halt'");
  refused("{\"command\":\"stop\",\"command\":\"stop\"}", "twice");
  refused("{\"command\":\"stop\",\"id\":1,\"id\":1}", "twice");
  refused("{\"command\":\"stop\",\"id\":{}}", "'id'");
  refused("{\"command\":\"stop\",\"force\":true}", "no 'force'");
  refused("{\"command\":\"stop\",\"name\":\"a\"}", "no 'name'");
  refused("{\"command\":\"stop\",\"\":\"a\"}", "no ''");
  refused("{\"command\":\"st\xffop\"}", "UTF-8");
  refused("{\"command\":\"st\\u0000op\"}", "NUL");
  refused_bytes("{\"command\":\"stop\"\0}", 19, -EINVAL, "NUL");
  refused_bytes("{\"command\":\"stop\"}\0", 19, -EINVAL, "NUL");
}

static void wrong_members(void **state) {
  (void)state;
  refused("{\"command\":\"add\"}", "'name' is missing");
  refused("{\"command\":\"remove\"}", "'name' is missing");
  refused("{\"command\":\"log-level\"}", "'level' is missing");
  refused("{\"command\":\"log-level\",\"level\":\"loud\"}", "'level' must be");
  refused("{\"command\":\"log-level\",\"level\":3}", "'level' must be");
  refused("{\"command\":\"add\",\"name\":\"\"}", "'name' must be");
  refused("{\"command\":\"add\",\"name\":\"a/b\"}", "'name' must be");
  refused("{\"command\":\"add\",\"name\":\"a b\"}", "'name' must be");
  refused("{\"command\":\"add\",\"name\":\"\\u00e4\"}", "'name' must be");
  refused("{\"command\":\"add\",\"name\":[\"a\"]}", "'name' must be");
  refused("{\"command\":\"add\",\"name\":\"a\",\"tag\":\"\"}", "'tag' must be");
  refused("{\"command\":\"add\",\"name\":\"a\",\"tag\":\"x\\ny\"}", "'tag' must be");
  refused("{\"command\":\"add\",\"name\":\"a\",\"tag\":\"1234567890123456789012345678901234567\"}", "'tag' must be");
  refused("{\"command\":\"add\",\"name\":\"a\",\"socket-path\":null}", "'socket-path' must be");
  refused("{\"command\":\"add\",\"name\":\"a\",\"options\":\"--xattr\"}", "'options' must be");
  refused("{\"command\":\"add\",\"name\":\"a\",\"options\":[\"--xattr\",1]}", "'options' must be");
  refused("{\"command\":\"add\",\"name\":\"a\",\"fds\":\"socket\"}", "'fds' must be");
  refused("{\"command\":\"add\",\"name\":\"a\",\"fds\":[\"sock\"]}", "'fds' may have");
  refused("{\"command\":\"add\",\"name\":\"a\",\"fds\":[0]}", "'fds' may have");
  refused("{\"command\":\"add\",\"name\":\"a\",\"fds\":[\"lock\",\"lock\"]}", "'lock' twice");
  refused("{\"command\":\"remove\",\"name\":\"a\",\"mode\":\"soon\"}", "'mode' must be");
  refused("{\"command\":\"remove\",\"name\":\"a\",\"mode\":true}", "'mode' must be");
}

/* Only what stands for a NUL is refused, not what looks like it. */
static void backslashes(void **state) {
  (void)state;
  struct virtiofs_daemon_request request =
      parsed("{\"command\":\"add\",\"name\":\"a\",\"socket-path\":\"/\\\\u0000\"}");
  assert_string_equal(request.socket_path, "/\\u0000");
  virtiofs_daemon_request_free(&request);
  refused("{\"command\":\"add\",\"name\":\"a\",\"socket-path\":\"/\\\\\\u0000\"}", "NUL");
}

/* The reply to a wrong request says which one it was. */
static void the_id_of_a_wrong_one(void **state) {
  struct virtiofs_daemon_request request;
  struct virtiofs_daemon_error error;
  static const char line[] = "{\"id\":\"first\",\"command\":\"none\"}";
  (void)state;
  assert_int_equal(parse_bytes(&request, line, sizeof line - 1, &error), -EINVAL);
  assert_string_equal(cJSON_GetStringValue(request.id), "first");
  virtiofs_daemon_request_free(&request);
}

/* Makes BEFORE, COUNT times PART with commas between, AFTER. */
static char *repeated(const char *before, const char *part, size_t count, const char *after) {
  char *text = malloc(strlen(before) + count * (strlen(part) + 1) + strlen(after) + 1);
  assert_non_null(text);
  char *at = stpcpy(text, before);
  for (size_t i = 0; i < count; i++)
    at = stpcpy(stpcpy(at, i > 0 ? "," : ""), part);
  (void)strcpy(at, after);
  return text;
}

static void as_much_as_may_be(void **state) {
  struct virtiofs_daemon_request request;
  static const char add[] = "{\"command\":\"add\",\"name\":\"a\",\"options\":[";
  (void)state;
  char *text = repeated(add, "\"-x\"", VIRTIOFS_DAEMON_OPTIONS_MAX, "]}");
  request = parsed(text);
  assert_int_equal(request.option_count, VIRTIOFS_DAEMON_OPTIONS_MAX);
  virtiofs_daemon_request_free(&request);
  free(text);
  text = repeated(add, "\"-x\"", VIRTIOFS_DAEMON_OPTIONS_MAX + 1, "]}");
  refused_bytes(text, strlen(text), -E2BIG, "128 options");
  free(text);
  text = malloc(VIRTIOFS_DAEMON_LINE_MAX + 1);
  assert_non_null(text);
  memset(text, ' ', VIRTIOFS_DAEMON_LINE_MAX + 1);
  memcpy(text, "{\"command\":\"stop\"}", 18);
  struct virtiofs_daemon_error error;
  assert_int_equal(parse_bytes(&request, text, VIRTIOFS_DAEMON_LINE_MAX, &error), 0);
  virtiofs_daemon_request_free(&request);
  refused_bytes(text, VIRTIOFS_DAEMON_LINE_MAX + 1, -E2BIG, "65536 bytes");
  /* Deep nesting is refused, and doesn't cost the stack. */
  memset(text, '[', VIRTIOFS_DAEMON_LINE_MAX);
  refused_bytes(text, VIRTIOFS_DAEMON_LINE_MAX, -EINVAL, "no JSON object");
  free(text);
}

static void a_file(void **state) {
  static const char text[] = "{\n  \"shares\": [\n    {\"name\": \"one\", \"socket-path\": \"/run/one\"},\n"
                             "    {\"name\": \"two\", \"tag\": \"t\", \"options\": [\"--shared-dir=/srv\"]}\n  ]\n}\n";
  struct virtiofs_daemon_request *requests;
  struct virtiofs_daemon_error error;
  size_t count;
  (void)state;
  assert_int_equal(virtiofs_daemon_requests_parse(&requests, &count, text, sizeof text - 1, &error), 0);
  assert_int_equal(count, 2);
  assert_string_equal(requests[0].name, "one");
  assert_string_equal(requests[0].socket_path, "/run/one");
  assert_string_equal(requests[1].options[0], "--shared-dir=/srv");
  assert_int_equal(requests[1].command, VIRTIOFS_DAEMON_ADD);
  virtiofs_daemon_requests_free(requests, count);
  assert_int_equal(virtiofs_daemon_requests_parse(&requests, &count, "{\"shares\":[]}", 13, &error), 0);
  assert_int_equal(count, 0);
  virtiofs_daemon_requests_free(requests, count);
}

static void wrong_files(void **state) {
  static const char *const pairs[][2] = {
      {"", "no JSON object"},
      {"{}", "'shares'"},
      {"{\"shares\":{}}", "'shares'"},
      {"{\"shares\":[],\"more\":1}", "'shares'"},
      {"{\"shares\":[1]}", "share 1: this is no object"},
      {"{\"shares\":[{\"name\":\"a\"},{}]}", "share 2: 'name' is missing"},
      {"{\"shares\":[{\"name\":\"a\",\"command\":\"add\"}]}", "share 1: there are no"},
      {"{\"shares\":[{\"name\":\"a\",\"id\":1}]}", "share 1: there are no"},
      {"{\"shares\":[{\"name\":\"a\",\"fds\":[\"socket\"]}]}", "share 1: there are no"},
      {"{\"shares\":[{\"name\":\"a\",\"name\":\"b\"}]}", "share 1: 'name' is there twice"},
  };
  struct virtiofs_daemon_request *requests;
  struct virtiofs_daemon_error error;
  size_t count;
  (void)state;
  for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
    assert_int_equal(virtiofs_daemon_requests_parse(&requests, &count, pairs[i][0], strlen(pairs[i][0]), &error),
                     -EINVAL);
    assert_null(requests);
    if (strstr(error.text, pairs[i][1]) == NULL)
      fail_msg("%s: '%s' and not '%s'", pairs[i][0], error.text, pairs[i][1]);
  }
  char *many = repeated("{\"shares\":[", "{\"name\":\"a\"}", 1025, "]}");
  assert_int_equal(virtiofs_daemon_requests_parse(&requests, &count, many, strlen(many), &error), -EINVAL);
  free(many);
  assert_int_equal(virtiofs_daemon_requests_parse(&requests, &count, "", VIRTIOFS_DAEMON_SHARES_MAX + 1, &error), -E2BIG);
}

/* Each part of a right line, and each line with one byte changed: 0 or an error, and never anything else. */
static void parts_and_changes(void **state) {
  static const char line[] =
      "{\"command\":\"add\",\"id\":1.5,\"name\":\"a\",\"tag\":\"\\u00e4\\n\",\"options\":[\"-x\"],"
      "\"fds\":[\"socket\"]}";
  struct virtiofs_daemon_request request;
  struct virtiofs_daemon_error error;
  char text[sizeof line];
  (void)state;
  for (size_t len = 0; len < sizeof line - 1; len++) {
    assert_int_not_equal(parse_bytes(&request, line, len, &error), 0);
    virtiofs_daemon_request_free(&request);
  }
  for (size_t at = 0; at < sizeof line - 1; at++)
    for (unsigned byte = 0; byte < 256; byte++) {
      memcpy(text, line, sizeof line);
      text[at] = (char)byte;
      (void)parse_bytes(&request, text, sizeof line - 1, &error);
      virtiofs_daemon_request_free(&request);
    }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(each_command),
      cmocka_unit_test(all_of_add),
      cmocka_unit_test(the_others_members),
      cmocka_unit_test(what_is_no_request),
      cmocka_unit_test(wrong_members),
      cmocka_unit_test(backslashes),
      cmocka_unit_test(the_id_of_a_wrong_one),
      cmocka_unit_test(as_much_as_may_be),
      cmocka_unit_test(a_file),
      cmocka_unit_test(wrong_files),
      cmocka_unit_test(parts_and_changes),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
