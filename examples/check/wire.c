/* SPDX-License-Identifier: BSD-3-Clause */
/* vhost-user as a front-end speaks it, message by message. */
#include "wire.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define F_VERSION_1 (UINT64_C(1) << 32)

/* ---- for people ---- */

static void note_sent(const struct wire *w, uint32_t request, uint32_t size, uint32_t fd_count, const void *payload) {
  if (w->t == NULL)
    return;
  struct test *t = w->t;
  const unsigned char *bytes = payload;
  t->is_message = false;
  int at =
      snprintf(t->sent_text, TEXT_MAX, "%s (%u), %u bytes, %u descriptors:", virtiofs_vhost_user_request_name(request),
               request, size, fd_count);
  for (uint32_t i = 0; i < size && i < 64; i++)
    at += snprintf(t->sent_text + at, (size_t)(TEXT_MAX - at), "%s%02x", i % 4 == 0 ? " " : "", bytes[i]);
  (void)snprintf(t->got_text, TEXT_MAX, "nothing yet");
}

static void note_got(const struct wire *w, int rc, const struct virtiofs_vhost_user_header *header, uint64_t value) {
  if (w->t == NULL)
    return;
  if (rc < 0)
    (void)snprintf(w->t->got_text, TEXT_MAX, "%s", strerror(-rc));
  else
    (void)snprintf(w->t->got_text, TEXT_MAX, "%s (%u), flags %#x, %u bytes: %#llx",
                   virtiofs_vhost_user_request_name(header->request), header->request, header->flags, header->size,
                   (unsigned long long)value);
}

/* ---- messages ---- */

int wire_send(struct wire *w, uint32_t request, uint32_t flags, const void *payload, uint32_t size, const int *fds,
              uint32_t fd_count) {
  struct virtiofs_vhost_user_header header = {.request = request, .flags = flags, .size = size};
  struct iovec iov[2] = {{.iov_base = &header, .iov_len = sizeof(header)},
                         {.iov_base = (void *)(uintptr_t)payload, .iov_len = size}};
  union {
    struct cmsghdr header;
    char bytes[CMSG_SPACE(16 * sizeof(int))];
  } control = {.bytes = {0}};
  struct msghdr msg = {.msg_iov = iov, .msg_iovlen = size > 0 ? 2 : 1};
  note_sent(w, request, size, fd_count, payload);
  if (fd_count > 0) {
    msg.msg_control = control.bytes;
    msg.msg_controllen = CMSG_SPACE(fd_count * sizeof(int));
    struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(fd_count * sizeof(int));
    memcpy(CMSG_DATA(c), fds, fd_count * sizeof(int));
  }
  ssize_t n = sendmsg(w->fd, &msg, MSG_NOSIGNAL);
  if (n < 0)
    return -errno;
  return (size_t)n == sizeof(header) + size ? 0 : -EMSGSIZE;
}

static int receive_all(const struct wire *w, void *data, size_t size) {
  char *at = data;
  while (size > 0) {
    struct pollfd pfd = {.fd = w->fd, .events = POLLIN};
    int ready = poll(&pfd, 1, w->timeout_ms);
    if (ready < 0 && errno == EINTR)
      continue;
    if (ready <= 0)
      return ready == 0 ? -ETIMEDOUT : -errno;
    ssize_t n = recv(w->fd, at, size, 0);
    if (n < 0 && errno == EINTR)
      continue;
    if (n <= 0)
      return n == 0 ? -ECONNRESET : -errno;
    at += n;
    size -= (size_t)n;
  }
  return 0;
}

int wire_receive(struct wire *w, uint32_t request, void *payload, uint32_t room, uint32_t *size) {
  struct virtiofs_vhost_user_header header = {0};
  uint64_t value = 0;
  int rc = receive_all(w, &header, sizeof(header));
  if (rc == 0 && (header.request != request || (header.flags & 7U) != 5 || header.size > room))
    rc = -EPROTO;
  if (rc == 0)
    rc = receive_all(w, payload, header.size);
  if (rc == 0)
    memcpy(&value, payload, header.size < sizeof(value) ? header.size : sizeof(value));
  note_got(w, rc, &header, value);
  *size = header.size;
  return rc;
}

