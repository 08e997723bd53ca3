/* SPDX-License-Identifier: BSD-3-Clause */
/* What the codec costs: one request read and its reply written, in one segment each, for the busiest opcodes.
 *
 *   codec [--count N] [--op NAME] [--json]
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <virtiofs/fuse.h>

enum { PAGE = 4096, ENTRIES = 20, IO = 4096 };

static const struct virtiofs_fuse_proto spoken = {.agreed = true, .minor = VIRTIOFS_FUSE_MINOR};
static const struct virtiofs_entry_out entry = {
    .node = 2, .entry_valid_ns = 1000000000, .attr_valid_ns = 1000000000, .attr = {.ino = 3, .mode = 0100644}};

static unsigned char request[PAGE + IO], reply[PAGE + IO];
static size_t request_len;
static struct virtiofs_fuse_request req;

static void must(bool so) {
  if (!so)
    abort();
}

static void build(uint32_t opcode) {
  struct virtiofs_fuse_header header = {.opcode = opcode, .unique = 2};
  struct virtiofs_name name = {.str = "some-file.txt", .len = 13};
  union virtiofs_fuse_in in;
  memset(&in, 0, sizeof(in));
  in.nodeid = 1;
  if (opcode == VIRTIOFS_FUSE_LOOKUP)
    in.lookup.name = name;
  if (opcode == VIRTIOFS_FUSE_CREATE)
    in.create = (struct virtiofs_create_in){.parent = 1, .name = name, .mode = 0100644};
  if (opcode == VIRTIOFS_FUSE_READ)
    in.read.size = IO;
  if (opcode == VIRTIOFS_FUSE_READDIRPLUS)
    in.readdir.size = PAGE;
  if (opcode == VIRTIOFS_FUSE_WRITE)
    in.write.data.size = IO;
  ssize_t own = virtiofs_fuse_request_encode(&spoken, &header, &in, request, PAGE);
  must(own > 0);
  request_len = (size_t)own + (opcode == VIRTIOFS_FUSE_WRITE ? IO : 0);
}

/* A page of names, as long as they are in a listing. */
static uint32_t put_page(void) {
  static const struct virtiofs_dirent dirent = {.name = "file-0123456789", .len = 15, .ino = 5, .next = 9};
  struct iovec iov = {.iov_base = reply + 16, .iov_len = PAGE};
  struct virtiofs_data dir = {.iov = &iov, .count = 1, .size = PAGE};
  size_t used = 0;
  for (int i = 0; i < ENTRIES; i++) {
    ssize_t size = virtiofs_fuse_dirent_encode(&spoken, &dir, used, &dirent, &entry);
    must(size > 0);
    used += (size_t)size;
  }
  return (uint32_t)used;
}

static void one(uint32_t opcode) {
  struct iovec in = {.iov_base = request, .iov_len = request_len}, room = {.iov_base = reply, .iov_len = sizeof(reply)};
  static union virtiofs_fuse_out out;
  must(virtiofs_fuse_request_decode(&req, &spoken, &in, 1) == 0);
  switch (opcode) {
  case VIRTIOFS_FUSE_GETATTR:
    out.attr.attr = entry.attr;
    break;
  case VIRTIOFS_FUSE_LOOKUP:
    out.entry = entry;
    break;
  case VIRTIOFS_FUSE_CREATE:
    out.create.entry = entry;
    break;
  case VIRTIOFS_FUSE_WRITE:
    out.write.size = IO;
    break;
  default:
    out.read.size = opcode == VIRTIOFS_FUSE_READ ? IO : put_page();
    break;
  }
  must(virtiofs_fuse_reply_encode(&spoken, &req.header, 0, &out, &room, 1) > 0);
}

static double now(void) {
  struct timespec ts;
  must(clock_gettime(CLOCK_MONOTONIC, &ts) == 0);
  return (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec;
}

static const uint32_t opcodes[] = {VIRTIOFS_FUSE_GETATTR, VIRTIOFS_FUSE_LOOKUP, VIRTIOFS_FUSE_READ,
                                   VIRTIOFS_FUSE_WRITE,   VIRTIOFS_FUSE_CREATE, VIRTIOFS_FUSE_READDIRPLUS};

int main(int argc, char **argv) {
  unsigned long count = 1000000;
  const char *only = NULL;
  bool json = false, first = true;
  for (int i = 1; i < argc; i++) {
    if (strcmp(argv[i], "--json") == 0) {
      json = true;
    } else if (strcmp(argv[i], "--count") == 0 && i + 1 < argc) {
      count = strtoul(argv[++i], NULL, 10);
    } else if (strcmp(argv[i], "--op") == 0 && i + 1 < argc) {
      only = argv[++i];
    } else {
      (void)fprintf(stderr, "usage: codec [--count N] [--op NAME] [--json]\n");
      return 2;
    }
  }
  (void)fputs(json ? "{" : "operation         ns per decode + reply\n", stdout);
  for (size_t i = 0; i < sizeof(opcodes) / sizeof(opcodes[0]); i++) {
    const char *name = virtiofs_fuse_opcode_name(opcodes[i]);
    if (only != NULL && strcmp(only, name) != 0)
      continue;
    build(opcodes[i]);
    double begin = now();
    for (unsigned long n = 0; n < count; n++)
      one(opcodes[i]);
    double each = count > 0 ? (now() - begin) / (double)count : 0;
    if (json)
      (void)printf("%s\"%s\": %.1f", first ? "" : ", ", name, each);
    else
      (void)printf("%-16s %8.1f\n", name, each);
    first = false;
  }
  (void)fputs(json ? "}\n" : "", stdout);
  return 0;
}
