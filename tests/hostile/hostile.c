/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Attacks a server and sees that nothing outside of its share was touched.
 *
 *   hostile SOCKET SHARE OUTSIDE ROUNDS ATTACK...
 *
 * SHARE and OUTSIDE are as run.sh makes them; VIRTIOFS_HOSTILE_CONTROL is the path of the control socket,
 * VIRTIOFS_HOSTILE_SERVER the server's process. Status: 0: none has worked; 1; 77: the host has no fanotify.
 */
#include "hostile.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Waits for somebody else to touch what is watched; SOCKET is a pipe that says when they may. */
static void listen_only(struct hostile *h) {
  if (h->canary.by_path)
    (void)puts("special files are not watched");
  FILE *ready = fopen(h->socket, "we");
  if (ready == NULL || fputs("go\n", ready) < 0 || fclose(ready) != 0)
    fail("%s: %s", h->socket, strerror(errno));
  for (unsigned i = 0; i < 200; i++) {
    struct pollfd pfd = {.fd = h->canary.fd, .events = POLLIN};
    (void)poll(&pfd, 1, 100);
    canary_check(&h->canary);
  }
}

static const struct {
  const char *name;
  void (*attack)(struct hostile *h);
} attacks[] = {
    {"listen", listen_only},         {"normal", attack_normal},           {"names", attack_names},
    {"links", attack_links},         {"special", attack_special},         {"swaps", attack_swaps},
    {"ancestors", attack_ancestors}, {"mounts", attack_mounts},           {"ids", attack_ids},
    {"garbage", attack_garbage},     {"floods", attack_floods},           {"rings", attack_rings},
    {"frontends", attack_frontends}, {"descriptors", attack_descriptors}, {"control", attack_control},
};

static const char *current = "hostile";

void fail(const char *format, ...) {
  va_list args;
  va_start(args, format);
  (void)fprintf(stderr, "%s: ", current);
  (void)vfprintf(stderr, format, args);
  (void)fprintf(stderr, "\n");
  va_end(args);
  exit(EXIT_FAILURE);
}

static void run(struct hostile *h, const char *name) {
  const char *server = getenv("VIRTIOFS_HOSTILE_SERVER");
  unsigned i = 0;
  while (i < sizeof(attacks) / sizeof(attacks[0]) && strcmp(attacks[i].name, name) != 0)
    i++;
  if (i == sizeof(attacks) / sizeof(attacks[0]))
    fail("no attack of the name %s", name);
  current = name;
  if (!canary_watch(&h->canary, h->outside, h->share, server != NULL ? (pid_t)strtol(server, NULL, 10) : 0)) {
    (void)fprintf(stderr, "SKIP %s: no fanotify: %s\n", name, strerror(errno));
    exit(77);
  }
  attacks[i].attack(h);
  canary_check(&h->canary);
  canary_end(&h->canary);
  (void)printf("ok %s\n", name);
  (void)fflush(stdout);
}

int main(int argc, char **argv) {
  static struct hostile h = {.seed = UINT64_C(88172645463325252)};
  if (argc < 6) {
    (void)fprintf(stderr, "usage: hostile SOCKET SHARE OUTSIDE ROUNDS ATTACK...\n");
    return EXIT_FAILURE;
  }
  (void)signal(SIGPIPE, SIG_IGN);
  h.socket = argv[1];
  h.share = argv[2];
  h.outside = argv[3];
  h.rounds = (unsigned)strtoul(argv[4], NULL, 10);
  for (int i = 5; i < argc; i++)
    run(&h, argv[i]);
  return EXIT_SUCCESS;
}
