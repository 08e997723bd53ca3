/* SPDX-License-Identifier: BSD-3-Clause */
#include "fusedev/mount.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/config.h"

#define MIN_WRITE 4096U
#define MAX_WRITE (1U << 20)
#define MAX_DATA (1U << 20)
#define DEFAULT_MESSAGES 64U
#define MAX_MESSAGES 1024U
#define OPTIONS_MAX 160

/* Fills in defaults and checks ranges. */
static int complete(struct virtiofs_fusedev_config *config) {
  if (config->max_write == 0)
    config->max_write = MAX_WRITE;
  if (config->messages == 0)
    config->messages = DEFAULT_MESSAGES;
  if (config->source == NULL)
    config->source = "virtiofs";
  if (config->mountpoint == NULL || config->max_write < MIN_WRITE || config->max_write > MAX_WRITE ||
      config->messages > MAX_MESSAGES || config->message_data > MAX_DATA || strchr(config->source, ',') != NULL)
    return -EINVAL;
  return 0;
}

static int mount_at(struct virtiofs_fusedev *mnt, const struct virtiofs_fusedev_config *config) {
  char options[OPTIONS_MAX];
  struct stat st;
  if (stat(mnt->mountpoint, &st) != 0)
    return -errno;
  if (!S_ISDIR(st.st_mode))
    return -ENOTDIR;
  unsigned long flags =
      (config->read_only ? MS_RDONLY : 0UL) | (config->devices ? 0UL : MS_NODEV) | (config->set_id ? 0UL : MS_NOSUID);
  (void)snprintf(options, sizeof(options), "fd=%d,rootmode=%o,user_id=%u,group_id=%u,default_permissions,max_read=%u%s",
                 mnt->fd, (unsigned)(st.st_mode & S_IFMT), (unsigned)getuid(), (unsigned)getgid(), mnt->max_write,
                 config->private_mount ? "" : ",allow_other");
  if (mount(config->source, mnt->mountpoint, "fuse.virtiofs", flags, options) != 0)
    return -errno;
  mnt->mounted = true;
  return 0;
}

int virtiofs_fusedev_new(struct virtiofs_fusedev **out, const struct virtiofs_fusedev_config *given) {
  struct virtiofs_fusedev_config config;
  *out = NULL;
  int rc = virtiofs_config_copy(&config, sizeof(config), given, given != NULL ? given->size : 0);
  if (rc == 0)
    rc = complete(&config);
  if (rc != 0)
    return rc;
  struct virtiofs_fusedev *mnt = calloc(1, sizeof(*mnt));
  if (mnt == NULL)
    return -ENOMEM;
  mnt->max_write = config.max_write;
  mnt->message_data = config.message_data;
  mnt->messages = config.messages;
  mnt->pages = config.pages;
  mnt->pages_ctx = config.pages_ctx;
  /* Absolute, as the program may go elsewhere before it unmounts. */
  mnt->mountpoint = realpath(config.mountpoint, NULL);
  rc = mnt->mountpoint != NULL ? 0 : -errno;
  mnt->fd = open("/dev/fuse", O_RDWR | O_CLOEXEC | O_NONBLOCK);
  if (rc == 0 && mnt->fd < 0)
    rc = -errno;
  if (rc == 0)
    rc = mount_at(mnt, &config);
  if (rc != 0) {
    virtiofs_fusedev_free(mnt);
    return rc;
  }
  *out = mnt;
  return 0;
}

int virtiofs_fusedev_unmount(struct virtiofs_fusedev *mnt) {
  if (!mnt->mounted)
    return -EINVAL;
  mnt->mounted = false;
  if (umount2(mnt->mountpoint, UMOUNT_NOFOLLOW) == 0)
    return 0;
  if (errno != EBUSY)
    return -errno;
  return umount2(mnt->mountpoint, UMOUNT_NOFOLLOW | MNT_DETACH) == 0 ? -EBUSY : -errno;
}

void virtiofs_fusedev_free(struct virtiofs_fusedev *mnt) {
  if (mnt == NULL)
    return;
  /* Nobody answers any more: it must go without asking. */
  if (mnt->mounted)
    (void)umount2(mnt->mountpoint, UMOUNT_NOFOLLOW | MNT_DETACH);
  if (mnt->fd >= 0)
    close(mnt->fd);
  free(mnt->mountpoint);
  free(mnt);
}
