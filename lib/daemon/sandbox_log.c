/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/sandbox_log.h"

static const char *landlock_text(enum virtiofs_sandbox_landlock landlock) {
  switch (landlock) {
  case VIRTIOFS_SANDBOX_LANDLOCK_FILES:
    return "Landlock";
  case VIRTIOFS_SANDBOX_LANDLOCK_REST:
    return "Landlock for all but files, as it would refuse to open them by file handle (see --inode-file-handles)";
  case VIRTIOFS_SANDBOX_LANDLOCK_MORE:
    return "Landlock for all but files, as more directories may come";
  case VIRTIOFS_SANDBOX_LANDLOCK_MISSING:
    return "no Landlock, which this kernel lacks";
  default:
    return "no Landlock";
  }
}

void virtiofs_sandbox_say(const struct virtiofs_sandbox_inside *inside, const struct virtiofs_sandbox_config *config) {
  static const char *const modes[] = {"namespaces", "chroot", "no other root"};
  static const char *const filters[] = {"seccomp kill", "seccomp trap", "seccomp log", "no seccomp"};
  virtiofs_log_write(&config->log, VIRTIOFS_LOG_INFO, "sandbox", "%s%s, %s, %s", modes[config->mode],
                     inside->own_user ? " with one user" : "", filters[config->seccomp],
                     landlock_text(inside->landlock));
}
