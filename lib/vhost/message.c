/* SPDX-License-Identifier: BSD-3-Clause */
/* What each message of vhost-user looks like, as a table. */
#include <virtiofs/vhost_user.h>

#include <errno.h>
#include <stddef.h>

_Static_assert(sizeof(struct virtiofs_vhost_user_header) == 12, "layout");
_Static_assert(sizeof(struct virtiofs_vhost_user_vring_state) == 8, "layout");
_Static_assert(sizeof(struct virtiofs_vhost_user_vring_addr) == 40, "layout");
_Static_assert(sizeof(struct virtiofs_vhost_user_region) == 32, "layout");
_Static_assert(sizeof(struct virtiofs_vhost_user_mem_table) == 264, "layout");
_Static_assert(sizeof(struct virtiofs_vhost_user_mem_region) == 40, "layout");
_Static_assert(sizeof(struct virtiofs_vhost_user_config) == 268, "layout");
_Static_assert(sizeof(struct virtiofs_vhost_user_shmem_config) == 2056, "layout");
_Static_assert(sizeof(struct virtiofs_vhost_user_mmap) == 40, "layout");
_Static_assert(VIRTIOFS_VHOST_USER_FDS_MAX <= VIRTIOFS_VHOST_USER_TABLE_REGIONS_MAX, "room");

#define TABLE_HEAD ((uint32_t)offsetof(struct virtiofs_vhost_user_mem_table, regions))
#define CONFIG_HEAD ((uint32_t)offsetof(struct virtiofs_vhost_user_config, data))

enum {
  SERVED = 1,  /* sizes and descriptors below are checked */
  REPLIES = 2, /* has a reply of its own */
};

struct rule {
  const char *name;
  uint16_t flags;
  uint16_t size_min, size_max;
  uint8_t fds_min, fds_max;
};

