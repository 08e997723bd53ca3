/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * A backend that does what a test says, and keeps account of each node and handle that it gave and got back.
 *
 * Nodes are numbers 1 .. SCRIPT_NODES - 1, the root is 1. The name "17" is node 17; "none" is nothing; "never" is
 * nothing, to be remembered by the guest. Nodes from SCRIPT_DIRS on are directories. A file's contents are
 * script_fs_byte(offset).
 * A mistake of the library's in its account ends the process, as it is found on any thread.
 */
#ifndef VIRTIOFS_TESTS_SUPPORT_SCRIPT_FS_H
#define VIRTIOFS_TESTS_SUPPORT_SCRIPT_FS_H

#include <pthread.h>
#include <stdbool.h>

#include <virtiofs/backend.h>

enum { SCRIPT_NODES = 256, SCRIPT_DIRS = 200, SCRIPT_HANDLES = 512, SCRIPT_LATER = 64, SCRIPT_OPS = 64 };
enum { SCRIPT_FILE_SIZE = 10000 };

struct script_fs;

/**
 * Called in each operation, after it has filled @out. @rc: what it would return. What this returns it returns, and what
 * VIRTIOFS_PENDING makes of it is to be answered by script_fs_answer().
 */
typedef int script_fs_hook(struct script_fs *fs, struct virtiofs_req *req, unsigned opcode, int rc, void *out);

/** An operation that was left pending. */
struct script_later {
  struct virtiofs_req *req;
  unsigned opcode;
  uint64_t busy[3]; /**< nodes that it works on; the last one's handle; 0: none */
  uint64_t node, handle; /**< what it gives if it succeeds */
};

struct script_fs {
  pthread_mutex_t lock;
  pthread_cond_t changed;
  /* script */
  script_fs_hook *hook;
  void *hook_ctx;
  uint64_t pend; /**< bit of an opcode: leave it pending */
  uint64_t root; /**< for init; 0: the default */
  uint32_t records; /**< of a directory; named "0", "1" ... ; those that aren't nodes have no attributes */
  /* account */
  unsigned calls[SCRIPT_OPS]; /**< by opcode; init is FUSE_INIT's, destroy FUSE_DESTROY's, forget FUSE_FORGET's */
  int64_t given[SCRIPT_NODES];
  unsigned forgets[SCRIPT_NODES];
  uint64_t last_replies[SCRIPT_NODES]; /**< what the last forget said */
  int busy[SCRIPT_NODES];
  bool open[SCRIPT_HANDLES]; /**< handle values are SCRIPT_NODES + index */
  int used[SCRIPT_HANDLES];
  unsigned released[SCRIPT_HANDLES];
  unsigned handles; /**< made so far */
  struct virtiofs_release_in last_release;
  uint32_t max_size; /**< largest READ's size seen */
  struct script_later later[SCRIPT_LATER];
  unsigned later_count;
};

/** All operations; a test takes some away. */
extern const struct virtiofs_ops script_fs_ops;

void script_fs_init(struct script_fs *fs);
/** Fails the process if a node or a handle was not taken back. */
void script_fs_fini(struct script_fs *fs);

/* The script, while threads are at work. */
void script_fs_pend(struct script_fs *fs, uint64_t opcodes);
void script_fs_set_hook(struct script_fs *fs, script_fs_hook *hook, void *ctx);

/** How often a node was forgotten. */
unsigned script_fs_forgets(struct script_fs *fs, uint64_t node);
unsigned script_fs_calls(struct script_fs *fs, unsigned opcode);
/** Waits until an operation was called so often in all. Ends the process after a minute. */
void script_fs_wait_calls(struct script_fs *fs, unsigned opcode, unsigned count);
/** Pending operations. */
unsigned script_fs_pending(struct script_fs *fs);
void script_fs_wait_pending(struct script_fs *fs, unsigned count);
/** Answers the oldest pending operation, or that of @req. */
void script_fs_answer(struct script_fs *fs, int rc);
void script_fs_answer_req(struct script_fs *fs, struct virtiofs_req *req, int rc);

unsigned char script_fs_byte(uint64_t offset);

#endif
