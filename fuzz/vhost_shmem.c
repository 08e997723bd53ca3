/* SPDX-License-Identifier: BSD-3-Clause */
/* What a back-end asks of a front-end's window, against a model of its pages: requests that are nearly right, in
 * pieces, with descriptors that are none of theirs, and bytes that are no requests. */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <virtiofs/shmem.h>
#include <virtiofs/vhost_user.h>

#include "target.h"

enum { PAGE = 4096, PAGES = 16, FILE_PAGES = 32, MOST = 8, RECORDS = 64 };

struct record {
  uint8_t kind, page, pages, file_page, flags, wrong;
};

/** A request. */
struct wire {
  struct virtiofs_vhost_user_header header;
  struct virtiofs_vhost_user_mmap mmap;
};

struct model {
  int start[PAGES];     /* where the mapping that a page is of begins; -1: of none */
  int file_page[PAGES]; /* what is seen there */
  int count;
};

#define need(right) need_at(right, __LINE__)

static void need_at(bool right, int line) {
  if (right)
    return;
  (void)fprintf(stderr, "line %d\n", line);
  abort();
}

/* The file's page i has i + 1 in its first byte. */
static int file_new(void) {
  int fd = memfd_create("fuzz", MFD_CLOEXEC);
  need(fd >= 0 && ftruncate(fd, (off_t)FILE_PAGES * PAGE) == 0);
  for (int i = 0; i < FILE_PAGES; i++) {
    uint8_t byte = (uint8_t)(i + 1);
    need(pwrite(fd, &byte, 1, (off_t)i * PAGE) == 1);
  }
  return fd;
}

static void forget(struct model *model) {
  for (int i = 0; i < PAGES; i++)
    model->start[i] = -1;
  model->count = 0;
}

static bool model_map(struct model *model, const struct record *r) {
  if (r->pages == 0 || r->page + r->pages > PAGES || model->count == MOST)
    return false;
  for (int i = 0; i < r->pages; i++)
    if (model->start[r->page + i] >= 0)
      return false;
  for (int i = 0; i < r->pages; i++) {
    model->start[r->page + i] = r->page;
    model->file_page[r->page + i] = r->file_page + i;
  }
  model->count++;
  return true;
}

static bool model_unmap(struct model *model, const struct record *r) {
  int len = 0;
  while (r->page + len < PAGES && model->start[r->page + len] == r->page)
    len++;
  if (len == 0 || len != r->pages)
    return false;
  for (int i = 0; i < len; i++)
    model->start[r->page + i] = -1;
  model->count--;
  return true;
}

/* Asked of the kernel, as what isn't mapped can't be touched. */
static void compare(const struct model *model, const struct virtiofs_host_window *window) {
  for (int i = 0; i < PAGES; i++) {
    uint8_t byte = 0;
    struct iovec here = {.iov_base = &byte, .iov_len = 1};
    struct iovec there = {.iov_base = (char *)virtiofs_host_window_addr(window) + (size_t)i * PAGE, .iov_len = 1};
    bool seen = process_vm_readv(getpid(), &here, 1, &there, 1, 0) == 1;
    bool expected = model->start[i] >= 0 && model->file_page[i] < FILE_PAGES;
    need(seen == expected && (!seen || byte == model->file_page[i] + 1));
  }
}

static void send_with(int sock, const void *data, size_t size, const int *fds, size_t count) {
  struct iovec iov = {.iov_base = (void *)(uintptr_t)data, .iov_len = size};
  union {
    struct cmsghdr head;
    char all[CMSG_SPACE(3 * sizeof(int))];
  } control = {.head = {.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(count * sizeof(int))}};
  struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
  if (count > 0) {
    memcpy(CMSG_DATA(&control.head), fds, count * sizeof(int));
    msg.msg_control = &control;
    msg.msg_controllen = CMSG_SPACE(count * sizeof(int));
  }
  need(sendmsg(sock, &msg, MSG_NOSIGNAL) == (ssize_t)size);
}

/* Makes one field wrong. Return: is it wrong now? */
static bool spoil(struct wire *wire, uint8_t wrong) {
  static const uint64_t large[] = {UINT64_MAX, UINT64_MAX - PAGE + 1, UINT64_C(1) << 63, PAGE / 2};
  switch (wrong % 16) {
  case 0:
    wire->mmap.shmid = (uint8_t)(1 + wrong / 16);
    return true;
  case 1:
    wire->mmap.flags |= UINT64_C(2) << wrong / 16;
    return true;
  case 2:
    wire->mmap.shm_offset = large[wrong / 16 % 4];
    return true;
  case 3:
    wire->mmap.len = large[wrong / 16 % 4];
    return true;
  case 4:
    wire->mmap.fd_offset = large[wrong / 16 % 4];
    return wire->header.request == VIRTIOFS_VHOST_USER_BACKEND_SHMEM_MAP; /* to unmap says nothing of the file */
  case 5:
    wire->header.request = 11U + wrong / 16;
    return true;
  case 6:
    wire->header.size -= 1U + wrong / 16;
    return true;
  default:
    return false;
  }
}

