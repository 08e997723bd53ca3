/* SPDX-License-Identifier: BSD-3-Clause */
#include "vhost_user.h"

#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "frontend.h"
#include "guest.h"

/* What a window takes, and CONFIG and MQ, which virtio-fs back-ends have. A bit alone is no proof of a window: there is
 * one if GET_SHMEM_CONFIG says so. */
#define NEEDED                                                                                                         \
  (VIRTIOFS_VHOST_USER_PROTOCOL_F_SHMEM | VIRTIOFS_VHOST_USER_PROTOCOL_F_BACKEND_REQ |                                 \
   VIRTIOFS_VHOST_USER_PROTOCOL_F_BACKEND_SEND_FD | VIRTIOFS_VHOST_USER_PROTOCOL_F_REPLY_ACK)
#define USED (NEEDED | VIRTIOFS_VHOST_USER_PROTOCOL_F_MQ | VIRTIOFS_VHOST_USER_PROTOCOL_F_CONFIG)
#define LARGEST (UINT64_C(1) << 40) /* of a window that this VMM has room for in its guest's address space */
#define AT_ONCE 64                  /* requests before other things are looked at: a back-end may ask without end */

/* ---- The window: other than everything else here this is asked for by the back-end, which isn't trusted ---- */

/*
 * virtiofs_shmem_process() maps and answers; and holds the back-end to the rules: a known request and flags, the one
 * window there is, in its bounds, over nothing that is mapped, unmapped as it was mapped, one descriptor and no other.
 * What breaks them is refused, and nothing has changed.
 */
static void *serve_maps(void *arg) {
  struct vhost_user *vmm = arg;
  for (;;) {
    struct pollfd fds[2] = {{.fd = vmm->end_fd, .events = POLLIN},
                            {.fd = virtiofs_shmem_fd(vmm->shmem), .events = POLLIN}};
    if (poll(fds, 2, -1) < 0 && errno != EINTR)
      return NULL;
    if ((fds[0].revents & POLLIN) != 0)
      return NULL;
    int rc = 1;
    for (int i = 0; rc == 1 && i < AT_ONCE; i++)
      rc = virtiofs_shmem_process(vmm->shmem);
    if (rc < 0)
      return NULL; /* the back-end is gone, or talks nonsense: what is mapped stays until the reset */
  }
}

/* A channel for the back-end's requests, the window's size, and so much address space. */
static void get_window(struct vhost_user *vmm) {
  union virtiofs_vhost_user_payload none = {.u64 = 0};
  union virtiofs_vhost_user_payload *reply = &none;
  int ends[2];
  must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0 ? 0 : -errno, "socketpair");
  frontend_tell(vmm->sock, VIRTIOFS_VHOST_USER_SET_BACKEND_REQ_FD, &none, 0, ends[1]);
  close(ends[1]);
  frontend_ask(vmm->sock, VIRTIOFS_VHOST_USER_GET_SHMEM_CONFIG, reply, 0);
  const uint64_t len = reply->shmem.count > 0 ? reply->shmem.sizes[0] : 0;
  if (len == 0)
    must(-ENXIO, "the back-end's window has no bytes");
  if (len > LARGEST || len % 4096 != 0)
    must(-EPROTO, "the size of the back-end's window");
  must(virtiofs_host_window_new(&vmm->window, len), "window");
  struct virtiofs_shmem_config config = {.size = sizeof config, .window = vmm->window, .take_fd = ends[0]};
  must(virtiofs_shmem_new(&vmm->shmem, &config), "channel");
  must(-pthread_create(&vmm->mapper, NULL, serve_maps, vmm), "thread");
}

/* ---- All else ---- */

static int eventfd_new(void) {
  int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  must(fd >= 0 ? 0 : -errno, "eventfd");
  return fd;
}

