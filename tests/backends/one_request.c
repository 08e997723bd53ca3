/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One request after the other to a server, at the word of a script, on a share that it prepares itself.
 *
 *   one_request SOCKET SHARE
 *
 * Reads lines "NAME UID" and answers each with a line: the request's errno, 0 if it was answered well. What a request
 * made, opened or found is removed, closed and forgotten before the answer. "list" names all requests.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <virtiofs/client.h>

enum { SIZE = 10000 };

static struct virtiofs_client *client;
static struct virtiofs_client_request *req;
static uint32_t uid;
static uint64_t root = VIRTIOFS_FUSE_ROOT, file, dir, link_node, handle, dir_handle;

static void need(bool right, const char *what) {
  if (right)
    return;
  fprintf(stderr, "one_request: %s: %s\n", what, strerror(errno));
  exit(EXIT_FAILURE);
}

static union virtiofs_fuse_in *begin(uint32_t opcode) {
  memset(&req->fuse.in, 0, sizeof req->fuse.in);
  req->fuse.header = (struct virtiofs_fuse_header){.opcode = opcode, .uid = uid, .gid = uid, .pid = 1};
  return &req->fuse.in;
}

static struct virtiofs_name name(const char *text) {
  return (struct virtiofs_name){.str = text, .len = (uint32_t)strlen(text)};
}

static int run(void) {
  return virtiofs_client_request_run(req);
}

/* What is undone after a request that went well. */
static void forget(uint64_t node) {
  if (node == 0)
    return;
  struct virtiofs_client_request *other = virtiofs_client_request_take(client, 0);
  other->fuse.header = (struct virtiofs_fuse_header){.opcode = VIRTIOFS_FUSE_FORGET};
  other->fuse.in.forget = (struct virtiofs_fuse_forget_in){.nodeid = node, .nlookup = 1};
  need(virtiofs_client_request_run(other) == 0, "FORGET");
  virtiofs_client_request_give(other);
}

static int entry(void) {
  int rc = run();
  if (rc == 0)
    forget(req->out.entry.node);
  return rc;
}

static void release(uint32_t opcode, uint64_t node, uint64_t opened) {
  struct virtiofs_release_in *in = &begin(opcode)->release;
  in->node = node;
  in->handle = opened;
  need(run() == 0, "RELEASE");
}

static int created(void) {
  int rc = run();
  if (rc != 0)
    return rc;
  uint64_t node = req->out.create.entry.node;
  release(VIRTIOFS_FUSE_RELEASE, node, req->out.create.open.handle);
  forget(node);
  return 0;
}

static int do_lookup(void) {
  begin(VIRTIOFS_FUSE_LOOKUP)->lookup = (struct virtiofs_lookup_in){.parent = root, .name = name("victim")};
  return entry();
}

static int do_lookup_known(void) {
  begin(VIRTIOFS_FUSE_LOOKUP)->lookup = (struct virtiofs_lookup_in){.parent = root, .name = name("file")};
  return entry();
}

static int do_getattr(void) {
  begin(VIRTIOFS_FUSE_GETATTR)->getattr.node = file;
  return run();
}

static int do_statx(void) {
  begin(VIRTIOFS_FUSE_STATX)->statx = (struct virtiofs_statx_in){.node = file, .mask = 0xfff};
  return run();
}

static int set(struct virtiofs_setattr_in in) {
  begin(VIRTIOFS_FUSE_SETATTR)->setattr = in;
  return run();
}

static int do_chmod(void) {
  return set((struct virtiofs_setattr_in){.node = file, .valid = VIRTIOFS_SET_MODE, .mode = 0644});
}

static int do_chown(void) {
  return set((struct virtiofs_setattr_in){.node = file, .valid = VIRTIOFS_SET_UID});
}

static int do_truncate(void) {
  return set((struct virtiofs_setattr_in){.node = file, .valid = VIRTIOFS_SET_SIZE, .size = SIZE});
}

