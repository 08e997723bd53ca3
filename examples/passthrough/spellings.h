/* SPDX-License-Identifier: BSD-3-Clause */
/** How other servers' launchers spell the options. */
#ifndef VIRTIOFS_EXAMPLES_PASSTHROUGH_SPELLINGS_H
#define VIRTIOFS_EXAMPLES_PASSTHROUGH_SPELLINGS_H

#include <virtiofs/daemon.h>

extern const struct virtiofs_daemon_spelling spellings[];

#endif