void vhost_user_new(struct vhost_user *vmm, const char *path) {
  *vmm = (struct vhost_user){.sock = frontend_connect(path), .end_fd = eventfd_new()};
  for (int i = 0; i < QUEUES; i++) {
    vmm->kick_fds[i] = eventfd_new();
    vmm->call_fds[i] = eventfd_new();
  }
  vmm->features = frontend_ask_u64(vmm->sock, VIRTIOFS_VHOST_USER_GET_FEATURES);
  const uint64_t protocol = frontend_ask_u64(vmm->sock, VIRTIOFS_VHOST_USER_GET_PROTOCOL_FEATURES);
  if ((protocol & NEEDED) != NEEDED)
    must(-EOPNOTSUPP, "a window of the back-end's: --cache-size gives it one");
  frontend_say_u64(vmm->sock, VIRTIOFS_VHOST_USER_SET_PROTOCOL_FEATURES, protocol & USED);
  frontend_tell(vmm->sock, VIRTIOFS_VHOST_USER_SET_OWNER, &(union virtiofs_vhost_user_payload){.u64 = 0}, 0, -1);
  get_window(vmm);
}

void vhost_user_free(struct vhost_user *vmm) {
  must(eventfd_write(vmm->end_fd, 1), "eventfd");
  pthread_join(vmm->mapper, NULL);
  virtiofs_shmem_free(vmm->shmem);
  virtiofs_host_window_free(vmm->window);
  for (int i = 0; i < QUEUES; i++) {
    close(vmm->kick_fds[i]);
    close(vmm->call_fds[i]);
  }
  close(vmm->end_fd);
  close(vmm->sock);
}

static uint64_t features(void *ctx) {
  return ((struct vhost_user *)ctx)->features & ~VIRTIOFS_VHOST_USER_F_PROTOCOL_FEATURES;
}

static uint32_t queues(void *ctx) {
  (void)ctx;
  return QUEUES;
}

static int config(void *ctx, uint32_t offset, uint32_t size, void *data) {
  union virtiofs_vhost_user_payload payload = {.config = {.offset = offset, .size = size}};
  if (size > sizeof payload.config.data)
    return -EINVAL;
  frontend_ask(((struct vhost_user *)ctx)->sock, VIRTIOFS_VHOST_USER_GET_CONFIG, &payload,
               (uint32_t)offsetof(struct virtiofs_vhost_user_config, data) + size);
  memcpy(data, payload.config.data, size);
  return 0;
}

/* The guest's memory goes along as the file that it is. */
static int memory_of(struct vhost_user *vmm, const struct virtiofs_transport_driver *driver) {
  const struct virtiofs_memory_region *region = virtiofs_memory_region_get(driver->map, 0);
  if (!driver->has_memory_fd || region == NULL || virtiofs_memory_count(driver->map) != 1)
    return -EOPNOTSUPP;
  union virtiofs_vhost_user_payload payload = {
      .table = {.count = 1, .regions = {{.gpa = region->gpa, .size = region->size, .uva = (uintptr_t)region->host}}}};
  frontend_tell(vmm->sock, VIRTIOFS_VHOST_USER_SET_MEM_TABLE, &payload,
                (uint32_t)offsetof(struct virtiofs_vhost_user_mem_table, regions[1]), driver->memory_fd);
  vmm->memory = virtiofs_memory_ref(driver->map);
  return 0;
}

static int start(void *ctx, const struct virtiofs_transport_driver *driver) {
  struct vhost_user *vmm = ctx;
  frontend_tell_u64(vmm->sock, VIRTIOFS_VHOST_USER_SET_FEATURES,
                    driver->features | VIRTIOFS_VHOST_USER_F_PROTOCOL_FEATURES);
  return memory_of(vmm, driver);
}

static int memory(void *ctx, struct virtiofs_memory *map) {
  (void)ctx, (void)map;
  return -EOPNOTSUPP; /* this guest's never changes */
}

static uint64_t host_address(const struct vhost_user *vmm, uint64_t gpa) {
  uint64_t len = 1;
  uint32_t hint = 0;
  return (uintptr_t)virtiofs_memory_gpa(vmm->memory, gpa, &len, &hint);
}

