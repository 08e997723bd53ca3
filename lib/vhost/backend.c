/* SPDX-License-Identifier: BSD-3-Clause */
/* One message after the other: taken, checked, dispatched, answered; and nothing of it left over. */
#include "vhost/backend.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "vhost/control.h"

static virtiofs_vhost_control_fn *const handlers[VIRTIOFS_VHOST_USER_REQUEST_MAX] = {
    [VIRTIOFS_VHOST_USER_GET_FEATURES] = virtiofs_vhost_control_get_features,
    [VIRTIOFS_VHOST_USER_SET_FEATURES] = virtiofs_vhost_control_set_features,
    [VIRTIOFS_VHOST_USER_SET_OWNER] = virtiofs_vhost_control_set_owner,
    [VIRTIOFS_VHOST_USER_RESET_OWNER] = virtiofs_vhost_control_reset_owner,
    [VIRTIOFS_VHOST_USER_SET_MEM_TABLE] = virtiofs_vhost_control_set_mem_table,
    [VIRTIOFS_VHOST_USER_SET_VRING_NUM] = virtiofs_vhost_control_set_vring_num,
    [VIRTIOFS_VHOST_USER_SET_VRING_ADDR] = virtiofs_vhost_control_set_vring_addr,
    [VIRTIOFS_VHOST_USER_SET_VRING_BASE] = virtiofs_vhost_control_set_vring_base,
    [VIRTIOFS_VHOST_USER_GET_VRING_BASE] = virtiofs_vhost_control_get_vring_base,
    [VIRTIOFS_VHOST_USER_SET_VRING_KICK] = virtiofs_vhost_control_set_vring_kick,
    [VIRTIOFS_VHOST_USER_SET_VRING_CALL] = virtiofs_vhost_control_set_vring_call,
    [VIRTIOFS_VHOST_USER_SET_VRING_ERR] = virtiofs_vhost_control_set_vring_err,
    [VIRTIOFS_VHOST_USER_GET_PROTOCOL_FEATURES] = virtiofs_vhost_control_get_protocol_features,
    [VIRTIOFS_VHOST_USER_SET_PROTOCOL_FEATURES] = virtiofs_vhost_control_set_protocol_features,
    [VIRTIOFS_VHOST_USER_GET_QUEUE_NUM] = virtiofs_vhost_control_get_queue_num,
    [VIRTIOFS_VHOST_USER_SET_VRING_ENABLE] = virtiofs_vhost_control_set_vring_enable,
    [VIRTIOFS_VHOST_USER_SET_BACKEND_REQ_FD] = virtiofs_vhost_control_set_backend_req_fd,
    [VIRTIOFS_VHOST_USER_GET_CONFIG] = virtiofs_vhost_control_get_config,
    [VIRTIOFS_VHOST_USER_SET_CONFIG] = virtiofs_vhost_control_set_config,
    [VIRTIOFS_VHOST_USER_RESET_DEVICE] = virtiofs_vhost_control_reset_device,
    [VIRTIOFS_VHOST_USER_GET_MAX_MEM_SLOTS] = virtiofs_vhost_control_get_max_mem_slots,
    [VIRTIOFS_VHOST_USER_ADD_MEM_REG] = virtiofs_vhost_control_add_mem_reg,
    [VIRTIOFS_VHOST_USER_REM_MEM_REG] = virtiofs_vhost_control_rem_mem_reg,
    [VIRTIOFS_VHOST_USER_GET_SHMEM_CONFIG] = virtiofs_vhost_control_get_shmem_config,
};

int virtiofs_vhost_backend_new(struct virtiofs_vhost_backend **out,
                               const struct virtiofs_vhost_backend_config *config) {
  assert(config->vrings >= 1 && config->vrings <= VIRTIOFS_VHOST_USER_VRING_INDEX_MASK + 1);
  *out = NULL;
  struct virtiofs_vhost_backend *backend = calloc(1, sizeof *backend);
  if (backend == NULL || virtiofs_vhost_vrings_init(&backend->vrings, config) != 0) {
    free(backend);
    config->transport->ops->close(config->transport);
    return -ENOMEM;
  }
  backend->config = *config;
  backend->backend_req_fd = -1;
  *out = backend;
  return 0;
}

void virtiofs_vhost_backend_free(struct virtiofs_vhost_backend *backend) {
  if (backend == NULL)
    return;
  virtiofs_vhost_vrings_fini(&backend->vrings);
  if (backend->backend_req_fd >= 0)
    close(backend->backend_req_fd);
  backend->config.transport->ops->close(backend->config.transport);
  free(backend);
}

