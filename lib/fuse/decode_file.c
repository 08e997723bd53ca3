/* SPDX-License-Identifier: BSD-3-Clause */
/* Requests on open files and directories. */
#include <errno.h>

#include "fuse/table.h"

int virtiofs_fuse_check_range(uint64_t offset, uint64_t size) {
  if (offset > INT64_MAX)
    return -EINVAL;
  return size > INT64_MAX - offset ? -EFBIG : 0;
}

int virtiofs_fuse_get_data(struct virtiofs_fuse_decoder *dec, struct virtiofs_data *data, size_t size) {
  struct iovec *first;
  if (dec->cur->left != size)
    return -EINVAL;
  data->count = virtiofs_cursor_cut(dec->cur, dec->iov, size, &first);
  data->iov = first;
  data->size = size;
  return 0;
}

/* OPEN and OPENDIR have the same shape; what makes a file has been done by the guest. */
int virtiofs_fuse_decode_open(struct virtiofs_fuse_decoder *dec) {
  struct virtiofs_open_in *in = &dec->req->in.open;
  uint32_t truncates = virtiofs_fuse_if_agreed(dec, VIRTIOFS_FUSE_ATOMIC_O_TRUNC, VIRTIOFS_WIRE_O_TRUNC);
  in->flags = dec->wire->open.flags & ~(VIRTIOFS_WIRE_O_CREAT | VIRTIOFS_WIRE_O_EXCL | VIRTIOFS_WIRE_O_NOCTTY);
  in->flags &= ~VIRTIOFS_WIRE_O_TRUNC | truncates;
  in->open_flags = virtiofs_fuse_if_agreed(dec, VIRTIOFS_FUSE_HANDLE_KILLPRIV_V2, dec->wire->open.open_flags);
  return 0;
}

int virtiofs_fuse_decode_read(struct virtiofs_fuse_decoder *dec) {
  struct virtiofs_read_in *in = &dec->req->in.read;
  in->handle = dec->wire->read.fh;
  in->offset = dec->wire->read.offset;
  in->size = dec->wire->read.size;
  in->flags = dec->wire->read.flags;
  in->data = (struct virtiofs_data){0};
  return virtiofs_fuse_check_range(in->offset, in->size);
}

int virtiofs_fuse_decode_write(struct virtiofs_fuse_decoder *dec) {
  struct virtiofs_write_in *in = &dec->req->in.write;
  in->handle = dec->wire->write.fh;
  in->offset = dec->wire->write.offset;
  in->size = dec->wire->write.size;
  in->flags = dec->wire->write.flags;
  in->write_flags = dec->wire->write.write_flags;
  int rc = virtiofs_fuse_get_data(dec, &in->data, in->size);
  return rc != 0 ? rc : virtiofs_fuse_check_range(in->offset, in->size);
}

int virtiofs_fuse_decode_notify_reply(struct virtiofs_fuse_decoder *dec) {
  struct virtiofs_fuse_notify_reply_in *in = &dec->req->in.notify_reply;
  in->offset = dec->wire->notify_reply.offset;
  in->size = dec->wire->notify_reply.size;
  return virtiofs_fuse_get_data(dec, &in->data, in->size);
}

int virtiofs_fuse_decode_readdir(struct virtiofs_fuse_decoder *dec) {
  struct virtiofs_readdir_in *in = &dec->req->in.readdir;
  in->handle = dec->wire->read.fh;
  in->offset = dec->wire->read.offset;
  in->size = dec->wire->read.size;
  return in->offset > INT64_MAX ? -EINVAL : 0;
}

/* RELEASE and RELEASEDIR have the same shape, FSYNC and FSYNCDIR too. */
int virtiofs_fuse_decode_release(struct virtiofs_fuse_decoder *dec) {
  struct virtiofs_release_in *in = &dec->req->in.release;
  in->handle = dec->wire->release.fh;
  in->flags = dec->wire->release.flags;
  in->release_flags = dec->proto->minor >= 8 ? dec->wire->release.release_flags : 0; /* padding before */
  in->lock_owner = dec->wire->release.lock_owner;
  return 0;
}

int virtiofs_fuse_decode_fsync(struct virtiofs_fuse_decoder *dec) {
  struct virtiofs_fsync_in *in = &dec->req->in.fsync;
  in->handle = dec->wire->fsync.fh;
  in->data_only = (dec->wire->fsync.fsync_flags & VIRTIOFS_WIRE_FSYNC_FDATASYNC) != 0;
  return 0;
}

