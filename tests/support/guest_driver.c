/* SPDX-License-Identifier: BSD-3-Clause */
#include "support/guest_driver.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <dirent.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

enum { F_NEXT = 1, F_WRITE = 2, F_INDIRECT = 4 };
#define F_EVENT_IDX (UINT64_C(1) << 29)
#define UVA UINT64_C(0x7f0000000000)

uint64_t guest_region(uint32_t n) {
  static const uint64_t at[GUEST_REGIONS] = {0, 0x40000000, 0x40000000 + GUEST_REGION, 0x80000000};
  return at[n];
}

void *guest_at(struct guest *g, uint64_t gpa) {
  for (uint32_t n = 0; n < GUEST_REGIONS; n++) {
    if (gpa >= guest_region(n) && gpa - guest_region(n) < GUEST_REGION)
      return g->memory + (size_t)n * GUEST_REGION + (gpa - guest_region(n));
  }
  fail_msg("no guest memory at %llx", (unsigned long long)gpa);
  return NULL;
}

static struct virtiofs_vhost_user_region region_of(uint32_t n) {
  return (struct virtiofs_vhost_user_region){.gpa = guest_region(n),
                                             .size = GUEST_REGION,
                                             .uva = UVA + guest_region(n),
                                             .mmap_offset = (uint64_t)n * GUEST_REGION};
}

struct guest_desc *guest_table(struct guest *g, uint32_t queue) {
  return guest_at(g, g->rings[queue].desc);
}

static uint16_t *avail_at(struct guest *g, uint32_t queue, uint32_t word) {
  return (uint16_t *)guest_at(g, g->rings[queue].avail) + word;
}

static unsigned char *used_at(struct guest *g, uint32_t queue, uint32_t byte) {
  return (unsigned char *)guest_at(g, g->rings[queue].used) + byte;
}

void guest_reset_ring(struct guest *g, uint32_t queue) {
  struct guest_ring *ring = &g->rings[queue];
  memset(guest_at(g, ring->desc), 0, 0x10000);
  for (uint32_t i = 0; i < ring->num; i++)
    guest_table(g, queue)[i].next = (uint16_t)(i + 1);
  ring->free_head = 0;
  ring->free_count = ring->num;
  ring->avail_idx = ring->used_seen = 0;
}

int guest_connect(struct guest *g) {
  int fd = vhost_frontend_init(&g->fe);
  g->fe.timeout_ms = GUEST_DEADLINE_MS;
  for (uint32_t i = 0; i < GUEST_QUEUES; i++)
    guest_reset_ring(g, i);
  return fd;
}

int guest_init(struct guest *g, uint32_t num, uint64_t features) {
  memset(g, 0, sizeof *g);
  g->features = features;
  size_t bytes = (size_t)GUEST_REGIONS * GUEST_REGION;
  g->memory_fd = vhost_frontend_memfd(bytes);
  g->memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, g->memory_fd, 0);
  assert_true(g->memory != MAP_FAILED);
  for (uint32_t i = 0; i < GUEST_QUEUES; i++) {
    struct guest_ring *ring = &g->rings[i];
    uint64_t at = guest_region(0) + (uint64_t)i * 0x10000;
    *ring = (struct guest_ring){.num = num, .desc = at, .avail = at + 0x8000, .used = at + 0xa000};
    ring->kick_fd = eventfd(0, EFD_CLOEXEC);
    ring->call_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    ring->err_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    assert_true(ring->kick_fd >= 0 && ring->call_fd >= 0 && ring->err_fd >= 0);
  }
  return guest_connect(g);
}

void guest_fini(struct guest *g) {
  vhost_frontend_fini(&g->fe);
  munmap(g->memory, (size_t)GUEST_REGIONS * GUEST_REGION);
  close(g->memory_fd);
  for (uint32_t i = 0; i < GUEST_QUEUES; i++) {
    close(g->rings[i].kick_fd);
    close(g->rings[i].call_fd);
    close(g->rings[i].err_fd);
  }
}

void guest_set_memory(struct guest *g, uint32_t regions) {
  struct virtiofs_vhost_user_region table[GUEST_REGIONS];
  int fds[GUEST_REGIONS];
  for (uint32_t i = 0; i < regions; i++) {
    table[i] = region_of(i);
    fds[i] = g->memory_fd;
  }
  vhost_frontend_table(&g->fe, table, fds, regions);
  g->regions = regions;
}

void guest_sync(struct guest *g) {
  vhost_frontend_empty(&g->fe, VIRTIOFS_VHOST_USER_GET_QUEUE_NUM);
  (void)vhost_frontend_reply_u64(&g->fe, VIRTIOFS_VHOST_USER_GET_QUEUE_NUM);
}