/* Numbers without a name in the header are those that are not served; they stand here for the log. */
static const struct rule rules[VIRTIOFS_VHOST_USER_REQUEST_MAX] = {
    [VIRTIOFS_VHOST_USER_GET_FEATURES] = {"GET_FEATURES", SERVED | REPLIES, 0, 0, 0, 0},
    [VIRTIOFS_VHOST_USER_SET_FEATURES] = {"SET_FEATURES", SERVED, 8, 8, 0, 0},
    [VIRTIOFS_VHOST_USER_SET_OWNER] = {"SET_OWNER", SERVED, 0, 0, 0, 0},
    [VIRTIOFS_VHOST_USER_RESET_OWNER] = {"RESET_OWNER", SERVED, 0, 0, 0, 0},
    [VIRTIOFS_VHOST_USER_SET_MEM_TABLE] = {"SET_MEM_TABLE", SERVED, 8, 264, 0, VIRTIOFS_VHOST_USER_FDS_MAX},
    [VIRTIOFS_VHOST_USER_SET_LOG_BASE] = {"SET_LOG_BASE", 0, 0, 0, 0, 0},
    [VIRTIOFS_VHOST_USER_SET_LOG_FD] = {"SET_LOG_FD", 0, 0, 0, 0, 0},
    [VIRTIOFS_VHOST_USER_SET_VRING_NUM] = {"SET_VRING_NUM", SERVED, 8, 8, 0, 0},
    [VIRTIOFS_VHOST_USER_SET_VRING_ADDR] = {"SET_VRING_ADDR", SERVED, 40, 40, 0, 0},
    [VIRTIOFS_VHOST_USER_SET_VRING_BASE] = {"SET_VRING_BASE", SERVED, 8, 8, 0, 0},
    [VIRTIOFS_VHOST_USER_GET_VRING_BASE] = {"GET_VRING_BASE", SERVED | REPLIES, 8, 8, 0, 0},
    [VIRTIOFS_VHOST_USER_SET_VRING_KICK] = {"SET_VRING_KICK", SERVED, 8, 8, 0, 1},
    [VIRTIOFS_VHOST_USER_SET_VRING_CALL] = {"SET_VRING_CALL", SERVED, 8, 8, 0, 1},
    [VIRTIOFS_VHOST_USER_SET_VRING_ERR] = {"SET_VRING_ERR", SERVED, 8, 8, 0, 1},
    [VIRTIOFS_VHOST_USER_GET_PROTOCOL_FEATURES] = {"GET_PROTOCOL_FEATURES", SERVED | REPLIES, 0, 0, 0, 0},
    [VIRTIOFS_VHOST_USER_SET_PROTOCOL_FEATURES] = {"SET_PROTOCOL_FEATURES", SERVED, 8, 8, 0, 0},
    [VIRTIOFS_VHOST_USER_GET_QUEUE_NUM] = {"GET_QUEUE_NUM", SERVED | REPLIES, 0, 0, 0, 0},
    [VIRTIOFS_VHOST_USER_SET_VRING_ENABLE] = {"SET_VRING_ENABLE", SERVED, 8, 8, 0, 0},
    [19] = {"SEND_RARP", 0, 0, 0, 0, 0},
    [20] = {"NET_SET_MTU", 0, 0, 0, 0, 0},
    [VIRTIOFS_VHOST_USER_SET_BACKEND_REQ_FD] = {"SET_BACKEND_REQ_FD", SERVED, 0, 0, 1, 1},
    [22] = {"IOTLB_MSG", REPLIES, 0, 0, 0, 0},
    [23] = {"SET_VRING_ENDIAN", 0, 0, 0, 0, 0},
    [VIRTIOFS_VHOST_USER_GET_CONFIG] = {"GET_CONFIG", SERVED | REPLIES, 12, 268, 0, 0},
    [VIRTIOFS_VHOST_USER_SET_CONFIG] = {"SET_CONFIG", SERVED, 12, 268, 0, 0},
    [26] = {"CREATE_CRYPTO_SESSION", REPLIES, 0, 0, 0, 0},
    [27] = {"CLOSE_CRYPTO_SESSION", 0, 0, 0, 0, 0},
    [28] = {"POSTCOPY_ADVISE", REPLIES, 0, 0, 0, 0},
    [29] = {"POSTCOPY_LISTEN", 0, 0, 0, 0, 0},
    [30] = {"POSTCOPY_END", REPLIES, 0, 0, 0, 0},
    [31] = {"GET_INFLIGHT_FD", REPLIES, 0, 0, 0, 0},
    [32] = {"SET_INFLIGHT_FD", 0, 0, 0, 0, 0},
    [33] = {"GPU_SET_SOCKET", 0, 0, 0, 0, 0},
    [VIRTIOFS_VHOST_USER_RESET_DEVICE] = {"RESET_DEVICE", SERVED, 0, 0, 0, 0},
    [35] = {"VRING_KICK", 0, 0, 0, 0, 0},
    [VIRTIOFS_VHOST_USER_GET_MAX_MEM_SLOTS] = {"GET_MAX_MEM_SLOTS", SERVED | REPLIES, 0, 0, 0, 0},
    [VIRTIOFS_VHOST_USER_ADD_MEM_REG] = {"ADD_MEM_REG", SERVED, 40, 40, 1, 1},
    /* Older front-ends send the region's descriptor along. */
    [VIRTIOFS_VHOST_USER_REM_MEM_REG] = {"REM_MEM_REG", SERVED, 40, 40, 0, 1},
    [39] = {"SET_STATUS", 0, 0, 0, 0, 0},
    [40] = {"GET_STATUS", REPLIES, 0, 0, 0, 0},
    [41] = {"GET_SHARED_OBJECT", REPLIES, 0, 0, 0, 0},
    [42] = {"SET_DEVICE_STATE_FD", REPLIES, 0, 0, 0, 0},
    [43] = {"CHECK_DEVICE_STATE", REPLIES, 0, 0, 0, 0},
    [VIRTIOFS_VHOST_USER_GET_SHMEM_CONFIG] = {"GET_SHMEM_CONFIG", SERVED | REPLIES, 0, 0, 0, 0},
    [45] = {"GET_VRING_BASE_SKIP_DRAIN", REPLIES, 0, 0, 0, 0},
};

