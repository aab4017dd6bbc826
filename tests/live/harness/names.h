/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The names of events: a tracer whose callback copies them, the processes that connect to an
 * address, and the comparison. A test runs in a network namespace of its own.
 */
#ifndef NAMES_H
#define NAMES_H

#include "connection.h"

#define NAMES_HOOKS                                                                                \
	(AGENTSH_EBPF_HOOK_CONNECT | AGENTSH_EBPF_HOOK_UDP | AGENTSH_EBPF_HOOK_LIFECYCLE |         \
	 AGENTSH_EBPF_HOOK_DNS)
#define NAMES_ALL (AGENTSH_EBPF_HOOK_DNS | AGENTSH_EBPF_HOOK_SERVER_NAME | AGENTSH_EBPF_HOOK_UNIX)
#define NAMES_ADDRESSES_MAX 64
#define NAMES_PORT 7070 /* of the server that names_visit() connects to */
#define NAMES_SESSION 14

/* What the callback copied for one event of live_seen, with the same index. */
struct names_of {
	int name_ret, dns_ret, addresses_ret;
	struct agentsh_ebpf_name name;
	struct agentsh_ebpf_dns dns;
	struct agentsh_ebpf_address addresses[NAMES_ADDRESSES_MAX];
};

extern struct names_of *names_seen;

/* How a tracer is opened; all zero: DNS with everything else that the tests need. */
struct names_open {
	uint32_t hooks; /* 0: NAMES_HOOKS */
	uint32_t flags;
	uint16_t dns_port; /* 0: 53 only */
	uint32_t dns_timeout_ms;
	uint64_t simulate_missing; /* checks, as bits */
	size_t ring_size;	   /* 0: 4 MiB */
	uint32_t ring_quota;	   /* 0: 100 */
};

/*
 * The main function of a test. Runs the suite in a network namespace of its own, in which fd53::1
 * to fd53::4 are addresses of the loopback interface, too.
 */
int names_main(Suite *suite);

/* A kept tracer. The names of its events are in names_seen. */
struct agentsh_ebpf_tracer *names_open(struct names_open how);
/* Attaches NAMES_SESSION to a new cgroup and starts a worker in it. */
struct agentsh_ebpf_session *names_session(struct agentsh_ebpf_tracer *tracer,
					   struct live_cgroup *cgroup, struct live_worker *worker);

/* A TCP and a UDP server on NAMES_PORT of each address, until the test ends. */
void names_serve_visits(void);

/* One TCP connection and one datagram to an address, from a process that tells what it saw. */
struct names_visit {
	uint64_t tcp_cookie, udp_cookie;
	uint64_t before_ns, after_ns;
	uint32_t tgid;
};

/* In a worker: connects to the address and closes, and sends a datagram to it. */
void names_visit(const struct connection_address *to, struct names_visit *visit);
/* The same from outside of the worker. */
void names_visit_by(struct live_worker *worker, const char *address, struct names_visit *visit);

/* The name that the events of a visit should have. Members that are 0 are expected to be 0. */
struct names_want {
	const char *asked; /* NULL: the events have no name */
	const char *owner; /* NULL: as asked */
	const char *server_name, *alpn;
	uint32_t source; /* 0: AGENTSH_EBPF_NAME_DNS, if asked is set */
	uint32_t server_name_source;
	uint32_t flags, others;
	uint32_t ttl_s;
	bool no_end; /* ttl_ns is UINT64_MAX */
	uint32_t asker;
	const char *resolver; /* NULL: none */
	uint16_t resolver_port;
	uint64_t answered_ns; /* the answer did not arrive before this time; 0: age_ns is 0 */
};

/* What events have after an answer to this question; ns is the boot time before it was asked. */
struct names_want names_answered(const char *name, uint32_t ttl_s, const char *resolver,
				 const struct live_worker *asker, uint64_t ns);

/*
 * Checks that the visit has exactly CONNECT, CONNECTED, CLOSED and UDP_SEND, and that each of them
 * has the name.
 */
void names_expect(const char *title, const struct names_visit *visit,
		  const struct names_want *want);
void names_expect_in(uint64_t session_id, const char *title, const struct names_visit *visit,
		     const struct names_want *want);
/* The same without UDP_SEND. */
void names_expect_tcp(uint64_t session_id, const char *title, const struct names_visit *visit,
		      const struct names_want *want);
/* Checks the name of the event with this index in live_seen. */
void names_expect_at(const char *title, size_t index, const struct names_want *want);
/* Compares all members of a name, apart from age_ns. */
void names_same(const char *title, const struct agentsh_ebpf_name *is,
		const struct names_want *want);

/* Index in live_seen of the n-th event of this kind and socket (0: any), or live_seen.count. */
size_t names_find(uint64_t session_id, uint32_t kind, uint64_t cookie, size_t n);

#endif
