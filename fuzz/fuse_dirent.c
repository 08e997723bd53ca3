/* SPDX-License-Identifier: BSD-3-Clause */
/* Targets: virtiofs_fuse_dirents_add, virtiofs_fuse_dirent_size, virtiofs_fuse_dirent_decode.
 * Input: options, room, segment size; then for each name its length, attributes and bytes. The stream is read by a
 * parser of its own, which knows the protocol's numbers and none of the library's structs, and by the library's own;
 * the rest of the input is read as a listing. */
#include <stdlib.h>

#include <virtiofs/fuse.h>

#include "target.h"

enum { ROOM = 4096, SEGMENTS = 64, NAMES = 128 };

static void must(bool so) {
  if (!so)
    abort();
}

static uint64_t number(const unsigned char *at, unsigned width, bool swapped) {
  uint64_t value = 0;
  for (unsigned i = 0; i < width; i++)
    value |= (uint64_t)at[i] << 8 * (swapped ? width - 1 - i : i);
  return value;
}

struct listed {
  unsigned char name[256];
  uint32_t len;
  uint64_t ino, next, node;
};

static void parse(const unsigned char *at, size_t left, const struct listed *names, size_t count, bool plus,
                  bool swapped) {
  size_t head = plus ? 152 : 24;
  for (size_t i = 0; i < count; i++) {
    must(left >= head);
    const unsigned char *dirent = at + head - 24;
    uint64_t len = number(dirent + 16, 4, swapped);
    size_t size = (head + len + 7) / 8 * 8;
    must(len == names[i].len && size <= left && memcmp(at + head, names[i].name, len) == 0);
    must(number(dirent, 8, swapped) == names[i].ino && number(dirent + 8, 8, swapped) == names[i].next);
    must(!plus || number(at, 8, swapped) == names[i].node);
    for (size_t byte = head + len; byte < size; byte++)
      must(at[byte] == 0);
    at += size;
    left -= size;
  }
  must(left == 0);
}

static void get_name(struct fuzz_input *in, struct listed *name) {
  name->len = fuzz_u8(in);
  fuzz_take(in, name->name, name->len);
  name->ino = fuzz_u8(in) * UINT64_C(0x0101010101010101);
  name->next = fuzz_u16(in) * UINT64_C(0x0000800000000001) & INT64_MAX;
  name->node = fuzz_u8(in);
}

/* How many records there are up to the end or to one that isn't sound. */
static size_t decode(const struct virtiofs_fuse_proto *proto, const struct virtiofs_data *dir, bool plus) {
  char *name = malloc(VIRTIOFS_FUSE_NAME_MAX);
  struct virtiofs_dirent entry;
  struct virtiofs_entry_out out;
  size_t at = 0, count = 0;
  must(name != NULL);
  for (;; count++) {
    ssize_t len = virtiofs_fuse_dirent_decode(proto, dir, at, name, &entry, plus ? &out : NULL);
    if (len <= 0)
      break;
    must(virtiofs_fuse_dirent_sound(&entry, plus ? &out : NULL));
    at += (size_t)len;
    must(at <= dir->size);
  }
  free(name);
  return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct fuzz_input in = {.data = data, .left = size};
  static struct listed names[NAMES];
  static unsigned char all[ROOM];
  struct iovec iov[SEGMENTS];
  uint8_t bits = fuzz_u8(&in);
  bool plus = (bits & 1) != 0, swapped = (bits & 2) != 0;
  struct virtiofs_fuse_proto proto = {.agreed = true, .minor = 38, .swapped = swapped};
  size_t room = fuzz_u16(&in) % ROOM, piece = room / SEGMENTS + 1 + fuzz_u8(&in), count = 0;
  struct virtiofs_data dir = {.iov = iov, .size = room};
  for (size_t at = 0; at < room; at += piece, dir.count++) {
    size_t len = room - at < piece ? room - at : piece;
    iov[dir.count] = (struct iovec){.iov_base = calloc(1, len), .iov_len = len};
    must(iov[dir.count].iov_base != NULL);
  }
  struct virtiofs_fuse_dirents list;
  virtiofs_fuse_dirents_init(&list, &proto, &dir);
  while (in.left > 0 && count < NAMES) {
    struct listed *name = &names[count];
    get_name(&in, name);
    struct virtiofs_dirent entry = {.name = (char *)name->name, .len = name->len, .ino = name->ino, .next = name->next};
    struct virtiofs_entry_out out = {.node = name->node, .attr = {.mode = fuzz_u8(&in) == 1 ? 0 : VIRTIOFS_S_IFREG}};
    size_t before = virtiofs_fuse_dirents_size(&list);
    bool added = virtiofs_fuse_dirents_add(&list, &entry, plus ? &out : NULL);
    size_t record = virtiofs_fuse_dirents_size(&list) - before;
    must(record == (added ? virtiofs_fuse_dirent_size(&proto, name->len, plus) : 0));
    must(!added || virtiofs_fuse_dirent_sound(&entry, plus ? &out : NULL));
    count += added;
  }
  size_t used = virtiofs_fuse_dirents_size(&list);
  must(used <= room && virtiofs_data_copy(&dir, 0, all, used) == used);
  parse(all, used, names, count, plus, swapped);
  dir.size = used;
  must(decode(&proto, &dir, plus) == count);
  /* What a server says that lies. */
  dir.size = room;
  (void)virtiofs_data_fill(&dir, 0, data, size);
  (void)decode(&proto, &dir, plus);
  for (uint32_t i = 0; i < dir.count; i++)
    free(iov[i].iov_base);
  return 0;
}
