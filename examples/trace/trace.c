/* SPDX-License-Identifier: BSD-3-Clause */
/* Shows a record that a server has made by --record: virtiofs-trace [--summary] FILE; see virtiofs-trace(1).
 * cc *.c -o virtiofs-trace $(pkg-config --cflags --libs libvirtiofs) */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "options.h"
#include "summary.h"

#define PROGRAM "virtiofs-trace"
#define NS_PER_SEC 1000000000U

struct trace {
  struct options options;
  struct reader reader;
  struct summary *summary; /* NULL: lines are printed */
  bool no_memory;
};

static void print_time(const struct trace *trace, uint64_t ns) {
  char text[40];
  struct tm tm;
  if (!trace->options.wall) {
    (void)printf("%6" PRIu64 ".%06" PRIu64, ns / NS_PER_SEC, ns % NS_PER_SEC / 1000);
    return;
  }
  ns += trace->reader.header.wall_ns;
  time_t seconds = (time_t)(ns / NS_PER_SEC);
  if (gmtime_r(&seconds, &tm) == NULL || strftime(text, sizeof(text), "%H:%M:%S", &tm) == 0)
    (void)snprintf(text, sizeof(text), "?");
  (void)printf("%s.%06" PRIu64, text, ns % NS_PER_SEC / 1000);
}

static void print_line(const struct trace *trace, const struct exchange *exchange) {
  uint64_t took = exchange->end_ns - exchange->start_ns;
  print_time(trace, exchange->start_ns);
  (void)printf(" q%u %s", exchange->queue, exchange->request);
  if (exchange->kind == VIRTIOFS_RECORD_NOTIFICATION)
    (void)printf("\n");
  else if (!exchange->answered)
    (void)printf(" = ? (unanswered)\n");
  else
    (void)printf(" = %s <%" PRIu64 ".%06" PRIu64 ">\n", exchange->reply != NULL ? exchange->reply : "-",
                 took / NS_PER_SEC, took % NS_PER_SEC / 1000);
}

static void on_exchange(void *ctx, const struct exchange *exchange) {
  struct trace *trace = ctx;
  if (!options_want(&trace->options, exchange))
    return;
  if (trace->summary == NULL)
    print_line(trace, exchange);
  else if (summary_add(trace->summary, exchange) != 0)
    trace->no_memory = true;
}

static int fail(const char *name, const char *why) {
  (void)fflush(stdout);
  (void)fprintf(stderr, PROGRAM ": %s: %s\n", name, why);
  return -1;
}

/* What can be read is shown, also of a file that is broken further on. 0, or -1 after a line on stderr. */
static int read_all(struct trace *trace, const char *name) {
  struct virtiofs_record record;
  size_t stored;
  int rc;
  struct follow *follow = follow_new(on_exchange, trace);
  if (follow == NULL)
    return fail(name, strerror(ENOMEM));
  while ((rc = reader_next(&trace->reader, &record, &stored)) == 1)
    if (follow_record(follow, &record, trace->reader.bytes, stored) != 0)
      break;
  follow_end(follow);
  if (rc == 1 || trace->no_memory)
    return fail(name, strerror(ENOMEM));
  if (rc < 0) {
    (void)fflush(stdout);
    (void)fprintf(stderr, PROGRAM ": %s: %s, at byte %" PRIu64 "\n", name, trace->reader.fault, trace->reader.at);
  }
  return rc;
}

static int run(struct trace *trace, FILE *file, const char *name) {
  if (trace->options.summary) {
    trace->summary = summary_new();
    if (trace->summary == NULL)
      return fail(name, strerror(ENOMEM));
  }
  if (reader_init(&trace->reader, file) != 0)
    return fail(name, trace->reader.fault);
  int rc = read_all(trace, name);
  reader_fini(&trace->reader);
  if (trace->options.json)
    summary_print_json(trace->summary, stdout);
  else if (trace->summary != NULL)
    summary_print(trace->summary, stdout);
  return rc;
}

int main(int argc, char **argv) {
  struct trace trace = {.summary = NULL};
  options_parse(&trace.options, argc, argv);
  const char *name = trace.options.file;
  FILE *file = strcmp(name, "-") == 0 ? stdin : fopen(name, "rbe");
  if (file == NULL) {
    (void)fail(name, strerror(errno));
    return EXIT_FAILURE;
  }
  int rc = run(&trace, file, name);
  summary_free(trace.summary);
  if (file != stdin)
    (void)fclose(file);
  if (fflush(stdout) != 0 || ferror(stdout))
    rc = fail("standard output", strerror(errno));
  return rc == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
