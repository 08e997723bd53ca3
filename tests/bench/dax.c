/* SPDX-License-Identifier: BSD-3-Clause */
/* What a DAX window gives and costs, beside READ by messages, beside memcpy() from a mapping of the host's own file,
 * and beside a bare exchange of the messages and mappings that a SETUPMAPPING takes.
 *
 *   dax SOCKET FILE NAME     a server with a window at SOCKET shares FILE as NAME; both see the same bytes
 *
 * Prints a line for each: what, figure, the figure that it is compared with, their ratio. */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <virtiofs/client.h>
#include <virtiofs/host_window.h>
#include <virtiofs/vhost_user.h>

#define CHUNK (2U << 20)
#define PIECE (1U << 20)
#define BLOCK 4096U
#define SECONDS 0.3
#define MAPS 300

static struct {
  const char *socket, *path, *name;
  uint64_t size;
} bench;

static double now(void) {
  struct timespec ts;
  clock_gettime(CLOCK_MONOTONIC, &ts);
  return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void must(int rc, const char *what) {
  if (rc >= 0)
    return;
  (void)fprintf(stderr, "dax: %s: %s\n", what, strerror(-rc));
  exit(1);
}

static uint64_t seeded(void) {
  static uint64_t x = 88172645463325252U;
  x ^= x << 13;
  x ^= x >> 7;
  x ^= x << 17;
  return x;
}

struct side {
  struct virtiofs_client *client;
  struct virtiofs_client_dax *dax;
  uint64_t node, handle;
};

static struct virtiofs_client_request *take(const struct side *side, uint32_t opcode, uint64_t node) {
  struct virtiofs_client_request *req = virtiofs_client_request_take(side->client, 1);
  if (req == NULL)
    must(-EBUSY, "request");
  req->fuse.header.opcode = opcode;
  req->fuse.header.nodeid = node;
  return req;
}

static void connect_to(struct side *side, bool poll) {
  struct virtiofs_client_config config = {
      .size = sizeof config, .socket_path = bench.socket, .poll = poll, .window = true};
  must(virtiofs_client_new(&side->client, &config), "connect");
  must(virtiofs_client_init(side->client, NULL, NULL), "init");
  struct virtiofs_client_request *req = take(side, VIRTIOFS_FUSE_LOOKUP, VIRTIOFS_FUSE_ROOT);
  req->fuse.in.lookup.parent = VIRTIOFS_FUSE_ROOT;
  req->fuse.in.lookup.name = (struct virtiofs_name){.str = bench.name, .len = (uint32_t)strlen(bench.name)};
  must(virtiofs_client_request_run(req), "lookup");
  side->node = req->out.entry.node;
  virtiofs_client_request_give(req);
  req = take(side, VIRTIOFS_FUSE_OPEN, side->node);
  req->fuse.in.open.node = side->node;
  must(virtiofs_client_request_run(req), "open");
  side->handle = req->out.open.handle;
  virtiofs_client_request_give(req);
  must(virtiofs_client_dax_new(&side->dax, side->client, 1, 0), "window");
}

static void leave(struct side *side) {
  virtiofs_client_dax_free(side->dax);
  virtiofs_client_free(side->client);
}

/* ---- random reads ---- */

static double reads_by_message(const struct side *side) {
  uint64_t count = 0;
  double began = now();
  while (now() - began < SECONDS) {
    for (unsigned i = 0; i < 16; i++, count++) {
      struct virtiofs_client_request *req = take(side, VIRTIOFS_FUSE_READ, side->node);
      req->fuse.in.read = (struct virtiofs_read_in){
          .node = side->node, .handle = side->handle, .offset = seeded() % (bench.size / BLOCK) * BLOCK, .size = BLOCK};
      must(virtiofs_client_request_run(req), "read");
      virtiofs_client_request_give(req);
    }
  }
  return (double)count / (now() - began);
}

static double reads_by_window(const struct side *side) {
  static unsigned char block[BLOCK];
  uint64_t count = 0;
  double began = now();
  while (now() - began < SECONDS) {
    for (unsigned i = 0; i < 1000; i++, count++)
      if (virtiofs_client_dax_read(side->dax, side->node, seeded() % (bench.size / BLOCK) * BLOCK, block, BLOCK) !=
          BLOCK)
        must(-EIO, "dax read");
  }
  return (double)count / (now() - began);
}

/* ---- one after the other ---- */

static unsigned char *piece;

static double window_pass(const struct side *side) {
  double began = now();
  for (uint64_t at = 0; at < bench.size; at += PIECE)
    if (virtiofs_client_dax_read(side->dax, side->node, at, piece, PIECE) != PIECE)
      must(-EIO, "dax read");
  return (double)bench.size / (now() - began);
}

static double mapping_pass(const unsigned char *map) {
  double began = now();
  for (uint64_t at = 0; at < bench.size; at += PIECE)
    memcpy(piece, map + at, PIECE);
  return (double)bench.size / (now() - began);
}

static double fresh_pass(unsigned char **map) {
  double began = now();
  int fd = open(bench.path, O_RDONLY | O_CLOEXEC);
  *map = mmap(NULL, bench.size, PROT_READ, MAP_SHARED, fd, 0);
  if (fd < 0 || *map == MAP_FAILED)
    must(-errno, "mmap");
  close(fd);
  for (uint64_t at = 0; at < bench.size; at += PIECE)
    memcpy(piece, *map + at, PIECE);
  return (double)bench.size / (now() - began);
}

/* ---- mapping and unmapping ---- */

static double map_and_unmap(const struct side *side) {
  double began = now();
  for (unsigned i = 0; i < MAPS; i++) {
    struct virtiofs_client_dax_range range;
    must(virtiofs_client_dax_map(side->dax, side->node, (uint64_t)(i % 4) * CHUNK, false, &range), "map");
    virtiofs_client_dax_unmap(side->dax, &range);
    must(virtiofs_client_dax_forget(side->dax, side->node), "unmap");
  }
  return (now() - began) / MAPS * 1e6;
}

struct message {
  struct virtiofs_vhost_user_mmap mmap;
};

/* The front-end of the bare exchange. */
static void answer_maps(int channel) {
  struct virtiofs_host_window *window;
  must(virtiofs_host_window_new(&window, CHUNK), "window");
  for (;;) {
    struct message m;
    struct iovec iov = {.iov_base = &m, .iov_len = sizeof m};
    union {
      char bytes[CMSG_SPACE(sizeof(int))];
      struct cmsghdr align;
    } control;
    struct msghdr hdr = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes};
    uint64_t ok = 0;
    int fd = -1;
    if (recvmsg(channel, &hdr, 0) != sizeof m)
      break;
    struct cmsghdr *c = CMSG_FIRSTHDR(&hdr);
    if (c != NULL)
      memcpy(&fd, CMSG_DATA(c), sizeof fd);
    struct virtiofs_dax_step step = {.map = fd >= 0, .fd = fd, .len = m.mmap.len, .file_offset = m.mmap.fd_offset};
    must(virtiofs_host_window_step(window, &step), "step");
    if (fd >= 0)
      close(fd);
    if (write(channel, &ok, sizeof ok) != sizeof ok)
      break;
  }
  virtiofs_host_window_free(window);
}