void guest_start_ring(struct guest *g, uint32_t queue, uint16_t base) {
  struct guest_ring *ring = &g->rings[queue];
  vhost_frontend_state(&g->fe, VIRTIOFS_VHOST_USER_SET_VRING_NUM, queue, ring->num);
  vhost_frontend_state(&g->fe, VIRTIOFS_VHOST_USER_SET_VRING_BASE, queue, base);
  vhost_frontend_addr(&g->fe, queue, UVA + ring->desc, UVA + ring->avail, UVA + ring->used);
  vhost_frontend_vring_fd(&g->fe, VIRTIOFS_VHOST_USER_SET_VRING_CALL, queue, ring->call_fd);
  vhost_frontend_vring_fd(&g->fe, VIRTIOFS_VHOST_USER_SET_VRING_ERR, queue, ring->err_fd);
  vhost_frontend_vring_fd(&g->fe, VIRTIOFS_VHOST_USER_SET_VRING_KICK, queue, ring->kick_fd);
  vhost_frontend_state(&g->fe, VIRTIOFS_VHOST_USER_SET_VRING_ENABLE, queue, 1);
}

uint16_t guest_stop_ring(struct guest *g, uint32_t queue) {
  vhost_frontend_state(&g->fe, VIRTIOFS_VHOST_USER_GET_VRING_BASE, queue, 0);
  return (uint16_t)vhost_frontend_reply_state(&g->fe, VIRTIOFS_VHOST_USER_GET_VRING_BASE, queue);
}

void guest_start(struct guest *g, uint32_t regions, uint32_t queues) {
  vhost_frontend_u64(&g->fe, VIRTIOFS_VHOST_USER_SET_FEATURES, g->features | VIRTIOFS_VHOST_USER_F_PROTOCOL_FEATURES);
  guest_set_memory(g, regions);
  for (uint32_t i = 0; i < queues; i++)
    guest_start_ring(g, i, 0);
  guest_sync(g);
}

static uint16_t flags_of(const struct guest_piece *piece, bool last) {
  return (uint16_t)((piece->write ? F_WRITE : 0) | (last ? 0 : F_NEXT));
}

static uint16_t take_free(struct guest *g, uint32_t queue) {
  struct guest_ring *ring = &g->rings[queue];
  assert_true(ring->free_count > 0);
  uint16_t index = ring->free_head;
  ring->free_head = guest_table(g, queue)[index].next;
  ring->free_count--;
  return index;
}

uint16_t guest_add(struct guest *g, uint32_t queue, const struct guest_piece *pieces, uint32_t count,
                   uint64_t indirect) {
  struct guest_desc *table = guest_table(g, queue);
  uint16_t head = take_free(g, queue);
  if (indirect != 0) {
    struct guest_desc *entries = guest_at(g, indirect);
    for (uint32_t i = 0; i < count; i++)
      entries[i] =
          (struct guest_desc){pieces[i].gpa, pieces[i].len, flags_of(&pieces[i], i == count - 1), (uint16_t)(i + 1)};
    table[head] = (struct guest_desc){indirect, count * (uint32_t)sizeof entries[0], F_INDIRECT, 0};
  } else {
    uint16_t index = head;
    for (uint32_t i = 0; i < count; i++) {
      uint16_t next = i == count - 1 ? 0 : take_free(g, queue);
      table[index] = (struct guest_desc){pieces[i].gpa, pieces[i].len, flags_of(&pieces[i], i == count - 1), next};
      index = next;
    }
  }
  guest_publish(g, queue, head);
  return head;
}

void guest_publish(struct guest *g, uint32_t queue, uint16_t head) {
  struct guest_ring *ring = &g->rings[queue];
  __atomic_store_n(avail_at(g, queue, 2 + ring->avail_idx % ring->num), head, __ATOMIC_RELAXED);
  ring->avail_idx++;
  __atomic_store_n(avail_at(g, queue, 1), ring->avail_idx, __ATOMIC_SEQ_CST);
}

void guest_kick(struct guest *g, uint32_t queue) {
  struct guest_ring *ring = &g->rings[queue];
  uint64_t one = 1;
  bool wanted;
  if ((g->features & F_EVENT_IDX) != 0) {
    /* One buffer at a time was added: a kick is due if it is the one that the device waits for. */
    uint16_t event = __atomic_load_n((uint16_t *)(void *)used_at(g, queue, 4 + 8 * ring->num), __ATOMIC_SEQ_CST);
    wanted = (uint16_t)(ring->avail_idx - event - 1) < ring->num;
  } else {
    wanted = (__atomic_load_n((uint16_t *)(void *)used_at(g, queue, 0), __ATOMIC_SEQ_CST) & 1) == 0;
  }
  if (!wanted)
    return;
  ring->kicks++;
  assert_int_equal(write(ring->kick_fd, &one, sizeof one), sizeof one);
}