static const struct rule *rule_of(uint32_t request) {
  static const struct rule none = {"?", 0, 0, 0, 0, 0};
  return request < VIRTIOFS_VHOST_USER_REQUEST_MAX && rules[request].name != NULL ? &rules[request] : &none;
}

const char *virtiofs_vhost_user_request_name(uint32_t request) {
  return rule_of(request)->name;
}

bool virtiofs_vhost_user_replies(uint32_t request) {
  return (rule_of(request)->flags & REPLIES) != 0;
}

int virtiofs_vhost_user_header_check(const struct virtiofs_vhost_user_header *header) {
  const struct rule *rule = rule_of(header->request);
  /* Neither a reply nor a flag that nobody has defined: only need_reply may stand beside the version. */
  if ((header->flags & ~VIRTIOFS_VHOST_USER_NEED_REPLY) != VIRTIOFS_VHOST_USER_VERSION)
    return -EPROTO;
  if ((rule->flags & SERVED) == 0)
    return header->size <= sizeof(union virtiofs_vhost_user_payload) ? -ENOSYS : -EPROTO;
  return header->size <= rule->size_max ? 0 : -EPROTO;
}

/* As there is a descriptor for each region, there are no more of these than a table has room for. */
static bool table_is_whole(const struct virtiofs_vhost_user_message *msg) {
  uint32_t count = msg->payload.table.count;
  return msg->fd_count == count &&
         msg->header.size == TABLE_HEAD + count * (uint32_t)sizeof(struct virtiofs_vhost_user_region);
}

static bool config_is_whole(const struct virtiofs_vhost_user_message *msg) {
  return msg->payload.config.size == msg->header.size - CONFIG_HEAD;
}

/* A descriptor comes exactly if the payload says so. Bits above are not an index cut short, they are wrong. */
static bool vring_fd_is_whole(const struct virtiofs_vhost_user_message *msg) {
  uint64_t value = msg->payload.u64;
  if ((value & ~(VIRTIOFS_VHOST_USER_VRING_INDEX_MASK | VIRTIOFS_VHOST_USER_VRING_NOFD)) != 0)
    return false;
  return msg->fd_count == ((value & VIRTIOFS_VHOST_USER_VRING_NOFD) != 0 ? 0U : 1U);
}

static bool payload_is_whole(const struct virtiofs_vhost_user_message *msg) {
  switch (msg->header.request) {
  case VIRTIOFS_VHOST_USER_SET_MEM_TABLE:
    return table_is_whole(msg);
  case VIRTIOFS_VHOST_USER_GET_CONFIG:
  case VIRTIOFS_VHOST_USER_SET_CONFIG:
    return config_is_whole(msg);
  case VIRTIOFS_VHOST_USER_SET_VRING_KICK:
  case VIRTIOFS_VHOST_USER_SET_VRING_CALL:
  case VIRTIOFS_VHOST_USER_SET_VRING_ERR:
    return vring_fd_is_whole(msg);
  default:
    return true;
  }
}

int virtiofs_vhost_user_message_check(const struct virtiofs_vhost_user_message *msg) {
  const struct rule *rule = rule_of(msg->header.request);
  if ((rule->flags & SERVED) == 0)
    return -ENOSYS;
  if (msg->header.size < rule->size_min || msg->header.size > rule->size_max)
    return -EPROTO;
  if (msg->fd_count < rule->fds_min || msg->fd_count > rule->fds_max)
    return -EPROTO;
  return payload_is_whole(msg) ? 0 : -EPROTO;
}
