/* SPDX-License-Identifier: BSD-3-Clause */
/* virtiofs-bench: measures any virtio-fs device behind a vhost-user socket, with no virtual machine. */
#include <argp.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench.h"

#define MIB UINT64_C(1048576)

enum {
  KEY_OPS = 0x100,
  KEY_DEPTH,
  KEY_QUEUES,
  KEY_THREADS,
  KEY_SECONDS,
  KEY_POLL,
  KEY_PID,
  KEY_JSON,
  KEY_SVG,
  KEY_SIZE,
  KEY_ENTRIES,
  KEY_SOCKET,
  KEY_PACKED
};

struct options {
  const char *socket, *ops, *svg;
  struct run_options run;
  uint64_t file_size;
  uint32_t entries;
  bool poll, json, packed;
};

static const struct argp_option argp_options[] = {
    {"socket", KEY_SOCKET, "PATH", 0, "Where the device listens; required", 0},
    {"ops", KEY_OPS, "LIST", 0, "Operations, with commas between them (default all)", 0},
    {"depth", KEY_DEPTH, "N", 0, "Operations in flight on each queue, 1 to 64 (default 1)", 0},
    {"queues", KEY_QUEUES, "N", 0, "Request queues, 1 to 64 (default 1)", 0},
    {"threads", KEY_THREADS, "N", 0, "Threads (default: one for each queue)", 0},
    {"seconds", KEY_SECONDS, "T", 0, "How long each operation is run (default 3)", 0},
    {"poll", KEY_POLL, NULL, 0, "Look for replies instead of sleeping", 0},
    {"packed", KEY_PACKED, NULL, 0, "Use packed rings if the device has them", 0},
    {"server-pid", KEY_PID, "P", 0, "The server's process, to tell its processor time", 0},
    {"file-size", KEY_SIZE, "MIB", 0, "Of the file that is read and written (default 64)", 0},
    {"entries", KEY_ENTRIES, "N", 0, "Names in the directory that is listed (default 10000)", 0},
    {"json", KEY_JSON, NULL, 0, "Results as JSON on stdout", 0},
    {"svg", KEY_SVG, "FILE", 0, "Results as a picture, too", 0},
    {0},
};

static unsigned long number(const struct argp_state *state, const char *what, const char *text, unsigned long low,
                            unsigned long high) {
  char *end;
  errno = 0;
  unsigned long value = strtoul(text, &end, 10);
  if (errno != 0 || end == text || *end != 0 || text[0] == '-' || value < low || value > high)
    argp_error(state, "%s must be %lu to %lu, not '%s'", what, low, high, text);
  return value;
}

static error_t parse(int key, char *arg, struct argp_state *state) {
  struct options *options = state->input;
  switch (key) {
  case KEY_SOCKET:
    options->socket = arg;
    return 0;
  case KEY_OPS:
    options->ops = arg;
    return 0;
  case KEY_DEPTH:
    options->run.depth = (uint32_t)number(state, "--depth", arg, 1, 64);
    return 0;
  case KEY_QUEUES:
    options->run.queues = (uint32_t)number(state, "--queues", arg, 1, 64);
    return 0;
  case KEY_THREADS:
    options->run.threads = (uint32_t)number(state, "--threads", arg, 1, 64);
    return 0;
  case KEY_SECONDS:
    options->run.seconds = strtod(arg, NULL);
    if (!(options->run.seconds > 0 && options->run.seconds < 1e6))
      argp_error(state, "--seconds must be more than 0, not '%s'", arg);
    return 0;
  case KEY_PID:
    options->run.server_pid = (long)number(state, "--server-pid", arg, 1, 1U << 30);
    return 0;
  case KEY_SIZE:
    options->file_size = number(state, "--file-size", arg, 1, 1U << 20) * MIB;
    return 0;
  case KEY_ENTRIES:
    options->entries = (uint32_t)number(state, "--entries", arg, 0, 10000000);
    return 0;
  case KEY_SVG:
    options->svg = arg;
    return 0;
  case KEY_POLL:
    options->poll = true;
    return 0;
  case KEY_PACKED:
    options->packed = true;
    return 0;
  case KEY_JSON:
    options->json = true;
    return 0;
  case ARGP_KEY_END:
    if (options->socket == NULL)
      argp_error(state, "--socket is required");
    return 0;
  default:
    return ARGP_ERR_UNKNOWN;
  }
}

