/* SPDX-License-Identifier: BSD-3-Clause */
/** What a backend has and promises, as the tables of INIT want to know it. */
#ifndef VIRTIOFS_LIB_SESSION_PROMISE_H
#define VIRTIOFS_LIB_SESSION_PROMISE_H

#include <virtiofs/backend.h>
#include <virtiofs/log.h>

/* A bit for each opcode that has an operation. */
uint64_t virtiofs_session_operations(const struct virtiofs_ops *ops);

/* The opcodes of virtiofs_init_out.without; *@bad: operations that can't be done without. */
uint64_t virtiofs_session_without(uint64_t without, uint64_t *bad);

/* Can these VIRTIOFS_SEMANTICS_... be kept with @operations? What can't is said in the log. */
bool virtiofs_session_can_promise(const struct virtiofs_log *log, uint64_t operations, uint64_t semantics);

#endif
