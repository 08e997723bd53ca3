/* SPDX-License-Identifier: BSD-3-Clause */
/* Files by path, of the passthrough server: the same is done to the directory itself, and has to come out the same. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include <virtiofs/client.h>

/* Until a server has answered, which may have to be started first. */
enum { DEADLINE_MS = 60000 };

struct bench {
  char served[64], oracle[64]; /* directories of one content */
  pid_t server;
  struct virtiofs_client *client;
  struct virtiofs_client_fs *fs;
};

static struct bench bench;

static int setup(void **state) {
  struct bench *b = &bench;
  int fds[2];
  char fd[16];
  *state = b;
  memset(b, 0, sizeof *b);
  strcpy(b->served, "/tmp/virtiofs-served-XXXXXX");
  strcpy(b->oracle, "/tmp/virtiofs-oracle-XXXXXX");
  assert_non_null(mkdtemp(b->served));
  assert_non_null(mkdtemp(b->oracle));
  assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
  b->server = fork();
  assert_true(b->server >= 0);
  if (b->server == 0) {
    close(fds[1]);
    (void)snprintf(fd, sizeof fd, "%d", dup(fds[0])); /* that one the server keeps */
    execl(PASSTHROUGH, PASSTHROUGH, "--fd", fd, "--shared-dir", b->served, "--log-level", "error", (char *)NULL);
    _exit(127);
  }
  close(fds[0]);
  struct virtiofs_client_config config = {
      .size = sizeof config, .fd = fds[1], .requests = 2, .max_data = 8192, .timeout_ms = DEADLINE_MS};
  assert_int_equal(virtiofs_client_new(&b->client, &config), 0);
  assert_int_equal(virtiofs_client_init(b->client, NULL, NULL), 0);
  assert_int_equal(virtiofs_client_fs_new(&b->fs, b->client, 1, 16), 0);
  (void)umask(0);
  return 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw) {
  (void)st;
  (void)type;
  (void)ftw;
  return remove(path);
}

static int teardown(void **state) {
  struct bench *b = *state;
  int status;
  virtiofs_client_fs_free(b->fs);
  virtiofs_client_free(b->client);
  assert_int_equal(waitpid(b->server, &status, 0), b->server);
  (void)nftw(b->served, remove_one, 16, FTW_DEPTH | FTW_PHYS);
  (void)nftw(b->oracle, remove_one, 16, FTW_DEPTH | FTW_PHYS);
  assert_int_equal(status, 0);
  return 0;
}

/* A path below the oracle's directory. */
static const char *at(const char *path) {
  static char paths[2][PATH_MAX];
  static unsigned which;
  which = !which;
  (void)snprintf(paths[which], PATH_MAX, "%s/%s", bench.oracle, path);
  return paths[which];
}

static int error_of(int rc) {
  return rc < 0 ? -errno : 0;
}

/* Both say the same of a path. */
static void same_stat(const char *path, bool follow) {
  struct virtiofs_attr attr;
  struct stat st;
  int ours = virtiofs_client_fs_stat(bench.fs, path, follow, &attr);
  int theirs = error_of(fstatat(AT_FDCWD, at(path), &st, follow ? 0 : AT_SYMLINK_NOFOLLOW));
  assert_int_equal(ours, theirs);
  if (ours != 0)
    return;
  assert_int_equal(attr.mode, st.st_mode);
  assert_int_equal(attr.nlink, st.st_nlink);
  if (!S_ISDIR(st.st_mode))
    assert_int_equal(attr.size, st.st_size);
}

static void same_make(const char *path, const char *content) {
  struct virtiofs_client_file *file;
  size_t len = strlen(content);
  assert_int_equal(virtiofs_client_fs_open(bench.fs, &file, path, O_CREAT | O_WRONLY | O_TRUNC, 0640), 0);
  assert_int_equal(virtiofs_client_fs_pwrite(file, content, len, 0), len);
  assert_int_equal(virtiofs_client_fs_close(file), 0);
  int fd = open(at(path), O_CREAT | O_WRONLY | O_TRUNC, 0640);
  assert_int_equal(write(fd, content, len), len);
  close(fd);
}

static void same_mkdir(const char *path) {
  assert_int_equal(virtiofs_client_fs_mkdir(bench.fs, path, 0751), error_of(mkdir(at(path), 0751)));
}

static void same_symlink(const char *target, const char *path) {
  assert_int_equal(virtiofs_client_fs_symlink(bench.fs, target, path), error_of(symlink(target, at(path))));
}

