/* SPDX-License-Identifier: BSD-3-Clause */
/* What is told on --metrics' socket, and to whom. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include <virtiofs/fuse.h>

#include "daemon/address.h"
#include "daemon/http.h"
#include "daemon/metrics.h"
#include "device/device.h"

/* ---- addresses ---- */

static int address(const char *text) {
  struct sockaddr_storage addr;
  socklen_t len;
  return virtiofs_daemon_address_parse(text, &addr, &len);
}

static void addresses_of_this_host(void **state) {
  struct sockaddr_storage addr;
  struct sockaddr_in v4;
  struct sockaddr_in6 v6;
  socklen_t len;
  (void)state;
  assert_int_equal(virtiofs_daemon_address_parse("127.0.0.1:9100", &addr, &len), 0);
  assert_int_equal(len, sizeof v4);
  memcpy(&v4, &addr, sizeof v4);
  assert_int_equal(v4.sin_family, AF_INET);
  assert_int_equal(ntohs(v4.sin_port), 9100);
  assert_int_equal(ntohl(v4.sin_addr.s_addr), INADDR_LOOPBACK);
  assert_int_equal(virtiofs_daemon_address_parse("[::1]:65535", &addr, &len), 0);
  assert_int_equal(len, sizeof v6);
  memcpy(&v6, &addr, sizeof v6);
  assert_int_equal(v6.sin6_family, AF_INET6);
  assert_int_equal(ntohs(v6.sin6_port), 65535);
  assert_int_equal(address("127.8.9.10:0"), 0);
}

static void addresses_that_others_reach(void **state) {
  (void)state;
  assert_int_equal(address("0.0.0.0:9100"), -EACCES);
  assert_int_equal(address("192.168.1.1:9100"), -EACCES);
  assert_int_equal(address("[::]:9100"), -EACCES);
  assert_int_equal(address("[fe80::1]:9100"), -EACCES);
}

static void what_is_no_address(void **state) {
  static const char *const bad[] = {"",
                                    ":",
                                    ":9100",
                                    "localhost:9100",
                                    "127.0.0.1",
                                    "127.0.0.1:",
                                    "127.0.0.1:65536",
                                    "127.0.0.1:-1",
                                    "127.0.0.1:1x",
                                    "::1:9100",
                                    "[::1]",
                                    "[::1:9100",
                                    "[127.0.0.1]:1",
                                    "[]:1",
                                    "127.0.0.1:000001",
                                    "[1111:2222:3333:4444:5555:6666:7777:8888:9999:1111:2222:3333:4444]:1"};
  (void)state;
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
    assert_int_equal(address(bad[i]), -EINVAL);
  assert_true(virtiofs_daemon_address_is_path("/run/metrics"));
  assert_true(virtiofs_daemon_address_is_path("./127.0.0.1:80"));
  assert_true(virtiofs_daemon_address_is_path("metrics"));
  assert_false(virtiofs_daemon_address_is_path("[::1]:80"));
}

/* ---- requests ---- */

static enum virtiofs_http http(const char *text) {
  return virtiofs_http_parse(text, strlen(text));
}

static void requests(void **state) {
  static const char *const whole = "GET /metrics HTTP/1.1\r\nHost: here\r\n\r\n";
  (void)state;
  for (size_t len = 0; len < strlen(whole); len++)
    assert_int_equal(virtiofs_http_parse(whole, len), VIRTIOFS_HTTP_MORE);
  assert_int_equal(http(whole), VIRTIOFS_HTTP_GET);
  assert_int_equal(http("GET /metrics HTTP/1.0\n\n"), VIRTIOFS_HTTP_GET);
  assert_int_equal(http("GET /metrics?x=/&y HTTP/1.0\r\n\r\n"), VIRTIOFS_HTTP_GET);
  assert_int_equal(http("HEAD /metrics HTTP/1.0\r\n\r\n"), VIRTIOFS_HTTP_HEAD);
  assert_int_equal(http("GET / HTTP/1.0\r\n\r\n"), VIRTIOFS_HTTP_NO_PATH);
  assert_int_equal(http("GET /metricsx HTTP/1.0\r\n\r\n"), VIRTIOFS_HTTP_NO_PATH);
  assert_int_equal(http("POST /metrics HTTP/1.0\r\n\r\n"), VIRTIOFS_HTTP_NO_METHOD);
  assert_int_equal(http("GETX /metrics HTTP/1.0\r\n\r\n"), VIRTIOFS_HTTP_NO_METHOD);
  assert_int_equal(http("\r\n\r\n"), VIRTIOFS_HTTP_BAD);
  assert_int_equal(http("GET /metrics\r\n\r\n"), VIRTIOFS_HTTP_BAD);
  assert_int_equal(http("GET /metrics HTTP/2\r\n\r\n"), VIRTIOFS_HTTP_BAD);
  assert_int_equal(http(" /metrics HTTP/1.0\r\n\r\n"), VIRTIOFS_HTTP_BAD);
  char nul[] = "GET\0/metrics HTTP/1.0\r\n\r\n";
  assert_int_equal(virtiofs_http_parse(nul, sizeof nul - 1), VIRTIOFS_HTTP_BAD);
  static char endless[VIRTIOFS_HTTP_REQUEST_MAX];
  memset(endless, 'G', sizeof endless);
  assert_int_equal(virtiofs_http_parse(endless, sizeof endless - 1), VIRTIOFS_HTTP_MORE);
  assert_int_equal(virtiofs_http_parse(endless, sizeof endless), VIRTIOFS_HTTP_TOO_LONG);
}