static void tell_state(const struct vhost_user *vmm, uint32_t request, uint32_t index, uint32_t num) {
  union virtiofs_vhost_user_payload payload = {.state = {.index = index, .num = num}};
  frontend_tell(vmm->sock, request, &payload, sizeof payload.state, -1);
}

static void tell_fd(const struct vhost_user *vmm, uint32_t request, uint32_t index, int fd) {
  frontend_tell(vmm->sock, request, &(union virtiofs_vhost_user_payload){.u64 = index}, sizeof(uint64_t), fd);
}

static int queue_start(void *ctx, uint32_t index, const struct virtiofs_transport_queue *queue) {
  const struct vhost_user *vmm = ctx;
  if (index >= QUEUES)
    return -EINVAL;
  union virtiofs_vhost_user_payload address = {.addr = {.index = index,
                                                        .desc = host_address(vmm, queue->desc),
                                                        .avail = host_address(vmm, queue->driver),
                                                        .used = host_address(vmm, queue->device)}};
  tell_state(vmm, VIRTIOFS_VHOST_USER_SET_VRING_NUM, index, queue->num);
  tell_state(vmm, VIRTIOFS_VHOST_USER_SET_VRING_BASE, index, queue->base);
  frontend_tell(vmm->sock, VIRTIOFS_VHOST_USER_SET_VRING_ADDR, &address, sizeof address.addr, -1);
  tell_fd(vmm, VIRTIOFS_VHOST_USER_SET_VRING_CALL, index, vmm->call_fds[index]);
  tell_fd(vmm, VIRTIOFS_VHOST_USER_SET_VRING_KICK, index, vmm->kick_fds[index]);
  tell_state(vmm, VIRTIOFS_VHOST_USER_SET_VRING_ENABLE, index, 1);
  return 0;
}

static int queue_stop(void *ctx, uint32_t index, uint32_t *base) {
  union virtiofs_vhost_user_payload payload = {.state = {.index = index}};
  frontend_ask(((struct vhost_user *)ctx)->sock, VIRTIOFS_VHOST_USER_GET_VRING_BASE, &payload, sizeof payload.state);
  if (base != NULL)
    *base = payload.state.num;
  return 0;
}

/* The driver has written the queue's register: a VMM with KVM has given the eventfd to the kernel for that. */
static int process(void *ctx, uint32_t index) {
  struct vhost_user *vmm = ctx;
  eventfd_t calls;
  vmm->messages++;
  if (eventfd_write(vmm->kick_fds[index], 1) != 0)
    return -errno;
  return eventfd_read(vmm->call_fds[index], &calls) == 0; /* the queue's interrupt */
}

static int queue_fd(void *ctx, uint32_t index) {
  return ((struct vhost_user *)ctx)->call_fds[index];
}

/* A reset: the queues first, so that nobody asks for a map any more; then the window is empty for the next driver. */
static void stop(void *ctx) {
  struct vhost_user *vmm = ctx;
  for (uint32_t i = 0; i < QUEUES; i++)
    (void)queue_stop(vmm, i, NULL);
  must(eventfd_write(vmm->end_fd, 1), "eventfd");
  pthread_join(vmm->mapper, NULL); /* who clears it must be alone with it */
  must(virtiofs_shmem_clear(vmm->shmem), "window");
  eventfd_t ends;
  (void)eventfd_read(vmm->end_fd, &ends);
  must(-pthread_create(&vmm->mapper, NULL, serve_maps, vmm), "thread");
  virtiofs_memory_unref(vmm->memory);
  vmm->memory = NULL;
}

const struct virtiofs_transport vhost_user_registers = {.features = features,
                                                        .queues = queues,
                                                        .config = config,
                                                        .start = start,
                                                        .memory = memory,
                                                        .queue_start = queue_start,
                                                        .queue_stop = queue_stop,
                                                        .process = process,
                                                        .queue_fd = queue_fd,
                                                        .stop = stop};
