/* SPDX-License-Identifier: BSD-3-Clause */
/* Client, ring, codec, session and the null backend in one process, on one core, with no thread: GETATTR.
 *
 *   inprocess [--count N] [--timed]     N: a million requests by default; with the device measuring each */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <virtiofs/client.h>
#include <virtiofs/device.h>
#include <virtiofs/null.h>

enum { DEPTH_MAX = 128 };

struct bench {
  struct virtiofs_client *client;
  uint64_t left; /* to send */
  uint64_t wrong;
};

static void must(int rc, const char *what) {
  if (rc >= 0)
    return;
  (void)fprintf(stderr, "%s: %s\n", what, strerror(-rc));
  exit(1);
}

static double now(void) {
  struct timespec ts;
  clock_gettime(CLOCK_MONOTONIC, &ts);
  return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void send_one(struct virtiofs_client_request *req) {
  struct bench *bench = req->user;
  bench->left--;
  must(virtiofs_client_request_send(req), "send");
}

static void again(struct virtiofs_client_request *req) {
  struct bench *bench = req->user;
  if (req->error != 0 || (req->out.attr.attr.mode & VIRTIOFS_S_IFMT) != VIRTIOFS_S_IFDIR)
    bench->wrong++;
  if (bench->left > 0)
    send_one(req);
}

static double rate(struct virtiofs_client *client, uint64_t count, uint32_t depth) {
  struct bench bench = {.client = client, .left = count};
  struct virtiofs_client_request *reqs[DEPTH_MAX];
  double began = now();
  for (uint32_t i = 0; i < depth; i++) {
    reqs[i] = virtiofs_client_request_take(client, 1);
    reqs[i]->fuse.header.opcode = VIRTIOFS_FUSE_GETATTR;
    reqs[i]->fuse.in.getattr.node = VIRTIOFS_FUSE_ROOT;
    reqs[i]->done = again;
    reqs[i]->user = &bench;
    if (bench.left > 0)
      send_one(reqs[i]);
  }
  while (virtiofs_client_in_flight(client, 1) > 0)
    must(virtiofs_client_wait(client, 1), "wait");
  double took = now() - began;
  for (uint32_t i = 0; i < depth; i++)
    virtiofs_client_request_give(reqs[i]);
  if (bench.wrong > 0) {
    (void)fprintf(stderr, "%llu wrong answers\n", (unsigned long long)bench.wrong);
    exit(1);
  }
  return (double)count / took;
}

static void measure(const char *layout, uint64_t features, uint64_t count, bool timed) {
  struct virtiofs_null *null;
  struct virtiofs_device *dev;
  struct virtiofs_client *client;
  must(virtiofs_null_new(&null, NULL), "null");
  struct virtiofs_device_config device = {
      .size = sizeof device, .ops = virtiofs_null_ops(), .fs = null, .timed = timed};
  must(virtiofs_device_new(&dev, &device), "device");
  struct virtiofs_client_config config = {.size = sizeof config,
                                          .requests = DEPTH_MAX,
                                          .queue_size = 2 * DEPTH_MAX,
                                          .max_data = 4096,
                                          .features = features,
                                          .transport = virtiofs_device_transport(),
                                          .device = dev};
  must(virtiofs_client_new(&client, &config), "client");
  must(virtiofs_client_init(client, NULL, NULL), "init");
  for (uint32_t depth = 1; depth <= DEPTH_MAX; depth = depth == 1 ? 16 : depth * 8) {
    double best = 0;
    for (int i = 0; i < 5; i++) {
      double got = rate(client, count, depth);
      best = got > best ? got : best;
    }
    printf("%-6s depth %3u: %6.2f million GETATTR per second\n", layout, depth, best / 1e6);
  }
  virtiofs_client_free(client);
  virtiofs_device_free(dev);
  virtiofs_null_free(null);
}

int main(int argc, char **argv) {
  uint64_t count = 1000000;
  bool timed = false;
  for (int i = 1; i < argc; i++) {
    if (strcmp(argv[i], "--timed") == 0)
      timed = true;
    else if (strcmp(argv[i], "--count") == 0 && i + 1 < argc)
      count = strtoull(argv[++i], NULL, 10);
  }
  measure("split", VIRTIOFS_VIRTQ_F_INDIRECT_DESC | VIRTIOFS_VIRTQ_F_EVENT_IDX, count, timed);
  measure("packed", VIRTIOFS_VIRTQ_F_INDIRECT_DESC | VIRTIOFS_VIRTQ_F_RING_PACKED, count, timed);
  return 0;
}
