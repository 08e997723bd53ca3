/* SPDX-License-Identifier: BSD-3-Clause */
/* Part of every server that is built with the address sanitizer: who looks for leaks in the end reads /proc, which isn't
 * there in a sandbox. Servers without one are still looked at. */
#include <fcntl.h>
#include <unistd.h>

/* The sanitizer's own name for it. */
int __lsan_is_turned_off(void);

__attribute__((visibility("default"))) int __lsan_is_turned_off(void) {
  return faccessat(AT_FDCWD, "/proc/self/task", F_OK, 0) != 0;
}