static void exchange(int channel, uint64_t offset, int fd) {
  struct message m = {.mmap = {.fd_offset = offset, .len = CHUNK}};
  struct iovec iov = {.iov_base = &m, .iov_len = sizeof m};
  union {
    char bytes[CMSG_SPACE(sizeof(int))];
    struct cmsghdr align;
  } control;
  struct msghdr hdr = {.msg_iov = &iov, .msg_iovlen = 1};
  uint64_t ok;
  if (fd >= 0) {
    memset(&control, 0, sizeof control);
    hdr.msg_control = control.bytes;
    hdr.msg_controllen = sizeof control.bytes;
    struct cmsghdr *c = CMSG_FIRSTHDR(&hdr);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof fd);
    memcpy(CMSG_DATA(c), &fd, sizeof fd);
  }
  if (sendmsg(channel, &hdr, 0) != sizeof m || read(channel, &ok, sizeof ok) != sizeof ok)
    must(-EIO, "exchange");
}

static double bare_exchange(void) {
  int ends[2], fd = open(bench.path, O_RDONLY | O_CLOEXEC);
  if (fd < 0 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
    must(-errno, "socketpair");
  pid_t child = fork();
  if (child == 0) {
    close(ends[0]);
    answer_maps(ends[1]);
    _exit(0);
  }
  must(child, "fork");
  close(ends[1]);
  double began = now();
  for (unsigned i = 0; i < MAPS; i++) {
    exchange(ends[0], (uint64_t)(i % 4) * CHUNK, fd);
    exchange(ends[0], 0, -1);
  }
  double us = (now() - began) / MAPS * 1e6;
  close(ends[0]);
  close(fd);
  (void)waitpid(child, NULL, 0);
  return us;
}

static void line(const char *what, double got, double other) {
  printf("%s,%.1f,%.1f,%.3f\n", what, got, other, got / other);
}

int main(int argc, char **argv) {
  struct side sleeping, polling;
  struct stat st;
  unsigned char *map;
  if (argc != 4 || stat(argv[2], &st) != 0 || st.st_size % CHUNK != 0 || st.st_size < 4 * (off_t)CHUNK) {
    (void)fprintf(stderr, "usage: dax SOCKET FILE NAME, of a multiple of 2 MiB, 8 MiB or more\n");
    return 2;
  }
  bench.socket = argv[1];
  bench.path = argv[2];
  bench.name = argv[3];
  bench.size = (uint64_t)st.st_size;
  piece = malloc(PIECE);
  if (piece == NULL)
    must(-ENOMEM, "memory");
  memset(piece, 1, PIECE);

  connect_to(&sleeping, false);
  double message = reads_by_message(&sleeping);
  leave(&sleeping);
  connect_to(&polling, true);
  double polled = reads_by_message(&polling);
  double first = window_pass(&polling);
  double fresh = fresh_pass(&map);
  double second = window_pass(&polling);
  double plain = mapping_pass(map);
  double window = reads_by_window(&polling);
  line("random reads a second; READ by eventfds", window, message);
  line("random reads a second; READ by polling", window, polled);
  line("first pass, bytes a second; fresh mmap", first, fresh);
  line("second pass, bytes a second; plain mmap", second, plain);
  must(virtiofs_client_dax_forget(polling.dax, polling.node), "forget");
  double maps = map_and_unmap(&polling);
  line("map and unmap, us; bare exchange", maps, bare_exchange());
  munmap(map, bench.size);
  leave(&polling);
  free(piece);
  return 0;
}
