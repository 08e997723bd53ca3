/* SPDX-License-Identifier: BSD-3-Clause */
/** A program that has several shares, for a test in the same process: --number N, --fail, --wait. */
#ifndef VIRTIOFS_TESTS_SUPPORT_SHARES_PROGRAM_H
#define VIRTIOFS_TESTS_SUPPORT_SHARES_PROGRAM_H

#include <pthread.h>

#include <virtiofs/daemon.h>

/** What the settings of its shares count. */
struct shares_program_counts {
  pthread_mutex_t lock;
  int made, freed, started, stopped;
  int gate; /* an eventfd that one start waits for; -1: none */
};

struct shares_program_counts *shares_program_counts(void);

struct virtiofs_daemon_config shares_program_config(void);

int shares_program_getattr(struct virtiofs_req *req, const struct virtiofs_getattr_in *in,
                           struct virtiofs_attr_out *out);

#endif