/* ---- the text ---- */

static const struct virtiofs_ops nothing = {.size = sizeof nothing};

static struct virtiofs_device *device(void) {
  struct virtiofs_device_config config = {.size = sizeof config, .ops = &nothing, .timed = true};
  struct virtiofs_device *dev;
  assert_int_equal(virtiofs_device_new(&dev, &config), 0);
  return dev;
}

static void told(void *fs, struct virtiofs_metrics *metrics) {
  uint64_t value;
  memcpy(&value, fs, sizeof value);
  virtiofs_metrics_gauge(metrics, "program_things", "Things.", value);
  virtiofs_metrics_gauge(metrics, "program_things", "Again.", 77);
  virtiofs_metrics_gauge(metrics, "no name", "Not shown.", 1);
  virtiofs_metrics_gauge(metrics, "1st", "Not shown.", 1);
  virtiofs_metrics_gauge(metrics, "", "Not shown.", 1);
  virtiofs_metrics_counter(metrics, "program_done_total", "Done.", UINT64_MAX);
}

static void assert_has(const struct virtiofs_daemon_text *text, const char *line) {
  if (strstr(text->bytes, line) == NULL)
    fail_msg("no line '%s' in:\n%s", line, text->bytes);
}

/* How often a line begins so. */
static unsigned count(const struct virtiofs_daemon_text *text, const char *begin) {
  unsigned found = 0;
  for (const char *at = text->bytes; at != NULL; at = strchr(at, '\n')) {
    at += *at == '\n';
    found += strncmp(at, begin, strlen(begin)) == 0;
  }
  return found;
}

