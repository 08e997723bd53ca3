/* SPDX-License-Identifier: BSD-3-Clause */
/** A view of a mount by path: the names that it remembers, and how it asks. */
#ifndef VIRTIOFS_LIB_CLIENT_FS_H
#define VIRTIOFS_LIB_CLIENT_FS_H

#include "client/client.h"

#define VIRTIOFS_CLIENT_NAME_MAX 255U
/* Those of one message; those that may wait: more than a path has names that could push each other out. */
#define VIRTIOFS_CLIENT_BATCH 64U
#define VIRTIOFS_CLIENT_FORGETS 1024U

/* A name in a directory: what is there, and until when that may be believed. Holds @lookups of @node. */
struct virtiofs_client_dentry {
  uint64_t parent, node; /* @parent 0: unused; @node 0: there is nothing by that name */
  uint64_t lookups;
  int64_t entry_until, attr_until; /* ns */
  uint64_t changes;                /* of the view, when the attributes were new */
  struct virtiofs_attr attr;
  uint32_t len;
  char name[VIRTIOFS_CLIENT_NAME_MAX];
};

struct virtiofs_client_fs {
  struct virtiofs_client *client;
  struct virtiofs_client_request *req;
  struct virtiofs_client_dentry *dentries; /* each name has one place */
  uint32_t count;
  uint64_t changes; /* that were made through the view: no attributes of before are believed */
  uint32_t uid, gid, pid;
  /* To be given back when nobody walks: pairs of node and lookups. */
  uint64_t forgets[2 * VIRTIOFS_CLIENT_FORGETS];
  uint32_t forget_count;
};

/* Where a path ends. */
struct virtiofs_client_place {
  uint64_t parent;           /* the directory of the last name */
  struct virtiofs_name name; /* the last name, in @buf; empty for the root */
  uint64_t node;             /* what is there; 0: nothing */
  struct virtiofs_attr attr; /* of it; not known for the root */
  bool attr_valid;
  char buf[VIRTIOFS_CLIENT_NAME_MAX + 1];
};

/* Walks a path up to its last name; looks that up too, and follows it if it is a link and @follow. 0 or -errno. */
int virtiofs_client_walk(struct virtiofs_client_fs *fs, const char *path, bool follow,
                         struct virtiofs_client_place *place);

/* ---- fs.c ---- */

/* The next request, with nothing in it but who asks. */
union virtiofs_fuse_in *virtiofs_client_fs_request(struct virtiofs_client_fs *fs, uint32_t opcode);
/* Sends it. 0 or -errno. */
int virtiofs_client_fs_ask(struct virtiofs_client_fs *fs);

/* What a name is, by the server or as remembered. @node is 0 if there is nothing. */
int virtiofs_client_fs_lookup(struct virtiofs_client_fs *fs, uint64_t parent, const struct virtiofs_name *name,
                              struct virtiofs_client_dentry **found);
/* A reply has given a node by that name. */
struct virtiofs_client_dentry *virtiofs_client_fs_learn(struct virtiofs_client_fs *fs, uint64_t parent,
                                                        const struct virtiofs_name *name,
                                                        const struct virtiofs_entry_out *entry);
/* What is remembered of it may not be so any more. */
void virtiofs_client_fs_unlearn(struct virtiofs_client_fs *fs, uint64_t parent, const struct virtiofs_name *name);
/* Attributes have changed: of which nodes isn't kept account of. */
static inline void virtiofs_client_fs_changed(struct virtiofs_client_fs *fs) {
  fs->changes++;
}
/* Gives back what isn't remembered any more: at the end of an operation. Returns @rc. */
int virtiofs_client_fs_end(struct virtiofs_client_fs *fs, int rc);

#endif
