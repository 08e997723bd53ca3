/* SPDX-License-Identifier: BSD-3-Clause */
/** How vhost-user messages travel: a socket in life, a pipe or a buffer in a fuzzer. */
#ifndef VIRTIOFS_LIB_VHOST_TRANSPORT_H
#define VIRTIOFS_LIB_VHOST_TRANSPORT_H

#include <virtiofs/vhost_user.h>

/** All functions return 0 or -errno. */
struct virtiofs_vhost_transport {
  const struct virtiofs_vhost_transport_ops *ops;
};

struct virtiofs_vhost_transport_ops {
  /**
   * Read one whole message, with virtiofs_vhost_user_header_check() between header and payload. Descriptors in @msg
   * belong to the caller, close-on-exec; after an error none is left open. -ECONNRESET: the other end has closed the
   * connection between two messages. -EPROTO: it closed amid one, or broke a rule. -ETIMEDOUT: it stopped amid one, or
   * nothing came: call this when there is something to read. A message that this library does not serve comes back as 0
   * too.
   */
  int (*receive)(struct virtiofs_vhost_transport *transport, struct virtiofs_vhost_user_message *msg);

  /** Write one whole message; its descriptors stay the caller's. -EPIPE: nobody reads. */
  int (*send)(struct virtiofs_vhost_transport *transport, const struct virtiofs_vhost_user_message *msg);

  /** Close it and free what it holds. */
  void (*close)(struct virtiofs_vhost_transport *transport);
};

/** A connected UNIX stream socket. */
struct virtiofs_vhost_socket {
  struct virtiofs_vhost_transport transport;
  int fd;
  int patience_ms; /* how long the rest of a message may take that has begun, at most so long after its first byte */
};

/**
 * virtiofs_vhost_socket_init - messages over a socket
 * @take_fd: connected; made blocking; closed by the transport's close
 */
void virtiofs_vhost_socket_init(struct virtiofs_vhost_socket *sock, int take_fd);

#endif
