/* SPDX-License-Identifier: BSD-3-Clause */
/** Messages of a driver with the other byte order. */
#ifndef VIRTIOFS_LIB_FUSE_SWAP_H
#define VIRTIOFS_LIB_FUSE_SWAP_H

#include <stddef.h>

/**
 * How wide the fields of a struct are: '8', '4' or '2' bytes each; the last one repeats until the struct ends.
 * Only for structs without gaps, as all of wire.h's are.
 */
typedef const char *virtiofs_wire_layout;

#define VIRTIOFS_LAYOUT_IN_HEADER "44884442"
#define VIRTIOFS_LAYOUT_OUT_HEADER "448"
#define VIRTIOFS_LAYOUT_ATTR "8888884"
#define VIRTIOFS_LAYOUT_ENTRY "888844" VIRTIOFS_LAYOUT_ATTR
#define VIRTIOFS_LAYOUT_CREATE_OUT "888844888888444444444484"
#define VIRTIOFS_LAYOUT_DIRENT "884"
#define VIRTIOFS_LAYOUT_DIRENTPLUS "8888448888884444444444884"
#define VIRTIOFS_LAYOUT_STATX "8448844844422888884484484484444448"

/* Swaps the fields that lie whole within @size bytes; @bytes needs no alignment. */
void virtiofs_wire_swap(void *bytes, size_t size, virtiofs_wire_layout layout);

#endif