int virtiofs_fuse_decode_flush(struct virtiofs_fuse_decoder *dec) {
  dec->req->in.flush.handle = dec->wire->flush.fh;
  dec->req->in.flush.lock_owner = dec->wire->flush.lock_owner;
  return 0;
}

int virtiofs_fuse_decode_fallocate(struct virtiofs_fuse_decoder *dec) {
  struct virtiofs_fallocate_in *in = &dec->req->in.fallocate;
  in->handle = dec->wire->fallocate.fh;
  in->offset = dec->wire->fallocate.offset;
  in->length = dec->wire->fallocate.length;
  in->mode = dec->wire->fallocate.mode;
  return in->length == 0 ? -EINVAL : virtiofs_fuse_check_range(in->offset, in->length);
}

int virtiofs_fuse_decode_lseek(struct virtiofs_fuse_decoder *dec) {
  struct virtiofs_lseek_in *in = &dec->req->in.lseek;
  in->handle = dec->wire->lseek.fh;
  in->offset = dec->wire->lseek.offset;
  in->whence = dec->wire->lseek.whence;
  return in->offset > INT64_MAX ? -EINVAL : 0;
}

/* What a reply to COPY_FILE_RANGE can say. */
#define COPY_MAX UINT64_C(0x7ffff000)

int virtiofs_fuse_decode_copy_file_range(struct virtiofs_fuse_decoder *dec) {
  struct virtiofs_copy_file_range_in *in = &dec->req->in.copy_file_range;
  const struct virtiofs_wire_copy_file_range_in *wire = &dec->wire->copy_file_range;
  in->handle = wire->fh_in;
  in->offset = wire->off_in;
  in->node_out = wire->nodeid_out;
  in->handle_out = wire->fh_out;
  in->offset_out = wire->off_out;
  in->len = wire->len;
  in->flags = wire->flags;
  if (dec->req->header.opcode == VIRTIOFS_FUSE_COPY_FILE_RANGE && in->len > COPY_MAX)
    in->len = COPY_MAX;
  int rc = virtiofs_fuse_check_range(in->offset, in->len);
  return rc != 0 ? rc : virtiofs_fuse_check_range(in->offset_out, in->len);
}

int virtiofs_fuse_decode_lk(struct virtiofs_fuse_decoder *dec) {
  struct virtiofs_lk_in *in = &dec->req->in.lk;
  const struct virtiofs_wire_lk_in *wire = &dec->wire->lk;
  in->handle = wire->fh;
  in->owner = wire->owner;
  in->lock =
      (struct virtiofs_lock){.start = wire->lk.start, .end = wire->lk.end, .type = wire->lk.type, .pid = wire->lk.pid};
  in->flock = (wire->lk_flags & VIRTIOFS_WIRE_LK_FLOCK) != 0;
  /* Before 7.17 it came with POSIX_LOCKS. */
  uint64_t means = dec->proto->minor < 17 ? VIRTIOFS_FUSE_POSIX_LOCKS : VIRTIOFS_FUSE_FLOCK_LOCKS;
  if (in->flock && (dec->proto->flags & means) == 0)
    return -EINVAL;
  return in->lock.start > in->lock.end || in->lock.end > INT64_MAX || in->lock.type > VIRTIOFS_WIRE_F_UNLCK ? -EINVAL
                                                                                                            : 0;
}

int virtiofs_fuse_decode_ioctl(struct virtiofs_fuse_decoder *dec) {
  struct virtiofs_ioctl_in *in = &dec->req->in.ioctl;
  const struct virtiofs_wire_ioctl_in *wire = &dec->wire->ioctl;
  in->handle = wire->fh;
  in->flags = wire->flags;
  in->cmd = wire->cmd;
  in->arg = wire->arg;
  in->out_size = wire->out_size;
  in->out = (struct virtiofs_data){0};
  return virtiofs_fuse_get_data(dec, &in->data, wire->in_size);
}

int virtiofs_fuse_decode_poll(struct virtiofs_fuse_decoder *dec) {
  struct virtiofs_poll_in *in = &dec->req->in.poll;
  in->handle = dec->wire->poll.fh;
  in->kh = dec->wire->poll.kh;
  in->flags = dec->wire->poll.flags;
  /* Older drivers leave there what was there. */
  in->events = dec->proto->minor >= 21 ? dec->wire->poll.events : 0;
  return 0;
}
