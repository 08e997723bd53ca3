/* SPDX-License-Identifier: BSD-3-Clause */
/* What an option takes of root's power. */
#include <virtiofs/passthrough.h>

#include <string.h>
#include <unistd.h>

#include "backends/passthrough/cred.h"
#include "backends/passthrough/xattrmap.h"

/* Names of the host's administrator, which a rule gives to guests. Broken rules need nothing: the server won't start.
 */
static uint64_t of_rules(const char *rules) {
  struct xattrmap *map;
  const char *why;
  size_t at;
  if (rules == NULL || virtiofs_passthrough_xattrmap_parse(&map, rules, &why, &at) != 0)
    return 0;
  bool needed =
      virtiofs_passthrough_xattrmap_reaches(map, "trusted.") || virtiofs_passthrough_xattrmap_reaches(map, "security.");
  virtiofs_passthrough_xattrmap_free(map);
  return needed ? PASSTHROUGH_CAP(CAP_SYS_ADMIN) : 0;
}

/* Who may change a label is for the security module to say; without one it is only an attribute of the host's. */
static uint64_t of_labels(const struct virtiofs_passthrough_config *config) {
  if (config->security_label == VIRTIOFS_PASSTHROUGH_NEVER || config->xattrmap != NULL)
    return 0;
  if (access("/sys/fs/smackfs", F_OK) == 0)
    return PASSTHROUGH_CAP(CAP_MAC_ADMIN);
  return access("/sys/fs/selinux/enforce", F_OK) == 0 ? 0 : PASSTHROUGH_CAP(CAP_SYS_ADMIN);
}

uint64_t virtiofs_passthrough_capabilities(const struct virtiofs_passthrough_config *given) {
  struct virtiofs_passthrough_config config = {.size = 0};
  memcpy(&config, given, given->size < sizeof config ? given->size : sizeof config);
  uint64_t caps = PASSTHROUGH_CAP(CAP_CHOWN) | PASSTHROUGH_CAP(CAP_DAC_OVERRIDE) | PASSTHROUGH_CAP(CAP_FOWNER) |
                  PASSTHROUGH_CAP(CAP_FSETID) | PASSTHROUGH_CAP(CAP_SETGID) | PASSTHROUGH_CAP(CAP_SETUID);
  bool xattr = config.xattr || config.xattrmap != NULL || config.posix_acl ||
               config.security_label != VIRTIOFS_PASSTHROUGH_NEVER;
  if (xattr)
    caps |= PASSTHROUGH_CAP(CAP_SETFCAP);
  if (config.device_nodes)
    caps |= PASSTHROUGH_CAP(CAP_MKNOD);
  if (config.inode_file_handles != VIRTIOFS_PASSTHROUGH_HANDLES_NEVER)
    caps |= PASSTHROUGH_CAP(CAP_DAC_READ_SEARCH);
  return caps | of_rules(config.xattrmap) | of_labels(&config);
}
