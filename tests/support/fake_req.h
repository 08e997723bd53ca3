/* SPDX-License-Identifier: BSD-3-Clause */
/** The library's side of request.h and backend.h for tests of a backend alone: no session, no guest, no reply on a
 * wire. */
#ifndef VIRTIOFS_TESTS_SUPPORT_FAKE_REQ_H
#define VIRTIOFS_TESTS_SUPPORT_FAKE_REQ_H

#include <virtiofs/backend.h>
#include <virtiofs/request.h>

/** A request as a backend may see it. */
struct virtiofs_req {
  void *fs;
  struct virtiofs_caller caller;
  uint64_t semantics; /**< what the backend's init promised */
  const void *session;
  bool cancelled;   /**< before its operation is called: on_cancel then is, at once */
  bool interrupted; /**< that is why */
  virtiofs_req_cancel_fn *on_cancel;
  void *data;
  bool completed; /**< fake_wait() is the way to look */
  int rc;         /**< of virtiofs_req_complete() */
};

/** fake_wait - until the request is completed, @ms at most. Return: its result; VIRTIOFS_PENDING if it isn't. */
int fake_wait(struct virtiofs_req *req, unsigned ms);

/** fake_cancel - as a drain or an interrupt does; nothing if it is completed. */
void fake_cancel(struct virtiofs_req *req);

/** A name that a listing took. */
struct fake_record {
  char name[256];
  uint32_t len, type;
  uint64_t ino, next;
  uint64_t node; /**< of READDIRPLUS; counts as one reply that carried it */
  struct virtiofs_attr attr;
};

enum { FAKE_RECORDS = 4096 };

/** A listing in the making. */
struct virtiofs_readdir_out {
  const struct virtiofs_ops *ops; /**< for forget, when a node did not fit */
  struct virtiofs_req *req;
  bool plus;
  uint32_t room; /**< bytes left, as the protocol counts them */
  uint32_t count;
  struct fake_record records[FAKE_RECORDS];
};

/** Nodes handed to forget because their name had no room. */
extern unsigned fake_handed_back;

/** What virtiofs_log_write() was last asked to say, and how often it was asked. */
extern char fake_log_last[256];
extern unsigned fake_log_count;

#endif
