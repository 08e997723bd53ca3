/* SPDX-License-Identifier: BSD-3-Clause */
/** The golden messages of tests/fuse/golden: files that say what has to be found in them, and the bytes. */
#ifndef VIRTIOFS_TESTS_SUPPORT_GOLDEN_H
#define VIRTIOFS_TESTS_SUPPORT_GOLDEN_H

#include <stddef.h>

#include <virtiofs/fuse.h>

enum { GOLDEN_EXPECTATIONS = 24, GOLDEN_BYTES = 1024 };

struct golden {
  char name[64]; /**< of the file, without its end */
  char origin[80];
  char expected[GOLDEN_EXPECTATIONS][100]; /**< "field value", or "reply.field value" */
  size_t expectations;
  struct virtiofs_fuse_proto proto;  /**< of the session, for this machine */
  unsigned char bytes[GOLDEN_BYTES]; /**< the request */
  size_t len;
  unsigned char reply[GOLDEN_BYTES];
  size_t reply_len; /**< 0: there is none */
};

/** A number somewhere in a struct. */
struct golden_field {
  const char *name;
  size_t offset, width;
};

/** Calls @fn for each file of @folder. Return: how many there are. */
unsigned golden_each(const char *folder, void (*fn)(const struct golden *golden));
/** Reads one file. */
void golden_load(struct golden *golden, const char *folder, const char *name);

/** The one that is named by the first @len bytes of @name; NULL. */
const struct golden_field *golden_find(const struct golden_field *table, size_t count, const char *name, size_t len);
/** What is there in the struct at @base. */
uint64_t golden_number(const void *base, const struct golden_field *field);

#endif
