/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The key of the table of sockets, from which the library removes a session's sockets. */
#ifndef AGENTSH_SOCK_KEY_H
#define AGENTSH_SOCK_KEY_H

#include <linux/types.h>

/* Each of several nested sessions has its own state of a socket. */
struct agentsh_sock_key {
	__u64 cookie;
	__u64 generation; /* of the session, and AGENTSH_KEY_LISTENER */
};

/* What concerns a listener is kept apart, because a listener may have connected before. */
#define AGENTSH_KEY_LISTENER (1ULL << 32)

#endif
