/* SPDX-License-Identifier: BSD-3-Clause */
/* Files in the guest's own address space: the pages are those of the host's page cache. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "backends/passthrough/ops.h"
#include "backends/passthrough/share.h"

/* Not paid for: the window has a limit of its own, and descriptors are set aside for it. */
int virtiofs_passthrough_setupmapping(struct virtiofs_req *req, const struct virtiofs_setupmapping_in *in,
                                      struct virtiofs_setupmapping_out *out) {
  struct virtiofs_passthrough *fs = virtiofs_req_fs(req);
  struct inode *inode = virtiofs_passthrough_node(in->node);
  if (inode->type != S_IFREG)
    return -EOPNOTSUPP;
  int fd = virtiofs_passthrough_fd_borrow(fs, inode);
  if (fd < 0)
    return fd;
  struct statx stx;
  int rc = virtiofs_passthrough_stat(fd, &stx);
  if (rc != 0 || stx.stx_size == 0) {
    virtiofs_passthrough_fd_return(fs, inode, fd);
    return rc != 0 ? rc
                   : -ENXIO; /* there is nothing to map, and QEMU would make an empty file as long as the mapping */
  }
  /* QEMU maps for writing whatever it is asked, and can't without a descriptor for that: it is got where it can be had.
   * Where nothing may be changed it is not, or the guest could write all the same. */
  int file = fs->readonly ? -EROFS : virtiofs_passthrough_reopen(fs, fd, O_RDWR);
  if (file < 0 && (in->flags & VIRTIOFS_MAP_WRITE) == 0)
    file = virtiofs_passthrough_reopen(fs, fd, O_RDONLY);
  virtiofs_passthrough_fd_return(fs, inode, fd);
  if (file < 0)
    return file;
  out->fd = file;
  return 0;
}

uint32_t virtiofs_passthrough_dax_flag(const struct virtiofs_passthrough *fs, const struct statx *stx) {
  bool maps =
      S_ISREG(stx->stx_mode) && (fs->dax == VIRTIOFS_PASSTHROUGH_DAX_ALWAYS ||
                                 (fs->dax == VIRTIOFS_PASSTHROUGH_DAX_INODE && stx->stx_size >= PASSTHROUGH_DAX_SIZE));
  return maps ? VIRTIOFS_ATTR_DAX : 0;
}