static void same_unlink(const char *path) {
  assert_int_equal(virtiofs_client_fs_unlink(bench.fs, path), error_of(unlink(at(path))));
}

static void same_rmdir(const char *path) {
  assert_int_equal(virtiofs_client_fs_rmdir(bench.fs, path), error_of(rmdir(at(path))));
}

static void same_rename(const char *from, const char *to) {
  assert_int_equal(virtiofs_client_fs_rename(bench.fs, from, to), error_of(rename(at(from), at(to))));
}

static void same_open(const char *path, int flags) {
  struct virtiofs_client_file *file;
  int fd = open(at(path), flags, 0600);
  assert_int_equal(virtiofs_client_fs_open(bench.fs, &file, path, flags, 0600), error_of(fd));
  if (fd >= 0) {
    close(fd);
    assert_int_equal(virtiofs_client_fs_close(file), 0);
  }
}

static void make_tree(void) {
  same_mkdir("dir");
  same_mkdir("dir/sub");
  same_mkdir("dir/sub/deep");
  same_make("file", "hello");
  same_make("dir/other", "a longer text");
  same_symlink("../dir/other", "dir/sub/link");
  same_symlink("dir", "to-dir");
  same_symlink("nowhere", "broken");
  same_symlink("loop-b", "loop-a");
  same_symlink("loop-a", "loop-b");
  same_symlink("sub/../../dir/./sub", "dir/round");
}

static const char *const paths[] = {
    "file",
    "dir",
    "dir/",
    "dir/sub/deep",
    "dir//sub///deep//",
    "./dir/./sub/.",
    "dir/sub/..",
    "dir/sub/../other",
    "nothing",
    "nothing/below",
    "file/below",
    "file/",
    "dir/other/",
    "to-dir",
    "to-dir/",
    "to-dir/sub/link",
    "dir/sub/link",
    "dir/sub/link/",
    "broken",
    "broken/",
    "loop-a",
    "loop-a/x",
    "dir/round/deep",
    "to-dir/sub/../other",
    ".",
    "dir/sub/deep/../../../file",
};

static void paths_are_walked_as_the_kernel_does(void **state) {
  (void)state;
  char name[300];
  make_tree();
  for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
    same_stat(paths[i], true);
    same_stat(paths[i], false);
    same_open(paths[i], O_RDONLY);
    same_open(paths[i], O_RDONLY | O_DIRECTORY);
    same_open(paths[i], O_RDONLY | O_NOFOLLOW);
  }
  memset(name, 'n', sizeof name);
  name[256] = 0;
  same_stat(name, true);
  name[255] = 0;
  same_stat(name, true);
  struct virtiofs_attr attr;
  assert_int_equal(virtiofs_client_fs_stat(bench.fs, "", true, &attr), -ENOENT);
  /* Nothing is above the root. */
  assert_int_equal(virtiofs_client_fs_stat(bench.fs, "/../../file", true, &attr), 0);
}

static void changes_come_out_the_same(void **state) {
  (void)state;
  make_tree();
  same_mkdir("dir");
  same_mkdir("file/x");
  same_mkdir("no/x");
  same_symlink("x", "file");
  same_open("file", O_CREAT | O_EXCL | O_RDWR);
  same_open("new", O_CREAT | O_EXCL | O_RDWR);
  same_open("broken", O_CREAT | O_EXCL | O_RDWR);
  same_open("dir", O_RDWR);
  same_unlink("dir");
  same_unlink("nothing");
  same_rmdir("file");
  same_rmdir("dir");
  same_rename("file", "dir");
  same_rename("dir", "dir/sub/x");
  same_rename("file", "dir/moved");
  same_rename("dir/moved", "dir/other");
  same_rename("dir/sub", "moved-dir");
  same_rename("nothing", "x");
  same_unlink("dir/other");
  same_unlink("to-dir");
  same_rmdir("moved-dir/deep");
  for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++)
    same_stat(paths[i], true);
  same_stat("moved-dir", true);
  same_stat("new", true);
}

