/* SPDX-License-Identifier: BSD-3-Clause */
/** Writes the messages of a device to a file: include/virtiofs/record.h. */
#ifndef VIRTIOFS_LIB_DAEMON_RECORD_H
#define VIRTIOFS_LIB_DAEMON_RECORD_H

#include <virtiofs/device.h>

struct virtiofs_daemon_record;

/* The tap that records; its ctx is a struct virtiofs_daemon_record. Any thread. */
extern const struct virtiofs_tap virtiofs_daemon_record_tap;

/**
 * Makes the file, for the owner only, or takes the place of an old record. What is no regular file is refused, a
 * symbolic link too. @data_max: bytes of a file's contents to store; @log is borrowed. 0; -errno, after a line on
 * stderr that begins with @program.
 */
int virtiofs_daemon_record_open(struct virtiofs_daemon_record **out, const char *program, const char *path,
                                uint64_t data_max, const struct virtiofs_log *log);

/* No device uses it any more. NULL is fine. */
void virtiofs_daemon_record_close(struct virtiofs_daemon_record *record);

#endif
