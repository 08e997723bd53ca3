/* SPDX-License-Identifier: BSD-3-Clause */
/* Results as lines, as JSON and as a picture. */
#include <stdlib.h>

#include <cjson/cJSON.h>

#include "bench.h"

static double us(const struct histogram *h, double share) {
  return (double)histogram_quantile(h, share) / 1e3;
}

static double megabytes(const struct result *result) {
  return result_rate(result) * result->op->bytes / 1e6;
}

/* Microseconds of processor time for each operation. */
static double cpu_each(double cpu, const struct result *result) {
  return cpu < 0 || result->count == 0 ? -1 : cpu * 1e6 / (double)result->count;
}

void report_head(FILE *to) {
  (void)fprintf(to, "%-12s %10s %9s %9s %9s %9s %10s %10s %7s\n", "op", "ops/s", "MB/s", "p50 us", "p99 us", "p99.9 us",
                "client us", "server us", "errors");
}

void report_line(FILE *to, const struct result *result) {
  double server = cpu_each(result->server_cpu, result);
  (void)fprintf(to, "%-12s %10.0f %9.1f %9.1f %9.1f %9.1f %10.2f ", result->op->name, result_rate(result),
                megabytes(result), us(&result->latency, 0.5), us(&result->latency, 0.99), us(&result->latency, 0.999),
                cpu_each(result->client_cpu, result));
  if (server < 0)
    (void)fprintf(to, "%10s", "-");
  else
    (void)fprintf(to, "%10.2f", server);
  (void)fprintf(to, " %7llu\n", (unsigned long long)result->errors);
  (void)fflush(to);
}

static bool add_result(cJSON *list, const struct result *result) {
  cJSON *one = cJSON_CreateObject();
  double server = cpu_each(result->server_cpu, result);
  if (one == NULL || !cJSON_AddItemToArray(list, one))
    return false;
  return cJSON_AddStringToObject(one, "op", result->op->name) != NULL &&
         cJSON_AddNumberToObject(one, "ops_per_second", result_rate(result)) != NULL &&
         cJSON_AddNumberToObject(one, "megabytes_per_second", megabytes(result)) != NULL &&
         cJSON_AddNumberToObject(one, "p50_us", us(&result->latency, 0.5)) != NULL &&
         cJSON_AddNumberToObject(one, "p99_us", us(&result->latency, 0.99)) != NULL &&
         cJSON_AddNumberToObject(one, "p999_us", us(&result->latency, 0.999)) != NULL &&
         cJSON_AddNumberToObject(one, "client_cpu_us", cpu_each(result->client_cpu, result)) != NULL &&
         (server < 0 || cJSON_AddNumberToObject(one, "server_cpu_us", server) != NULL) &&
         cJSON_AddNumberToObject(one, "count", (double)result->count) != NULL &&
         cJSON_AddNumberToObject(one, "errors", (double)result->errors) != NULL;
}

bool report_json(FILE *to, const struct result *results, unsigned count, const struct run_options *options) {
  cJSON *all = cJSON_CreateObject();
  cJSON *list = all != NULL ? cJSON_AddArrayToObject(all, "results") : NULL;
  bool ok = list != NULL && cJSON_AddNumberToObject(all, "queues", options->queues) != NULL &&
            cJSON_AddNumberToObject(all, "depth", options->depth) != NULL &&
            cJSON_AddNumberToObject(all, "threads", options->threads) != NULL;
  for (unsigned i = 0; ok && i < count; i++)
    ok = add_result(list, &results[i]);
  char *text = ok ? cJSON_Print(all) : NULL;
  ok = text != NULL && fprintf(to, "%s\n", text) > 0;
  cJSON_free(text);
  cJSON_Delete(all);
  return ok;
}

/* A bar for each operation, as long as it is fast beside the fastest of its kind. */
bool report_svg(const char *path, const struct result *results, unsigned count) {
  enum { ROW = 22, LEFT = 110, WIDTH = 480, RIGHT = 250 };
  double most[2] = {0, 0};
  FILE *to = fopen(path, "w");
  if (to == NULL)
    return false;
  for (unsigned i = 0; i < count; i++) {
    bool data = results[i].op->bytes > 0;
    double value = data ? megabytes(&results[i]) : result_rate(&results[i]);
    if (value > most[data])
      most[data] = value;
  }
  (void)fprintf(to,
                "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%u\" font-family=\"sans-serif\" "
                "font-size=\"12\">\n",
                LEFT + WIDTH + RIGHT, count * ROW + 10);
  for (unsigned i = 0; i < count; i++) {
    bool data = results[i].op->bytes > 0;
    double value = data ? megabytes(&results[i]) : result_rate(&results[i]);
    double length = most[data] > 0 ? value / most[data] * WIDTH : 0;
    unsigned y = 5 + i * ROW;
    (void)fprintf(to, "<text x=\"%d\" y=\"%u\" text-anchor=\"end\">%s</text>\n", LEFT - 6, y + 14, results[i].op->name);
    (void)fprintf(to, "<rect x=\"%d\" y=\"%u\" width=\"%.1f\" height=\"%d\" fill=\"%s\"/>\n", LEFT, y, length, ROW - 4,
                  data ? "#4878a8" : "#58a066");
    (void)fprintf(to, "<text x=\"%.1f\" y=\"%u\">%.0f %s, p50 %.0f us, p99 %.0f us</text>\n", LEFT + length + 6, y + 14,
                  value, data ? "MB/s" : "ops/s", us(&results[i].latency, 0.5), us(&results[i].latency, 0.99));
  }
  (void)fputs("</svg>\n", to);
  return fclose(to) == 0;
}