/* More than one request has room for, at odd places. */
static void contents_are_whole(void **state) {
  (void)state;
  enum { SIZE = 100000 };
  static unsigned char wrote[SIZE], got[SIZE + 10];
  struct virtiofs_client_file *file;
  struct virtiofs_attr attr;
  for (unsigned i = 0; i < SIZE; i++)
    wrote[i] = (unsigned char)(i * 7 + i / 251);
  assert_int_equal(virtiofs_client_fs_open(bench.fs, &file, "big", O_CREAT | O_RDWR, 0600), 0);
  assert_int_equal(virtiofs_client_fs_pwrite(file, wrote, SIZE, 0), SIZE);
  assert_int_equal(virtiofs_client_fs_fsync(file, true), 0);
  assert_int_equal(virtiofs_client_fs_pread(file, got, SIZE + 10, 0), SIZE);
  assert_memory_equal(got, wrote, SIZE);
  assert_int_equal(virtiofs_client_fs_pread(file, got, 5000, SIZE - 4000), 4000);
  assert_memory_equal(got, wrote + SIZE - 4000, 4000);
  assert_int_equal(virtiofs_client_fs_pread(file, got, 10, SIZE), 0);
  assert_int_equal(virtiofs_client_fs_stat(bench.fs, "big", true, &attr), 0);
  assert_int_equal(attr.size, SIZE);
  assert_int_equal(virtiofs_client_fs_truncate(bench.fs, "big", 12345), 0);
  assert_int_equal(virtiofs_client_fs_stat(bench.fs, "big", true, &attr), 0);
  assert_int_equal(attr.size, 12345);
  assert_int_equal(virtiofs_client_fs_pread(file, got, SIZE, 0), 12345);
  assert_int_equal(virtiofs_client_fs_close(file), 0);
  assert_int_equal(virtiofs_client_fs_open(bench.fs, &file, "big", O_RDONLY, 0), 0);
  assert_int_equal(virtiofs_client_fs_pwrite(file, wrote, 1, 0), -EBADF);
  assert_int_equal(virtiofs_client_fs_close(file), 0);
}

struct listing {
  unsigned count, stop_at;
  bool seen[300];
};

static bool note(void *ctx, const struct virtiofs_dirent *entry) {
  struct listing *listing = ctx;
  char name[300];
  unsigned number;
  memcpy(name, entry->name, entry->len);
  name[entry->len] = 0;
  if (sscanf(name, "name-%u", &number) == 1) {
    assert_false(listing->seen[number]);
    listing->seen[number] = true;
    listing->count++;
  }
  return listing->count != listing->stop_at;
}

static void directories_are_listed(void **state) {
  (void)state;
  struct virtiofs_client_file *dir;
  struct listing listing = {.stop_at = UINT_MAX}, some = {.stop_at = 7};
  same_mkdir("many");
  for (int i = 0; i < 300; i++) {
    char name[32];
    (void)snprintf(name, sizeof name, "many/name-%d", i);
    same_make(name, "");
  }
  assert_int_equal(virtiofs_client_fs_open(bench.fs, &dir, "many", O_RDONLY | O_DIRECTORY, 0), 0);
  assert_int_equal(virtiofs_client_fs_list(dir, note, &listing), 0);
  assert_int_equal(listing.count, 300);
  assert_int_equal(virtiofs_client_fs_list(dir, note, &some), 0);
  assert_int_equal(some.count, 7);
  assert_int_equal(virtiofs_client_fs_close(dir), 0);
  struct virtiofs_client_file *file;
  assert_int_equal(virtiofs_client_fs_open(bench.fs, &file, "many/name-1", O_RDONLY, 0), 0);
  assert_int_equal(virtiofs_client_fs_list(file, note, &some), -ENOTDIR);
  assert_int_equal(virtiofs_client_fs_close(file), 0);
}

static void links_are_read(void **state) {
  (void)state;
  char target[64];
  make_tree();
  assert_int_equal(virtiofs_client_fs_readlink(bench.fs, "dir/sub/link", target, sizeof target), 0);
  assert_string_equal(target, "../dir/other");
  assert_int_equal(virtiofs_client_fs_readlink(bench.fs, "dir/sub/link", target, 6), 0);
  assert_string_equal(target, "../di");
  assert_int_equal(virtiofs_client_fs_readlink(bench.fs, "file", target, sizeof target), -EINVAL);
  assert_int_equal(virtiofs_client_fs_readlink(bench.fs, "none", target, sizeof target), -ENOENT);
}

