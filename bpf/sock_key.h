/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The key of the table of sockets, from which the library removes a session's sockets. */
#ifndef AGENTSH_SOCK_KEY_H
#define AGENTSH_SOCK_KEY_H

#include <linux/types.h>

/* Each of several nested sessions has its own state of a socket. */
struct agentsh_sock_key {
	__u64 cookie;
	__u64 session; /* generation of the session, AGENTSH_KEY_ bits */
};

/* What concerns a listener is kept apart, because a listener may have connected before. */
#define AGENTSH_KEY_LISTENER (1ULL << 32)
/* The library finds the session by its slot, which is in the highest bits. */
#define AGENTSH_KEY_SLOT_SHIFT 48

#endif
