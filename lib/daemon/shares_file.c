/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/shares_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One byte more than may be there is seen, so that it is known that there was one. */
static int read_file(const char *path, char **out, size_t *len) {
  FILE *file = fopen(path, "re");
  if (file == NULL)
    return -errno;
  char *text = malloc(VIRTIOFS_DAEMON_SHARES_MAX + 1);
  int rc = text == NULL ? -ENOMEM : 0;
  *len = rc == 0 ? fread(text, 1, VIRTIOFS_DAEMON_SHARES_MAX + 1, file) : 0;
  if (rc == 0 && ferror(file) != 0)
    rc = errno != 0 ? -errno : -EIO;
  (void)fclose(file);
  if (rc != 0) {
    free(text);
    return rc;
  }
  *out = text;
  return 0;
}

static int add_all(struct virtiofs_daemon_shares *shares, struct virtiofs_daemon_request *requests, size_t count,
                   struct virtiofs_daemon_error *error) {
  for (size_t i = 0; i < count; i++) {
    int fds[VIRTIOFS_DAEMON_FDS] = {-1, -1, -1};
    struct virtiofs_daemon_error inner;
    int rc = virtiofs_daemon_shares_add(shares, &requests[i], fds, NULL, &inner);
    if (rc != 0)
      return virtiofs_daemon_error_set(error, rc, "share %zu: %.400s", i + 1, inner.text);
  }
  return 0;
}

int virtiofs_daemon_shares_file_add(struct virtiofs_daemon_shares *shares, const char *program, const char *path) {
  struct virtiofs_daemon_request *requests = NULL;
  struct virtiofs_daemon_error error;
  size_t len = 0, count = 0;
  char *text = NULL;
  int rc = read_file(path, &text, &len);
  if (rc != 0) {
    (void)virtiofs_daemon_error_set(&error, rc, "%s", strerror(-rc));
  } else {
    rc = virtiofs_daemon_requests_parse(&requests, &count, text, len, &error);
    if (rc == 0)
      rc = add_all(shares, requests, count, &error);
  }
  if (rc != 0)
    (void)fprintf(stderr, "%s: %s: %s\n", program, path, error.text);
  virtiofs_daemon_requests_free(requests, count);
  free(text);
  return rc;
}