void guest_wait_fd(int fd) {
  struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
  uint64_t count;
  assert_int_equal(poll(&poll_fd, 1, GUEST_DEADLINE_MS), 1);
  assert_int_equal(read(fd, &count, sizeof count), sizeof count);
}

bool guest_has_used(struct guest *g, uint32_t queue) {
  return __atomic_load_n((uint16_t *)(void *)used_at(g, queue, 2), __ATOMIC_ACQUIRE) != g->rings[queue].used_seen;
}

uint16_t guest_wait_used(struct guest *g, uint32_t queue, uint32_t *len) {
  struct guest_ring *ring = &g->rings[queue];
  while (!guest_has_used(g, queue)) {
    /* Say that a call is wanted, look again, wait. */
    __atomic_store_n(avail_at(g, queue, 2 + ring->num), ring->used_seen, __ATOMIC_SEQ_CST);
    if (__atomic_load_n((uint16_t *)(void *)used_at(g, queue, 2), __ATOMIC_SEQ_CST) != ring->used_seen)
      break;
    guest_wait_fd(ring->call_fd);
    ring->calls++;
  }
  uint32_t elem[2];
  memcpy(elem, used_at(g, queue, 4 + 8 * (ring->used_seen % ring->num)), sizeof elem);
  ring->used_seen++;
  *len = elem[1];
  assert_true(elem[0] < ring->num);
  struct guest_desc *table = guest_table(g, queue);
  uint16_t last = (uint16_t)elem[0];
  ring->free_count++;
  while ((table[last].flags & F_NEXT) != 0) {
    last = table[last].next;
    ring->free_count++;
  }
  table[last].next = ring->free_head;
  table[last].flags = 0;
  ring->free_head = (uint16_t)elem[0];
  return (uint16_t)elem[0];
}

/* What the kernel says of the thread DIR/NAME; false: it is gone. */
static bool is_ending(const char *name, bool *ending) {
  enum { PF_EXITING = 4 };
  char path[300], line[512] = "";
  unsigned flags = 0;
  (void)snprintf(path, sizeof path, "/proc/self/task/%s/stat", name);
  FILE *file = fopen(path, "re");
  if (file == NULL)
    return false;
  bool there = fgets(line, sizeof line, file) != NULL;
  (void)fclose(file);
  const char *rest = strrchr(line, ')');
  if (!there || rest == NULL || sscanf(rest, ") %*c %*d %*d %*d %*d %*d %u", &flags) != 1)
    return false;
  *ending = (flags & PF_EXITING) != 0;
  return true;
}

/* All that there are, as the kernel counts them. */
static unsigned count_listed(void) {
  char line[128];
  unsigned count = 0;
  FILE *file = fopen("/proc/self/status", "re");
  assert_non_null(file);
  while (fgets(line, sizeof line, file) != NULL)
    (void)sscanf(line, "Threads: %u", &count);
  (void)fclose(file);
  return count;
}

/* One that was joined may be seen for a moment, and one that goes while the list is read may hide those behind it. */
static bool try_count_threads(unsigned *count) {
  DIR *dir = opendir("/proc/self/task");
  const struct dirent *entry;
  unsigned listed = 0;
  bool whole = true;
  assert_non_null(dir);
  for (*count = 0; whole && (entry = readdir(dir)) != NULL;) {
    bool ending = false;
    if (entry->d_name[0] == '.')
      continue;
    listed++;
    whole = is_ending(entry->d_name, &ending);
    *count += !ending;
  }
  closedir(dir);
  return whole && listed == count_listed();
}

static unsigned count_threads(void) {
  unsigned count;
  while (!try_count_threads(&count))
    sched_yield();
  return count;
}

static void *nothing(void *arg) {
  return arg;
}

unsigned guest_first_threads(void) {
  pthread_t thread;
  assert_int_equal(pthread_create(&thread, NULL, nothing, NULL), 0);
  pthread_join(thread, NULL);
  return count_threads();
}

void guest_wait_threads(unsigned count) {
  time_t deadline = time(NULL) + GUEST_DEADLINE_MS / 1000;
  while (count_threads() != count)
    assert_true(time(NULL) < deadline);
}

void guest_wait_maps(unsigned count) {
  time_t deadline = time(NULL) + GUEST_DEADLINE_MS / 1000;
  while (vhost_frontend_count_maps() != count)
    assert_true(time(NULL) < deadline);
}
