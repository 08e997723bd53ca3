/* SPDX-License-Identifier: BSD-3-Clause */
#include "inprocess.h"

#include "guest.h"

static uint64_t features(void *ctx) {
  return virtiofs_device_features(((struct inprocess *)ctx)->dev);
}

static uint32_t queues(void *ctx) {
  return virtiofs_device_queues(((struct inprocess *)ctx)->dev);
}

static int config(void *ctx, uint32_t offset, uint32_t size, void *data) {
  return virtiofs_device_config_read(((struct inprocess *)ctx)->dev, offset, size, data);
}

/* DRIVER_OK: the device is given the window with the guest's memory. It is empty, and will be again after stop. */
static int start(void *ctx, const struct virtiofs_transport_driver *given) {
  struct inprocess *vmm = ctx;
  struct virtiofs_transport_driver driver = *given;
  struct virtiofs_dax_mapper mapper = {.len = virtiofs_host_window_len(vmm->window),
                                       .cuts = true, /* mmap(2) maps over what there is, and unmaps a part of it */
                                       .step = virtiofs_host_window_step,
                                       .ctx = vmm->window};
  /* A guest may also name the window in a ring's buffers. A VMM whose memory map (memory.h) has it as a window without
   * a function refuses those; with one it has to see to it that the pages stay while they are used. */
  driver.mapper = &mapper;
  return virtiofs_device_attach(vmm->dev, &driver);
}

static int memory(void *ctx, struct virtiofs_memory *map) {
  return virtiofs_device_memory(((struct inprocess *)ctx)->dev, map);
}

static int queue_start(void *ctx, uint32_t index, const struct virtiofs_transport_queue *queue) {
  return virtiofs_device_queue_start(((struct inprocess *)ctx)->dev, index, queue);
}

static int queue_stop(void *ctx, uint32_t index, uint32_t *base) {
  return virtiofs_device_queue_stop(((struct inprocess *)ctx)->dev, index, base);
}

static int process(void *ctx, uint32_t index) {
  return virtiofs_device_process_queue(((struct inprocess *)ctx)->dev, index);
}

static int queue_fd(void *ctx, uint32_t index) {
  return virtiofs_device_queue_fd(((struct inprocess *)ctx)->dev, index);
}

static void stop(void *ctx) {
  virtiofs_device_detach(((struct inprocess *)ctx)->dev);
}

const struct virtiofs_transport inprocess_registers = {.features = features,
                                                       .queues = queues,
                                                       .config = config,
                                                       .start = start,
                                                       .memory = memory,
                                                       .queue_start = queue_start,
                                                       .queue_stop = queue_stop,
                                                       .process = process,
                                                       .queue_fd = queue_fd,
                                                       .stop = stop};

static uint64_t count_message(void *ctx, uint32_t queue, const struct virtiofs_message *msg) {
  (void)queue, (void)msg;
  ((struct inprocess *)ctx)->messages++;
  return 0;
}

static void answered(void *ctx, uint32_t queue, const struct virtiofs_message *msg, size_t used, uint64_t token) {
  (void)ctx, (void)queue, (void)msg, (void)used, (void)token;
}

void inprocess_new(struct inprocess *vmm, const struct virtiofs_ops *ops, void *fs, uint64_t len) {
  static const struct virtiofs_tap tap = {.size = sizeof tap, .request = count_message, .reply = answered};
  struct virtiofs_device_config device = {.size = sizeof device, .ops = ops, .fs = fs, .tap = &tap, .tap_ctx = vmm};
  *vmm = (struct inprocess){.messages = 0};
  must(virtiofs_host_window_new(&vmm->window, len), "window");
  must(virtiofs_device_new(&vmm->dev, &device), "device");
}

void inprocess_free(struct inprocess *vmm) {
  virtiofs_device_free(vmm->dev);
  virtiofs_host_window_free(vmm->window);
}