static int do_ftruncate(void) {
  return set((struct virtiofs_setattr_in){
      .node = file, .valid = VIRTIOFS_SET_SIZE, .has_handle = true, .handle = handle, .size = SIZE});
}

static int do_utimes(void) {
  return set((struct virtiofs_setattr_in){
      .node = file, .valid = VIRTIOFS_SET_ATIME | VIRTIOFS_SET_MTIME, .mtime = {.sec = 1}, .atime = {.sec = 2}});
}

static int do_readlink(void) {
  begin(VIRTIOFS_FUSE_READLINK)->readlink.node = link_node;
  return run();
}

static int do_statfs(void) {
  begin(VIRTIOFS_FUSE_STATFS)->statfs.node = root;
  return run();
}

static int do_syncfs(void) {
  begin(VIRTIOFS_FUSE_SYNCFS)->syncfs.node = root;
  return run();
}

static int do_symlink(void) {
  begin(VIRTIOFS_FUSE_SYMLINK)->symlink =
      (struct virtiofs_symlink_in){.parent = root, .name = name("new"), .target = name("x")};
  return entry();
}

static int do_mknod(void) {
  begin(VIRTIOFS_FUSE_MKNOD)->mknod =
      (struct virtiofs_mknod_in){.parent = root, .name = name("new"), .mode = S_IFIFO | 0644};
  return entry();
}

static int do_mkdir(void) {
  begin(VIRTIOFS_FUSE_MKDIR)->mkdir = (struct virtiofs_mkdir_in){.parent = root, .name = name("new"), .mode = 0755};
  return entry();
}

static int do_unlink(void) {
  begin(VIRTIOFS_FUSE_UNLINK)->unlink = (struct virtiofs_unlink_in){.parent = root, .name = name("victim")};
  return run();
}

static int do_rmdir(void) {
  begin(VIRTIOFS_FUSE_RMDIR)->rmdir = (struct virtiofs_rmdir_in){.parent = root, .name = name("empty")};
  return run();
}

static int do_rename(void) {
  begin(VIRTIOFS_FUSE_RENAME2)->rename = (struct virtiofs_rename_in){
      .parent = root, .new_parent = dir, .name = name("victim"), .new_name = name("new"), .flags = 1};
  return run();
}

static int do_link(void) {
  begin(VIRTIOFS_FUSE_LINK)->link = (struct virtiofs_link_in){.node = file, .new_parent = root, .name = name("new")};
  return entry();
}

static int do_open(void) {
  begin(VIRTIOFS_FUSE_OPEN)->open = (struct virtiofs_open_in){.node = file, .flags = O_RDWR};
  int rc = run();
  if (rc == 0)
    release(VIRTIOFS_FUSE_RELEASE, file, req->out.open.handle);
  return rc;
}

static int do_read(void) {
  begin(VIRTIOFS_FUSE_READ)->read =
      (struct virtiofs_read_in){.node = file, .handle = handle, .size = SIZE, .data = {.size = SIZE}};
  int rc = run();
  return rc == 0 && req->out.read.size != SIZE ? -EPIPE : rc; /* short, with nothing said */
}

static int write_with(uint32_t flags) {
  memset(req->data, 'x', SIZE);
  begin(VIRTIOFS_FUSE_WRITE)->write = (struct virtiofs_write_in){
      .node = file, .handle = handle, .size = SIZE, .write_flags = flags, .data = {.size = SIZE}};
  int rc = run();
  return rc == 0 && req->out.write.size != SIZE ? -EPIPE : rc;
}

static int do_write(void) {
  return write_with(0);
}

static int do_write_kill(void) {
  return write_with(VIRTIOFS_WRITE_KILL_SUIDGID);
}

static int do_fsync(void) {
  begin(VIRTIOFS_FUSE_FSYNC)->fsync = (struct virtiofs_fsync_in){.node = file, .handle = handle};
  return run();
}

