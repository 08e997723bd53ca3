/* SPDX-License-Identifier: BSD-3-Clause */
/* Requests that Linux sends to a FUSE daemon and not over virtio-fs: `fusedev DIR BLOCKDEV RECORD`, as root.
 * Mounts a file system of three kinds of files at DIR, with BLOCKDEV as its source, which is what makes Linux ask for
 * BMAP; a child makes the system calls, the parent answers and writes all down as docs/record-format.md says. */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/fuse.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <virtiofs/record.h>

/* "file"; "slow", which is never read; "g0", "g1" .. */
enum { NODE_FILE = 2, NODE_SLOW = 3, NODE_G = 4, GS = 3, HANDLE = 7, REQUEST_MAX = 1 << 17 };

static const char text[] = "golden\n";

static struct {
  int fd, record;
  pid_t child;
  uint64_t start_ns;
  uint64_t number, answered;        /* in the record: of the last request, of the one that is being answered */
  uint64_t waiting, waiting_number; /* the READ that nobody answers before it is interrupted */
  unsigned char request[REQUEST_MAX];
} server;

static long must(const char *what, long rc) {
  if (rc >= 0)
    return rc;
  (void)fprintf(stderr, "fusedev: %s: %s\n", what, strerror(errno));
  exit(EXIT_FAILURE);
}

/* ---- the record ---- */

static uint64_t now(clockid_t clock) {
  struct timespec ts;
  must("clock_gettime", clock_gettime(clock, &ts));
  return (uint64_t)ts.tv_sec * 1000000000U + (uint64_t)ts.tv_nsec;
}

