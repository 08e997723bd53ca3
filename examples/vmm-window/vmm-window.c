/* SPDX-License-Identifier: BSD-3-Clause */
/* What a VMM does for a DAX window, with its guest's driver in the same process: files are mapped where the guest loads
 * and stores, without a message.
 * cc vmm-window.c -o vmm-window $(pkg-config --cflags --libs libvirtiofs-daemon) && ./vmm-window
 *
 * The VMM is the first half; its guest, the second, is client.h and pointers. The device is in the process. Of one
 * behind a vhost-user socket a VMM gets requests to map, and hands them to virtiofs_shmem_process(); shmem.h says what
 * it has to set up for that, and which rules a back-end is held to: in the window, over nothing that is mapped,
 * unmapped as it was mapped, one descriptor. The window, and what the guest sees of it, is the same. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <virtiofs/client.h>
#include <virtiofs/device.h>
#include <virtiofs/host_window.h>
#include <virtiofs/memfs.h>

#define WINDOW_LEN (UINT64_C(16) << 20)
#define CHUNK (UINT64_C(2) << 20) /* what Linux maps at a time */
#define TEXT "written by a message"

static int64_t must(int64_t rc, const char *what) {
  if (rc >= 0)
    return rc;
  (void)fprintf(stderr, "vmm-window: %s: %s\n", what, strerror((int)-rc));
  exit(EXIT_FAILURE);
}

/* ---- The VMM: virtio's registers come in, calls to the device go out ---- */

struct vmm {
  struct virtiofs_device *dev;
  /* The guest has it as shared memory region 0 of its virtio-fs device (virtio 1.3, 4.1.4.7): a VMM with KVM gives this
   * address range a slot of its own, once, and what is mapped there later shows by itself. */
  struct virtiofs_host_window *window;
  unsigned messages;
};

static uint64_t features(void *ctx) {
  return virtiofs_device_features(((struct vmm *)ctx)->dev);
}

static uint32_t queues(void *ctx) {
  return virtiofs_device_queues(((struct vmm *)ctx)->dev);
}

static int config(void *ctx, uint32_t offset, uint32_t size, void *data) {
  return virtiofs_device_config_read(((struct vmm *)ctx)->dev, offset, size, data);
}

/* DRIVER_OK: the device is given the window with the guest's memory. It is empty, and will be again after stop. */
static int start(void *ctx, const struct virtiofs_transport_driver *given) {
  struct vmm *vmm = ctx;
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
  return virtiofs_device_memory(((struct vmm *)ctx)->dev, map);
}

static int queue_start(void *ctx, uint32_t index, const struct virtiofs_transport_queue *queue) {
  return virtiofs_device_queue_start(((struct vmm *)ctx)->dev, index, queue);
}

static int queue_stop(void *ctx, uint32_t index, uint32_t *base) {
  return virtiofs_device_queue_stop(((struct vmm *)ctx)->dev, index, base);
}

static int process(void *ctx, uint32_t index) {
  return virtiofs_device_process_queue(((struct vmm *)ctx)->dev, index);
}

static int queue_fd(void *ctx, uint32_t index) {
  return virtiofs_device_queue_fd(((struct vmm *)ctx)->dev, index);
}

static void stop(void *ctx) {
  virtiofs_device_detach(((struct vmm *)ctx)->dev);
}

static const struct virtiofs_transport registers = {.features = features,
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
  ((struct vmm *)ctx)->messages++;
  return 0;
}

static void answered(void *ctx, uint32_t queue, const struct virtiofs_message *msg, size_t used, uint64_t token) {
  (void)ctx, (void)queue, (void)msg, (void)used, (void)token;
}

static void vmm_new(struct vmm *vmm, struct virtiofs_memfs *memfs) {
  static const struct virtiofs_tap tap = {.size = sizeof tap, .request = count_message, .reply = answered};
  struct virtiofs_device_config device = {
      .size = sizeof device, .ops = virtiofs_memfs_ops(), .fs = memfs, .tap = &tap, .tap_ctx = vmm};
  must(virtiofs_host_window_new(&vmm->window, WINDOW_LEN), "window");
  must(virtiofs_device_new(&vmm->dev, &device), "device");
}

/* ---- Its guest: as Linux with -o dax, with requests for what isn't mapped yet, and pointers ---- */

struct guest {
  struct virtiofs_client *client;
  volatile char *window; /* region 0, wherever the guest has it */
  uint64_t node, handle;
};

static struct virtiofs_client_request *take(const struct guest *g, uint32_t opcode, uint64_t node) {
  struct virtiofs_client_request *req = virtiofs_client_request_take(g->client, 1);
  if (req == NULL)
    must(-EBUSY, "request");
  req->fuse.header.opcode = opcode;
  req->fuse.header.nodeid = node;
  return req;
}

