/* SPDX-License-Identifier: BSD-3-Clause */
/* A server that breaks one rule: lying_server SOCKET DIR LIE. So that one sees that virtiofs-check can fail. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <virtiofs/fuse.h>
#include <virtiofs/passthrough.h>
#include <virtiofs/virtiofs.h>

static const struct virtiofs_ops *honest;
static const char *lie;

static bool lies(const char *name) {
  return strcmp(lie, name) == 0;
}

/* ---- a backend that lies ---- */

static int getattr_larger(struct virtiofs_req *req, const struct virtiofs_getattr_in *in,
                          struct virtiofs_attr_out *out) {
  int rc = honest->getattr(req, in, out);
  out->attr.size++;
  return rc;
}

static int read_less(struct virtiofs_req *req, const struct virtiofs_read_in *in, struct virtiofs_read_out *out) {
  int rc = honest->read(req, in, out);
  out->size -= out->size > 0 ? 1 : 0;
  return rc;
}

static int unlink_not(struct virtiofs_req *req, const struct virtiofs_unlink_in *in) {
  (void)req;
  (void)in;
  return 0;
}

static int mkdir_open(struct virtiofs_req *req, const struct virtiofs_mkdir_in *in, struct virtiofs_entry_out *out) {
  struct virtiofs_mkdir_in other = *in;
  other.mode = 0777;
  return honest->mkdir(req, &other, out);
}

static int rename_always(struct virtiofs_req *req, const struct virtiofs_rename_in *in) {
  struct virtiofs_rename_in other = *in;
  other.flags = 0;
  return honest->rename(req, &other);
}

static int statfs_dies(struct virtiofs_req *req, const struct virtiofs_statfs_in *in, struct virtiofs_statfs_out *out) {
  (void)req;
  (void)in;
  (void)out;
  abort();
}

static int statfs_never(struct virtiofs_req *req, const struct virtiofs_statfs_in *in,
                        struct virtiofs_statfs_out *out) {
  (void)req;
  (void)in;
  (void)out;
  return VIRTIOFS_PENDING;
}

static int fsync_fails(struct virtiofs_req *req, const struct virtiofs_fsync_in *in) {
  (void)req;
  (void)in;
  return -EIO;
}

static void make_ops(struct virtiofs_ops *ops) {
  *ops = *honest;
  if (lies("size"))
    ops->getattr = getattr_larger;
  if (lies("read"))
    ops->read = read_less;
  if (lies("unlink"))
    ops->unlink = unlink_not;
  if (lies("mkdir"))
    ops->mkdir = mkdir_open;
  if (lies("rename"))
    ops->rename = rename_always;
  if (lies("dies"))
    ops->statfs = statfs_dies;
  if (lies("hangs"))
    ops->statfs = statfs_never;
  if (lies("fsync"))
    ops->fsync = fsync_fails;
}

/* ---- replies that are changed on their way, which a tap must not do otherwise ---- */

struct head {
  uint32_t len;
  int32_t error;
  uint64_t unique;
};

static uint32_t opcode_of(const struct virtiofs_message *msg) {
  uint32_t opcode = 0;
  if (msg->in_count > 0 && msg->in[0].iov_len >= 8)
    memcpy(&opcode, (const char *)msg->in[0].iov_base + 4, sizeof(opcode));
  return opcode;
}

static uint64_t seen(void *ctx, uint32_t queue, const struct virtiofs_message *msg) {
  (void)ctx;
  (void)queue;
  return opcode_of(msg);
}

static void changed(void *ctx, uint32_t queue, const struct virtiofs_message *msg, size_t used, uint64_t opcode) {
  struct head head;
  uint32_t word;
  (void)ctx;
  (void)queue;
  if (used < sizeof(head) || msg->out[0].iov_len < used)
    return;
  unsigned char *at = msg->out[0].iov_base;
  memcpy(&head, at, sizeof(head));
  if (lies("unique") && opcode == VIRTIOFS_FUSE_STATFS)
    head.unique ^= UINT64_C(1) << 40;
  if (lies("error") && opcode == VIRTIOFS_FUSE_LOOKUP && head.error < 0)
    head.error = -head.error;
  if (lies("length") && opcode == VIRTIOFS_FUSE_STATFS)
    head.len -= 8;
  memcpy(at, &head, sizeof(head));
  if (lies("init") && opcode == VIRTIOFS_FUSE_INIT && head.error == 0 && used == 80) {
    memcpy(&word, at + 16 + 12, sizeof(word));
    word |= 1U << 31;
    memcpy(at + 16 + 12, &word, sizeof(word));
  }
  if (lies("nodeid") && opcode == VIRTIOFS_FUSE_LOOKUP && head.error == 0) {
    memcpy(&word, at + 16, sizeof(word));
    word ^= 1U << 30;
    memcpy(at + 16, &word, sizeof(word));
  }
}

static const struct virtiofs_tap tap = {.size = sizeof(tap), .request = seen, .reply = changed};

static int listen_at(const char *path) {
  struct sockaddr_un addr = {.sun_family = AF_UNIX};
  if (strlen(path) >= sizeof(addr.sun_path))
    return -1;
  memcpy(addr.sun_path, path, strlen(path) + 1);
  (void)unlink(path);
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0 || bind(fd, (struct sockaddr *)&addr, sizeof(addr)) != 0 || listen(fd, 8) != 0)
    return -1;
  return fd;
}

int main(int argc, char **argv) {
  struct virtiofs_passthrough *fs;
  struct virtiofs_ops ops;
  struct virtiofs_device *device;
  if (argc != 4)
    return EXIT_FAILURE;
  lie = argv[3];
  honest = virtiofs_passthrough_ops();
  make_ops(&ops);
  (void)umask(0);
  struct virtiofs_passthrough_config passthrough = {.size = sizeof(passthrough), .shared_dir = argv[2]};
  if (virtiofs_passthrough_new(&fs, &passthrough) != 0)
    return EXIT_FAILURE;
  struct virtiofs_device_config config = {.size = sizeof(config),
                                          .ops = &ops,
                                          .fs = fs,
                                          .request_queues = 2,
                                          .drain_ms = 1,
                                          .tap = strcmp(lie, "none") != 0 ? &tap : NULL};
  int fd = listen_at(argv[1]);
  if (fd < 0 || virtiofs_device_new(&device, &config) != 0)
    return EXIT_FAILURE;
  for (;;) {
    int front_end = accept(fd, NULL, NULL);
    if (front_end < 0)
      return EXIT_FAILURE;
    (void)virtiofs_device_serve(device, front_end);
  }
}