int wire_ask(struct wire *w, uint32_t request, uint64_t *value) {
  uint32_t size;
  *value = 0;
  int rc = wire_send(w, request, VIRTIOFS_VHOST_USER_VERSION, NULL, 0, NULL, 0);
  if (rc == 0)
    rc = wire_receive(w, request, value, sizeof(*value), &size);
  return rc == 0 && size != sizeof(*value) ? -EPROTO : rc;
}

int wire_tell(struct wire *w, uint32_t request, const void *payload, uint32_t size, const int *fds, uint32_t fd_count) {
  bool acked = (w->protocol & VIRTIOFS_VHOST_USER_PROTOCOL_F_REPLY_ACK) != 0;
  uint64_t value = 0;
  uint32_t got;
  int rc = wire_send(w, request, VIRTIOFS_VHOST_USER_VERSION | (acked ? VIRTIOFS_VHOST_USER_NEED_REPLY : 0U), payload,
                     size, fds, fd_count);
  if (rc != 0 || !acked)
    return rc;
  rc = wire_receive(w, request, &value, sizeof(value), &got);
  if (rc == 0 && got != sizeof(value))
    rc = -EPROTO;
  return rc == 0 && value != 0 ? 1 : rc;
}

int wire_tell_u64(struct wire *w, uint32_t request, uint64_t value) {
  return wire_tell(w, request, &value, sizeof(value), NULL, 0);
}

int wire_tell_state(struct wire *w, uint32_t request, uint32_t index, uint32_t num) {
  struct virtiofs_vhost_user_vring_state state = {.index = index, .num = num};
  return wire_tell(w, request, &state, sizeof(state), NULL, 0);
}

int wire_tell_fd(struct wire *w, uint32_t request, uint32_t index, int fd) {
  uint64_t value = fd >= 0 ? index : index | VIRTIOFS_VHOST_USER_VRING_NOFD;
  return wire_tell(w, request, &value, sizeof(value), &fd, fd >= 0 ? 1 : 0);
}

/* ---- steps ---- */

void wire_fail(struct test *t, int rc, const char *what) {
  if (rc == -ECONNRESET || rc == -EPIPE) {
    t->server->broken = "the device has hung up";
    fail(t, "%s", t->server->broken);
  }
  fail(t, "%s: %s", what, rc == 0 ? "nothing came" : strerror(-rc));
}

static void step(struct test *t, int rc, uint32_t request) {
  if (rc > 0)
    fail(t, "%s was refused", virtiofs_vhost_user_request_name(request));
  if (rc < 0)
    wire_fail(t, rc, virtiofs_vhost_user_request_name(request));
}

static int make_event(struct test *t) {
  int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (fd < 0)
    fail(t, "eventfd: %s", strerror(errno));
  return fd;
}

