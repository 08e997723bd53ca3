/* SPDX-License-Identifier: BSD-3-Clause */
/** Bits and what they are called, for messages as text. */
#ifndef VIRTIOFS_LIB_FUSE_NAMES_H
#define VIRTIOFS_LIB_FUSE_NAMES_H

#include <stdint.h>

/* Which word's bits. */
enum virtiofs_fuse_bits {
  VIRTIOFS_FUSE_BITS_INIT,
  VIRTIOFS_FUSE_BITS_OPEN,      /* open(2)'s, but for the access mode */
  VIRTIOFS_FUSE_BITS_FOPEN,     /* of OPEN's reply */
  VIRTIOFS_FUSE_BITS_SETATTR,   /* SETATTR's valid */
  VIRTIOFS_FUSE_BITS_WRITE,     /* WRITE's own */
  VIRTIOFS_FUSE_BITS_RENAME,    /* renameat2(2)'s */
  VIRTIOFS_FUSE_BITS_RELEASE,   /* RELEASE's own */
  VIRTIOFS_FUSE_BITS_SETXATTR,  /* setxattr(2)'s */
  VIRTIOFS_FUSE_BITS_ACCESS,    /* access(2)'s */
  VIRTIOFS_FUSE_BITS_FALLOCATE, /* fallocate(2)'s */
  VIRTIOFS_FUSE_BITS_MAP,       /* SETUPMAPPING's */
  VIRTIOFS_FUSE_BITS_ATTR,      /* attributes' own */
};

/**
 * The name of the lowest set of bits in *@bits that has one, and takes them away; NULL if none has.
 * A name may stand for several bits (O_SYNC).
 */
const char *virtiofs_fuse_bit_name(enum virtiofs_fuse_bits which, uint64_t *bits);

#endif
