/* SPDX-License-Identifier: BSD-3-Clause */
/* Contents in the guest's own address space. */
#include <errno.h>
#include <fcntl.h>

#include "backends/memfs/node.h"
#include "backends/memfs/ops.h"

/*
 * What the guest stores into holes then takes memory that nobody asks for, so pages up to the file's end are paid for
 * now. Those of a file that grows under its mapping are counted when something is done to it next.
 */
static int pay(struct virtiofs_memfs *fs, struct node *node, uint64_t offset, uint64_t len) {
  uint64_t taken;
  node->file.dense = false;
  if (offset >= node->size)
    return 0;
  if (len > node->size - offset)
    len = node->size - offset;
  int rc = virtiofs_memfs_charge(fs, node, offset, len, &taken);
  if (rc != 0)
    return rc;
  rc = virtiofs_memfs_fallocate_file(node->file.fd, FALLOC_FL_KEEP_SIZE, offset, len);
  virtiofs_memfs_settle(fs, node, taken);
  return rc;
}

int virtiofs_memfs_setupmapping(struct virtiofs_req *req, const struct virtiofs_setupmapping_in *in,
                                struct virtiofs_setupmapping_out *out) {
  struct virtiofs_memfs *fs = virtiofs_req_fs(req);
  struct node *node = virtiofs_memfs_node(in->node);
  if (node->type != VIRTIOFS_S_IFREG)
    return -EOPNOTSUPP;
  virtiofs_memfs_write_lock(node);
  int rc = virtiofs_memfs_need_file(fs, node);
  if (rc == 0 && (in->flags & VIRTIOFS_MAP_WRITE) != 0)
    rc = pay(fs, node, in->offset, in->len);
  if (rc == 0) {
    out->fd = fcntl(node->file.fd, F_DUPFD_CLOEXEC, 0);
    rc = out->fd >= 0 ? 0 : virtiofs_memfs_error(errno);
  }
  virtiofs_memfs_unlock(node);
  return rc;
}
