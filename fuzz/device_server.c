/* SPDX-License-Identifier: BSD-3-Clause */
/* Targets: a whole server, from what a front-end says to what a file system in memory answers:
 * virtiofs_device_frontend_open, virtiofs_vhost_backend_process, virtiofs_device_process_queue and all behind them, of
 * a device without a thread. Input: what the device has and what the guest accepts; then, in any order, FUSE requests
 * in rings, bytes anywhere in guest memory, messages of the front-end, and what becomes of requests and steps of the
 * DAX window that are pending. Whatever comes, all of it is taken back in the end: nodes, memory, descriptors. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#include <virtiofs/memfs.h>
#include <virtiofs/request.h>

#include "descriptors.h"
#include "device/device.h"
#include "guest.h"
#include "pipe.h"
#include "session/session.h"
#include "vhost/backend.h"

enum { PENDING_MAX = 8, CONNECTIONS_MAX = 4, ROUNDS_MAX = 64, REGION = FUZZ_MEMORY / 2 };

#define WINDOW (UINT64_C(64) * 4096)

struct server {
  struct fuzz_input *in;
  uint8_t shape, more;
  struct virtiofs_memfs *fs;
  struct virtiofs_device *dev;
  struct virtiofs_vhost_backend *backend;
  struct fuzz_pipe pipe;
  struct guest guest;
  uint32_t vrings;
  unsigned connections;
  struct virtiofs_req *pending[PENDING_MAX];
  unsigned pending_count, asked;
  bool step_pending, window_gone;
};

enum { HAS_TAG = 4, HAS_WINDOW = 8, HAS_FEATURES_SHIFT = 4, BARE = 128 };                          /* server.shape */
enum { SIZE_MASK = 3, INIT_SHIFT = 2, INIT_MASK = 3, SHARED = 16, WRITEBACK = 32, SWAPPED = 128 }; /* server.more */

/* An operation knows the file system alone. */
static struct server *current;

static void must(bool so) {
  if (!so)
    abort();
}

/* ---- the backend: memfs, but some operations take their time ---- */

static void complete(struct server *server, unsigned i, int rc) {
  struct virtiofs_req *req = server->pending[i];
  server->pending[i] = server->pending[--server->pending_count];
  virtiofs_req_complete(req, rc);
}

static void cancelled(struct virtiofs_req *req) {
  for (unsigned i = 0; i < current->pending_count; i++) {
    if (current->pending[i] == req) {
      complete(current, i, -EINTR);
      return;
    }
  }
  abort();
}

/* Of each four one is answered at once, two later or when nobody wants it any more, one only later. */
static int statfs_(struct virtiofs_req *req, const struct virtiofs_statfs_in *in, struct virtiofs_statfs_out *out) {
  unsigned asked = current->asked++ % 4;
  if (asked == 0 || current->pending_count == PENDING_MAX)
    return virtiofs_memfs_ops()->statfs(req, in, out);
  current->pending[current->pending_count++] = req;
  if (asked != 3)
    virtiofs_req_on_cancel(req, cancelled);
  return VIRTIOFS_PENDING;
}

static int carry_out(void *ctx, const struct virtiofs_dax_step *step) {
  struct server *server = ctx;
  must(step->len > 0 && step->window_offset <= WINDOW && step->len <= WINDOW - step->window_offset);
  must(step->map == (step->fd >= 0) && (step->fd < 0 || fcntl(step->fd, F_GETFD) >= 0) && !server->step_pending);
  uint8_t how = fuzz_u8(server->in);
  if (server->window_gone || how % 8 == 7)
    return -EIO;
  server->step_pending = how % 4 == 1;
  return server->step_pending ? VIRTIOFS_PENDING : 0;
}

static void step_done(struct server *server, int rc) {
  if (!server->step_pending)
    return;
  server->step_pending = false;
  virtiofs_session_step_done(server->dev->session, rc);
}

/* A queue that stops has waited for as long as it may. So has who waits for the front-end's answer to a step, which is
 * somebody else in life. */
static void on_log(void *ctx, enum virtiofs_log_level level, const char *tag, const char *format, va_list args) {
  (void)tag;
  (void)args;
  struct server *server = ctx;
  if (level > VIRTIOFS_LOG_WARN || strstr(format, "not given up") == NULL)
    return;
  server->window_gone = true;
  step_done(server, -EIO);
}

/* ---- the front-end ---- */

/* False: the connection is over. */
static bool say(struct server *server, struct virtiofs_vhost_user_message *msg) {
  uint32_t before = server->pipe.replies;
  server->pipe.next = msg;
  int rc = virtiofs_vhost_backend_process(server->backend);
  must(server->pipe.replies - before <= 1);
  return rc == 0;
}

