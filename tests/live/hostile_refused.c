/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls that are refused before a hook runs, and what the kernel does with the packets after
 * it: translation of addresses, tunnels, aborted connections.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "hostile.h"
#include "netlink.h"

#define PORT 99
#define NAT_PORT 9999
#define LANDLOCK_CREATE 444
#define LANDLOCK_RESTRICT 446
#define LANDLOCK_VERSION 1U
#define LANDLOCK_CONNECT_TCP 2U
#define LANDLOCK_NET_ABI 4

/* All calls are refused with this error, in a child that restricts itself. */
static int (*restrict_self)(void);
static int refused_with;

static void connect_refused(void)
{
	struct connection_address to = connection_address("127.0.0.1", PORT);
	int fd = hostile_socket(AF_INET, SOCK_STREAM, 0);

	LIVE_CHECK(!restrict_self(), "restrict: %s", strerror(errno));
	hostile_connect(fd, &to, refused_with);
}

static void send_refused(void)
{
	struct connection_address to = connection_address("127.0.0.1", PORT);
	int fd = hostile_socket(AF_INET, SOCK_DGRAM, 0);

	LIVE_CHECK(!restrict_self(), "restrict: %s", strerror(errno));
	hostile_connect(fd, &to, refused_with);
	LIVE_CHECK(sendto(fd, "x", 1, 0, &to.sa.any, to.size) < 0 && errno == refused_with,
		   "sendto: %s", strerror(errno));
}

static int use_seccomp(void)
{
	return hostile_refuse_call(SYS_connect) || hostile_refuse_call(SYS_sendto);
}

static void seccomp(struct hostile_result *r)
{
	(void)r;
	restrict_self = use_seccomp;
	refused_with = EPERM;
	hostile_in_child(connect_refused);
	hostile_in_child(send_refused);
}

static int use_landlock(void)
{
	const struct {
		uint64_t fs, net;
	} handled = {.net = LANDLOCK_CONNECT_TCP};
	int rules = (int)syscall(LANDLOCK_CREATE, &handled, sizeof(handled), 0);

	return rules < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	       syscall(LANDLOCK_RESTRICT, rules, 0);
}

static void landlock(struct hostile_result *r)
{
	if (syscall(LANDLOCK_CREATE, NULL, 0, LANDLOCK_VERSION) < LANDLOCK_NET_ABI) {
		hostile_absent(r, "Landlock has no rules for TCP", 0);
		return;
	}
	restrict_self = use_landlock;
	refused_with = EACCES;
	hostile_in_child(connect_refused);
}

static void add_nat(struct hostile_result *r)
{
	hostile_needs(r,
		      "nft 'table ip hostile { chain out { type nat hook output priority -100; "
		      "ip daddr 127.0.0.9 tcp dport 99 dnat to 127.0.0.1:9999; }; }' 2>/dev/null",
		      "nft cannot add a rule");
}

/* The event names the address that the process named, and not where the rule leads. */
static void nat(struct hostile_result *r)
{
	struct connection_address at = connection_address("127.0.0.1", NAT_PORT);
	struct connection_address to = connection_address("127.0.0.9", PORT);
	int listener = hostile_socket(AF_INET, SOCK_STREAM, 0);

	LIVE_CHECK(!bind(listener, &at.sa.any, at.size) && !listen(listener, 8), "listen: %s",
		   strerror(errno));
	hostile_converse(r, hostile_socket(AF_INET, SOCK_STREAM, 0), listener, &to, NULL, 0);
}

static void add_tunnel(struct hostile_result *r)
{
	hostile_needs(
		r,
		"{ ip link add hostile0 type vxlan id 5 local 127.0.0.1 remote 127.0.0.9 "
		"dstport 4789 && ip address add 10.77.0.1/24 dev hostile0 && "
		"ip link set hostile0 up && "
		"ip neigh add 10.77.0.2 lladdr 02:00:00:00:00:02 dev hostile0; } >/dev/null 2>&1",
		"ip cannot add a vxlan tunnel");
}

/* The event names the address inside the tunnel; the packet outside has none. */
static void tunnel(struct hostile_result *r)
{
	struct connection_address to = connection_address("10.77.0.2", PORT);
	int fd = hostile_socket(AF_INET, SOCK_DGRAM, 0);
	struct hostile_want *w = hostile_expect(r, AGENTSH_EBPF_EVENT_UDP_SEND, fd, &to);
	FILE *file;
	unsigned int sent = 0;

	hostile_sendto(fd, &to);
	close(fd);
	hostile_expect_sent(r, w, 0, 1);
	file = fopen("/sys/class/net/hostile0/statistics/tx_packets", "re");
	if (file) { /* sysfs may be of another network namespace */
		LIVE_CHECK(fscanf(file, "%u", &sent) == 1 && sent, "nothing left the tunnel");
		fclose(file);
	}
}

