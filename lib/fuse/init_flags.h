/* SPDX-License-Identifier: BSD-3-Clause */
/** The flags of INIT: a row for each, with the rule by which it is offered, wanted and taken. */
#ifndef VIRTIOFS_LIB_FUSE_INIT_FLAGS_H
#define VIRTIOFS_LIB_FUSE_INIT_FLAGS_H

#include <virtiofs/fuse.h>

/* Who decides that a server takes a flag. */
enum virtiofs_fuse_init_rule {
  VIRTIOFS_FUSE_INIT_UNKNOWN, /* there is no such flag */
  VIRTIOFS_FUSE_INIT_ALWAYS,  /* the library: it is true of any backend */
  VIRTIOFS_FUSE_INIT_OPS,     /* operations that are there, or aren't */
  VIRTIOFS_FUSE_INIT_OPT_IN,  /* the backend, by VIRTIOFS_SEMANTICS_...: it promises something */
  VIRTIOFS_FUSE_INIT_REPLY,   /* a field of the reply that needs the flag to be looked at */
  VIRTIOFS_FUSE_INIT_NOTIFY,  /* nobody: it tells something to servers that notify, and there is no queue for that */
  VIRTIOFS_FUSE_INIT_NEVER,   /* nobody: it is about other ways through a driver's device file, which we don't go */
};

/* Does Linux's driver offer it on virtio-fs? */
enum virtiofs_fuse_init_offer {
  VIRTIOFS_FUSE_OFFER_NO,
  VIRTIOFS_FUSE_OFFER_YES,
  VIRTIOFS_FUSE_OFFER_WINDOW, /* if the device has a DAX window */
};

struct virtiofs_fuse_init_flag {
  const char *name; /* NULL: there is no such flag */
  enum virtiofs_fuse_init_rule rule;
  enum virtiofs_fuse_init_offer offer;
  uint8_t since;    /* the minor that it came with */
  uint8_t needs;    /* not taken from drivers of a lower minor: INIT or other messages are too short for it */
  uint64_t with;    /* operations that must be there, by the bit of their opcode */
  uint64_t without; /* operations that must not be there */
  uint64_t demands; /* flags without which it isn't taken */
  uint64_t yields;  /* flags with which it isn't taken */
  uint64_t against; /* flags that can't be promised together with it */
};

/* For any bit, 0 .. 63. */
const struct virtiofs_fuse_init_flag *virtiofs_fuse_init_flag(unsigned bit);

/* All flags of one rule. */
uint64_t virtiofs_fuse_init_flags_of(enum virtiofs_fuse_init_rule rule);

/**
 * What a backend with these operations (by the bit of their opcode) and promises is served by; without those of the
 * rule REPLY.
 */
uint64_t virtiofs_fuse_init_wanted(uint64_t ops, uint64_t semantics);

/**
 * A promise that can't be kept: of something unknown, without an operation that it is about, without or together with
 * another promise. The flag with the lowest bit; 0 if there is none.
 */
uint64_t virtiofs_fuse_init_unfit(uint64_t ops, uint64_t semantics);

/* Of these flags those that a driver of that minor and a server can agree on. */
uint64_t virtiofs_fuse_init_agreeable(uint64_t flags, uint32_t minor);

#endif