static struct wire *open_by(struct test *t, int (*get_socket)(struct server *s)) {
  struct wire *w = calloc(1, sizeof(*w));
  if (w == NULL)
    fail(t, "no memory");
  t->wire = w;
  w->fd = w->memory_fd = -1;
  for (unsigned i = 0; i < WIRE_RINGS; i++)
    w->rings[i].kick_fd = w->rings[i].call_fd = w->rings[i].err_fd = -1;
  w->timeout_ms = t->server->timeout_ms;
  w->fd = get_socket(t->server);
  if (w->fd < 0)
    fail(t, "cannot connect: %s", strerror(-w->fd));
  w->t = t;
  w->memory_fd = memfd_create("virtiofs-check", MFD_CLOEXEC);
  if (w->memory_fd < 0 || ftruncate(w->memory_fd, WIRE_MAPPED) != 0)
    fail(t, "memfd: %s", strerror(errno));
  void *memory = mmap(NULL, WIRE_MAPPED, PROT_READ | PROT_WRITE, MAP_SHARED, w->memory_fd, 0);
  if (memory == MAP_FAILED)
    fail(t, "mmap: %s", strerror(errno));
  w->memory = memory;
  for (unsigned i = 0; i < WIRE_RINGS; i++) {
    struct ring *ring = &w->rings[i];
    ring->kick_fd = make_event(t);
    ring->call_fd = make_event(t);
    ring->err_fd = make_event(t);
    ring->desc = (struct desc *)(void *)(w->memory + (size_t)i * RING_BYTES);
    ring->avail = (uint16_t *)(void *)(w->memory + (size_t)i * RING_BYTES + 0x2000);
    ring->used = (uint16_t *)(void *)(w->memory + (size_t)i * RING_BYTES + 0x4000);
  }
  return w;
}

struct wire *wire_open(struct test *t) {
  return open_by(t, server_socket);
}

struct wire *wire_open_unasked(struct test *t) {
  return open_by(t, server_socket_unasked);
}

static void shut(int fd) {
  if (fd >= 0)
    close(fd);
}

void wire_close(struct test *t) {
  struct wire *w = t->wire;
  if (w == NULL)
    return;
  shut(w->fd);
  if (w->memory != NULL)
    munmap(w->memory, WIRE_MAPPED);
  shut(w->memory_fd);
  for (unsigned i = 0; i < WIRE_RINGS; i++) {
    shut(w->rings[i].kick_fd);
    shut(w->rings[i].call_fd);
    shut(w->rings[i].err_fd);
  }
  free(w);
  t->wire = NULL;
}

static struct wire *wire_of(struct test *t) {
  return t->wire;
}

void wire_negotiate(struct test *t, uint64_t features, bool want_bit_30) {
  struct wire *w = wire_of(t);
  const uint64_t wanted = VIRTIOFS_VHOST_USER_PROTOCOL_F_MQ | VIRTIOFS_VHOST_USER_PROTOCOL_F_REPLY_ACK |
                          VIRTIOFS_VHOST_USER_PROTOCOL_F_CONFIG | VIRTIOFS_VHOST_USER_PROTOCOL_F_RESET_DEVICE |
                          VIRTIOFS_VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS;
  uint64_t bit_30 = VIRTIOFS_VHOST_USER_F_PROTOCOL_FEATURES;
  if ((t->server->features & bit_30) != 0) {
    uint64_t offered;
    step(t, wire_ask(w, VIRTIOFS_VHOST_USER_GET_PROTOCOL_FEATURES, &offered),
         VIRTIOFS_VHOST_USER_GET_PROTOCOL_FEATURES);
    step(t, wire_tell_u64(w, VIRTIOFS_VHOST_USER_SET_PROTOCOL_FEATURES, offered & wanted),
         VIRTIOFS_VHOST_USER_SET_PROTOCOL_FEATURES);
    w->protocol = offered & wanted;
  }
  w->features = t->server->features & (features | F_VERSION_1 | (want_bit_30 ? bit_30 : 0U));
  step(t, wire_tell(w, VIRTIOFS_VHOST_USER_SET_OWNER, NULL, 0, NULL, 0), VIRTIOFS_VHOST_USER_SET_OWNER);
  step(t, wire_tell_u64(w, VIRTIOFS_VHOST_USER_SET_FEATURES, w->features), VIRTIOFS_VHOST_USER_SET_FEATURES);
}

void wire_memory(struct test *t) {
  struct wire *w = wire_of(t);
  struct virtiofs_vhost_user_mem_table table = {
      .count = 1, .regions = {{.gpa = WIRE_GPA, .size = WIRE_MEMORY, .uva = (uint64_t)(uintptr_t)w->memory}}};
  step(t, wire_tell(w, VIRTIOFS_VHOST_USER_SET_MEM_TABLE, &table, 8 + sizeof(table.regions[0]), &w->memory_fd, 1),
       VIRTIOFS_VHOST_USER_SET_MEM_TABLE);
}