/* Return: is the channel of use still? */
static bool ask(struct virtiofs_shmem *shmem, int sock, int file, struct model *model, const struct record *r) {
  const bool maps = r->kind % 2 == 0;
  struct wire wire = {
      .header = {.request = maps ? VIRTIOFS_VHOST_USER_BACKEND_SHMEM_MAP : VIRTIOFS_VHOST_USER_BACKEND_SHMEM_UNMAP,
                 .flags = VIRTIOFS_VHOST_USER_VERSION | VIRTIOFS_VHOST_USER_NEED_REPLY,
                 .size = sizeof(wire.mmap)},
      .mmap = {.fd_offset = (uint64_t)r->file_page * PAGE,
               .shm_offset = (uint64_t)r->page * PAGE,
               .len = (uint64_t)r->pages * PAGE,
               .flags = r->flags & VIRTIOFS_VHOST_USER_MMAP_WRITE}};
  const int fds[3] = {file, file, file};
  size_t count = r->flags / 2 % 8 == 7 ? r->flags / 16 % 4 : maps; /* mostly as it should be */
  bool wrong = spoil(&wire, r->wrong) || count != maps;
  size_t size = sizeof(wire.header) + wire.header.size, first = r->kind / 2 % 4 == 3 ? 1U + r->kind / 8 : size;
  char bytes[sizeof wire];
  memcpy(bytes, &wire.header, sizeof wire.header);
  memcpy(bytes + sizeof wire.header, &wire.mmap, sizeof wire.mmap);
  if (first < size) {
    send_with(sock, bytes, first, NULL, 0);
    if (virtiofs_shmem_process(shmem) != 0)
      return false;
    send_with(sock, bytes + first, size - first, fds, count);
  } else {
    send_with(sock, bytes, size, fds, count);
  }
  need(virtiofs_shmem_process(shmem) == 1);
  struct {
    struct virtiofs_vhost_user_header header;
    uint32_t failed[2];
  } reply;
  need(recv(sock, &reply, sizeof reply, MSG_DONTWAIT) == sizeof reply);
  bool done = (reply.failed[0] | reply.failed[1]) == 0;
  need(done == (!wrong && (maps ? model_map(model, r) : model_unmap(model, r))));
  need(virtiofs_shmem_count(shmem) == (uint32_t)model->count);
  return true;
}

static void play(struct fuzz_input *in, struct virtiofs_shmem *shmem, struct virtiofs_host_window *window, int sock,
                 int file) {
  struct model model;
  struct record r;
  forget(&model);
  for (int i = 0; i < RECORDS && fuzz_take(in, &r, sizeof r) > 0; i++) {
    r.page %= PAGES + 2;
    r.pages %= PAGES + 2;
    r.file_page %= FILE_PAGES + 2;
    if (r.kind == UINT8_MAX) { /* no request, or none that anybody sent on purpose */
      send_with(sock, in->data, in->left, &file, 1);
      for (int k = 0; k < RECORDS && virtiofs_shmem_process(shmem) == 1; k++)
        continue;
      return;
    }
    if (r.kind == UINT8_MAX - 1) {
      need(virtiofs_shmem_clear(shmem) == 0);
      forget(&model);
    } else if (!ask(shmem, sock, file, &model, &r)) {
      return;
    }
    compare(&model, window);
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static int file = -1;
  struct fuzz_input in = {.data = data, .left = size};
  struct virtiofs_host_window *window;
  struct virtiofs_shmem *shmem;
  int ends[2];
  if (file < 0)
    file = file_new();
  need(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
  need(virtiofs_host_window_new(&window, (uint64_t)PAGES * PAGE) == 0);
  struct virtiofs_shmem_config config = {
      .size = sizeof config, .window = window, .take_fd = ends[0], .max_mappings = MOST};
  need(virtiofs_shmem_new(&shmem, &config) == 0);
  play(&in, shmem, window, ends[1], file);
  virtiofs_shmem_free(shmem);
  virtiofs_host_window_free(window);
  close(ends[1]);
  return 0;
}
