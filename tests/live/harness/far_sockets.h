/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sockets of a worker in a network namespace of its own, which a test uses step by step, for
 * example to change rules in between. Functions that return an int return 0 or an errno value.
 */
#ifndef FAR_SOCKETS_H
#define FAR_SOCKETS_H

#include "connection.h"

#define FAR_SOCKETS_MAX 8

/* The worker is in cgroup, and makes sockets there unless outside is set. */
struct far_sockets {
	struct live_worker worker;
	struct live_cgroup *cgroup;
	bool outside; /* the next sockets are made in the root of the cgroups */
};

/* Starts the worker and lets it look at its packets; everyone may make ping sockets there. */
void far_start(struct far_sockets *far, struct live_cgroup *cgroup);
/* The same in a namespace that setup, a live_fn, has made. */
void far_start_in(struct far_sockets *far, struct live_cgroup *cgroup, live_fn setup);
void far_stop(struct far_sockets *far);

/* The test chooses the number n of the socket. */
int far_socket(struct far_sockets *far, int n, int domain, int type, int protocol);
int far_bind(struct far_sockets *far, int n, const struct connection_address *at);
int far_listen(struct far_sockets *far, int n);
/* Fails if nobody connects within LIVE_DEADLINE_MS. */
int far_accept(struct far_sockets *far, int listener, int n);
/* Waits at most 1 s for an answer. */
int far_connect(struct far_sockets *far, int n, const struct connection_address *to);
/* connect() with AF_UNSPEC */
int far_disconnect(struct far_sockets *far, int n);
int far_option(struct far_sockets *far, int n, int level, int option, int value);
int far_send(struct far_sockets *far, int n, const void *data, size_t size);
/* to NULL: as far_send() */
int far_send_to(struct far_sockets *far, int n, const void *data, size_t size,
		const struct connection_address *to, int flags);
/* Receives one byte; EAGAIN if none arrives in this time. */
int far_receive(struct far_sockets *far, int n, int wait_ms);
int far_close(struct far_sockets *far, int n); /* TCP: with a reset */
struct connection_address far_name(struct far_sockets *far, int n);
uint64_t far_cookie(struct far_sockets *far, int n);
/* Calls fn with the descriptor in place of the result; for what has no function here. */
int far_call(struct far_sockets *far, int n, int (*fn)(int fd));

/* Number of packets that have left for this address and port since the last call. */
uint32_t far_left(struct far_sockets *far, const struct connection_address *to);

/* The address as rules and events have it. */
struct agentsh_ebpf_address far_remote(const struct connection_address *a);

#endif
