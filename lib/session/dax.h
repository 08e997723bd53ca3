/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * SETUPMAPPING and REMOVEMAPPING: one after the other, each by a plan whose steps somebody else carries out.
 *
 * Whoever finds nobody at work does the work, and the thread that hears that a step is done goes on with it. A request
 * that gives up is answered at once; its plan goes on without it.
 */
#ifndef VIRTIOFS_LIB_SESSION_DAX_H
#define VIRTIOFS_LIB_SESSION_DAX_H

#include "session/session.h"

struct virtiofs_session_dax;

/* The operations. */
int virtiofs_session_setupmapping(struct virtiofs_req *req);
int virtiofs_session_removemapping(struct virtiofs_req *req);

/* log2 of what mappings are multiples of; 0: there is no window that can be used. */
uint16_t virtiofs_session_window_shift(const struct virtiofs_session *session);

/* Fills in what is mapped, if there is a window. Any thread. */
void virtiofs_session_window_usage(struct virtiofs_session *session, struct virtiofs_session_usage *usage);

/* @then, an INIT or DESTROY, has to wait until all is unmapped; virtiofs_session_run_parked() is called for it. False
 * if it need not. In VIRTIOFS_SESSION_SWITCH. */
bool virtiofs_session_window_clear(struct virtiofs_session *session, struct virtiofs_req *then);

#endif