static int abort_pipe[2], answer_pipe[2];
struct ports {
	uint16_t local, remote;
};

/* A process with root's rights, which a process without them cannot replace. */
static void start_aborter(struct hostile_result *r)
{
	struct ports ports;
	struct connection_address at = connection_address("127.0.0.1", NAT_PORT);
	int listener = hostile_socket(AF_INET, SOCK_STREAM, 0), error;

	LIVE_CHECK(!bind(listener, &at.sa.any, at.size) && !listen(listener, 1), "listen: %s",
		   strerror(errno));
	error = netlink_abort_tcp(NAT_PORT, PORT); /* a listener is found by any peer */
	close(listener);
	if (error) {
		hostile_absent(r, "the kernel cannot abort connections", 0);
		return;
	}
	LIVE_CHECK(!pipe(abort_pipe) && !pipe(answer_pipe), "pipe: %s", strerror(errno));
	if (!fork()) {
		close(abort_pipe[1]);
		if (read(abort_pipe[0], &ports, sizeof(ports)) == sizeof(ports))
			error = netlink_abort_tcp(ports.local, ports.remote);
		_exit(write(answer_pipe[1], &error, sizeof(error)) != sizeof(error));
	}
}

/* What "ss --kill" does. */
static void aborted(struct hostile_result *r)
{
	struct connection_address at = connection_address("127.0.0.1", NAT_PORT);
	struct connection_address own = {.size = sizeof(own.sa)};
	int listener = hostile_socket(AF_INET, SOCK_STREAM, 0), error;
	int fd = hostile_socket(AF_INET, SOCK_STREAM, 0);
	struct hostile_want *w;
	struct ports ports;

	LIVE_CHECK(!bind(listener, &at.sa.any, at.size) && !listen(listener, 8), "listen: %s",
		   strerror(errno));
	w = hostile_expect(r, AGENTSH_EBPF_EVENT_CONNECT, fd, &at);
	hostile_connect(fd, &at, 0);
	hostile_expect_same(r, w, AGENTSH_EBPF_EVENT_CONNECTED, 0);
	hostile_expect_same(r, w, AGENTSH_EBPF_EVENT_CLOSED, 0)->is.want.error = ECONNABORTED;
	LIVE_CHECK(!getsockname(fd, &own.sa.any, &own.size), "getsockname: %s", strerror(errno));
	ports.local = ntohs(own.sa.v4.sin_port);
	ports.remote = ntohs(at.sa.v4.sin_port);
	LIVE_CHECK(write(abort_pipe[1], &ports, sizeof(ports)) == sizeof(ports) &&
			   read(answer_pipe[0], &error, sizeof(error)) == sizeof(error) && !error,
		   "abort: %s", strerror(error));
}

/* The connection is over before a process of the session takes it from the queue. */
static void reset_in_queue(struct hostile_result *r)
{
	struct connection_address at, peer = {.size = sizeof(peer.sa)};
	int listener = connection_listen(CONNECTION_V4, 0, 8, &at), server;
	int fd = hostile_socket(AF_INET, SOCK_STREAM, 0);
	struct hostile_want *w = hostile_expect(r, AGENTSH_EBPF_EVENT_CONNECT, fd, &at);

	hostile_connect(fd, &at, 0);
	connection_wait_arrived(listener);
	connection_close_hard(fd);
	hostile_expect_same(r, w, AGENTSH_EBPF_EVENT_CONNECTED, 0);
	hostile_expect_same(r, w, AGENTSH_EBPF_EVENT_CLOSED, 0);
	server = accept4(listener, &peer.sa.any, &peer.size, SOCK_CLOEXEC);
	LIVE_CHECK(server >= 0, "accept: %s", strerror(errno));
	w = hostile_expect(r, AGENTSH_EBPF_EVENT_ACCEPTED, server, &peer);
	w->is.want.flags |= AGENTSH_EBPF_FLAG_INBOUND;
	hostile_expect_same(r, w, AGENTSH_EBPF_EVENT_CLOSED, 0)->is.want.error = ECONNRESET;
	close(server);
}

const struct hostile_way hostile_refused[] = {
	{.name = "connect and sendto that seccomp refuses", .go = seccomp},
	{.name = "connect that Landlock refuses", .go = landlock},
	{.name = "a netfilter rule translates the address", .prepare = add_nat, .go = nat},
	{.name = "a vxlan tunnel", .prepare = add_tunnel, .go = tunnel},
	{.name = "a peer that resets before accept()", .go = reset_in_queue},
	{.name = "a connection that root aborts",
	 .prepare = start_aborter,
	 .go = aborted,
	 .hooks = CONNECTION_CONNECT},
};
const size_t hostile_refused_count = LIVE_COUNT(hostile_refused);
