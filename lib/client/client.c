/* SPDX-License-Identifier: BSD-3-Clause */
/* A connection: features, memory, rings. */
#include "client/client.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/config.h"

#define PAGE 4096U
#define F_VERSION_1 (UINT64_C(1) << 32)
#define DEFAULT_FEATURES (VIRTIOFS_VIRTQ_F_INDIRECT_DESC | VIRTIOFS_VIRTQ_F_EVENT_IDX)
/* Parts of a request: header, data, header of the reply, data. */
#define TABLE_ENTRIES 8U
#define TABLE_BYTES (TABLE_ENTRIES * 16U)

/* No descriptor and no error. */
#define NO_SOCKET INT_MIN

static size_t pages(size_t bytes) {
  return (bytes + PAGE - 1) / PAGE * PAGE;
}

/* Fills in defaults and checks ranges. */
static int complete(struct virtiofs_client_config *config) {
  if (config->request_queues == 0)
    config->request_queues = 1;
  if (config->queue_size == 0)
    config->queue_size = 128;
  if (config->requests == 0)
    config->requests = 16;
  if (config->max_data == 0)
    config->max_data = 1U << 20;
  if (config->timeout_ms == 0)
    config->timeout_ms = 10000;
  if (config->features == 0)
    config->features = DEFAULT_FEATURES;
  bool power = (config->queue_size & (config->queue_size - 1)) == 0;
  if (config->request_queues > VIRTIOFS_CLIENT_QUEUES_MAX - 1 || config->queue_size < 8 || config->queue_size > 1024 ||
      !power || config->requests > 256 || config->max_data < PAGE || config->max_data > 1U << 20 ||
      config->memory > UINT32_MAX)
    return -EINVAL;
  return 0;
}

static int connect_to(const char *path) {
  struct sockaddr_un addr = {.sun_family = AF_UNIX};
  if (strlen(path) >= sizeof(addr.sun_path))
    return -ENAMETOOLONG;
  memcpy(addr.sun_path, path, strlen(path) + 1);
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0)
    return -errno;
  if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0)
    return fd;
  int error = errno;
  close(fd);
  return -error;
}

static int negotiate(struct virtiofs_client *client) {
  struct virtiofs_vhost_wants wants = {
      .features = client->config.features, .required = F_VERSION_1, .window = client->config.window};
  uint64_t queues;
  if (client->config.transport != NULL)
    return virtiofs_client_local_negotiate(client);
  int rc = virtiofs_vhost_frontend_negotiate(&client->fe, &wants);
  if (rc == 0)
    rc = virtiofs_vhost_frontend_queues(&client->fe, &queues);
  if (rc != 0)
    return rc;
  /* A device that can't say how many it has may have no more than a guest of old needed. */
  return client->count <= (queues != 0 ? queues : 2) ? 0 : -ENOTSUP;
}

static size_t ring_bytes(const struct virtiofs_client *client) {
  uint32_t num = client->config.queue_size;
  uint64_t features = client->fe.features;
  return pages(virtiofs_virtq_desc_bytes(num)) + pages(virtiofs_virtq_driver_bytes(num, features)) +
         pages(virtiofs_virtq_device_bytes(num, features)) + pages((size_t)num * TABLE_BYTES);
}

static int make_memory(struct virtiofs_client *client) {
  size_t each = ring_bytes(client) + client->config.requests * virtiofs_client_request_bytes(client);
  client->size = client->count * each + pages(client->config.memory);
  client->memory_fd = memfd_create("virtiofs-client", MFD_CLOEXEC);
  if (client->memory_fd < 0 || ftruncate(client->memory_fd, (off_t)client->size) != 0)
    return -errno;
  void *memory = mmap(NULL, client->size, PROT_READ | PROT_WRITE, MAP_SHARED, client->memory_fd, 0);
  if (memory == MAP_FAILED)
    return -errno;
  client->memory = memory;
  if (client->config.transport != NULL)
    return virtiofs_client_local_memory(client);
  return virtiofs_vhost_frontend_memory(&client->fe, client->memory_fd, VIRTIOFS_CLIENT_GPA, memory, client->size);
}

void *virtiofs_client_alloc(struct virtiofs_client *client, size_t bytes) {
  if (bytes > client->size || pages(bytes) > client->size - client->used)
    return NULL;
  void *at = client->memory + client->used;
  client->used += pages(bytes);
  return at;
}

