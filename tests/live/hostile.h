/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ways by which a process without privileges may try to hide or to falsify its connections.
 * Each way states the events that must report it; whatever else is reported fails the test.
 */
#ifndef HOSTILE_H
#define HOSTILE_H

#include <sys/socket.h>

#include "connection.h"

#define HOSTILE_SESSION 666
#define HOSTILE_USER 65534 /* the user and the group of every way */
#define HOSTILE_WANTS_MAX 64
#define HOSTILE_CALLS                                                                              \
	(AGENTSH_EBPF_HOOK_CONNECT | AGENTSH_EBPF_HOOK_UDP | AGENTSH_EBPF_HOOK_LIFECYCLE |         \
	 AGENTSH_EBPF_HOOK_ACCEPT)
#define HOSTILE_ALL_HOOKS (HOSTILE_CALLS | AGENTSH_EBPF_HOOK_TRAFFIC)

/* What is not compared in an expected event. */
#define HOSTILE_ANY_THREAD 1 /* pid: a worker thread of io_uring made the call */
#define HOSTILE_ANY_COUNT 2  /* packets and bytes: the kernel chooses how many */
#define HOSTILE_PACKET 4     /* the network namespace is known, although the process is not */

struct hostile_want {
	struct expectation is; /* the task and the socket, and the members below */
	uint32_t free;	       /* HOSTILE_ANY_ */
};

struct hostile_result {
	char absent[100]; /* why this kernel cannot try the way; empty: tried */
	uint32_t count;
	uint32_t deduplicated, untracked; /* of the session's statistics */
	struct hostile_want want[HOSTILE_WANTS_MAX];
};

struct hostile_way {
	const char *name;
	void (*prepare)(struct hostile_result *r); /* NULL, or what root does before */
	void (*go)(struct hostile_result *r);	   /* as HOSTILE_USER, without capabilities */
	/* NULL, or compares the events of live_seen instead of the list; returns their number */
	uint32_t (*check)(const struct hostile_result *r);
	uint32_t hooks;	      /* 0: all */
	uint32_t max_sockets; /* of the session; 0: default */
};

extern const struct hostile_way hostile_links[], hostile_memory[], hostile_names[],
	hostile_sockets[], hostile_tasks[], hostile_traffic[], hostile_packets[], hostile_unseen[],
	hostile_refused[], hostile_closed[];
extern const size_t hostile_links_count, hostile_memory_count, hostile_names_count,
	hostile_sockets_count, hostile_tasks_count, hostile_traffic_count, hostile_packets_count,
	hostile_unseen_count, hostile_refused_count, hostile_closed_count;

/* The session's cgroup. */
extern struct live_cgroup hostile_cgroup;
/* The hooks of the running way. */
extern uint32_t hostile_hooks;

/* Gives the reason why the way cannot be tried here; error: an errno value or 0. */
void hostile_absent(struct hostile_result *r, const char *what, int error);

/* Enters own user and network namespaces, with all capabilities; false: absent. */
bool hostile_own_namespaces(struct hostile_result *r, const char *what);

/* Runs fn in a child, which may restrict itself for ever. */
void hostile_in_child(void (*fn)(void));
/* Makes the kernel refuse this system call with EPERM; 0 or -1. */
int hostile_refuse_call(long number);
/* Runs a shell command that prepares the network namespace; absent: the reason if it fails. */
void hostile_needs(struct hostile_result *r, const char *command, const char *absent);

/*
 * Expects an event of this socket with the calling thread as its process, and returns it for
 * further members.
 */
struct hostile_want *hostile_expect(struct hostile_result *r, uint32_t kind, int fd,
				    const struct connection_address *remote);
/* Expects another event of the same socket, process and destination. */
struct hostile_want *hostile_expect_same(struct hostile_result *r, const struct hostile_want *as,
					 uint32_t kind, uint32_t flags);

/*
 * Expects that the socket of as sends this many datagrams of one byte each, and its end; the
 * events have these flags. Returns CLOSED.
 */
struct hostile_want *hostile_expect_sent(struct hostile_result *r, const struct hostile_want *as,
					 uint32_t flags, uint32_t packets);
/* Expects UNANNOUNCED of the socket, whose first packet has this other end. */
struct hostile_want *hostile_expect_packet(struct hostile_result *r, int fd,
					   const struct connection_address *remote, uint32_t flags);

int hostile_socket(int domain, int type, int protocol); /* fails the test on an error */
/* connect() that must give this error (0: success). */
void hostile_connect(int fd, const struct connection_address *to, int error);
/* Connects fd to a port without a listener, and closes it. Expects CONNECT and CONNECT_FAILED. */
void hostile_be_refused(struct hostile_result *r, int fd);
void hostile_sendto(int fd, const struct connection_address *to);

/* Exchanges data, then fd closes first. Expects CLOSED of both sides. */
void hostile_finish(struct hostile_result *r, const struct hostile_want *connect, int fd,
		    const struct hostile_want *accepted, int server);
/*
 * Connects fd to a listener of this process, exchanges data and closes. Expects CONNECT,
 * CONNECTED and CLOSED of fd, with seen (NULL: to) as destination, and ACCEPTED and CLOSED of
 * the other side, each if the way has the hook.
 */
void hostile_converse(struct hostile_result *r, int fd, int listener,
		      const struct connection_address *to, const struct connection_address *seen,
		      uint32_t flags);
/* Expects ACCEPTED of a socket that accept() returned. */
struct hostile_want *hostile_expect_accepted(struct hostile_result *r, int server);

/* Returns NULL, or the first difference of an event and an expectation. Static storage. */
const char *hostile_differs(const struct hostile_want *w, const struct agentsh_ebpf_event *e);

#endif