static void say(const struct virtiofs_vhost_backend *backend, enum virtiofs_log_level level,
                const struct virtiofs_vhost_user_message *msg, int error, const char *what) {
  uint32_t request = msg->header.request;
  virtiofs_log_write(backend->config.log, level, "vhost", "%s (message %u): %s, error %d",
                     virtiofs_vhost_user_request_name(request), (unsigned)request, what, error);
}

static int send_reply(struct virtiofs_vhost_backend *backend, struct virtiofs_vhost_user_message *msg) {
  msg->header.flags = VIRTIOFS_VHOST_USER_VERSION | VIRTIOFS_VHOST_USER_REPLY;
  struct virtiofs_vhost_user_message reply = {.header = msg->header, .payload = msg->payload};
  int rc = backend->config.transport->ops->send(backend->config.transport, &reply);
  if (rc == -EPIPE || rc == -ECONNRESET)
    return -ECONNRESET;
  if (rc != 0)
    say(backend, VIRTIOFS_LOG_ERROR, msg, -rc, "the reply can't be sent");
  return rc;
}

/* Nothing but the bit in SET_PROTOCOL_FEATURES decides, and the message that sets it may itself ask. */
static bool ack_is_wanted(const struct virtiofs_vhost_backend *backend, const struct virtiofs_vhost_user_message *msg) {
  return (msg->header.flags & VIRTIOFS_VHOST_USER_NEED_REPLY) != 0 &&
         (backend->protocol_features & VIRTIOFS_VHOST_USER_PROTOCOL_F_REPLY_ACK) != 0;
}

static int send_ack(struct virtiofs_vhost_backend *backend, struct virtiofs_vhost_user_message *msg, bool ok) {
  msg->payload.u64 = ok ? 0 : 1;
  msg->header.size = sizeof msg->payload.u64;
  return send_reply(backend, msg);
}

/* A guest's fault is said and told, and ends nothing: it could else take its own device away under the front-end. */
static void say_guest_fault(struct virtiofs_vhost_backend *backend, const struct virtiofs_vhost_user_message *msg) {
  uint64_t times;
  if (virtiofs_log_limit_pass(&backend->guest_faults, &times))
    say(backend, VIRTIOFS_LOG_WARN, msg, EPROTO, backend->why != NULL ? backend->why : "refused");
}

static int finish(struct virtiofs_vhost_backend *backend, struct virtiofs_vhost_user_message *msg, int rc) {
  bool replies = virtiofs_vhost_user_replies(msg->header.request);
  bool ack = !replies && ack_is_wanted(backend, msg);
  if (rc == VIRTIOFS_VHOST_GUEST_FAULT)
    say_guest_fault(backend, msg);
  if (rc < 0)
    say(backend, ack ? VIRTIOFS_LOG_WARN : VIRTIOFS_LOG_ERROR, msg, -rc,
        backend->why != NULL ? backend->why : "failed");
  if (ack)
    return send_ack(backend, msg, rc == 0);
  if (rc < 0)
    return rc;
  return replies ? send_reply(backend, msg) : 0;
}

/* Nobody has offered it, so nobody waits for it, unless somebody says so. */
static int refuse_unknown(struct virtiofs_vhost_backend *backend, struct virtiofs_vhost_user_message *msg) {
  say(backend, VIRTIOFS_LOG_WARN, msg, ENOSYS, "not served");
  return ack_is_wanted(backend, msg) ? send_ack(backend, msg, false) : 0;
}

static int dispatch(struct virtiofs_vhost_backend *backend, struct virtiofs_vhost_user_message *msg) {
  int rc = virtiofs_vhost_user_message_check(msg);
  if (rc == -ENOSYS)
    return refuse_unknown(backend, msg);
  if (rc != 0) {
    say(backend, VIRTIOFS_LOG_ERROR, msg, -rc, "wrong size or descriptors");
    return rc;
  }
  virtiofs_log_write(backend->config.log, VIRTIOFS_LOG_DEBUG, "vhost", "%s",
                     virtiofs_vhost_user_request_name(msg->header.request));
  backend->why = NULL;
  return finish(backend, msg, handlers[msg->header.request](backend, msg));
}

int virtiofs_vhost_backend_process(struct virtiofs_vhost_backend *backend) {
  struct virtiofs_vhost_user_message msg;
  int rc = backend->config.transport->ops->receive(backend->config.transport, &msg);
  if (rc != 0) {
    if (rc != -ECONNRESET)
      virtiofs_log_write(backend->config.log, VIRTIOFS_LOG_ERROR, "vhost",
                         "no whole message from the front-end, error %d", -rc);
    return rc;
  }
  rc = dispatch(backend, &msg);
  for (uint32_t i = 0; i < msg.fd_count; i++) {
    if (msg.fds[i] >= 0)
      close(msg.fds[i]);
  }
  return rc;
}
