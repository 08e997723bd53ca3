/* SPDX-License-Identifier: BSD-3-Clause */
/** Descriptors beside what is sent by a UNIX socket. */
#ifndef VIRTIOFS_LIB_BASE_RIGHTS_H
#define VIRTIOFS_LIB_BASE_RIGHTS_H

#include <string.h>
#include <sys/socket.h>

/** Room for so many of them, as an array of the size that is aligned as it has to be. */
#define VIRTIOFS_RIGHTS_WORDS(count) ((CMSG_SPACE(sizeof(int) * (count)) + sizeof(size_t) - 1) / sizeof(size_t))

/** virtiofs_rights_attach - have @hdr take @count descriptors along. @room: of VIRTIOFS_RIGHTS_WORDS() of at least as
 * many, borrowed until it is sent. None: @hdr stays as it is. */
static inline void virtiofs_rights_attach(struct msghdr *hdr, size_t *room, const int *fds, size_t count) {
  const size_t bytes = sizeof(int) * count;
  if (count == 0)
    return;
  memset(room, 0, CMSG_SPACE(bytes));
  hdr->msg_control = room;
  hdr->msg_controllen = CMSG_SPACE(bytes);
  struct cmsghdr *c = CMSG_FIRSTHDR(hdr);
  c->cmsg_level = SOL_SOCKET;
  c->cmsg_type = SCM_RIGHTS;
  c->cmsg_len = CMSG_LEN(bytes);
  memcpy(CMSG_DATA(c), fds, bytes);
}

#endif