/* Another's changes are seen once the time is up that the server gave: here by a second view, at once by the first. */
static void names_are_remembered(void **state) {
  (void)state;
  struct virtiofs_client_fs *other;
  struct virtiofs_attr attr;
  make_tree();
  assert_int_equal(virtiofs_client_fs_new(&other, bench.client, 1, 0), 0);
  assert_int_equal(virtiofs_client_fs_stat(bench.fs, "file", true, &attr), 0);
  assert_int_equal(virtiofs_client_fs_unlink(other, "file"), 0);
  /* The server has said that it stays for a second. */
  assert_int_equal(virtiofs_client_fs_stat(other, "file", true, &attr), -ENOENT);
  virtiofs_client_fs_free(other);
  assert_int_equal(virtiofs_client_fs_new(&other, bench.client, 1, 0), 0);
  struct virtiofs_client_fs *third;
  assert_int_equal(virtiofs_client_fs_new(&third, bench.client, 1, 0), -EBUSY);
  assert_null(third);
  virtiofs_client_fs_free(other);
  assert_int_equal(virtiofs_client_fs_new(&other, bench.client, 0, 0), -EINVAL);
  assert_int_equal(virtiofs_client_fs_new(&other, bench.client, 1, 15), -EINVAL);
}

/* The file is there a moment before anybody listens. */
static bool is_served(const char *path) {
  struct sockaddr_un addr = {.sun_family = AF_UNIX};
  assert_true(strlen(path) < sizeof addr.sun_path);
  memcpy(addr.sun_path, path, strlen(path));
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  assert_true(fd >= 0);
  int rc = connect(fd, (const struct sockaddr *)&addr, sizeof addr);
  close(fd);
  return rc == 0;
}

static void wait_for_socket(const char *path) {
  for (int i = 0; !is_served(path); i++) {
    assert_true(i < 6000);
    usleep(10000);
  }
}

static pid_t serve_at(const char *path) {
  pid_t pid = fork();
  assert_true(pid >= 0);
  if (pid == 0) {
    execl(PASSTHROUGH, PASSTHROUGH, "--socket-path", path, "--shared-dir", bench.served, "--log-level", "error",
          "--stay", (char *)NULL);
    _exit(127);
  }
  wait_for_socket(path);
  return pid;
}

static void stop_server(pid_t pid) {
  int status;
  assert_int_equal(kill(pid, SIGTERM), 0);
  assert_int_equal(waitpid(pid, &status, 0), pid);
  assert_int_equal(status, 0);
}

/* The server is another process now: what was in flight has failed, and all goes on after INIT. */
static void a_server_comes_back(void **state) {
  (void)state;
  char path[128];
  struct virtiofs_client *client;
  struct virtiofs_client_fs *fs;
  struct virtiofs_attr attr;
  (void)snprintf(path, sizeof path, "%s/../virtiofs-%ld.sock", bench.served, (long)getpid());
  same_make("file", "hello");
  for (int packed = 0; packed < 2; packed++) {
    pid_t pid = serve_at(path);
    struct virtiofs_client_config config = {.size = sizeof config,
                                            .socket_path = path,
                                            .timeout_ms = DEADLINE_MS,
                                            .features = packed != 0 ? VIRTIOFS_VIRTQ_F_RING_PACKED : 0};
    assert_int_equal(virtiofs_client_new(&client, &config), 0);
    for (int times = 0; times < 3; times++) {
      assert_int_equal(virtiofs_client_init(client, NULL, NULL), 0);
      assert_int_equal(virtiofs_client_fs_new(&fs, client, 1, 0), 0);
      for (int i = 0; i < 200; i++) /* around the ring */
        assert_int_equal(virtiofs_client_fs_stat(fs, i % 2 != 0 ? "file" : "nothing", true, &attr),
                         i % 2 != 0 ? 0 : -ENOENT);
      stop_server(pid);
      assert_int_equal(virtiofs_client_fs_stat(fs, "other", true, &attr), -ECONNRESET);
      virtiofs_client_fs_free(fs);
      assert_int_equal(virtiofs_client_reconnect(client), -ENOENT);
      pid = serve_at(path);
      assert_int_equal(virtiofs_client_reconnect(client), 0);
    }
    virtiofs_client_free(client);
    stop_server(pid);
  }
  assert_int_equal(virtiofs_client_reconnect(bench.client), -EINVAL); /* it has a descriptor, not a path */
}

#define FS_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      FS_TEST(paths_are_walked_as_the_kernel_does),
      FS_TEST(changes_come_out_the_same),
      FS_TEST(contents_are_whole),
      FS_TEST(directories_are_listed),
      FS_TEST(links_are_read),
      FS_TEST(names_are_remembered),
      FS_TEST(a_server_comes_back),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