static const struct op *find(const char *name, size_t len) {
  for (unsigned i = 0; i < ops_count; i++)
    if (strlen(ops[i].name) == len && memcmp(ops[i].name, name, len) == 0)
      return &ops[i];
  return NULL;
}

/* How many; 0 after a line on stderr. */
static unsigned choose(const char *list, const struct op **chosen, unsigned max) {
  unsigned count = 0;
  for (; list == NULL && count < ops_count; count++)
    chosen[count] = &ops[count];
  while (list != NULL) {
    size_t len = strcspn(list, ",");
    const struct op *op = find(list, len);
    if (op == NULL || count == max) {
      (void)fprintf(stderr, "virtiofs-bench: no operation '%.*s'; there are", (int)len, list);
      for (unsigned i = 0; i < ops_count; i++)
        (void)fprintf(stderr, " %s", ops[i].name);
      (void)fputs("\n", stderr);
      return 0;
    }
    chosen[count++] = op;
    list = list[len] == ',' ? list + len + 1 : NULL;
  }
  return count;
}

static int measure(struct virtiofs_client *client, const struct options *options, const struct op **chosen,
                   unsigned count) {
  struct files files = {0};
  struct result *results = calloc(count, sizeof(*results));
  unsigned done = 0;
  int rc = results != NULL ? files_make(client, &files, options->file_size, options->entries) : -ENOMEM;
  if (rc == 0 && !options->json)
    report_head(stdout);
  for (; rc == 0 && done < count; done++) {
    rc = run(client, &files, chosen[done], &options->run, &results[done]);
    if (rc == 0 && !options->json)
      report_line(stdout, &results[done]);
    if (rc != 0)
      (void)fprintf(stderr, "virtiofs-bench: %s: %s\n", chosen[done]->name, strerror(-rc));
  }
  files_remove(client, &files);
  if (rc == 0 && options->json && !report_json(stdout, results, done, &options->run))
    rc = -EIO;
  if (rc == 0 && options->svg != NULL && !report_svg(options->svg, results, done)) {
    (void)fprintf(stderr, "virtiofs-bench: cannot write '%s': %s\n", options->svg, strerror(errno));
    rc = -EIO;
  }
  free(results);
  return rc;
}

int main(int argc, char **argv) {
  static const struct argp argp = {
      .options = argp_options, .parser = parse, .doc = "Measure a virtio-fs device behind a vhost-user socket."};
  struct options options = {.run = {.queues = 1, .depth = 1, .seconds = 3}, .file_size = 64 * MIB, .entries = 10000};
  const struct op *chosen[64];
  struct virtiofs_client *client;
  argp_program_version = "virtiofs-bench " VIRTIOFS_VERSION_STRING;
  argp_err_exit_status = EXIT_FAILURE;
  if (argp_parse(&argp, argc, argv, 0, NULL, &options) != 0)
    return EXIT_FAILURE;
  if (options.run.threads == 0 || options.run.threads > options.run.queues)
    options.run.threads = options.run.queues;
  if (options.run.depth * ((options.run.queues + options.run.threads - 1) / options.run.threads) > SLOTS_MAX) {
    (void)fprintf(stderr, "virtiofs-bench: more than %d operations in flight in one thread\n", SLOTS_MAX);
    return EXIT_FAILURE;
  }
  options.run.progress = isatty(STDERR_FILENO) != 0;
  unsigned count = choose(options.ops, chosen, sizeof(chosen) / sizeof(chosen[0]));
  struct virtiofs_client_config config = {.size = sizeof(config),
                                          .socket_path = options.socket,
                                          .request_queues = options.run.queues,
                                          .requests = options.run.depth + 1,
                                          .queue_size = 256,
                                          .poll = options.poll,
                                          .timeout_ms = 60000, /* FSYNC on a disk that others write to, for one */
                                          .features = VIRTIOFS_VIRTQ_F_INDIRECT_DESC | VIRTIOFS_VIRTQ_F_EVENT_IDX |
                                                      (options.packed ? VIRTIOFS_VIRTQ_F_RING_PACKED : 0)};
  if (count == 0)
    return EXIT_FAILURE;
  int rc = virtiofs_client_new(&client, &config);
  if (rc == 0)
    rc = virtiofs_client_init(client, NULL, NULL);
  if (rc != 0)
    (void)fprintf(stderr, "virtiofs-bench: cannot use '%s': %s\n", options.socket, strerror(-rc));
  else
    rc = measure(client, &options, chosen, count);
  virtiofs_client_free(client);
  return rc == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
