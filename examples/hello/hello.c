/* One read-only file. SPDX-License-Identifier: BSD-3-Clause
 * cc hello.c -o hello $(pkg-config --cflags --libs libvirtiofs-daemon) && ./hello --socket-path=/tmp/hello.sock */
#include <errno.h>
#include <virtiofs/virtiofs.h>

static const char text[] = "hello, guest\n";
static const struct virtiofs_attr root = {.ino = 1, .mode = VIRTIOFS_S_IFDIR | 0555, .nlink = 2};
static const struct virtiofs_attr file = {
    .ino = 2, .mode = VIRTIOFS_S_IFREG | 0444, .nlink = 1, .size = sizeof text - 1};

static int lookup(struct virtiofs_req *req, const struct virtiofs_lookup_in *in, struct virtiofs_entry_out *out) {
  (void)req;
  if (in->parent != root.ino || !virtiofs_name_is(&in->name, "hello.txt"))
    return -ENOENT;
  out->node = file.ino;
  out->attr = file;
  return 0;
}
static int getattr(struct virtiofs_req *req, const struct virtiofs_getattr_in *in, struct virtiofs_attr_out *out) {
  (void)req;
  out->attr = in->node == root.ino ? root : file;
  return 0;
}
static int readdir(struct virtiofs_req *req, const struct virtiofs_readdir_in *in, struct virtiofs_readdir_out *out) {
  (void)req;
  struct virtiofs_dirent entry = {.name = "hello.txt", .len = 9, .ino = file.ino, .next = 1};
  if (in->offset == 0)
    (void)!virtiofs_readdir_add(out, &entry);
  return 0;
}
static int read(struct virtiofs_req *req, const struct virtiofs_read_in *in, struct virtiofs_read_out *out) {
  (void)req;
  if (in->offset < file.size)
    out->size = (uint32_t)virtiofs_data_fill(&in->data, 0, text + in->offset, file.size - in->offset);
  return 0;
}
int main(int argc, char **argv) {
  return virtiofs_main(argc, argv, &(struct virtiofs_ops){.size = sizeof(struct virtiofs_ops), .lookup = lookup,
      .getattr = getattr, .readdir = readdir, .read = read}, NULL);
}