/* An empty ring, which the device is told of. */
static int start_ring(struct virtiofs_client *client, uint32_t index) {
  struct virtiofs_client_queue *queue = &client->queues[index];
  bool packed = (client->fe.features & VIRTIOFS_VIRTQ_F_RING_PACKED) != 0;
  struct virtiofs_vhost_ring ring = {.num = client->config.queue_size,
                                     .base = packed ? VIRTIOFS_VIRTQ_PACKED_BASE : 0,
                                     .desc = queue->desc,
                                     .driver = queue->driver,
                                     .device = queue->device,
                                     .kick_fd = queue->kick_fd,
                                     .call_fd = client->config.poll ? -1 : queue->call_fd,
                                     .err_fd = -1};
  int rc = virtiofs_driverq_map(queue->ring, queue->desc, queue->driver, queue->device);
  if (rc == 0)
    rc = virtiofs_driverq_start(queue->ring, ring.base);
  if (rc != 0)
    return rc;
  virtiofs_driverq_no_call(queue->ring);
  if (client->config.transport != NULL)
    return virtiofs_client_local_ring(client, index, &ring);
  return virtiofs_vhost_frontend_ring_start(&client->fe, index, &ring);
}

static int make_ring(struct virtiofs_client *client, struct virtiofs_client_queue *queue) {
  uint32_t num = client->config.queue_size;
  uint64_t features = client->fe.features;
  queue->desc = virtiofs_client_alloc(client, virtiofs_virtq_desc_bytes(num));
  queue->driver = virtiofs_client_alloc(client, virtiofs_virtq_driver_bytes(num, features));
  queue->device = virtiofs_client_alloc(client, virtiofs_virtq_device_bytes(num, features));
  queue->tables = virtiofs_client_alloc(client, (size_t)num * TABLE_BYTES);
  int rc = virtiofs_driverq_new(&queue->ring, num, features);
  if (rc == 0 && (features & VIRTIOFS_VIRTQ_F_INDIRECT_DESC) != 0)
    rc = virtiofs_driverq_set_tables(queue->ring, queue->tables,
                                     VIRTIOFS_CLIENT_GPA + (uint64_t)(queue->tables - client->memory), TABLE_ENTRIES);
  return rc;
}

static int make_queue(struct virtiofs_client *client, uint32_t index) {
  struct virtiofs_client_queue *queue = &client->queues[index];
  queue->kick_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  queue->call_fd = queue->kick_fd >= 0 ? eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK) : -1;
  if (queue->call_fd < 0)
    return -errno;
  int rc = make_ring(client, queue);
  if (rc == 0)
    rc = start_ring(client, index);
  return rc == 0 ? virtiofs_client_requests_new(client, queue, index) : rc;
}

/* The socket, or -1 for a device in this process; -errno. The caller's descriptor is closed after an error. */
static int find_device(const struct virtiofs_client_config *config, int rc) {
  bool given = config->transport == NULL && config->socket_path == NULL;
  if (rc != 0 && given && config->fd >= 0)
    close(config->fd);
  if (rc != 0)
    return rc;
  if (config->transport != NULL)
    return NO_SOCKET;
  return given ? config->fd : connect_to(config->socket_path);
}

/* Without any of what it takes to use it. */
static int client_new(struct virtiofs_client **out, const struct virtiofs_client_config *config, int take_fd) {
  const char *path = config->transport == NULL ? config->socket_path : NULL;
  struct virtiofs_client *client = calloc(1, sizeof(*client));
  char *socket_path = path != NULL ? strdup(path) : NULL;
  if (client == NULL || (path != NULL && socket_path == NULL)) {
    if (take_fd >= 0)
      close(take_fd);
    free(socket_path);
    free(client);
    return -ENOMEM;
  }
  client->config = *config;
  client->socket_path = socket_path;
  client->count = 1 + config->request_queues;
  client->memory_fd = -1;
  pthread_mutex_init(&client->shmem_lock, NULL);
  pthread_mutex_init(&client->forget_lock, NULL);
  for (uint32_t i = 0; i < client->count; i++)
    client->queues[i].kick_fd = client->queues[i].call_fd = -1;
  virtiofs_vhost_frontend_init(&client->fe, take_fd, config->timeout_ms);
  *out = client;
  return 0;
}

