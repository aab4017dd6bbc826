/* SPDX-License-Identifier: Apache-2.0 */
/* Kinds of sockets for which the kernel runs no connect or sendmsg program. */
#ifndef UNANNOUNCED_KINDS_H
#define UNANNOUNCED_KINDS_H

#include "unannounced.h"

#define UNANNOUNCED_PACKETS 3

enum unannounced_payload { PAYLOAD_ECHO, PAYLOAD_UDP, PAYLOAD_IP, PAYLOAD_TEXT };

struct unannounced_kind {
	const char *name;
	int domain, type, protocol;
	enum unannounced_payload payload;
	bool connects;
	bool ports;		   /* the socket has ports */
	const char *protocol_name; /* in /proc/net/protocols; NULL: present in every kernel */
};

extern const struct unannounced_kind unannounced_kinds[];
extern const size_t unannounced_kinds_count;

struct unannounced_sent {
	char absent[80]; /* why the kind cannot be tried; empty: tried */
	struct unannounced_list list;
	uint32_t packets; /* sent; 0: the kernel chooses their number */
	uint32_t bytes;	  /* of payload in a packet */
	uint64_t closed_ns[2];
};

/* live_fn: makes the socket of the kind with this number, sends packets, and closes it. */
void unannounced_send(const void *number, void *sent);

#endif
