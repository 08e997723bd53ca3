/* SPDX-License-Identifier: BSD-3-Clause */
/* What the codec costs: one request read and its reply written, in one segment each, for the busiest opcodes.
 *
 *   codec [--count N] [--op NAME] [--entries N] [--json]
 *
 * --entries is for READDIRPLUS, 20 unless told. The op "names" copies as many names and does nothing else.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <virtiofs/fuse.h>

enum { PAGE = 4096, ENTRIES = 20, IO = 4096 };

static int entries = ENTRIES;

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

/* Names as long as they are in a listing. */
static struct virtiofs_dirent dirent = {.name = "file-0123456789", .len = 15, .ino = 5, .next = 9};

/* What can't be saved. */
__attribute__((noinline)) static void copy_names(void) {
  for (int i = 0; i < entries; i++)
    memcpy(reply + 176 * i, dirent.name, dirent.len);
}

static uint32_t put_page(void) {
  struct iovec iov = {.iov_base = reply + 16, .iov_len = PAGE};
  struct virtiofs_data dir = {.iov = &iov, .count = 1, .size = PAGE};
  struct virtiofs_fuse_dirents list;
  virtiofs_fuse_dirents_init(&list, &spoken, &dir);
  for (int i = 0; i < entries; i++)
    must(virtiofs_fuse_dirents_add(&list, &dirent, &entry));
  return (uint32_t)virtiofs_fuse_dirents_size(&list);
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
#define OPCODES (sizeof(opcodes) / sizeof(opcodes[0]))

struct options {
  unsigned long count;
  const char *op;
  bool json;
};

/* Nanoseconds each. */
static double run(uint32_t opcode, unsigned long count) {
  double begin = now();
  for (unsigned long n = 0; n < count; n++) {
    if (opcode == 0)
      copy_names();
    else
      one(opcode);
  }
  return count > 0 ? (now() - begin) / (double)count : 0;
}

static bool parse(struct options *options, int argc, char **argv) {
  for (int i = 1; i < argc; i++) {
    if (strcmp(argv[i], "--json") == 0)
      options->json = true;
    else if (strcmp(argv[i], "--count") == 0 && i + 1 < argc)
      options->count = strtoul(argv[++i], NULL, 10);
    else if (strcmp(argv[i], "--op") == 0 && i + 1 < argc)
      options->op = argv[++i];
    else if (strcmp(argv[i], "--entries") == 0 && i + 1 < argc)
      entries = (int)strtoul(argv[++i], NULL, 10);
    else
      return false;
  }
  return entries >= 0 && entries <= ENTRIES;
}

int main(int argc, char **argv) {
  struct options options = {.count = 1000000};
  bool first = true;
  if (!parse(&options, argc, argv)) {
    (void)fprintf(stderr, "usage: codec [--count N] [--op NAME] [--entries 0..%d] [--json]\n", ENTRIES);
    return 2;
  }
  (void)fputs(options.json ? "{" : "operation         ns per decode + reply\n", stdout);
  for (size_t i = 0; i <= OPCODES; i++) {
    uint32_t opcode = i < OPCODES ? opcodes[i] : 0;
    const char *name = opcode != 0 ? virtiofs_fuse_opcode_name(opcode) : "names";
    if (options.op != NULL && strcmp(options.op, name) != 0)
      continue;
    if (opcode != 0)
      build(opcode);
    double each = run(opcode, options.count);
    if (options.json)
      (void)printf("%s\"%s\": %.1f", first ? "" : ", ", name, each);
    else
      (void)printf("%-16s %8.1f\n", name, each);
    first = false;
  }
  (void)fputs(options.json ? "}\n" : "", stdout);
  return 0;
}