void wire_ring(struct test *t, uint32_t index, uint16_t base) {
  struct wire *w = wire_of(t);
  struct ring *ring = &w->rings[index];
  struct virtiofs_vhost_user_vring_addr addr = {.index = index,
                                                .desc = (uint64_t)(uintptr_t)ring->desc,
                                                .avail = (uint64_t)(uintptr_t)ring->avail,
                                                .used = (uint64_t)(uintptr_t)ring->used};
  step(t, wire_tell_state(w, VIRTIOFS_VHOST_USER_SET_VRING_NUM, index, RING_SIZE), VIRTIOFS_VHOST_USER_SET_VRING_NUM);
  if (!w->skip_base)
    step(t, wire_tell_state(w, VIRTIOFS_VHOST_USER_SET_VRING_BASE, index, base), VIRTIOFS_VHOST_USER_SET_VRING_BASE);
  step(t, wire_tell(w, VIRTIOFS_VHOST_USER_SET_VRING_ADDR, &addr, sizeof(addr), NULL, 0),
       VIRTIOFS_VHOST_USER_SET_VRING_ADDR);
  step(t, wire_tell_fd(w, VIRTIOFS_VHOST_USER_SET_VRING_CALL, index, ring->call_fd),
       VIRTIOFS_VHOST_USER_SET_VRING_CALL);
  step(t, wire_tell_fd(w, VIRTIOFS_VHOST_USER_SET_VRING_ERR, index, ring->err_fd), VIRTIOFS_VHOST_USER_SET_VRING_ERR);
}

void wire_start(struct test *t, uint32_t index) {
  struct wire *w = wire_of(t);
  step(t, wire_tell_fd(w, VIRTIOFS_VHOST_USER_SET_VRING_KICK, index, w->rings[index].kick_fd),
       VIRTIOFS_VHOST_USER_SET_VRING_KICK);
}

void wire_enable(struct test *t, uint32_t index, bool on) {
  struct wire *w = wire_of(t);
  if ((w->features & VIRTIOFS_VHOST_USER_F_PROTOCOL_FEATURES) != 0)
    step(t, wire_tell_state(w, VIRTIOFS_VHOST_USER_SET_VRING_ENABLE, index, on ? 1 : 0),
         VIRTIOFS_VHOST_USER_SET_VRING_ENABLE);
}

void wire_up(struct test *t, uint64_t features, uint32_t count) {
  (void)wire_open(t);
  wire_negotiate(t, features, true);
  wire_memory(t);
  for (uint32_t i = 0; i < count; i++) {
    wire_ring(t, i, 0);
    wire_start(t, i);
    wire_enable(t, i, true);
  }
}

uint32_t wire_stop(struct test *t, uint32_t index) {
  struct wire *w = wire_of(t);
  struct virtiofs_vhost_user_vring_state state = {.index = index};
  uint32_t size;
  int rc =
      wire_send(w, VIRTIOFS_VHOST_USER_GET_VRING_BASE, VIRTIOFS_VHOST_USER_VERSION, &state, sizeof(state), NULL, 0);
  if (rc == 0)
    rc = wire_receive(w, VIRTIOFS_VHOST_USER_GET_VRING_BASE, &state, sizeof(state), &size);
  step(t, rc, VIRTIOFS_VHOST_USER_GET_VRING_BASE);
  is(t, "the reply's ring", state.index, index);
  return state.num;
}

void wire_alive(struct test *t) {
  uint64_t features;
  int rc = wire_ask(wire_of(t), VIRTIOFS_VHOST_USER_GET_FEATURES, &features);
  if (rc != 0)
    wire_fail(t, rc, "GET_FEATURES afterwards");
}
