/* SPDX-License-Identifier: BSD-3-Clause */
/* A device in this process: what the vhost-user front-end does for one behind a socket. */
#include <errno.h>
#include <string.h>

#include "client/client.h"

int virtiofs_client_local_negotiate(struct virtiofs_client *client) {
  const struct virtiofs_transport *transport = client->config.transport;
  uint64_t offered = transport->features(client->config.device);
  if ((offered & VIRTIOFS_TRANSPORT_F_VERSION_1) == 0 || client->count > transport->queues(client->config.device))
    return -ENOTSUP;
  client->fe.features = offered & (client->config.features | VIRTIOFS_TRANSPORT_F_VERSION_1);
  return 0;
}

/* It polls: whoever uses a queue processes it, and nobody has to be notified. */
int virtiofs_client_local_memory(struct virtiofs_client *client) {
  struct virtiofs_memory_region region = {
      .gpa = VIRTIOFS_CLIENT_GPA, .size = client->size, .uva = (uintptr_t)client->memory, .host = client->memory};
  struct virtiofs_transport_driver driver = {.size = sizeof(driver),
                                             .features = client->fe.features,
                                             .polls = true,
                                             .has_memory_fd = true,
                                             .memory_fd = client->memory_fd};
  struct virtiofs_dax_mapper mapper = {.cuts = true, .step = virtiofs_host_window_step};
  if (client->window != NULL) {
    mapper.len = virtiofs_host_window_len(client->window);
    mapper.ctx = client->window;
    driver.mapper = &mapper;
  }
  int rc = virtiofs_memory_new(&driver.map, &region, 1, NULL);
  if (rc != 0)
    return rc;
  rc = client->config.transport->start(client->config.device, &driver);
  client->started = rc == 0;
  virtiofs_memory_unref(driver.map);
  return rc;
}

static uint64_t address(const struct virtiofs_client *client, const void *at) {
  return VIRTIOFS_CLIENT_GPA + (uint64_t)((const unsigned char *)at - client->memory);
}

int virtiofs_client_local_ring(struct virtiofs_client *client, uint32_t index, const struct virtiofs_vhost_ring *ring) {
  struct virtiofs_transport_queue queue = {.num = ring->num,
                                           .base = ring->base,
                                           .desc = address(client, ring->desc),
                                           .driver = address(client, ring->driver),
                                           .device = address(client, ring->device)};
  return client->config.transport->queue_start(client->config.device, index, &queue);
}

void virtiofs_client_local_stop(struct virtiofs_client *client) {
  if (client->started)
    client->config.transport->stop(client->config.device);
  client->started = false;
}
