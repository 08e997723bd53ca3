/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>
#include <virtiofs/fuse.h>

int main(void) {
  return printf("{\"type\": \"%s\"}\n", virtiofs_fuse_opcode_name(VIRTIOFS_FUSE_INIT)) > 0 ? 0 : 1;
}
