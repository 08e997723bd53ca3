/* SPDX-License-Identifier: BSD-3-Clause */
/* A VMM with the device in its own process: virtio's registers come in, calls to the device go out. */
#ifndef VMM_WINDOW_INPROCESS_H
#define VMM_WINDOW_INPROCESS_H

#include <virtiofs/device.h>
#include <virtiofs/host_window.h>

struct inprocess {
  struct virtiofs_device *dev;
  /* The guest has it as shared memory region 0 of its virtio-fs device (virtio 1.3, 4.1.4.7): a VMM with KVM gives this
   * address range a slot of its own, once, and what is mapped there later shows by itself. */
  struct virtiofs_host_window *window;
  unsigned messages;
};

/* For struct virtiofs_client_config, with the VMM as its device. */
extern const struct virtiofs_transport inprocess_registers;

/* Makes a device that serves @fs, and a window of @len bytes. */
void inprocess_new(struct inprocess *vmm, const struct virtiofs_ops *ops, void *fs, uint64_t len);
void inprocess_free(struct inprocess *vmm);

#endif