static void text_of_two_shares(void **state) {
  (void)state;
  uint64_t five = 5, six = 6;
  struct virtiofs_daemon_source second = {.share = "b\"\\", .dev = device(), .metrics = told, .fs = &six};
  struct virtiofs_daemon_source first = {.share = "a", .dev = device(), .metrics = told, .fs = &five, .next = &second};
  struct virtiofs_counted counted = {.opcode = VIRTIOFS_FUSE_READ, .in_bytes = 80, .out_bytes = 4112, .ns = 255};
  struct virtiofs_counters *counters = ((struct virtiofs_device *)(uintptr_t)first.dev)->queues[1].counters;
  virtiofs_counters_give(counters, &counted);
  virtiofs_counters_delay(counters, 1500000000);
  counted.error = -EIO;
  counted.ns = UINT64_C(1000000000) << 10;
  virtiofs_counters_give(counters, &counted);
  counted.opcode = 63;
  virtiofs_counters_give(counters, &counted);
  counted.opcode = 0;
  virtiofs_counters_give(counters, &counted);

  struct virtiofs_daemon_text text = {0};
  virtiofs_daemon_metrics_text(&text, &first);
  assert_false(text.failed);
  assert_int_equal(text.bytes[text.len - 1], '\n');
  assert_has(&text, "\nvirtiofs_requests_total{share=\"a\",queue=\"1\",opcode=\"READ\"} 2\n");
  assert_has(&text, "\nvirtiofs_requests_total{share=\"a\",queue=\"1\",opcode=\"63\"} 1\n");
  assert_has(&text, "\nvirtiofs_requests_total{share=\"a\",queue=\"1\",opcode=\"other\"} 1\n");
  assert_has(&text, "\nvirtiofs_request_errors_total{share=\"a\",queue=\"1\",opcode=\"READ\"} 1\n");
  assert_has(&text, "\nvirtiofs_request_in_bytes_total{share=\"a\",queue=\"1\",opcode=\"READ\"} 160\n");
  assert_has(&text, "\nvirtiofs_request_out_bytes_total{share=\"a\",queue=\"1\",opcode=\"READ\"} 8224\n");
  assert_has(&text, "_bucket{share=\"a\",queue=\"1\",opcode=\"READ\",le=\"2.56e-07\"} 1\n");
  assert_has(&text, "_bucket{share=\"a\",queue=\"1\",opcode=\"READ\",le=\"17.1798692\"} 1\n");
  assert_has(&text, "_bucket{share=\"a\",queue=\"1\",opcode=\"READ\",le=\"+Inf\"} 2\n");
  assert_has(&text, "_sum{share=\"a\",queue=\"1\",opcode=\"READ\"} 1024\n");
  assert_has(&text, "_count{share=\"a\",queue=\"1\",opcode=\"READ\"} 2\n");
  assert_has(&text, "\nvirtiofs_queue_delays_total{share=\"a\",queue=\"1\"} 1\n");
  assert_has(&text, "\nvirtiofs_queue_delayed_seconds_total{share=\"a\",queue=\"1\"} 1.5\n");
  assert_has(&text, "\nvirtiofs_queue_delayed_seconds_total{share=\"b\\\"\\\\\",queue=\"1\"} 0\n");
  assert_int_equal(count(&text, "# TYPE virtiofs_requests_total counter"), 1);
  assert_int_equal(count(&text, "# TYPE program_things gauge"), 1);
  assert_int_equal(count(&text, "# TYPE program_done_total counter"), 1);
  assert_has(&text, "\nprogram_things{share=\"a\"} 5\nprogram_things{share=\"b\\\"\\\\\"} 6\n");
  assert_has(&text, "\nprogram_done_total{share=\"a\"} 18446744073709551615\n");
  assert_int_equal(count(&text, "# HELP"), count(&text, "# TYPE"));
  assert_null(strstr(text.bytes, "Not shown"));
  virtiofs_daemon_text_free(&text);

  virtiofs_daemon_metrics_summary(&text, &first);
  assert_has(&text, "READ: 2 requests, 1 errors, 160 bytes in, 8224 out, mean 512000000 us, 50.0 % below 0.256 us, "
                    "99.0 % in more than 17 s");
  assert_has(&text, "program_things: 5\n");
  virtiofs_daemon_text_free(&text);
  virtiofs_device_free((struct virtiofs_device *)(uintptr_t)first.dev);
  virtiofs_device_free((struct virtiofs_device *)(uintptr_t)second.dev);
}

/* ---- the socket ---- */

struct bench {
  char dir[64], path[96];
  struct virtiofs_daemon_metrics *metrics;
};

static const struct virtiofs_log silent;

static int setup(void **state) {
  struct bench *b = calloc(1, sizeof *b);
  assert_non_null(b);
  strcpy(b->dir, "/tmp/virtiofs-metrics-XXXXXX");
  assert_non_null(mkdtemp(b->dir));
  (void)snprintf(b->path, sizeof b->path, "%s/socket", b->dir);
  assert_int_equal(virtiofs_daemon_metrics_open(&b->metrics, "test", b->path, &silent), 0);
  assert_int_equal(virtiofs_daemon_metrics_start(b->metrics), 0);
  *state = b;
  return 0;
}

static int teardown(void **state) {
  struct bench *b = *state;
  virtiofs_daemon_metrics_close(b->metrics);
  assert_int_equal(rmdir(b->dir), 0); /* nothing is left in it */
  free(b);
  return 0;
}

static int join(const struct bench *b) {
  struct sockaddr_un addr = {.sun_family = AF_UNIX};
  memcpy(addr.sun_path, b->path, strlen(b->path) + 1);
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  assert_true(fd >= 0);
  assert_int_equal(connect(fd, (const struct sockaddr *)&addr, sizeof addr), 0);
  return fd;
}

/* All that is answered, until the other side ends it. */
static void hear(int fd, char *text, size_t size) {
  size_t len = 0;
  for (;;) {
    ssize_t got = read(fd, text + len, size - 1 - len);
    if (got <= 0)
      break;
    len += (size_t)got;
  }
  text[len] = 0;
  close(fd);
}

static void ask(const struct bench *b, const char *request, char *text, size_t size) {
  int fd = join(b);
  assert_int_equal(write(fd, request, strlen(request)), strlen(request));
  hear(fd, text, size);
}

