/* SPDX-License-Identifier: BSD-3-Clause */
/** Names of error numbers, for people. */
#ifndef VIRTIOFS_LIB_BASE_ERRORS_H
#define VIRTIOFS_LIB_BASE_ERRORS_H

/* "ENOENT" for 2, and so on; "E?" for what has no name. */
const char *virtiofs_errno_name(int error);

#endif
