/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a process knows of the connections that it makes, and the events from
 * connect() to the end that must say the same.
 */
#ifndef LIFE_H
#define LIFE_H

#include <netinet/in.h>
#include <sys/socket.h>

#include <linux/tcp.h> /* the newest struct tcp_info; not together with <netinet/tcp.h> */

#include "live.h"
#include "truth.h"

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif

#define LIFE_CONNECT (AGENTSH_EBPF_HOOK_CONNECT | AGENTSH_EBPF_HOOK_LIFECYCLE)

enum life_family { LIFE_V4, LIFE_V6, LIFE_MAPPED };

struct life_address {
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	} sa;
	socklen_t size;
};

/* One attempt to connect, as its process saw it. */
struct life {
	struct truth connect;	/* its event; who, socket, remote end, clocks around the call */
	uint16_t local_port;	/* getsockname() */
	uint8_t local_addr[16]; /* likewise */
	uint32_t connected;	/* whether there is an event CONNECTED */
	uint64_t connected_ns;	/* boot time after it */
	uint32_t rtt_us;	/* tcpi_rtt then */
	uint32_t end;		/* the event that ends it; 0: none */
	uint64_t end_ns[2];	/* boot time around it */
	uint32_t flags;		/* of the end */
	int32_t error;		/* likewise */
	uint64_t sent, received;
	uint32_t known; /* LIFE_ */
	uint32_t end_rtt_us;
	uint32_t retransmits;
};

/* What of the end is known exactly. */
enum { LIFE_RTT = 1, LIFE_END_RTT = 2, LIFE_RETRANSMITS = 4, LIFE_LOCAL = 8 };

/* Also in workers, where check's own assertions must not fail. */
#define LIFE_SAME(is, should)                                                                      \
	do {                                                                                       \
		long long is_ = (long long)(is), should_ = (long long)(should);                    \
		LIVE_CHECK(is_ == should_, #is " is %lld, should be %lld (" #should ")", is_,      \
			   should_);                                                               \
	} while (0)

uint64_t life_now(void);

struct life_address life_loopback(enum life_family family, uint16_t port);
int life_socket(enum life_family family, int protocol);
/* A listener at loopback, at a free port that goes into at; outside of what is traced or not. */
int life_listen(enum life_family family, int protocol, int backlog, struct life_address *at);
int life_accept(int listener);

/* connect() with the truth around it; its errno. */
int life_connect(struct life *life, int fd, const struct life_address *to, const char *name);
/* In three parts, for other ways to connect. */
void life_before(struct life *life, int fd, const struct life_address *to, const char *name);
void life_after(struct life *life, int fd);
/* The handshake is done: there is an event. */
void life_is_connected(struct life *life, int fd);
struct tcp_info life_info(int fd);
/* The end comes between these two. */
void life_ending(struct life *life);
void life_ended(struct life *life, uint32_t kind, uint32_t flags, int error);
/* What the kernel still says of a socket that ended, but is open. */
void life_ended_info(struct life *life, int fd);

/* Waits until the TCP state is this one, or fails. */
void life_wait_state(int fd, int state);
/* connect() may be done before its last ACK has taken a place in the listener's queue. */
void life_wait_arrived(int listener);

/* Exactly size bytes, blocking. */
void life_write(int fd, size_t size);
void life_read(int fd, size_t size);
/* Reads to the end; how many there were. */
size_t life_read_end(int fd);
void life_close_hard(int fd); /* SO_LINGER 0 */

/*
 * live_seen, less the events of inbound connections, against the list, in order for
 * each socket, and nothing more. Fails the test. Errors of events are as when the tracer cannot
 * read them: hidden.
 */
void life_expect(const struct life *list, size_t count);
/* The same, but leaves out events of other sessions. */
void life_expect_of(uint64_t session_id, const struct life *list, size_t count);
extern bool life_errors_hidden;

/* live_drain_until() for what is expected of the list. */
void life_drain(struct agentsh_ebpf_tracer *tracer, const struct life *list, size_t count);

/* The n-th event of live_seen of this kind, or NULL. */
const struct agentsh_ebpf_event *life_find(uint32_t kind, size_t n);
size_t life_count(uint32_t kind);

struct agentsh_ebpf_tracer *life_open(uint32_t hooks);
struct agentsh_ebpf_tracer *life_open_without_btf(uint32_t hooks);

/* Writes into a file below /proc/sys; false: there is none. */
bool life_sysctl(const char *name, const char *value);

#endif
