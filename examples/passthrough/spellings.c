/* SPDX-License-Identifier: BSD-3-Clause */
#include "spellings.h"

#include <stddef.h>

#define OLD(old, option)                                                                                               \
  { old, option, NULL, VIRTIOFS_DAEMON_SPELLING_OLD }
#define IGNORED(old, why)                                                                                              \
  { old, NULL, why, VIRTIOFS_DAEMON_SPELLING_IGNORED }

/* Both -o dialects: the C virtiofsd's, and what the Rust one keeps of it. */
const struct virtiofs_daemon_spelling spellings[] = {
    OLD("-o source=", "--shared-dir="),
    OLD("-o cache=", "--cache="),
    OLD("-o timeout=", "--timeout="),
    OLD("-o sandbox=", "--sandbox="),
    OLD("-o modcaps=", "--modcaps="),
    OLD("-o xattrmap=", "--xattrmap="),
    OLD("-o xattr", "--xattr"),
    OLD("-o no_xattr", "--no-xattr"),
    OLD("-o posix_acl", "--posix-acl=always"),
    OLD("-o no_posix_acl", "--posix-acl=never"),
    OLD("-o security_label", "--security-label=always"),
    OLD("-o no_security_label", "--security-label=never"),
    OLD("-o killpriv_v2", "--killpriv-v2"),
    OLD("-o no_killpriv_v2", "--no-killpriv-v2"),
    OLD("-o writeback", "--writeback"),
    OLD("-o no_writeback", "--no-writeback"),
    OLD("-o readdirplus", "--readdirplus"),
    OLD("-o no_readdirplus", "--no-readdirplus"),
    OLD("-o allow_direct_io", "--allow-direct-io"),
    OLD("-o no_allow_direct_io", "--no-allow-direct-io"),
    OLD("-o announce_submounts", "--announce-submounts"),
    OLD("-o no_announce_submounts", "--no-announce-submounts"),
    OLD("-o posix_lock", "--posix-lock"),
    OLD("-o no_posix_lock", "--no-posix-lock"),
    OLD("-o flock", "--flock"),
    OLD("-o no_flock", "--no-flock"),
    IGNORED("-o norace", "nothing is done here that could race"),
    IGNORED("-o allow_root", "the guest says who may use its mount"),
    {0},
};
