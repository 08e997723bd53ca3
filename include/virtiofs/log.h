/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIRTIOFS_LOG_H
#define VIRTIOFS_LOG_H

#include <stdarg.h>

#include <virtiofs/version.h>

#ifdef __cplusplus
extern "C" {
#endif

/** How much a line matters; a smaller number matters more. */
enum virtiofs_log_level {
  VIRTIOFS_LOG_ERROR = 1, /**< something that the operator has to mend */
  VIRTIOFS_LOG_WARN = 2,  /**< a guest or a front-end broke a rule; the device goes on */
  VIRTIOFS_LOG_INFO = 3,  /**< life of the device: connected, mounted, gone */
  VIRTIOFS_LOG_DEBUG = 4, /**< control messages and state changes */
  VIRTIOFS_LOG_TRACE = 5, /**< each request */
};

/**
 * virtiofs_log_fn - where the lines go
 * @ctx:    the pointer given beside the function
 * @level:  see above
 * @tag:    the object that speaks, for example "vq1" or "session"; never NULL
 * @format: printf format without a newline
 * @args:   its arguments
 *
 * Threads: called from any thread of the library, from several at once. It must not call back into the object that
 * speaks. Lines that a guest can cause are thinned out: the 1st, 2nd, 4th, 8th ... time of each kind is said.
 */
typedef void virtiofs_log_fn(void *ctx, enum virtiofs_log_level level, const char *tag, const char *format,
                             va_list args);

/** A place for log lines. All zero: nothing is said. Copied where it is passed in. */
struct virtiofs_log {
  virtiofs_log_fn *fn;           /**< NULL: silent */
  void *ctx;                     /**< passed to @fn */
  enum virtiofs_log_level level; /**< lines above this number are not made; 0 means VIRTIOFS_LOG_INFO */
  const int *current;            /**< NULL; or what holds at the time in place of @level, for one that changes while the
                                      library speaks: to be written by an atomic store; 0 as above; to stay as long as
                                      any copy of this */
};

/**
 * virtiofs_log_stderr - a virtiofs_log_fn that writes one line per call to stderr
 *
 * The line is "LEVEL tag: text", written by one call so that lines of two threads don't mix. @ctx is not used.
 * Threads: any.
 */
VIRTIOFS_EXPORT void virtiofs_log_stderr(void *ctx, enum virtiofs_log_level level, const char *tag, const char *format,
                                         va_list args) VIRTIOFS_PRINTF(4, 0);

/**
 * virtiofs_log_write - say a line
 * @log: may be NULL, then nothing happens
 *
 * Threads: any.
 */
VIRTIOFS_EXPORT void virtiofs_log_write(const struct virtiofs_log *log, enum virtiofs_log_level level, const char *tag,
                                        const char *format, ...) VIRTIOFS_PRINTF(4, 5);

#ifdef __cplusplus
}
#endif

#endif
