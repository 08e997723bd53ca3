/* SPDX-License-Identifier: BSD-3-Clause */
/* What a VMM does for a DAX window: files are mapped where the guest loads and stores, without a message.
 * cc vmm-window.c frontend.c guest.c inprocess.c vhost_user.c -o vmm-window \
 *     $(pkg-config --cflags --libs libvirtiofs-daemon) -pthread
 *
 *   ./vmm-window           the device is in the VMM's own process: inprocess.c
 *   ./vmm-window SOCKET    it is behind a vhost-user socket: vhost_user.c, over the messages of frontend.c. For example
 *                          virtiofs-memfs --socket-path SOCKET --cache-size 16M
 *
 * The guest, guest.c, is the same: client.h's requests, and pointers. */
#include <stdio.h>
#include <stdlib.h>

#include <virtiofs/memfs.h>

#include "guest.h"
#include "inprocess.h"
#include "vhost_user.h"

#define WINDOW_LEN (UINT64_C(16) << 20)

static void run(const struct virtiofs_transport *registers, void *vmm, struct virtiofs_host_window *window,
                const unsigned *messages) {
  struct virtiofs_client_config driver = {.size = sizeof driver, .transport = registers, .device = vmm};
  struct guest guest = {.window = virtiofs_host_window_addr(window),
                        .window_len = virtiofs_host_window_len(window),
                        .messages = messages};
  must(virtiofs_client_new(&guest.client, &driver), "driver");
  guest_run(&guest);
  virtiofs_client_free(guest.client); /* resets the device, and nothing is mapped any more */
}

static void in_process(void) {
  struct virtiofs_memfs *memfs;
  struct inprocess vmm;
  must(virtiofs_memfs_new(&memfs, NULL), "memfs");
  inprocess_new(&vmm, virtiofs_memfs_ops(), memfs, WINDOW_LEN);
  run(&inprocess_registers, &vmm, vmm.window, &vmm.messages);
  inprocess_free(&vmm);
  virtiofs_memfs_free(memfs);
}

static void behind_a_socket(const char *path) {
  struct vhost_user vmm;
  vhost_user_new(&vmm, path);
  run(&vhost_user_registers, &vmm, vmm.window, &vmm.messages);
  vhost_user_free(&vmm);
}

int main(int argc, char **argv) {
  if (argc > 2) {
    (void)fprintf(stderr, "usage: vmm-window [SOCKET]\n");
    return EXIT_FAILURE;
  }
  if (argc == 2)
    behind_a_socket(argv[1]);
  else
    in_process();
  return EXIT_SUCCESS;
}
