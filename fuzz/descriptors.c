/* SPDX-License-Identifier: BSD-3-Clause */
#include "descriptors.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

enum { KINDS = 8, LOOK = 96 };

static int given[KINDS];
static bool before[LOOK]; /* what was open before the input: the fuzzer has some of its own */
static unsigned char *memory;

static int must(int fd) {
  if (fd < 0)
    abort();
  return fd;
}

static int file(size_t size) {
  int fd = must(memfd_create("fuzz", MFD_CLOEXEC));
  if (ftruncate(fd, (off_t)size) != 0)
    abort();
  return fd;
}

static void open_all(void) {
  int pair[2], ends[2];
  given[0] = file(FUZZ_MEMORY);
  memory = mmap(NULL, FUZZ_MEMORY, PROT_READ | PROT_WRITE, MAP_SHARED, given[0], 0);
  if (memory == MAP_FAILED || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0 ||
      pipe2(ends, O_CLOEXEC) != 0)
    abort();
  given[1] = must(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  given[2] = file(100);                                   /* shorter than a page */
  given[3] = must(open("/dev/zero", O_RDWR | O_CLOEXEC)); /* says size 0 */
  given[4] = must(open("/", O_RDONLY | O_CLOEXEC));
  given[5] = pair[0];
  close(pair[1]);     /* writing there fails */
  given[6] = ends[0]; /* can't be written to */
  given[7] = must(open("/dev/null", O_RDONLY | O_CLOEXEC));
  /* Nobody wants to know that there is no reader. */
  (void)signal(SIGPIPE, SIG_IGN);
}

/* Which of the lowest numbers are open; one call is quicker than one for each. */
static void look(bool *open) {
  struct pollfd fds[LOOK];
  for (int fd = 0; fd < LOOK; fd++)
    fds[fd] = (struct pollfd){.fd = fd};
  if (poll(fds, LOOK, 0) < 0)
    abort();
  for (int fd = 0; fd < LOOK; fd++)
    open[fd] = (fds[fd].revents & POLLNVAL) == 0;
}

unsigned char *fuzz_memory(void) {
  return memory;
}

void fuzz_descriptors_begin(void) {
  if (memory == NULL)
    open_all();
  /* It may have been written to as if it were an eventfd, beyond its end too. */
  if (lseek(given[0], 0, SEEK_SET) != 0 || ftruncate(given[0], FUZZ_MEMORY) != 0 || lseek(given[2], 0, SEEK_SET) != 0 ||
      ftruncate(given[2], 100) != 0)
    abort();
  memset(memory, 0, FUZZ_MEMORY);
  look(before);
}

int fuzz_descriptor(uint8_t kind) {
  return must(fcntl(given[kind % KINDS], F_DUPFD_CLOEXEC, 0));
}

void fuzz_descriptors_end(void) {
  bool after[LOOK];
  look(after);
  if (memcmp(before, after, sizeof(after)) != 0)
    abort();
}
