/* Both sides of a virtqueue in one process: a driver sends words, a device sends them back in capitals.
 * cc ring.c -o ring $(pkg-config --cflags --libs libvirtiofs) && ./ring [WORD...]
 * SPDX-License-Identifier: BSD-3-Clause */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <virtiofs/driverq.h>

enum { NUM = 16, ROOM = 64 };
#define FEATURES (VIRTIOFS_VIRTQ_F_RING_PACKED | VIRTIOFS_VIRTQ_F_EVENT_IDX)
#define GUEST UINT64_C(0x80000000) /* where the device has the memory below */

/* What the two share: the ring's areas, and the words. In earnest it is a guest's memory. */
static _Alignas(16) struct {
  unsigned char desc[NUM * 16], driver[4], device[4];
  char words[NUM][2][ROOM]; /* there and back */
} shared;

static uint64_t address(const void *at) {
  return GUEST + (uint64_t)((const unsigned char *)at - (const unsigned char *)&shared);
}

static void must(int rc, const char *what) {
  if (rc >= 0)
    return;
  (void)fprintf(stderr, "%s: error %d\n", what, -rc);
  exit(1);
}

/* Takes all there is. What it reads and writes was checked to lie in the guest's memory. */
static void serve(struct virtiofs_virtq *vq, const struct virtiofs_memory *map) {
  struct iovec iov[4];
  struct virtiofs_virtq_chain chain = {.iov = iov, .capacity = 4};
  int rc;
  while ((rc = virtiofs_virtq_take(vq, map, &chain)) == 1) {
    uint32_t len = 0;
    if (chain.in_count == 1 && chain.out_count == 1)
      for (; len < chain.in_bytes && len < chain.out_bytes; len++)
        ((char *)iov[1].iov_base)[len] = (char)toupper(((unsigned char *)iov[0].iov_base)[len]);
    must(virtiofs_virtq_put(vq, chain.ticket, len), "put");
  }
  if (rc < 0)
    (void)fprintf(stderr, "the driver: %s\n", virtiofs_virtq_fault_name(virtiofs_virtq_fault(vq)));
  if (virtiofs_virtq_publish(vq))
    (void)puts("(the driver wants to be told)");
}

static int send(struct virtiofs_driverq *q, unsigned slot, const char *word) {
  char(*room)[ROOM] = shared.words[slot];
  size_t len = strnlen(word, ROOM);
  memcpy(room[0], word, len);
  const struct virtiofs_driverq_part parts[] = {{address(room[0]), (uint32_t)len}, {address(room[1]), ROOM}};
  return virtiofs_driverq_add(q, parts, 1, 1, room[1]);
}

static void receive(struct virtiofs_driverq *q) {
  struct virtiofs_driverq_done done;
  int rc;
  while ((rc = virtiofs_driverq_take(q, &done)) == 1)
    (void)printf("%.*s\n", (int)done.len, (const char *)done.cookie);
  must(rc, "the device");
}

/* All that was added goes there and back. */
static void exchange(struct virtiofs_driverq *driver, struct virtiofs_virtq *device,
                     const struct virtiofs_memory *map) {
  if (virtiofs_driverq_publish(driver))
    (void)puts("(the device wants to be told)");
  serve(device, map);
  receive(driver);
}

int main(int argc, char **argv) {
  struct virtiofs_memory_region region = {.gpa = GUEST, .size = sizeof shared, .uva = GUEST, .host = &shared};
  struct virtiofs_memory *map;
  struct virtiofs_driverq *driver;
  struct virtiofs_virtq *device;
  must(virtiofs_memory_new(&map, &region, 1, NULL), "memory");
  must(virtiofs_driverq_new(&driver, NUM, FEATURES), "driver");
  must(virtiofs_driverq_map(driver, shared.desc, shared.driver, shared.device), "driver's ring");
  must(virtiofs_driverq_start(driver, VIRTIOFS_VIRTQ_PACKED_BASE), "driver's start");
  must(virtiofs_virtq_new(&device, NUM, FEATURES), "device");
  must(virtiofs_virtq_map(device, shared.desc, shared.driver, shared.device), "device's ring");
  must(virtiofs_virtq_start(device, VIRTIOFS_VIRTQ_PACKED_BASE), "device's start");

  for (int i = 1; i < argc || i == 1; i++) {
    const char *word = i < argc ? argv[i] : "hello, ring";
    int rc = send(driver, (unsigned)i % NUM, word);
    if (rc == -ENOSPC) {
      exchange(driver, device, map);
      rc = send(driver, (unsigned)i % NUM, word);
    }
    must(rc, "add");
  }
  exchange(driver, device, map);

  virtiofs_virtq_free(device);
  virtiofs_driverq_free(driver);
  virtiofs_memory_unref(map);
  return 0;
}
