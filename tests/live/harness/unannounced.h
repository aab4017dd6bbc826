/* SPDX-License-Identifier: Apache-2.0 */
/* Sockets that only their packets show, and the comparison with their UNANNOUNCED event. */
#ifndef UNANNOUNCED_H
#define UNANNOUNCED_H

#include "connection.h"
#include "expectation.h"

#define UNANNOUNCED AGENTSH_EBPF_EVENT_UNANNOUNCED

#define UNANNOUNCED_HOOKS                                                                          \
	(AGENTSH_EBPF_HOOK_CONNECT | AGENTSH_EBPF_HOOK_UDP | AGENTSH_EBPF_HOOK_LIFECYCLE |         \
	 AGENTSH_EBPF_HOOK_TRAFFIC)

#define UNANNOUNCED_MAX 16

/* The UNANNOUNCED events that a worker expects, one per socket. */
struct unannounced_list {
	uint32_t count;
	struct expectation want[UNANNOUNCED_MAX];
};

/*
 * Starts a worker in a network namespace of its own. The namespace is made outside the cgroup,
 * because the kernel itself makes sockets in a new namespace, which belong to the cgroup of
 * the process.
 */
void unannounced_start(struct live_worker *worker, const struct live_cgroup *cgroup);

/* Inside a worker: makes a socket that does not belong to the session's cgroup. */
int unannounced_outside(int domain, int type, int protocol);

/*
 * Expects an event of the socket with these flags and UNATTRIBUTED, with the ends of the socket.
 * The first packet has to pass between the call and unannounced_passed().
 */
struct expectation *unannounced_expect(struct unannounced_list *list, const char *name, int fd,
				       uint32_t flags);
/* Sets an end of the expectation that the socket itself does not know. */
void unannounced_local(struct expectation *want, const struct connection_address *at);
void unannounced_remote(struct expectation *want, const struct connection_address *at);
void unannounced_passed(struct unannounced_list *list);

/*
 * Checks that the session has exactly one UNANNOUNCED event per expectation, and no other.
 * The flags in unknown are not compared.
 */
void unannounced_check(uint64_t session_id, const struct unannounced_list *list, uint32_t unknown);

/* The n-th event of this kind and socket in the session, or NULL. */
const struct agentsh_ebpf_event *unannounced_find(uint64_t session_id, uint64_t cookie,
						  uint32_t kind, size_t n);
size_t unannounced_count(uint64_t session_id, uint64_t cookie, uint32_t kind);

#endif
