/* SPDX-License-Identifier: Apache-2.0 */
/* The table of sockets, in which the programs keep what later events need. */
#ifndef AGENTSH_TRACER_SOCKETS_H
#define AGENTSH_TRACER_SOCKETS_H

#include <stdbool.h>
#include <stdint.h>

#include "sock_key.h"

struct agentsh_ebpf_tracer;
struct agentsh_session;

/* A walk through the table, which may be interrupted. A zeroed struct has come to its end. */
struct agentsh_socket_walk {
	struct agentsh_sock_key next;
	uint32_t left; /* steps; 0: the walk has ended */
};

/* Starts a walk at the beginning. */
void agentsh_sockets_walk(const struct agentsh_ebpf_tracer *tracer,
			  struct agentsh_socket_walk *walk);
/* Takes the next key. Returns false at the end. */
bool agentsh_sockets_step(const struct agentsh_ebpf_tracer *tracer,
			  struct agentsh_socket_walk *walk, struct agentsh_sock_key *key);

typedef void (*agentsh_socket_fn)(const struct agentsh_ebpf_tracer *tracer,
				  const struct agentsh_session *s,
				  const struct agentsh_sock_key *key);

/* Calls a function for each key in the table, which the function may remove. */
void agentsh_sockets_each(const struct agentsh_ebpf_tracer *tracer, const struct agentsh_session *s,
			  agentsh_socket_fn fn);
/* Whether the session of a key is still attached. */
bool agentsh_sock_key_is_attached(const struct agentsh_ebpf_tracer *tracer,
				  const struct agentsh_sock_key *key);
/* Removes the sockets of a session whose programs no longer run, and whose slot is free. */
void agentsh_sockets_forget(const struct agentsh_session *s);

#endif
