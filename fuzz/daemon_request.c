/* SPDX-License-Identifier: BSD-3-Clause */
/* Targets: virtiofs_daemon_request_parse, virtiofs_daemon_requests_parse, virtiofs_http_parse. Input: which of them;
 * then what comes on the socket, or stands in the file. */
#include <stdlib.h>

#include "daemon/http.h"
#include "daemon/request.h"
#include "daemon/utf8.h"
#include "target.h"

static void must(bool so) {
  if (!so)
    abort();
}

/* What was understood is whole, and within the limits. */
static void check_request(const struct virtiofs_daemon_request *request) {
  size_t bytes = 0;
  must(request->command < VIRTIOFS_DAEMON_COMMANDS);
  must(request->option_count <= VIRTIOFS_DAEMON_OPTIONS_MAX && request->fd_count <= VIRTIOFS_DAEMON_FDS);
  must(request->name == NULL || (request->name[0] != 0 && strlen(request->name) <= VIRTIOFS_DAEMON_NAME_MAX));
  must(request->name == NULL || strchr(request->name, '/') == NULL);
  must(request->tag == NULL || strlen(request->tag) <= 36);
  for (size_t i = 0; i < request->option_count; i++)
    bytes += strlen(request->options[i]);
  for (size_t i = 0; i < request->fd_count; i++)
    for (size_t k = 0; k < i; k++)
      must(request->fds[i] < VIRTIOFS_DAEMON_FDS && request->fds[i] != request->fds[k]);
  must(bytes <= VIRTIOFS_DAEMON_SHARES_MAX);
}

/* What a client is told can be told in JSON. */
static void check_error(const struct virtiofs_daemon_error *error, int rc) {
  size_t len = strlen(error->text);
  must(error->code == rc && len > 0 && len < sizeof(error->text));
  must(virtiofs_daemon_utf8_span(error->text, len) == len);
}

static void one_line(const char *text, size_t len) {
  struct virtiofs_daemon_request request;
  struct virtiofs_daemon_error error = {.code = 0};
  int rc = virtiofs_daemon_request_parse(&request, text, len, &error);
  if (rc == 0)
    check_request(&request);
  else
    check_error(&error, rc);
  virtiofs_daemon_request_free(&request);
}

static void a_file(const char *text, size_t len) {
  struct virtiofs_daemon_request *requests;
  struct virtiofs_daemon_error error = {.code = 0};
  size_t count;
  int rc = virtiofs_daemon_requests_parse(&requests, &count, text, len, &error);
  if (rc != 0)
    check_error(&error, rc);
  for (size_t i = 0; rc == 0 && i < count; i++) {
    check_request(&requests[i]);
    must(requests[i].command == VIRTIOFS_DAEMON_ADD && requests[i].name != NULL && requests[i].fd_count == 0);
  }
  must(rc == 0 || requests == NULL);
  virtiofs_daemon_requests_free(requests, count);
}

/* What more bytes can't change is the same with more bytes. */
static void a_scrape(const char *text, size_t len) {
  enum virtiofs_http whole = virtiofs_http_parse(text, len);
  must(strlen(virtiofs_http_status(whole)) > 0);
  for (size_t i = 0; i < len && i < 64; i++) {
    enum virtiofs_http part = virtiofs_http_parse(text, i);
    must(part == VIRTIOFS_HTTP_MORE || part == whole);
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct fuzz_input in = {.data = data, .left = size};
  uint8_t which = fuzz_u8(&in);
  size_t len = in.left;
  /* Not a byte more than there are. */
  char *text = malloc(len != 0 ? len : 1);
  must(text != NULL);
  fuzz_take(&in, text, len);
  if (which % 4 == 0)
    a_file(text, len);
  else if (which % 4 == 1)
    a_scrape(text, len);
  else
    one_line(text, len);
  free(text);
  return 0;
}
