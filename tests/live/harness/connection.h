/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a process knows of the connections that it makes, and the events from
 * connect() to the end that must say the same.
 */
#ifndef CONNECTION_H
#define CONNECTION_H

#include <netinet/in.h>
#include <sys/socket.h>

#include <linux/tcp.h> /* the newest struct tcp_info; not together with <netinet/tcp.h> */

#include "live.h"
#include "expectation.h"

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif

#define CONNECTION_CONNECT (AGENTSH_EBPF_HOOK_CONNECT | AGENTSH_EBPF_HOOK_LIFECYCLE)

enum connection_family { CONNECTION_V4, CONNECTION_V6, CONNECTION_MAPPED };

struct connection_address {
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	} sa;
	socklen_t size;
};

/* One attempt to connect, as its process saw it. */
struct connection {
	struct expectation connect; /* its event; who, socket, remote end, clocks around the call */
	uint16_t local_port;	    /* getsockname() */
	uint8_t local_addr[16];	    /* likewise */
	uint32_t connected;	    /* whether there is an event CONNECTED */
	uint64_t connected_ns;	    /* boot time after it */
	uint32_t rtt_us;	    /* tcpi_rtt then */
	uint32_t end;		    /* the event that ends it; 0: none */
	uint64_t end_ns[2];	    /* boot time around it */
	uint32_t flags;		    /* of the end */
	int32_t error;		    /* likewise */
	uint64_t sent, received;
	uint32_t known; /* LIFE_ */
	uint32_t end_rtt_us;
	uint32_t retransmits;
};

/* What of the end is known exactly. */
enum {
	CONNECTION_RTT = 1,
	CONNECTION_END_RTT = 2,
	CONNECTION_RETRANSMITS = 4,
	CONNECTION_LOCAL = 8
};

/* Also in workers, where check's own assertions must not fail. */
#define CONNECTION_SAME(is, should)                                                                \
	do {                                                                                       \
		long long is_ = (long long)(is), should_ = (long long)(should);                    \
		LIVE_CHECK(is_ == should_, #is " is %lld, should be %lld (" #should ")", is_,      \
			   should_);                                                               \
	} while (0)

uint64_t connection_now(void);

struct connection_address connection_loopback(enum connection_family family, uint16_t port);
int connection_socket(enum connection_family family, int protocol);
/* A listener at loopback, at a free port that goes into at; outside of what is traced or not. */
int connection_listen(enum connection_family family, int protocol, int backlog,
		      struct connection_address *at);
int connection_accept(int listener);

/* connect() with the truth around it; its errno. */
int connection_connect(struct connection *connection, int fd, const struct connection_address *to,
		       const char *name);
/* In three parts, for other ways to connect. */
void connection_before(struct connection *connection, int fd, const struct connection_address *to,
		       const char *name);
void connection_after(struct connection *connection, int fd);
/* The handshake is done: there is an event. */
void connection_is_connected(struct connection *connection, int fd);
struct tcp_info connection_info(int fd);
/* The end comes between these two. */
void connection_ending(struct connection *connection);
void connection_ended(struct connection *connection, uint32_t kind, uint32_t flags, int error);
/* What the kernel still says of a socket that ended, but is open. */
void connection_ended_info(struct connection *connection, int fd);

/* Waits until the TCP state is this one, or fails. */
void connection_wait_state(int fd, int state);
/* connect() may be done before its last ACK has taken a place in the listener's queue. */
void connection_wait_arrived(int listener);

/* Exactly size bytes, blocking. */
void connection_write(int fd, size_t size);
void connection_read(int fd, size_t size);
/* Reads to the end; how many there were. */
size_t connection_read_end(int fd);
void connection_close_hard(int fd); /* SO_LINGER 0 */

/*
 * live_seen, less the events of inbound connections, against the list, in order for
 * each socket, and nothing more. Fails the test. Errors of events are as when the tracer cannot
 * read them: hidden.
 */
void connection_expect(const struct connection *list, size_t count);
/* The same, but leaves out events of other sessions. */
void connection_expect_of(uint64_t session_id, const struct connection *list, size_t count);
extern bool connection_errors_hidden;

/* live_drain_until() for what is expected of the list. */
void connection_drain(struct agentsh_ebpf_tracer *tracer, const struct connection *list,
		      size_t count);

/* The n-th event of live_seen of this kind, or NULL. */
const struct agentsh_ebpf_event *connection_find(uint32_t kind, size_t n);
size_t connection_count(uint32_t kind);

struct agentsh_ebpf_tracer *connection_open(uint32_t hooks);
struct agentsh_ebpf_tracer *connection_open_without_btf(uint32_t hooks);

/* Writes into a file below /proc/sys; false: there is none. */
bool connection_sysctl(const char *name, const char *value);

#endif
