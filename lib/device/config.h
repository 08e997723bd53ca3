/* SPDX-License-Identifier: BSD-3-Clause */
/** The device's configuration space; virtio 1.3, 5.11.4. */
#ifndef VIRTIOFS_LIB_DEVICE_CONFIG_H
#define VIRTIOFS_LIB_DEVICE_CONFIG_H

#include <stdint.h>

#include <virtiofs/device.h>

/* Little-endian. Without VIRTIO_FS_F_NOTIFICATION no driver reads the last field, but front-ends read all of it at
 * once. */
struct virtiofs_config_space {
  uint8_t tag[VIRTIOFS_TAG_MAX]; /* not terminated if all bytes are used */
  uint32_t num_request_queues;
  uint32_t notify_buf_size; /* 0 */
};

_Static_assert(sizeof(struct virtiofs_config_space) == 44, "virtio 1.3, 5.11.4");

/* @tag: NULL for none. 0; -EINVAL if it is empty, too long or has a newline, which Linux refuses. */
int virtiofs_config_space_init(struct virtiofs_config_space *config, const char *tag, uint32_t request_queues);

/* 0; -EINVAL outside of it. */
int virtiofs_config_space_read(const struct virtiofs_config_space *config, uint32_t offset, uint32_t size, void *data);

#endif
