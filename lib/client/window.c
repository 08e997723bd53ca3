/* SPDX-License-Identifier: BSD-3-Clause */
/* The DAX window: the device asks, and whoever waits for an answer maps. */
#include <errno.h>

#include "client/client.h"

#define DEFAULT_LEN (UINT64_C(1) << 30)
/* Requests that are served before the clock is looked at again: the device may ask without end. */
#define SERVED_AT_ONCE 64U

int virtiofs_client_window_open(struct virtiofs_client *client) {
  int channel = -1;
  uint64_t len = client->config.window_len != 0 ? client->config.window_len : DEFAULT_LEN;
  if (!client->config.window)
    return 0;
  if (client->config.transport == NULL) {
    int rc = virtiofs_vhost_frontend_window(&client->fe, &channel, &len);
    if (rc != 0)
      return rc == -ENOTSUP ? 0 : rc;
  }
  int rc = virtiofs_vhost_shmem_init(&client->shmem, channel, len);
  client->has_window = rc == 0;
  if (rc != 0)
    virtiofs_vhost_shmem_fini(&client->shmem);
  return rc;
}

void virtiofs_client_window_close(struct virtiofs_client *client) {
  if (client->has_window)
    virtiofs_vhost_shmem_fini(&client->shmem);
  client->has_window = false;
}

int virtiofs_client_window_fd(const struct virtiofs_client *client) {
  return client->has_window ? client->shmem.fd : -1;
}

int virtiofs_client_window_serve(struct virtiofs_client *client) {
  int rc = 0;
  if (virtiofs_client_window_fd(client) < 0 || pthread_mutex_trylock(&client->shmem_lock) != 0)
    return 0; /* or somebody else does */
  for (unsigned i = 0; i < SERVED_AT_ONCE && (i == 0 || rc == 1); i++)
    rc = virtiofs_vhost_shmem_process(&client->shmem);
  pthread_mutex_unlock(&client->shmem_lock);
  return rc < 0 ? rc : 0;
}

void *virtiofs_client_window(const struct virtiofs_client *client, uint64_t *len) {
  if (len != NULL)
    *len = client->has_window ? virtiofs_host_window_len(client->shmem.window) : 0;
  return client->has_window ? virtiofs_host_window_addr(client->shmem.window) : NULL;
}
