/* SPDX-License-Identifier: BSD-3-Clause */
/* Reading, writing, seeking, holes, copies. */
#include "posix.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <sys/uio.h>

static void offsets(void) {
  char buf[16] = "";
  topic("offsets");
  int fd = open("a", O_RDWR | O_CREAT, 0600);
  IS(e(write(fd, "0123456789", 10)), 10);
  IS(e(lseek(fd, 0, SEEK_CUR)), 10);
  IS(e(read(fd, buf, 4)), 0);
  IS(e(lseek(fd, -3, SEEK_END)), 7);
  IS(e(read(fd, buf, 16)), 3);
  IS(memcmp(buf, "789", 3), 0);
  IS(e(pread(fd, buf, 4, 8)), 2);
  IS(e(pread(fd, buf, 4, 10)), 0);
  IS(e(pread(fd, buf, 4, 1000)), 0);
  IS(e(pread(fd, buf, 4, -1)), -EINVAL);
  IS(e(pwrite(fd, buf, 4, -1)), -EINVAL);
  IS(e(lseek(fd, -1, SEEK_SET)), -EINVAL);
  IS(e(lseek(fd, 0, 77)), -EINVAL);
  IS(e(lseek(fd, 100, SEEK_SET)), 100);
  IS(size_of("a"), 10);
  IS(e(write(fd, "x", 1)), 1);
  IS(size_of("a"), 101);
  memset(buf, 'y', sizeof buf);
  IS(e(pread(fd, buf, 2, 50)), 2);
  IS(buf[0] | buf[1], 0);
  IS(e(pwrite(fd, "", 0, 1000)), 0);
  IS(size_of("a"), 101);
  close(fd);
  IS(e(write(fd, "x", 1)), -EBADF);
}

static void vectors(void) {
  char one[3], two[5];
  struct iovec in[2] = {{one, sizeof one}, {two, sizeof two}};
  struct iovec out[2] = {{"abc", 3}, {"defgh", 5}};
  topic("vectors");
  int fd = open("v", O_RDWR | O_CREAT, 0600);
  IS(e(pwritev(fd, out, 2, 4095)), 8);
  IS(e(preadv(fd, in, 2, 4095)), 8);
  IS(memcmp(one, "abc", 3) | memcmp(two, "defgh", 5), 0);
  IS(e(preadv(fd, in, 2, 4099)), 4);
  IS(size_of("v"), 4103);
  close(fd);
}

static void holes(void) {
  topic("holes");
  enum { MIB = 1 << 20 };
  int fd = open("h", O_RDWR | O_CREAT, 0600);
  IS(e(pwrite(fd, "x", 1, 4 * MIB)), 1);
  IS(e(fsync(fd)), 0);
  struct stat st = {.st_mode = 0};
  IS(e(fstat(fd, &st)), 0);
  IS(st.st_size, 4 * MIB + 1);
  IS(st.st_blocks * 512 < 2 * MIB, 1);
  IS(e(lseek(fd, 0, SEEK_DATA)), 4 * MIB);
  IS(e(lseek(fd, 0, SEEK_HOLE)), 0);
  IS(e(lseek(fd, 4 * MIB, SEEK_HOLE)), 4 * MIB + 1);
  IS(e(lseek(fd, 4 * MIB + 1, SEEK_DATA)), -ENXIO);
  IS(e(lseek(fd, 5 * MIB, SEEK_HOLE)), -ENXIO);
  topic("fallocate");
  IS(e(fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 8 * MIB)), 0);
  IS(size_of("h"), 4 * MIB + 1);
  IS(e(fallocate(fd, 0, 0, 5 * MIB)), 0);
  IS(size_of("h"), 5 * MIB);
  char c = 'y';
  IS(e(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 4 * MIB, 4096)), 0);
  IS(e(pread(fd, &c, 1, 4 * MIB)), 1);
  IS(c, 0);
  IS(e(fallocate(fd, 0, -1, 1)), -EINVAL);
  IS(e(fallocate(fd, 0, 0, 0)), -EINVAL);
  IS(e(fallocate(fd, FALLOC_FL_PUNCH_HOLE, 0, 1)), -EOPNOTSUPP);
  IS(e(posix_fallocate(fd, 0, 6 * MIB)), 0);
  IS(size_of("h"), 6 * MIB);
  close(fd);
  fd = open("h", O_RDONLY);
  IS(e(fallocate(fd, 0, 0, 1)), -EBADF);
  close(fd);
}

static void copies(void) {
  topic("copy_file_range");
  loff_t from_at = 2, to_at = 1;
  IS(fill("from", "0123456789"), 0);
  IS(fill("to", "abc"), 0);
  int from = open("from", O_RDONLY), to = open("to", O_RDWR);
  IS(e(copy_file_range(from, &from_at, to, &to_at, 4, 0)), 4);
  IS(from_at * 100 + to_at, 605);
  IS(holds("to", "a2345"), 1);
  IS(e(copy_file_range(from, &from_at, to, &to_at, 100, 0)), 4);
  IS(e(copy_file_range(from, &from_at, to, &to_at, 100, 0)), 0);
  IS(holds("to", "a23456789"), 1);
  IS(e(copy_file_range(to, NULL, from, NULL, 4, 0)), -EBADF);
  IS(e(copy_file_range(from, NULL, to, NULL, 4, 1)), -EINVAL);
  close(from);
  close(to);
}

/* Big enough for several requests, with every byte telling where it is. */
static void big(void) {
  enum { SIZE = 3 * 1000 * 1000 + 7 };
  static unsigned char bytes[SIZE], back[SIZE];
  topic("three megabytes");
  for (size_t i = 0; i < SIZE; i++)
    bytes[i] = (unsigned char)(i * 7 + i / 253);
  int fd = open("big", O_RDWR | O_CREAT, 0600);
  IS(e(write(fd, bytes, SIZE)), SIZE);
  IS(e(fdatasync(fd)), 0);
  IS(e(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED)), 0);
  IS(e(pread(fd, back, SIZE, 0)), SIZE);
  IS(memcmp(bytes, back, SIZE), 0);
  IS(e(pread(fd, back, SIZE, 1234567)), SIZE - 1234567);
  IS(memcmp(bytes + 1234567, back, SIZE - 1234567), 0);
  topic("mapped");
  unsigned char *map = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  IS(map != MAP_FAILED, 1);
  if (map != MAP_FAILED) {
    IS(memcmp(map, bytes, SIZE), 0);
    memcpy(map + 100000, "mapped", 6);
    IS(e(msync(map, SIZE, MS_SYNC)), 0);
    IS(e(pread(fd, back, 6, 100000)), 6);
    IS(memcmp(back, "mapped", 6), 0);
    IS(e(munmap(map, SIZE)), 0);
  }
  close(fd);
}

void test_io(void) {
  offsets();
  vectors();
  holes();
  copies();
  big();
}
