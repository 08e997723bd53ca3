/* SPDX-License-Identifier: BSD-3-Clause */
#include "frontend.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "guest.h"

int frontend_connect(const char *path) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  int sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (strlen(path) >= sizeof address.sun_path)
    must(-ENAMETOOLONG, path);
  strcpy(address.sun_path, path);
  if (sock < 0 || connect(sock, (const struct sockaddr *)&address, sizeof address) != 0)
    must(-errno, path);
  return sock;
}

static void send_message(int sock, struct virtiofs_vhost_user_header header,
                         const union virtiofs_vhost_user_payload *payload, int fd) {
  struct iovec iov[2] = {{.iov_base = &header, .iov_len = sizeof header},
                         {.iov_base = (void *)(uintptr_t)payload, .iov_len = header.size}};
  union {
    struct cmsghdr head;
    char all[CMSG_SPACE(sizeof(int))];
  } control = {.head = {.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof fd)}};
  struct msghdr msg = {.msg_iov = iov, .msg_iovlen = 2};
  if (fd >= 0) {
    memcpy(CMSG_DATA(&control.head), &fd, sizeof fd);
    msg.msg_control = &control;
    msg.msg_controllen = sizeof control;
  }
  /* A stream socket may take a part; a real VMM sends the rest. */
  if (sendmsg(sock, &msg, MSG_NOSIGNAL) != (ssize_t)(sizeof header + header.size))
    must(-EIO, virtiofs_vhost_user_request_name(header.request));
}

static void receive(int sock, void *data, size_t size, const char *what) {
  if (size > 0 && recv(sock, data, size, MSG_WAITALL) != (ssize_t)size)
    must(-ECONNRESET, what);
}

/* Nothing is believed of a reply that isn't checked. */
static void receive_reply(int sock, uint32_t request, union virtiofs_vhost_user_payload *payload) {
  const char *what = virtiofs_vhost_user_request_name(request);
  struct virtiofs_vhost_user_header header;
  receive(sock, &header, sizeof header, what);
  if (header.request != request || (header.flags & VIRTIOFS_VHOST_USER_REPLY) == 0 || header.size > sizeof *payload)
    must(-EPROTO, what);
  memset(payload, 0, sizeof *payload);
  receive(sock, payload, header.size, what);
}

void frontend_ask(int sock, uint32_t request, union virtiofs_vhost_user_payload *payload, uint32_t size) {
  struct virtiofs_vhost_user_header header = {.request = request, .flags = VIRTIOFS_VHOST_USER_VERSION, .size = size};
  send_message(sock, header, payload, -1);
  receive_reply(sock, request, payload);
}

void frontend_tell(int sock, uint32_t request, const union virtiofs_vhost_user_payload *payload, uint32_t size,
                   int fd) {
  struct virtiofs_vhost_user_header header = {
      .request = request, .flags = VIRTIOFS_VHOST_USER_VERSION | VIRTIOFS_VHOST_USER_NEED_REPLY, .size = size};
  union virtiofs_vhost_user_payload ack;
  send_message(sock, header, payload, fd);
  receive_reply(sock, request, &ack);
  if (ack.u64 != 0)
    must(-EREMOTEIO, virtiofs_vhost_user_request_name(request));
}

uint64_t frontend_ask_u64(int sock, uint32_t request) {
  union virtiofs_vhost_user_payload payload = {.u64 = 0};
  frontend_ask(sock, request, &payload, 0);
  return payload.u64;
}

void frontend_tell_u64(int sock, uint32_t request, uint64_t value) {
  frontend_tell(sock, request, &(union virtiofs_vhost_user_payload){.u64 = value}, sizeof value, -1);
}

void frontend_say_u64(int sock, uint32_t request, uint64_t value) {
  struct virtiofs_vhost_user_header header = {
      .request = request, .flags = VIRTIOFS_VHOST_USER_VERSION, .size = sizeof value};
  send_message(sock, header, &(union virtiofs_vhost_user_payload){.u64 = value}, -1);
}
