/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * Places where a tracer (bpftrace, perf, SystemTap, gdb) can look on: USDT probes of the provider "virtiofs".
 *
 * Each is a no-op and a note in the ELF file. Their names and arguments are told in docs/monitoring.md, and stay as
 * they are: arguments are added at the end. Without <sys/sdt.h> there are none.
 */
#ifndef VIRTIOFS_LIB_BASE_PROBE_H
#define VIRTIOFS_LIB_BASE_PROBE_H

#if defined(__has_include)
#if __has_include(<sys/sdt.h>)
#include <sys/sdt.h>
#endif
#endif

#if defined(__clang__)
/* The header's macros take none where they may take more, and clang says so where they are used. */
#pragma clang diagnostic ignored "-Wgnu-zero-variadic-macro-arguments"
#endif

#ifdef STAP_PROBE4
/* Taken from its queue, not looked at. @request: an address, the same in all three. */
#define VIRTIOFS_PROBE_TAKE(queue, request, in_bytes, out_bytes)                                                       \
  STAP_PROBE4(virtiofs, take, queue, request, in_bytes, out_bytes)
/* Its operation is to be called. */
#define VIRTIOFS_PROBE_DISPATCH(queue, request, unique, opcode, nodeid)                                                \
  STAP_PROBE5(virtiofs, dispatch, queue, request, unique, opcode, nodeid)
/* It is answered; nobody may have seen its dispatch, if it was refused before. */
#define VIRTIOFS_PROBE_REPLY(queue, request, unique, opcode, nodeid, error, bytes)                                     \
  STAP_PROBE7(virtiofs, reply, queue, request, unique, opcode, nodeid, error, bytes)
#else
#define VIRTIOFS_PROBE_TAKE(queue, request, in_bytes, out_bytes)                                                       \
  ((void)(queue), (void)(request), (void)(in_bytes), (void)(out_bytes))
#define VIRTIOFS_PROBE_DISPATCH(queue, request, unique, opcode, nodeid)                                                \
  ((void)(queue), (void)(request), (void)(unique), (void)(opcode), (void)(nodeid))
#define VIRTIOFS_PROBE_REPLY(queue, request, unique, opcode, nodeid, error, bytes)                                     \
  ((void)(queue), (void)(request), (void)(unique), (void)(opcode), (void)(nodeid), (void)(error), (void)(bytes))
#endif

#endif