static void record_open(const char *path) {
  struct virtiofs_record_file header = {.order = VIRTIOFS_RECORD_ORDER,
                                        .version = VIRTIOFS_RECORD_VERSION,
                                        .size = sizeof header,
                                        .wall_ns = now(CLOCK_REALTIME),
                                        .monotonic_ns = now(CLOCK_MONOTONIC),
                                        .data_max = REQUEST_MAX};
  memcpy(header.magic, VIRTIOFS_RECORD_MAGIC, sizeof header.magic);
  server.start_ns = header.monotonic_ns;
  server.record = (int)must(path, open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  must(path, write(server.record, &header, sizeof header));
}

static void record(enum virtiofs_record_kind kind, uint64_t number, const struct iovec *message, int count) {
  struct virtiofs_record header = {
      .kind = (uint16_t)kind, .time_ns = now(CLOCK_MONOTONIC) - server.start_ns, .number = number};
  struct iovec iov[3] = {{&header, sizeof header}};
  for (int i = 0; i < count; i++) {
    iov[i + 1] = message[i];
    header.len += message[i].iov_len;
  }
  header.size = (uint32_t)(sizeof header + header.len);
  must("record", writev(server.record, iov, count + 1));
}

/* ---- the server ---- */

static void answer(uint64_t unique, int error, const void *args, size_t size) {
  struct fuse_out_header out = {.len = (uint32_t)(sizeof out + size), .error = error, .unique = unique};
  struct iovec iov[2] = {{&out, sizeof out}, {(void *)(uintptr_t)args, size}};
  record(VIRTIOFS_RECORD_REPLY, server.answered, iov, 2);
  must("answer", writev(server.fd, iov, 2));
}

/* FORGET and its like: there is no reply to it. */
static void take(void) {
  record(VIRTIOFS_RECORD_REPLY, server.answered, NULL, 0);
}

static void notify(int code, const void *args, size_t size, const char *name) {
  struct fuse_out_header out = {.error = code};
  struct iovec iov[3] = {{&out, sizeof out},
                         {(void *)(uintptr_t)args, size},
                         {(void *)(uintptr_t)name, name != NULL ? strlen(name) + 1 : 0}};
  out.len = (uint32_t)(sizeof out + size + iov[2].iov_len);
  must("notify", writev(server.fd, iov, 3));
}

static struct fuse_attr attr_of(uint64_t node) {
  struct fuse_attr attr = {.ino = node, .mode = node == FUSE_ROOT_ID ? 040777 : 0100644, .nlink = 1, .blksize = 4096};
  attr.size = sizeof text - 1;
  return attr;
}

static void on_lookup(const struct fuse_in_header *in, const char *name) {
  struct fuse_entry_out out = {0};
  if (strcmp(name, "file") == 0)
    out.nodeid = NODE_FILE;
  else if (strcmp(name, "slow") == 0)
    out.nodeid = NODE_SLOW;
  else if (name[0] == 'g')
    out.nodeid = NODE_G + (uint64_t)(name[1] - '0');
  out.attr = attr_of(out.nodeid);
  answer(in->unique, out.nodeid == 0 ? -ENOENT : 0, &out, out.nodeid == 0 ? 0 : sizeof out);
}

/* The contents are in the page cache now; the three names are known, and are taken away while nobody reads what Linux
 * has to say about it: it forgets them all at once. */
static void on_flush(const struct fuse_in_header *in) {
  struct fuse_notify_retrieve_out retrieve = {.notify_unique = 99, .nodeid = NODE_FILE, .offset = 1, .size = 4};
  struct fuse_notify_inval_entry_out gone = {.parent = FUSE_ROOT_ID, .namelen = 2};
  if (in->nodeid == NODE_FILE) {
    notify(FUSE_NOTIFY_RETRIEVE, &retrieve, sizeof retrieve, NULL);
    for (unsigned i = 0; i < GS; i++)
      notify(FUSE_NOTIFY_INVAL_ENTRY, &gone, sizeof gone, (const char[]){'g', (char)('0' + i), 0});
  }
  answer(in->unique, 0, NULL, 0);
}

static void on_read(const struct fuse_in_header *in) {
  if (in->nodeid != NODE_SLOW) {
    answer(in->unique, 0, text, sizeof text - 1);
    return;
  }
  server.waiting = in->unique;
  server.waiting_number = server.number;
  must("kill", kill(server.child, SIGUSR1));
}

static void serve_one(const struct fuse_in_header *in, const unsigned char *args) {
  struct fuse_init_out init = {.major = FUSE_KERNEL_VERSION, .minor = FUSE_KERNEL_MINOR_VERSION, .max_write = 4096};
  struct fuse_attr_out attr = {.attr = attr_of(in->nodeid)};
  struct fuse_open_out open = {.fh = HANDLE, .open_flags = in->nodeid == NODE_SLOW ? FOPEN_DIRECT_IO : 0};
  struct fuse_statfs_out statfs = {.st = {.bsize = 4096, .namelen = 255}};
  struct fuse_bmap_out bmap = {.block = 77};
  switch (in->opcode) {
  case FUSE_INIT:
    init.max_readahead = ((const struct fuse_init_in *)(const void *)args)->max_readahead;
    answer(in->unique, 0, &init, sizeof init);
    return;
  case FUSE_LOOKUP:
    on_lookup(in, (const char *)args);
    return;
  case FUSE_GETATTR:
    answer(in->unique, 0, &attr, sizeof attr);
    return;
  case FUSE_OPEN:
    answer(in->unique, 0, &open, sizeof open);
    return;
  case FUSE_READ:
    on_read(in);
    return;
  case FUSE_INTERRUPT:
    take();
    server.answered = server.waiting_number;
    answer(server.waiting, -EINTR, NULL, 0);
    return;
  case FUSE_FLUSH:
    on_flush(in);
    return;
  case FUSE_STATFS:
    answer(in->unique, 0, &statfs, sizeof statfs);
    return;
  case FUSE_BMAP:
    answer(in->unique, 0, &bmap, sizeof bmap);
    return;
  case FUSE_ACCESS:
  case FUSE_RELEASE:
  case FUSE_DESTROY:
    answer(in->unique, 0, NULL, 0);
    return;
  case FUSE_FORGET:
  case FUSE_BATCH_FORGET:
  case FUSE_NOTIFY_REPLY:
    take();
    return;
  default:
    answer(in->unique, -ENOSYS, NULL, 0);
    return;
  }
}

static void serve(void) {
  for (;;) {
    ssize_t n = read(server.fd, server.request, sizeof server.request);
    if (n < 0 && errno == ENODEV)
      return;
    must("read", n);
    struct iovec iov = {server.request, (size_t)n};
    server.answered = ++server.number;
    record(VIRTIOFS_RECORD_REQUEST, server.number, &iov, 1);
    serve_one((const struct fuse_in_header *)(const void *)server.request,
              server.request + sizeof(struct fuse_in_header));
  }
}

/* ---- the child ---- */

static void on_signal(int number) {
  (void)number;
}

static void make_calls(const char *dir) {
  struct sigaction interrupts = {.sa_handler = on_signal};
  struct stat st;
  char buf[16];
  int block = 3;
  must("chdir", chdir(dir));
  must("access", access("file", R_OK));
  int fd = (int)must("open", open("file", O_RDONLY));
  must("read", read(fd, buf, sizeof buf));
  must("FIBMAP", ioctl(fd, FIBMAP, &block));
  for (unsigned i = 0; i < GS; i++)
    must("stat", stat((const char[]){'g', (char)('0' + i), 0}, &st));
  must("close", close(fd));

  must("sigaction", sigaction(SIGUSR1, &interrupts, NULL));
  fd = (int)must("open", open("slow", O_RDONLY));
  if (read(fd, buf, sizeof buf) != -1 || errno != EINTR)
    must("the read was not interrupted", -1);
  must("close", close(fd));
  must("chdir", chdir("/"));
  must("umount", umount2(dir, 0));
}

int main(int argc, char **argv) {
  char options[100];
  int status;
  if (argc != 4)
    return EXIT_FAILURE;
  record_open(argv[3]);
  server.fd = (int)must("/dev/fuse", open("/dev/fuse", O_RDWR | O_CLOEXEC));
  (void)snprintf(options, sizeof options, "fd=%d,rootmode=40777,user_id=0,group_id=0,blksize=4096", server.fd);
  must("mount", mount(argv[2], argv[1], "fuseblk", MS_NOSUID | MS_NODEV, options));
  server.child = (pid_t)must("fork", fork());
  if (server.child == 0) {
    close(server.fd);
    make_calls(argv[1]);
    return EXIT_SUCCESS;
  }
  serve();
  must("waitpid", waitpid(server.child, &status, 0));
  return WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_FAILURE;
}
