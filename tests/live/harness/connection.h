/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a process knows about the connections that it makes, and the comparison with their
 * events from connect() to the end.
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

/* One attempt to connect, as its process saw it, and the events expected of it. */
struct connection {
	struct expectation connect; /* CONNECT: task, socket, remote end, clocks around the call */
	uint16_t local_port;	    /* getsockname() */
	uint8_t local_addr[16];	    /* getsockname() */
	uint32_t connected;	    /* 1: a CONNECTED event is expected */
	uint64_t connected_ns;	    /* boot time after the handshake */
	uint32_t rtt_us;	    /* tcpi_rtt after the handshake */
	uint32_t end;		    /* kind of the last event; 0: none is expected */
	uint64_t end_ns[2];	    /* boot time before and after the end */
	uint32_t flags;		    /* of the last event */
	int32_t error;		    /* of the last event */
	uint64_t sent, received;
	uint32_t known; /* CONNECTION_RTT and so on */
	uint32_t end_rtt_us;
	uint32_t retransmits;
};

/* Members of struct connection that are known exactly and compared. */
enum {
	CONNECTION_RTT = 1,
	CONNECTION_END_RTT = 2,
	CONNECTION_RETRANSMITS = 4,
	CONNECTION_LOCAL = 8
};

/* An assertion that also works in workers, unlike those of check. */
#define CONNECTION_SAME(is, should)                                                                \
	do {                                                                                       \
		long long is_ = (long long)(is), should_ = (long long)(should);                    \
		LIVE_CHECK(is_ == should_, #is " is %lld, expected %lld (" #should ")", is_,       \
			   should_);                                                               \
	} while (0)

uint64_t connection_now(void);

/* An IPv4 or IPv6 address, and a port. */
struct connection_address connection_address(const char *text, uint16_t port);
struct connection_address connection_loopback(enum connection_family family, uint16_t port);
/* The address as an event has it: a mapped one as IPv4. */
void connection_end(const struct connection_address *a, uint8_t addr[16], uint16_t *port);
int connection_socket(enum connection_family family, int protocol);
/* A loopback listener on a free port; *at receives its address. */
int connection_listen(enum connection_family family, int protocol, int backlog,
		      struct connection_address *at);
int connection_accept(int listener);

/* Calls connect() and records the expectation; returns its errno value. */
int connection_connect(struct connection *connection, int fd, const struct connection_address *to,
		       const char *name);
/* The parts of connection_connect(), for other calls that connect. */
void connection_before(struct connection *connection, int fd, const struct connection_address *to,
		       const char *name);
void connection_after(struct connection *connection, int fd);
/* Records that the handshake is done, so that CONNECTED is expected. */
void connection_is_connected(struct connection *connection, int fd);
struct tcp_info connection_info(int fd);
/* The connection ends between these two calls. */
void connection_ending(struct connection *connection);
void connection_ended(struct connection *connection, uint32_t kind, uint32_t flags, int error);
/* Records TCP_INFO of a socket whose connection has ended but which is still open. */
void connection_ended_info(struct connection *connection, int fd);

/* Waits until the TCP state is state, or fails. */
void connection_wait_state(int fd, int state);
/*
 * Waits until the peer has acknowledged everything, or fails. An acknowledgement may be delayed,
 * also after the peer has read the data.
 */
void connection_wait_acknowledged(int fd);
/* connect() may return before the connection is in the listener's queue: waits until it is. */
void connection_wait_arrived(int listener);

/* Writes or reads exactly size bytes, blocking. */
void connection_write(int fd, size_t size);
void connection_read(int fd, size_t size);
/* Reads to the end of the stream; returns the number of bytes. */
size_t connection_read_end(int fd);
void connection_close_hard(int fd); /* SO_LINGER 0 */

/*
 * Compares live_seen with the list: the same events per socket, in order, and no others.
 * Events of inbound connections are ignored. A difference fails the test.
 */
void connection_expect(const struct connection *list, size_t count);
/* Like connection_expect(), but ignores events of other sessions. */
void connection_expect_of(uint64_t session_id, const struct connection *list, size_t count);
/* Set by the functions that open: the tracer cannot read the error and the task's details. */
extern bool connection_errors_hidden;

/* Reads until the expected events of the list are there, then what else there is. */
void connection_drain(struct agentsh_ebpf_tracer *tracer, const struct connection *list,
		      size_t count);

/* The n-th event of live_seen of this kind, or NULL. */
const struct agentsh_ebpf_event *connection_find(uint32_t kind, size_t n);
size_t connection_count(uint32_t kind);

/* Kept tracers that require these hooks and have a ring with room for all events of a test. */
struct agentsh_ebpf_tracer *connection_open(uint32_t hooks);
struct agentsh_ebpf_tracer *connection_open_without_btf(uint32_t hooks);

/* Writes to a file below /proc/sys; false if the file does not exist. */
bool connection_sysctl(const char *name, const char *value);

#endif