static void tell(struct server *server, uint32_t request, struct virtiofs_vhost_user_message msg, uint32_t size) {
  msg.header = (struct virtiofs_vhost_user_header){
      .request = request, .flags = VIRTIOFS_VHOST_USER_VERSION | VIRTIOFS_VHOST_USER_NEED_REPLY, .size = size};
  for (uint32_t i = 0; i < msg.fd_count; i++)
    msg.fds[i] = fuzz_descriptor((uint8_t)msg.fds[i]);
  must(say(server, &msg));
}

static void tell_u64(struct server *server, uint32_t request, uint64_t value) {
  tell(server, request, (struct virtiofs_vhost_user_message){.payload.u64 = value}, 8);
}

static void tell_state(struct server *server, uint32_t request, uint32_t index, uint32_t num) {
  tell(server, request, (struct virtiofs_vhost_user_message){.payload.state = {.index = index, .num = num}}, 8);
}

static void tell_ring(struct server *server, uint32_t index) {
  uint64_t desc, driver, device;
  guest_ring(&server->guest, index);
  guest_ring_at(&server->guest, index, &desc, &driver, &device);
  tell_state(server, VIRTIOFS_VHOST_USER_SET_VRING_NUM, index, server->guest.num);
  tell(server, VIRTIOFS_VHOST_USER_SET_VRING_ADDR,
       (struct virtiofs_vhost_user_message){.payload.addr = {.index = index,
                                                             .desc = FUZZ_UVA + desc,
                                                             .avail = FUZZ_UVA + driver,
                                                             .used = FUZZ_UVA + device}},
       sizeof(struct virtiofs_vhost_user_vring_addr));
  struct virtiofs_vhost_user_message fd = {.payload.u64 = index, .fd_count = 1, .fds = {1}};
  tell(server, VIRTIOFS_VHOST_USER_SET_VRING_CALL, fd, 8);
  tell(server, VIRTIOFS_VHOST_USER_SET_VRING_KICK, fd, 8);
  tell_state(server, VIRTIOFS_VHOST_USER_SET_VRING_ENABLE, index, 1);
}

/* What every front-end says, with two regions of memory that follow each other for the guest alone. */
static void set_up(struct server *server) {
  struct virtiofs_vhost_user_message table = {
      .payload.table = {.count = 2,
                        .regions = {{.gpa = 0, .size = REGION, .uva = FUZZ_UVA},
                                    {.gpa = REGION, .size = REGION, .uva = FUZZ_UVA << 4, .mmap_offset = REGION}}},
      .fd_count = 2};
  tell_u64(server, VIRTIOFS_VHOST_USER_SET_PROTOCOL_FEATURES, VIRTIOFS_VHOST_USER_PROTOCOL_F_REPLY_ACK);
  tell_u64(server, VIRTIOFS_VHOST_USER_SET_FEATURES,
           server->guest.features | VIRTIOFS_TRANSPORT_F_VERSION_1 | VIRTIOFS_VHOST_USER_F_PROTOCOL_FEATURES);
  tell(server, VIRTIOFS_VHOST_USER_SET_MEM_TABLE, table, 8 + 2 * sizeof(struct virtiofs_vhost_user_region));
  for (uint32_t i = 0; i < server->vrings; i++)
    tell_ring(server, i);
}

static void work(struct server *server, uint32_t queue) {
  for (unsigned i = 0; i < ROUNDS_MAX && virtiofs_device_process_queue(server->dev, queue) > 0; i++)
    continue;
  guest_take(&server->guest, queue);
}

/* Those of 64 bits in it are small enough to be two words. */
static void swap_words(void *bytes, size_t len) {
  for (size_t at = 0; at < len; at += 4) {
    uint32_t word;
    memcpy(&word, (unsigned char *)bytes + at, sizeof(word));
    word = __builtin_bswap32(word);
    memcpy((unsigned char *)bytes + at, &word, sizeof(word));
  }
}

static void begin_mount(struct server *server) {
  struct {
    uint32_t len, opcode;
    uint64_t unique, nodeid;
    uint32_t ids[4], major, minor, readahead, flags, flags2, rest[11];
  } init = {.len = sizeof(init),
            .opcode = VIRTIOFS_FUSE_INIT,
            .unique = 2,
            .major = 7,
            .minor = 38,
            .flags = UINT32_MAX,
            .flags2 = UINT32_MAX};
  switch (server->more >> INIT_SHIFT & INIT_MASK) {
  case 1:
    init.flags = fuzz_u16(server->in) * 0x10001U;
    init.flags2 = fuzz_u16(server->in);
    break;
  case 2:
    init.minor = 27;
    break;
  case 3:
    return;
  default:
    break;
  }
  if (server->guest.swapped)
    swap_words(&init, sizeof(init));
  guest_send(&server->guest, 1, &init, sizeof(init), 80);
  work(server, 1);
}

