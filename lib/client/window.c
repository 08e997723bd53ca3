/* SPDX-License-Identifier: BSD-3-Clause */
/* The DAX window: the device asks, and whoever waits for an answer maps. */
#include <errno.h>
#include <unistd.h>

#include "client/client.h"

#define DEFAULT_LEN (UINT64_C(1) << 30)
/* Requests that are served before the clock is looked at again: the device may ask without end. */
#define SERVED_AT_ONCE 64U

/* @channel: -1: who maps does so by itself. */
static int make(struct virtiofs_client *client, int channel, uint64_t len) {
  int rc = virtiofs_host_window_new(&client->window, len);
  if (channel < 0)
    return rc;
  if (rc != 0) {
    close(channel);
    return rc;
  }
  struct virtiofs_shmem_config config = {.size = sizeof(config), .window = client->window, .take_fd = channel};
  rc = virtiofs_shmem_new(&client->shmem, &config);
  if (rc != 0)
    virtiofs_client_window_close(client);
  return rc;
}

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
  return make(client, channel, len);
}

void virtiofs_client_window_close(struct virtiofs_client *client) {
  virtiofs_shmem_free(client->shmem);
  virtiofs_host_window_free(client->window);
  client->shmem = NULL;
  client->window = NULL;
}

int virtiofs_client_window_fd(const struct virtiofs_client *client) {
  return client->shmem != NULL ? virtiofs_shmem_fd(client->shmem) : -1;
}

int virtiofs_client_window_serve(struct virtiofs_client *client) {
  int rc = 0;
  if (virtiofs_client_window_fd(client) < 0 || pthread_mutex_trylock(&client->shmem_lock) != 0)
    return 0; /* or somebody else does */
  for (unsigned i = 0; i < SERVED_AT_ONCE && (i == 0 || rc == 1); i++)
    rc = virtiofs_shmem_process(client->shmem);
  pthread_mutex_unlock(&client->shmem_lock);
  return rc < 0 ? rc : 0;
}

void *virtiofs_client_window(const struct virtiofs_client *client, uint64_t *len) {
  if (len != NULL)
    *len = client->window != NULL ? virtiofs_host_window_len(client->window) : 0;
  return client->window != NULL ? virtiofs_host_window_addr(client->window) : NULL;
}