int virtiofs_client_new(struct virtiofs_client **out, const struct virtiofs_client_config *given) {
  struct virtiofs_client_config config;
  struct virtiofs_client *client;
  *out = NULL;
  int rc = virtiofs_config_copy(&config, sizeof(config), given, given != NULL ? given->size : 0);
  if (rc != 0)
    return rc;
  int fd = find_device(&config, complete(&config));
  if (fd < 0 && fd != NO_SOCKET)
    return fd;
  rc = client_new(&client, &config, fd == NO_SOCKET ? -1 : fd);
  if (rc != 0)
    return rc;
  rc = negotiate(client);
  if (rc == 0)
    rc = virtiofs_client_window_open(client);
  if (rc == 0)
    rc = make_memory(client);
  for (uint32_t i = 0; rc == 0 && i < client->count; i++)
    rc = make_queue(client, i);
  if (rc != 0) {
    virtiofs_client_free(client);
    return rc;
  }
  *out = client;
  return 0;
}

/* What the old device had is forgotten. */
static int restart_ring(struct virtiofs_client *client, uint32_t index) {
  struct virtiofs_client_queue *queue = &client->queues[index];
  void *cookie;
  int rc = virtiofs_driverq_reset(queue->ring, client->config.queue_size);
  while (rc == 0 && virtiofs_driverq_reclaim(queue->ring, &cookie) == 1)
    continue;
  queue->given_up = false;
  return rc == 0 ? start_ring(client, index) : rc;
}

static int connect_again(struct virtiofs_client *client) {
  uint64_t features = client->fe.features;
  int fd = connect_to(client->socket_path);
  if (fd < 0)
    return fd;
  virtiofs_vhost_frontend_init(&client->fe, fd, client->config.timeout_ms);
  int rc = negotiate(client);
  /* The rings are as they are. */
  if (rc == 0 && client->fe.features != features)
    rc = -ENOTSUP;
  client->fe.features = features;
  if (rc == 0)
    rc = virtiofs_client_window_open(client);
  if (rc == 0)
    rc = virtiofs_vhost_frontend_memory(&client->fe, client->memory_fd, VIRTIOFS_CLIENT_GPA, client->memory,
                                        client->size);
  for (uint32_t i = 0; rc == 0 && i < client->count; i++)
    rc = restart_ring(client, i);
  return rc;
}

int virtiofs_client_reconnect(struct virtiofs_client *client) {
  if (client->socket_path == NULL)
    return -EINVAL;
  (void)virtiofs_client_break(client, -ECONNRESET);
  virtiofs_vhost_frontend_close(&client->fe);
  virtiofs_client_window_close(client);
  for (uint32_t i = 0; i < client->count; i++)
    virtiofs_client_give_up(client, &client->queues[i]);
  client->proto = (struct virtiofs_fuse_proto){.agreed = false};
  client->max_write = 0;
  int rc = connect_again(client);
  if (rc == 0)
    atomic_store(&client->broken, 0);
  return rc;
}

void virtiofs_client_free(struct virtiofs_client *client) {
  if (client == NULL)
    return;
  virtiofs_client_local_stop(client);
  virtiofs_vhost_frontend_close(&client->fe);
  virtiofs_client_window_close(client);
  for (uint32_t i = 0; i < client->count; i++) {
    struct virtiofs_client_queue *queue = &client->queues[i];
    virtiofs_driverq_free(queue->ring);
    if (queue->kick_fd >= 0)
      close(queue->kick_fd);
    if (queue->call_fd >= 0)
      close(queue->call_fd);
    free(queue->requests);
    free(queue->free);
  }
  if (client->memory != NULL)
    munmap(client->memory, client->size);
  if (client->memory_fd >= 0)
    close(client->memory_fd);
  pthread_mutex_destroy(&client->shmem_lock);
  pthread_mutex_destroy(&client->forget_lock);
  free(client->socket_path);
  free(client);
}

uint64_t virtiofs_client_features(const struct virtiofs_client *client) {
  return client->fe.features & ~(uint64_t)(VIRTIOFS_VHOST_USER_F_PROTOCOL_FEATURES | VIRTIOFS_VHOST_USER_F_LOG_ALL);
}

int virtiofs_client_tag(struct virtiofs_client *client, char tag[VIRTIOFS_CLIENT_TAG_MAX + 1]) {
  memset(tag, 0, VIRTIOFS_CLIENT_TAG_MAX + 1);
  if (client->config.transport != NULL)
    return client->config.transport->config(client->config.device, 0, VIRTIOFS_CLIENT_TAG_MAX, tag);
  return virtiofs_vhost_frontend_config(&client->fe, 0, VIRTIOFS_CLIENT_TAG_MAX, tag);
}