static void connect_(struct server *server) {
  static const uint32_t sizes[] = {4, 8, 4, 16};
  struct virtiofs_session_window_config window = {.len = WINDOW,
                                                  .page_shift = 12,
                                                  .max_mappings = 8,
                                                  .cuts = (server->more & 64) != 0,
                                                  .step = carry_out,
                                                  .close = virtiofs_device_window_close,
                                                  .ctx = server};
  server->connections++;
  fuzz_pipe_init(&server->pipe);
  must(virtiofs_device_frontend_open(server->dev, &server->pipe.transport, true, &server->backend) == 0);
  server->window_gone = false;
  if ((server->shape & HAS_WINDOW) != 0) {
    must(virtiofs_session_set_window(server->dev->session, &window) == 0);
    virtiofs_session_use_window(server->dev->session, true);
  }
  guest_init(&server->guest, sizes[server->more & SIZE_MASK],
             ((uint64_t)server->shape >> HAS_FEATURES_SHIFT & 3) << 28 | ((uint64_t)server->shape >> 6 & 1) << 34,
             (server->more & SWAPPED) != 0);
  if ((server->shape & BARE) != 0)
    return;
  set_up(server);
  begin_mount(server);
}

static void disconnect(struct server *server) {
  server->window_gone = true;
  virtiofs_session_use_window(server->dev->session, false);
  step_done(server, -EIO);
  virtiofs_device_frontend_close(server->dev, server->backend);
  must(server->pipe.closed);
  /* Those that were answered in the backend's place. */
  while (server->pending_count > 0)
    complete(server, 0, 0);
  guest_fini(&server->guest);
}

/* ---- an input ---- */

static void begin(struct server *server) {
  struct virtiofs_ops ops = *virtiofs_memfs_ops();
  server->shape = fuzz_u8(server->in);
  server->more = fuzz_u8(server->in);
  server->vrings = 2 + server->shape % (GUEST_QUEUES - 1);
  struct virtiofs_memfs_config fs = {.size = sizeof(fs),
                                     .max_bytes = 1 << 20,
                                     .max_nodes = 64,
                                     .max_xattr = 4096,
                                     .shared = (server->more & SHARED) != 0,
                                     .writeback = (server->more & (SHARED | WRITEBACK)) == WRITEBACK};
  must(virtiofs_memfs_new(&server->fs, &fs) == 0);
  ops.statfs = statfs_;
  struct virtiofs_device_config config = {.size = sizeof(config),
                                          .ops = &ops,
                                          .fs = server->fs,
                                          .tag = (server->shape & HAS_TAG) != 0 ? "fuzz" : NULL,
                                          .request_queues = server->vrings - 1,
                                          .max_write = 4096,
                                          .drain_ms = 1,
                                          .max_nodes = 48,
                                          .max_handles = 16,
                                          .log = {.fn = on_log, .ctx = server, .level = VIRTIOFS_LOG_WARN},
                                          .window_len = (server->shape & HAS_WINDOW) != 0 ? WINDOW : 0};
  must(virtiofs_device_new(&server->dev, &config) == 0);
  server->dev->window.len = 0; /* ours stands in its place */
  current = server;
  connect_(server);
}

static void poke(struct fuzz_input *in) {
  uint32_t at = fuzz_u16(in), len = 1 + fuzz_u8(in) % 32U;
  fuzz_take(in, fuzz_memory() + at, len < FUZZ_MEMORY - at ? len : FUZZ_MEMORY - at);
}

static void reconnect(struct server *server) {
  disconnect(server);
  connect_(server);
}

static void something_else(struct server *server) {
  uint8_t what = fuzz_u8(server->in);
  switch (what % 4) {
  case 0:
    if (server->pending_count > 0)
      complete(server, what / 4U % server->pending_count, what < 128 ? 0 : -EIO);
    break;
  case 1:
    step_done(server, what < 128 ? 0 : -EIO);
    break;
  case 2:
    if (server->connections < CONNECTIONS_MAX)
      reconnect(server);
    break;
  default:
    work(server, what / 4U % server->vrings);
    break;
  }
}

static void step(struct server *server) {
  struct virtiofs_vhost_user_message msg;
  uint8_t op = fuzz_u8(server->in);
  switch (op % 8) {
  case 0:
  case 1:
  case 2:
  case 3:
    guest_request(&server->guest, server->in);
    break;
  case 4:
  case 5:
    fuzz_message(server->in, &msg);
    if (!say(server, &msg))
      reconnect(server);
    break;
  case 6:
    poke(server->in);
    break;
  default:
    something_else(server);
    return;
  }
  for (uint32_t i = 0; op < 128 && i < server->vrings; i++)
    work(server, i);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct fuzz_input in = {.data = data, .left = size};
  struct server server = {.in = &in};
  fuzz_descriptors_begin();
  begin(&server);
  while (in.left > 0 && server.connections <= CONNECTIONS_MAX)
    step(&server);
  disconnect(&server);
  virtiofs_device_free(server.dev);
  virtiofs_memfs_free(server.fs);
  fuzz_descriptors_end();
  return 0;
}
