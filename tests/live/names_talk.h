/* SPDX-License-Identifier: Apache-2.0 */
/* Connections whose client sends given bytes first. */
#ifndef NAMES_TALK_H
#define NAMES_TALK_H

#include "names.h"
#include "names_server.h"

#define TALK_HOOKS                                                                                 \
	(AGENTSH_EBPF_HOOK_CONNECT | AGENTSH_EBPF_HOOK_LIFECYCLE | AGENTSH_EBPF_HOOK_SERVER_NAME)
#define TALK_ADDRESS "127.0.11.1"
#define TALK_ADDRESS6 "fd53::3"
#define TALK_PORT 7443
#define TALK_FIRST_PORT 7025 /* the server sends first */
#define TALK_MAX 8192

/* What the client does. */
struct talk {
	uint32_t family; /* enum connection_family */
	uint16_t port;
	size_t size;  /* of data */
	size_t first; /* bytes of the first write; 0: all */
	size_t piece; /* bytes per write behind it; 0: all */
	size_t pause; /* waits for one byte of the server after so many bytes; 0: never */
	uint8_t data[TALK_MAX];
};

struct talked {
	uint64_t cookie, before_ns, after_ns;
	uint32_t tgid;
};

/* Serves TALK_PORT and TALK_FIRST_PORT until the test ends. */
void talk_serve(void);

/* live_fn: connects, sends, closes when the server has everything. */
void talk_do(const void *talk, void *talked);

/*
 * Checks the events of the connection: CONNECT, CONNECTED, SERVER_NAME if want has a server name,
 * and CLOSED. The server name is in SERVER_NAME and CLOSED; asked and what belongs to it in all.
 */
void talk_expect(const char *title, const struct talked *talked, const struct names_want *want);

#endif
