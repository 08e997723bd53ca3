/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * The messages of vhost-user: numbers, layouts and what each of them must look like. No I/O.
 *
 * Both ends run on one machine, so everything is in the host's byte order.
 *
 * Specification: QEMU docs/interop/vhost-user.
 */
#ifndef VIRTIOFS_VHOST_USER_H
#define VIRTIOFS_VHOST_USER_H

#include <stdbool.h>
#include <stdint.h>

#include <virtiofs/version.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Front-end messages. */
enum virtiofs_vhost_user_request {
  VIRTIOFS_VHOST_USER_GET_FEATURES = 1,
  VIRTIOFS_VHOST_USER_SET_FEATURES = 2,
  VIRTIOFS_VHOST_USER_SET_OWNER = 3,
  VIRTIOFS_VHOST_USER_RESET_OWNER = 4,
  VIRTIOFS_VHOST_USER_SET_MEM_TABLE = 5,
  VIRTIOFS_VHOST_USER_SET_LOG_BASE = 6,
  VIRTIOFS_VHOST_USER_SET_LOG_FD = 7,
  VIRTIOFS_VHOST_USER_SET_VRING_NUM = 8,
  VIRTIOFS_VHOST_USER_SET_VRING_ADDR = 9,
  VIRTIOFS_VHOST_USER_SET_VRING_BASE = 10,
  VIRTIOFS_VHOST_USER_GET_VRING_BASE = 11,
  VIRTIOFS_VHOST_USER_SET_VRING_KICK = 12,
  VIRTIOFS_VHOST_USER_SET_VRING_CALL = 13,
  VIRTIOFS_VHOST_USER_SET_VRING_ERR = 14,
  VIRTIOFS_VHOST_USER_GET_PROTOCOL_FEATURES = 15,
  VIRTIOFS_VHOST_USER_SET_PROTOCOL_FEATURES = 16,
  VIRTIOFS_VHOST_USER_GET_QUEUE_NUM = 17,
  VIRTIOFS_VHOST_USER_SET_VRING_ENABLE = 18,
  VIRTIOFS_VHOST_USER_SET_BACKEND_REQ_FD = 21,
  VIRTIOFS_VHOST_USER_GET_CONFIG = 24,
  VIRTIOFS_VHOST_USER_SET_CONFIG = 25,
  VIRTIOFS_VHOST_USER_RESET_DEVICE = 34,
  VIRTIOFS_VHOST_USER_GET_MAX_MEM_SLOTS = 36,
  VIRTIOFS_VHOST_USER_ADD_MEM_REG = 37,
  VIRTIOFS_VHOST_USER_REM_MEM_REG = 38,
  VIRTIOFS_VHOST_USER_GET_SHMEM_CONFIG = 44,
  VIRTIOFS_VHOST_USER_REQUEST_MAX = 46, /**< one more than the largest number in the specification */
};

/** Bits of GET_FEATURES that belong to vhost-user. */
#define VIRTIOFS_VHOST_USER_F_LOG_ALL (UINT64_C(1) << 26)
#define VIRTIOFS_VHOST_USER_F_PROTOCOL_FEATURES (UINT64_C(1) << 30)

/** Protocol features. */
#define VIRTIOFS_VHOST_USER_PROTOCOL_F_MQ (UINT64_C(1) << 0)
#define VIRTIOFS_VHOST_USER_PROTOCOL_F_REPLY_ACK (UINT64_C(1) << 3)
#define VIRTIOFS_VHOST_USER_PROTOCOL_F_BACKEND_REQ (UINT64_C(1) << 5)
#define VIRTIOFS_VHOST_USER_PROTOCOL_F_CONFIG (UINT64_C(1) << 9)
#define VIRTIOFS_VHOST_USER_PROTOCOL_F_BACKEND_SEND_FD (UINT64_C(1) << 10)
#define VIRTIOFS_VHOST_USER_PROTOCOL_F_RESET_DEVICE (UINT64_C(1) << 13)
#define VIRTIOFS_VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS (UINT64_C(1) << 15)
#define VIRTIOFS_VHOST_USER_PROTOCOL_F_SHMEM (UINT64_C(1) << 22)

/** virtiofs_vhost_user_header.flags: version in bits 0-1, always 1. */
#define VIRTIOFS_VHOST_USER_VERSION 1U
#define VIRTIOFS_VHOST_USER_VERSION_MASK 3U
#define VIRTIOFS_VHOST_USER_REPLY (1U << 2)
#define VIRTIOFS_VHOST_USER_NEED_REPLY (1U << 3)

/** Most descriptors with one message. */
#define VIRTIOFS_VHOST_USER_FDS_MAX 8U
/** Most regions in SET_MEM_TABLE. */
#define VIRTIOFS_VHOST_USER_TABLE_REGIONS_MAX 8U
/** Most bytes of GET_CONFIG and SET_CONFIG. */
#define VIRTIOFS_VHOST_USER_CONFIG_MAX 256U
/** Index and "no descriptor" in the payload of SET_VRING_KICK, _CALL and _ERR. */
#define VIRTIOFS_VHOST_USER_VRING_INDEX_MASK UINT64_C(0xff)
#define VIRTIOFS_VHOST_USER_VRING_NOFD (UINT64_C(1) << 8)
/** virtiofs_vhost_user_config.flags of a SET_CONFIG that comes from migration. */
#define VIRTIOFS_VHOST_USER_CONFIG_MIGRATION 1U

