/* SPDX-License-Identifier: BSD-3-Clause */
/* vhost-user's messages as a front-end sends them: one at a time, each with its answer. */
#ifndef VMM_WINDOW_FRONTEND_H
#define VMM_WINDOW_FRONTEND_H

#include <virtiofs/vhost_user.h>

/* All of them end the program if the back-end doesn't do as it is told. */

int frontend_connect(const char *path);

/* A message that has a reply of its own, which takes the payload's place; what it is shorter is zero. */
void frontend_ask(int sock, uint32_t request, union virtiofs_vhost_user_payload *payload, uint32_t size);

/* Another one, acknowledged (REPLY_ACK). @fd: goes along, and stays the caller's; -1: none */
void frontend_tell(int sock, uint32_t request, const union virtiofs_vhost_user_payload *payload, uint32_t size, int fd);

uint64_t frontend_ask_u64(int sock, uint32_t request);
void frontend_tell_u64(int sock, uint32_t request, uint64_t value);

/* Before REPLY_ACK is agreed on there is no answer to wait for. */
void frontend_say_u64(int sock, uint32_t request, uint64_t value);

#endif
