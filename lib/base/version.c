/* SPDX-License-Identifier: BSD-3-Clause */
#include <virtiofs/version.h>

const char *virtiofs_version_string(void) {
  return VIRTIOFS_VERSION_STRING;
}
