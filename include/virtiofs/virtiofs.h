/* SPDX-License-Identifier: BSD-3-Clause */
/** Everything that a program which serves a file system needs. */
#ifndef VIRTIOFS_VIRTIOFS_H
#define VIRTIOFS_VIRTIOFS_H

#include <virtiofs/backend.h>
#include <virtiofs/daemon.h>
#include <virtiofs/device.h>
#include <virtiofs/log.h>
#include <virtiofs/request.h>
#include <virtiofs/stats.h>
#include <virtiofs/types.h>
#include <virtiofs/version.h>

#endif
