/* SPDX-License-Identifier: BSD-3-Clause */
/* INIT is the only message that is changed on its way. */
#include <linux/fuse.h>
#include <stddef.h>
#include <string.h>

#include "mount.h"

/* Of the kernel's offer: these work between it and whoever has /dev/fuse open, or in a guest's memory alone. */
#define MASKED                                                                                                         \
  (VIRTIOFS_FUSE_SPLICE_READ | VIRTIOFS_FUSE_SPLICE_WRITE | VIRTIOFS_FUSE_SPLICE_MOVE | VIRTIOFS_FUSE_PASSTHROUGH |    \
   VIRTIOFS_FUSE_OVER_IO_URING | VIRTIOFS_FUSE_MAP_ALIGNMENT | VIRTIOFS_FUSE_HAS_INODE_DAX | VIRTIOFS_FUSE_HAS_RESEND)
#define PAGES_MAX (MAX_DATA / PAGE)

/* A message's bytes, from one on, lie in one piece behind its head. */
static void copy(const struct iovec *iov, uint32_t count, size_t at, void *buf, size_t len, bool write) {
  for (uint32_t i = 0; i < count && len > 0; i++) {
    if (at >= iov[i].iov_len) {
      at -= iov[i].iov_len;
      continue;
    }
    size_t here = iov[i].iov_len - at < len ? iov[i].iov_len - at : len;
    unsigned char *there = (unsigned char *)iov[i].iov_base + at;
    memcpy(write ? there : buf, write ? buf : there, here);
    buf = (unsigned char *)buf + here;
    len -= here;
    at = 0;
  }
}

void init_ask(struct virtiofs_message *msg) {
  struct fuse_init_in in = {0};
  size_t head = sizeof(struct fuse_in_header), size = msg->in_len - head;
  if (size > sizeof(in))
    size = sizeof(in);
  copy(msg->in, msg->in_count, head, &in, size, false);
  in.flags &= ~(uint32_t)MASKED;
  in.flags2 &= ~(uint32_t)(MASKED >> 32);
  copy(msg->in, msg->in_count, head, &in, size, true);
}

/* The kernel is not to ask for more at once than a message here has room for. */
void init_answer(struct mount *mount, struct virtiofs_message *msg, size_t used) {
  struct fuse_out_header header;
  struct fuse_init_out out = {0};
  if (used < sizeof(header))
    return;
  copy(msg->out, msg->out_count, 0, &header, sizeof(header), false);
  size_t size = used - sizeof(header) < sizeof(out) ? used - sizeof(header) : sizeof(out);
  if (header.error != 0 || size < offsetof(struct fuse_init_out, time_gran))
    return;
  copy(msg->out, msg->out_count, sizeof(header), &out, size, false);
  if (out.max_write > MAX_DATA)
    out.max_write = MAX_DATA;
  if (out.max_pages > PAGES_MAX)
    out.max_pages = PAGES_MAX;
  copy(msg->out, msg->out_count, sizeof(header), &out, size, true);
  mount->proto = (struct virtiofs_fuse_proto){.agreed = true, .minor = out.minor, .flags = out.flags};
  if ((out.flags & VIRTIOFS_FUSE_INIT_EXT) != 0)
    mount->proto.flags |= (uint64_t)out.flags2 << 32;
  atomic_store(&mount->agreed, &mount->proto);
}