static void answers(void **state) {
  struct bench *b = *state;
  static char text[65536];
  struct virtiofs_daemon_source source = {.share = "one", .dev = device()};
  virtiofs_daemon_metrics_add(b->metrics, &source);
  ask(b, "GET /metrics HTTP/1.1\r\n\r\n", text, sizeof text);
  assert_int_equal(strncmp(text, "HTTP/1.0 200 OK\r\n", 17), 0);
  const char *body = strstr(text, "\r\n\r\n"), *length = strstr(text, "Content-Length: ");
  assert_true(body != NULL && length != NULL);
  assert_int_equal(strtoul(length + 16, NULL, 10), strlen(body + 4));
  assert_non_null(strstr(body, "virtiofs_nodes{share=\"one\"} 0\n"));
  ask(b, "HEAD /metrics HTTP/1.1\r\n\r\n", text, sizeof text);
  assert_int_equal(strncmp(text, "HTTP/1.0 200 OK\r\n", 17), 0);
  assert_string_equal(strstr(text, "\r\n\r\n"), "\r\n\r\n");
  /* Not told of any more, and freed. */
  virtiofs_daemon_metrics_remove(b->metrics, &source);
  virtiofs_daemon_metrics_remove(b->metrics, &source);
  virtiofs_device_free((struct virtiofs_device *)(uintptr_t)source.dev);
  ask(b, "GET /metrics HTTP/1.1\r\n\r\n", text, sizeof text);
  assert_null(strstr(text, "share="));
}

static void nonsense_is_answered_too(void **state) {
  struct bench *b = *state;
  static char text[65536], endless[2 * VIRTIOFS_HTTP_REQUEST_MAX];
  struct stat st;
  assert_int_equal(stat(b->path, &st), 0);
  assert_int_equal(st.st_mode & 0077, 0);
  ask(b, "GET /secrets HTTP/1.1\r\n\r\n", text, sizeof text);
  assert_int_equal(strncmp(text, "HTTP/1.0 404 ", 13), 0);
  ask(b, "DELETE /metrics HTTP/1.1\r\n\r\n", text, sizeof text);
  assert_int_equal(strncmp(text, "HTTP/1.0 405 ", 13), 0);
  ask(b, "\001\002\003\n\n", text, sizeof text);
  assert_int_equal(strncmp(text, "HTTP/1.0 400 ", 13), 0);
  memset(endless, 'x', VIRTIOFS_HTTP_REQUEST_MAX);
  ask(b, endless, text, sizeof text);
  assert_int_equal(strncmp(text, "HTTP/1.0 431 ", 13), 0);
  /* Who goes away again, at once or half way, is no loss, and the next one is served. */
  close(join(b));
  int fd = join(b);
  assert_int_equal(write(fd, "GET /met", 8), 8);
  close(fd);
  ask(b, "GET /metrics HTTP/1.1\r\n\r\n", text, sizeof text);
  assert_int_equal(strncmp(text, "HTTP/1.0 200 ", 13), 0);
}

/* Who says nothing holds nobody up when all is to end. */
static void the_end_waits_for_nobody(void **state) {
  struct bench *b = *state;
  struct pollfd pfd = {.fd = join(b), .events = POLLIN};
  virtiofs_daemon_metrics_close(b->metrics);
  assert_int_equal(poll(&pfd, 1, 60000), 1); /* hung up on */
  close(pfd.fd);
  assert_int_equal(virtiofs_daemon_metrics_open(&b->metrics, "test", b->path, &silent), 0);
}

static void places_that_cannot_be(void **state) {
  struct virtiofs_daemon_metrics *metrics;
  (void)state;
  assert_int_equal(virtiofs_daemon_metrics_open(&metrics, "test", "0.0.0.0:0", &silent), -EACCES);
  assert_null(metrics);
  assert_int_equal(virtiofs_daemon_metrics_open(&metrics, "test", "nowhere:0", &silent), -EINVAL);
  assert_int_equal(virtiofs_daemon_metrics_open(&metrics, "test", "/no/such/directory/socket", &silent), -ENOENT);
  assert_int_equal(virtiofs_daemon_metrics_open(&metrics, "test", "127.0.0.1:0", &silent), 0);
  assert_int_equal(virtiofs_daemon_metrics_start(metrics), 0);
  virtiofs_daemon_metrics_close(metrics);
  virtiofs_daemon_metrics_close(NULL);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(addresses_of_this_host),
      cmocka_unit_test(addresses_that_others_reach),
      cmocka_unit_test(what_is_no_address),
      cmocka_unit_test(requests),
      cmocka_unit_test(text_of_two_shares),
      cmocka_unit_test_setup_teardown(answers, setup, teardown),
      cmocka_unit_test_setup_teardown(nonsense_is_answered_too, setup, teardown),
      cmocka_unit_test_setup_teardown(the_end_waits_for_nobody, setup, teardown),
      cmocka_unit_test(places_that_cannot_be),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