/** Goes before each payload; 12 bytes. */
struct virtiofs_vhost_user_header {
  uint32_t request; /**< enum virtiofs_vhost_user_request */
  uint32_t flags;
  uint32_t size; /**< bytes of payload */
};

struct virtiofs_vhost_user_vring_state {
  uint32_t index, num;
};

struct virtiofs_vhost_user_vring_addr {
  uint32_t index, flags;
  uint64_t desc, used, avail, log; /**< addresses of the front-end's */
};

struct virtiofs_vhost_user_region {
  uint64_t gpa, size, uva;
  uint64_t mmap_offset; /**< where the region begins in the descriptor's file */
};

struct virtiofs_vhost_user_mem_table {
  uint32_t count, padding;
  struct virtiofs_vhost_user_region regions[VIRTIOFS_VHOST_USER_TABLE_REGIONS_MAX];
};

struct virtiofs_vhost_user_mem_region {
  uint64_t padding;
  struct virtiofs_vhost_user_region region;
};

struct virtiofs_vhost_user_config {
  uint32_t offset, size, flags;
  uint8_t data[VIRTIOFS_VHOST_USER_CONFIG_MAX];
};

/** Regions of shared memory in GET_SHMEM_CONFIG. */
#define VIRTIOFS_VHOST_USER_SHMEM_REGIONS 256U

/** Reply to GET_SHMEM_CONFIG: bytes of each region, 0 if there is none. virtio-fs has the DAX window as region 0. */
struct virtiofs_vhost_user_shmem_config {
  uint32_t count, padding; /**< how many there are */
  uint64_t sizes[VIRTIOFS_VHOST_USER_SHMEM_REGIONS];
};

#define VIRTIOFS_VHOST_USER_MMAP_WRITE (UINT64_C(1) << 0)

/** Payload of SHMEM_MAP and SHMEM_UNMAP; all in bytes. */
struct virtiofs_vhost_user_mmap {
  uint8_t shmid, padding[7];
  uint64_t fd_offset, shm_offset, len, flags;
};

/** What a back-end asks of the front-end, on the socket of SET_BACKEND_REQ_FD. */
enum virtiofs_vhost_user_backend_request {
  VIRTIOFS_VHOST_USER_BACKEND_SHMEM_MAP = 9,
  VIRTIOFS_VHOST_USER_BACKEND_SHMEM_UNMAP = 10,
};

/** Any payload. */
union virtiofs_vhost_user_payload {
  uint64_t u64;
  struct virtiofs_vhost_user_vring_state state;
  struct virtiofs_vhost_user_vring_addr addr;
  struct virtiofs_vhost_user_mem_table table;
  struct virtiofs_vhost_user_mem_region region;
  struct virtiofs_vhost_user_config config;
  struct virtiofs_vhost_user_shmem_config shmem;
  struct virtiofs_vhost_user_mmap mmap;
};

/** A message. */
struct virtiofs_vhost_user_message {
  struct virtiofs_vhost_user_header header;
  union virtiofs_vhost_user_payload payload;
  uint32_t fd_count;
  int fds[VIRTIOFS_VHOST_USER_FDS_MAX];
};

/** virtiofs_vhost_user_request_name - "SET_MEM_TABLE" and so on; "?" for an unknown number. Threads: any. */
VIRTIOFS_EXPORT const char *virtiofs_vhost_user_request_name(uint32_t request);

/**
 * virtiofs_vhost_user_header_check - may a payload of this header be read?
 * @header: as received from a front-end
 *
 * Return: 0; -EPROTO for a wrong version, a reply, an unknown flag, or more bytes than a message of that number has;
 * -ENOSYS for a number that this library does not serve, whose payload is at most sizeof(union
 * virtiofs_vhost_user_payload) and may be read and thrown away. Threads: any.
 */
VIRTIOFS_EXPORT VIRTIOFS_MUST_USE int virtiofs_vhost_user_header_check(const struct virtiofs_vhost_user_header *header);

/**
 * virtiofs_vhost_user_message_check - does a message have the size and the descriptors that its number asks for?
 * @msg: whole, from a front-end; its header has passed virtiofs_vhost_user_header_check()
 *
 * Return: 0; -EPROTO; -ENOSYS as above. Threads: any.
 */
VIRTIOFS_EXPORT VIRTIOFS_MUST_USE int virtiofs_vhost_user_message_check(const struct virtiofs_vhost_user_message *msg);

/** virtiofs_vhost_user_replies - does a message of this number always have a reply of its own? Threads: any. */
VIRTIOFS_EXPORT bool virtiofs_vhost_user_replies(uint32_t request);

#ifdef __cplusplus
}
#endif

#endif