static int do_fdatasync(void) {
  begin(VIRTIOFS_FUSE_FSYNC)->fsync = (struct virtiofs_fsync_in){.node = file, .handle = handle, .data_only = true};
  return run();
}

static int do_flush(void) {
  begin(VIRTIOFS_FUSE_FLUSH)->flush = (struct virtiofs_flush_in){.node = file, .handle = handle};
  return run();
}

static int set_lock(uint32_t opcode, uint32_t type, bool flock) {
  begin(opcode)->lk = (struct virtiofs_lk_in){
      .node = file, .handle = handle, .owner = 7, .flock = flock, .lock = {.end = INT64_MAX, .type = type}};
  return run();
}

/* What could not be unlocked goes when a program closes the file. */
static int do_lock(void) {
  int rc = set_lock(VIRTIOFS_FUSE_SETLK, F_WRLCK, false);
  if (rc == 0)
    rc = set_lock(VIRTIOFS_FUSE_SETLK, F_UNLCK, false);
  begin(VIRTIOFS_FUSE_FLUSH)->flush = (struct virtiofs_flush_in){.node = file, .handle = handle, .lock_owner = 7};
  int flushed = run();
  return rc != 0 ? rc : flushed;
}

static int do_getlk(void) {
  return set_lock(VIRTIOFS_FUSE_GETLK, F_WRLCK, false);
}

static int do_flock(void) {
  int rc = set_lock(VIRTIOFS_FUSE_SETLKW, F_WRLCK, true);
  return rc != 0 ? rc : set_lock(VIRTIOFS_FUSE_SETLK, F_UNLCK, true);
}

static int do_fallocate(void) {
  begin(VIRTIOFS_FUSE_FALLOCATE)->fallocate =
      (struct virtiofs_fallocate_in){.node = file, .handle = handle, .length = SIZE};
  return run();
}

static int do_lseek(void) {
  begin(VIRTIOFS_FUSE_LSEEK)->lseek = (struct virtiofs_lseek_in){.node = file, .handle = handle, .whence = SEEK_HOLE};
  return run();
}

static int do_copy(void) {
  begin(VIRTIOFS_FUSE_COPY_FILE_RANGE)->copy_file_range = (struct virtiofs_copy_file_range_in){
      .node = file, .handle = handle, .node_out = file, .handle_out = handle, .offset_out = 5000, .len = 100};
  return run();
}

static int do_opendir(void) {
  begin(VIRTIOFS_FUSE_OPENDIR)->opendir = (struct virtiofs_opendir_in){.node = root, .flags = O_RDONLY | O_DIRECTORY};
  int rc = run();
  if (rc == 0)
    release(VIRTIOFS_FUSE_RELEASEDIR, root, req->out.open.handle);
  return rc;
}

static int do_readdir(void) {
  begin(VIRTIOFS_FUSE_READDIR)->readdir =
      (struct virtiofs_readdir_in){.node = root, .handle = dir_handle, .size = 4096};
  return run();
}

/* Each record with a node is a reply that carried it. */
static int do_readdirplus(void) {
  begin(VIRTIOFS_FUSE_READDIRPLUS)->readdir =
      (struct virtiofs_readdir_in){.node = root, .handle = dir_handle, .size = 4096};
  int rc = run();
  for (uint32_t at = 0; rc == 0 && at + 152 <= req->out.read.size;) {
    uint64_t node;
    uint32_t len;
    memcpy(&node, (char *)req->data + at, 8);
    memcpy(&len, (char *)req->data + at + 144, 4);
    forget(node);
    at += (152 + len + 7) & ~7U;
  }
  return rc;
}

static int do_fsyncdir(void) {
  begin(VIRTIOFS_FUSE_FSYNCDIR)->fsync = (struct virtiofs_fsync_in){.node = root, .handle = dir_handle};
  return run();
}

static int do_create(void) {
  begin(VIRTIOFS_FUSE_CREATE)->create = (struct virtiofs_create_in){
      .parent = root, .name = name("new"), .flags = O_CREAT | O_RDWR, .mode = S_IFREG | 0644};
  return created();
}

