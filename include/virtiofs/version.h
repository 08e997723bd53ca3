/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIRTIOFS_VERSION_H
#define VIRTIOFS_VERSION_H

#ifdef __cplusplus
extern "C" {
#endif

/** The version of the headers that a program was compiled with. */
#define VIRTIOFS_VERSION_MAJOR 0
#define VIRTIOFS_VERSION_MINOR 1
#define VIRTIOFS_VERSION_PATCH 0
#define VIRTIOFS_VERSION_STRING "0.1.0"

/** Marks what the shared libraries export. */
#define VIRTIOFS_EXPORT __attribute__((__visibility__("default")))

/** The caller has to look at the result. */
#define VIRTIOFS_MUST_USE __attribute__((__warn_unused_result__))

/** Lets the compiler check a printf-like call: position of the text and of its first argument (0: a va_list). */
#define VIRTIOFS_PRINTF(text, first) __attribute__((__format__(__printf__, text, first)))

/**
 * virtiofs_version_string - the version of the library that runs
 *
 * Return: a constant string such as "0.1.0", which may differ from VIRTIOFS_VERSION_STRING of the headers.
 * Threads: any.
 */
VIRTIOFS_EXPORT const char *virtiofs_version_string(void);

#ifdef __cplusplus
}
#endif

#endif