static void send(struct virtiofs_client_request *req, const char *what) {
  must(virtiofs_client_request_run(req), what);
  virtiofs_client_request_give(req);
}

/* A file of a chunk, which begins with the text. */
static void create(struct guest *g) {
  struct virtiofs_client_request *req = take(g, VIRTIOFS_FUSE_CREATE, VIRTIOFS_FUSE_ROOT);
  req->fuse.in.create.parent = VIRTIOFS_FUSE_ROOT;
  req->fuse.in.create.name = (struct virtiofs_name){.str = "file", .len = 4};
  req->fuse.in.create.flags = O_RDWR;
  req->fuse.in.create.mode = 0600;
  must(virtiofs_client_request_run(req), "CREATE");
  g->node = req->out.create.entry.node;
  g->handle = req->out.create.open.handle;
  virtiofs_client_request_give(req);

  req = take(g, VIRTIOFS_FUSE_WRITE, g->node);
  req->fuse.in.write.node = g->node;
  req->fuse.in.write.handle = g->handle;
  req->fuse.in.write.size = sizeof TEXT;
  req->fuse.in.write.data.size = sizeof TEXT;
  memcpy(req->data, TEXT, sizeof TEXT);
  send(req, "WRITE");

  req = take(g, VIRTIOFS_FUSE_SETATTR, g->node); /* what is past the end of a file can be mapped, but not touched */
  req->fuse.in.setattr.node = g->node;
  req->fuse.in.setattr.valid = VIRTIOFS_SET_SIZE;
  req->fuse.in.setattr.size = CHUNK;
  send(req, "SETATTR");
}

static void map(const struct guest *g, uint64_t window_offset) {
  struct virtiofs_client_request *req = take(g, VIRTIOFS_FUSE_SETUPMAPPING, g->node);
  req->fuse.in.setupmapping = (struct virtiofs_setupmapping_in){.node = g->node,
                                                                .handle = UINT64_MAX, /* none is needed */
                                                                .len = CHUNK,
                                                                .flags = VIRTIOFS_MAP_READ | VIRTIOFS_MAP_WRITE,
                                                                .window_offset = window_offset};
  send(req, "SETUPMAPPING");
}

static void read_by_message(const struct guest *g, uint64_t offset, uint32_t size) {
  struct virtiofs_client_request *req = take(g, VIRTIOFS_FUSE_READ, g->node);
  req->fuse.in.read.node = g->node;
  req->fuse.in.read.handle = g->handle;
  req->fuse.in.read.offset = offset;
  req->fuse.in.read.size = size;
  must(virtiofs_client_request_run(req), "READ");
  printf("READ:  %.*s\n", (int)size, (const char *)req->data);
  virtiofs_client_request_give(req);
}

static void run_guest(struct guest *g, const struct vmm *vmm) {
  struct virtiofs_fuse_init_in offer;
  struct virtiofs_fuse_init_out agreed;
  virtiofs_fuse_init_offer(&offer, VIRTIOFS_FUSE_MINOR, true); /* with MAP_ALIGNMENT: it has seen region 0 */
  must(virtiofs_client_init(g->client, &offer, &agreed), "INIT");
  printf("the window has %u MiB, and is mapped in pieces of %u bytes or more\n", (unsigned)(WINDOW_LEN >> 20),
         1U << agreed.map_alignment);
  create(g);
  map(g, CHUNK); /* the driver says where */
  volatile char *file = g->window + CHUNK;
  const unsigned before = vmm->messages;
  printf("load:  ");
  for (unsigned i = 0; i < sizeof TEXT - 1; i++)
    (void)putchar(file[i]);
  static const char reply[] = "stored by the guest";
  for (unsigned i = 0; i < sizeof reply; i++)
    file[i] = reply[i];
  for (uint64_t i = sizeof reply; i < CHUNK; i++)
    file[i] = (char)(file[i - 1] + 1);
  printf("\nmessages for %u loads and stores: %u\n", (unsigned)CHUNK, vmm->messages - before);
  read_by_message(g, 0, sizeof reply - 1);
}

int main(void) {
  struct virtiofs_memfs *memfs;
  struct vmm vmm = {.messages = 0};
  struct guest guest = {.node = 0};

  must(virtiofs_memfs_new(&memfs, NULL), "memfs");
  vmm_new(&vmm, memfs);
  struct virtiofs_client_config driver = {.size = sizeof driver, .transport = &registers, .device = &vmm};
  guest.window = virtiofs_host_window_addr(vmm.window);
  must(virtiofs_client_new(&guest.client, &driver), "driver");
  run_guest(&guest, &vmm);

  virtiofs_client_free(guest.client); /* resets the device, and nothing is mapped any more */
  virtiofs_device_free(vmm.dev);
  virtiofs_host_window_free(vmm.window);
  virtiofs_memfs_free(memfs);
  return EXIT_SUCCESS;
}