static int do_create_existing(void) {
  begin(VIRTIOFS_FUSE_CREATE)->create = (struct virtiofs_create_in){
      .parent = root, .name = name("victim"), .flags = O_CREAT | O_RDWR, .mode = S_IFREG | 0644};
  return created();
}

/* With a label, which goes on it before it has a name. */
static int do_create_label(void) {
  static const struct {
    uint32_t size, count, value_size, pad;
    char name[24], value[8];
  } context = {48, 1, 8, 0, "security.selinux", "someone"}; /* its NUL is part of it */
  static _Alignas(8) unsigned char bytes[48];
  memcpy(bytes, &context, 16);
  memcpy(bytes + 16, context.name, 17);
  memcpy(bytes + 33, context.value, 8);
  begin(VIRTIOFS_FUSE_CREATE)->create = (struct virtiofs_create_in){.parent = root,
                                                                    .name = name("new"),
                                                                    .flags = O_CREAT | O_RDWR,
                                                                    .mode = S_IFREG | 0644,
                                                                    .extensions = {.bytes = bytes, .size = 48}};
  int rc = created();
  char value[16];
  bool there = getxattr("new", "user.map.security.selinux", value, sizeof value) == 8 && strcmp(value, "someone") == 0;
  need(rc != 0 || there, "the label");
  return rc;
}

static int do_tmpfile(void) {
  begin(VIRTIOFS_FUSE_TMPFILE)->tmpfile =
      (struct virtiofs_tmpfile_in){.parent = root, .flags = O_TMPFILE | O_RDWR, .mode = S_IFREG | 0644};
  return created();
}

static int do_setxattr(void) {
  memcpy(req->data, "value", 5);
  begin(VIRTIOFS_FUSE_SETXATTR)->setxattr =
      (struct virtiofs_setxattr_in){.node = file, .name = name("user.a"), .value = {.size = 5}};
  return run();
}

static int do_getxattr(void) {
  begin(VIRTIOFS_FUSE_GETXATTR)->getxattr =
      (struct virtiofs_getxattr_in){.node = file, .name = name("user.a"), .size = 100, .data = {.size = 100}};
  return run();
}

static int do_listxattr(void) {
  begin(VIRTIOFS_FUSE_LISTXATTR)->listxattr =
      (struct virtiofs_listxattr_in){.node = file, .size = 1000, .data = {.size = 1000}};
  return run();
}

static int do_removexattr(void) {
  begin(VIRTIOFS_FUSE_REMOVEXATTR)->removexattr =
      (struct virtiofs_removexattr_in){.node = file, .name = name("user.a")};
  return run();
}

static int do_ioctl(void) {
  begin(VIRTIOFS_FUSE_IOCTL)->ioctl = (struct virtiofs_ioctl_in){
      .node = file, .handle = handle, .cmd = (uint32_t)FS_IOC_GETFLAGS, .out_size = 4, .out = {.size = 4}};
  return run();
}

static const struct {
  const char *name;
  int (*run)(void);
} requests[] = {
    {"lookup", do_lookup},
    {"lookup_known", do_lookup_known},
    {"getattr", do_getattr},
    {"statx", do_statx},
    {"chmod", do_chmod},
    {"chown", do_chown},
    {"truncate", do_truncate},
    {"ftruncate", do_ftruncate},
    {"utimes", do_utimes},
    {"readlink", do_readlink},
    {"statfs", do_statfs},
    {"syncfs", do_syncfs},
    {"symlink", do_symlink},
    {"mknod", do_mknod},
    {"mkdir", do_mkdir},
    {"unlink", do_unlink},
    {"rmdir", do_rmdir},
    {"rename", do_rename},
    {"link", do_link},
    {"open", do_open},
    {"read", do_read},
    {"write", do_write},
    {"write_kill", do_write_kill},
    {"fsync", do_fsync},
    {"fdatasync", do_fdatasync},
    {"flush", do_flush},
    {"lock", do_lock},
    {"getlk", do_getlk},
    {"flock", do_flock},
    {"fallocate", do_fallocate},
    {"lseek", do_lseek},
    {"copy", do_copy},
    {"opendir", do_opendir},
    {"readdir", do_readdir},
    {"readdirplus", do_readdirplus},
    {"fsyncdir", do_fsyncdir},
    {"create", do_create},
    {"create_existing", do_create_existing},
    {"create_label", do_create_label},
    {"tmpfile", do_tmpfile},
    {"setxattr", do_setxattr},
    {"getxattr", do_getxattr},
    {"listxattr", do_listxattr},
    {"removexattr", do_removexattr},
    {"ioctl", do_ioctl},
};
enum { REQUESTS = sizeof requests / sizeof *requests };

/* ---- the share ---- */

static void put(const char *path, mode_t mode) {
  static const char zeros[SIZE];
  int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, mode);
  need(fd >= 0 && write(fd, zeros, SIZE) == SIZE && fchmod(fd, mode) == 0 && close(fd) == 0, path);
}

/* As every request finds it, whatever the one before has done. */
static void tidy(void) {
  (void)(unlink("new") != 0 && rmdir("new") != 0);
  (void)unlink("dir/new");
  if (access("victim", F_OK) != 0)
    put("victim", 0666);
  if (access("empty", F_OK) != 0)
    need(mkdir("empty", 0777) == 0, "empty");
  need(setxattr("file", "user.a", "value", 5, 0) == 0, "user.a");
}

static uint64_t node_of(const char *path) {
  begin(VIRTIOFS_FUSE_LOOKUP)->lookup = (struct virtiofs_lookup_in){.parent = root, .name = name(path)};
  need(run() == 0, path);
  return req->out.entry.node;
}

static void prepare(const char *socket, const char *share) {
  struct virtiofs_client_config config = {.size = sizeof config, .socket_path = socket, .timeout_ms = 100000};
  need(chdir(share) == 0 && chmod(".", 0777) == 0, share);
  put("file", 0666);
  need(mkdir("dir", 0777) == 0 && chmod("dir", 0777) == 0 && symlink("target", "link") == 0, "share");
  tidy();
  need(virtiofs_client_new(&client, &config) == 0 && virtiofs_client_init(client, NULL, NULL) == 0, socket);
  req = virtiofs_client_request_take(client, 1);
  file = node_of("file");
  dir = node_of("dir");
  link_node = node_of("link");
  begin(VIRTIOFS_FUSE_OPEN)->open = (struct virtiofs_open_in){.node = file, .flags = O_RDWR};
  need(run() == 0, "OPEN");
  handle = req->out.open.handle;
  begin(VIRTIOFS_FUSE_OPENDIR)->opendir = (struct virtiofs_opendir_in){.node = root, .flags = O_RDONLY | O_DIRECTORY};
  need(run() == 0, "OPENDIR");
  dir_handle = req->out.open.handle;
}

int main(int argc, char **argv) {
  char line[64], word[64];
  if (argc != 3)
    return EXIT_FAILURE;
  umask(0);
  prepare(argv[1], argv[2]);
  printf("ready\n");
  fflush(stdout);
  while (fgets(line, sizeof line, stdin) != NULL && sscanf(line, "%63s %u", word, &uid) >= 1) {
    size_t i = 0;
    while (i < REQUESTS && strcmp(requests[i].name, word) != 0)
      i++;
    if (i < REQUESTS) {
      printf("%d\n", -requests[i].run());
      tidy();
    } else {
      for (i = 0; i < REQUESTS; i++)
        printf("%s%c", requests[i].name, i + 1 < REQUESTS ? ' ' : '\n');
    }
    fflush(stdout);
  }
  virtiofs_client_free(client);
  return EXIT_SUCCESS;
}
