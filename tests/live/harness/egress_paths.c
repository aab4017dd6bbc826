/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "connection.h"
#include "kernel.h"
#include "live.h"
#include "io_uring_ops.h"
#include "egress_internal.h"

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif
#ifndef TCP_FASTOPEN_CONNECT
#define TCP_FASTOPEN_CONNECT 30
#endif

struct live_cgroup egress_cgroup;
bool egress_may_be_refused;

#define PATH(name) AGENTSH_EBPF_COVERAGE_##name
#define TCP SOCK_STREAM, IPPROTO_TCP
#define UDP SOCK_DGRAM, IPPROTO_UDP
#define LITE SOCK_DGRAM, IPPROTO_UDPLITE
#define PING4 SOCK_DGRAM, IPPROTO_ICMP
#define PING6 SOCK_DGRAM, IPPROTO_ICMPV6
#define DCCP 6, 33 /* SOCK_DCCP, IPPROTO_DCCP */
#define PROTOCOL_L2TP 115
#define L2TP SOCK_DGRAM, PROTOCOL_L2TP
#ifndef IPPROTO_SMC /* linux/smc.h; netinet/in.h of glibc 2.41 */
#define IPPROTO_SMC 256
#endif
#ifndef AF_SMC
#define AF_SMC 43
#endif
#define REFUSED EGRESS_ANY_ERROR

const struct egress_path egress_paths[] = {
	{PATH(TCP_CONNECT), "tcp4", AF_INET, TCP, GO_CONNECT, 0, REFUSED, NULL, 0},
	{PATH(TCP_CONNECT), "tcp6", AF_INET6, TCP, GO_CONNECT, 0, REFUSED, NULL, 0},
	{PATH(TCP_FASTOPEN), "MSG_FASTOPEN", AF_INET, TCP, GO_FASTOPEN_SEND, 0, REFUSED, NULL, 0},
	{PATH(TCP_FASTOPEN), "MSG_FASTOPEN v6", AF_INET6, TCP, GO_FASTOPEN_SEND, 0, REFUSED, NULL,
	 0},
	{PATH(TCP_FASTOPEN), "TCP_FASTOPEN_CONNECT", AF_INET, TCP, GO_FASTOPEN_CONNECT, 0, REFUSED,
	 NULL, 0},
	{PATH(MPTCP_CONNECT), "mptcp4", AF_INET, SOCK_STREAM, IPPROTO_MPTCP, GO_CONNECT, 0,
	 REFUSED | EGRESS_NO_COOKIE, "MPTCP", 0},
	{PATH(MPTCP_CONNECT), "mptcp6", AF_INET6, SOCK_STREAM, IPPROTO_MPTCP, GO_CONNECT, 0,
	 REFUSED | EGRESS_NO_COOKIE, "MPTCPv6", 0},
	{PATH(UDP_CONNECT), "udp4", AF_INET, UDP, GO_CONNECT, 0, 0, NULL, 0},
	{PATH(UDP_CONNECT), "udp6", AF_INET6, UDP, GO_CONNECT, 0, 0, NULL, 0},
	{PATH(UDP_SEND), "sendto", AF_INET, UDP, GO_SENDTO, 0, 0, NULL, 0},
	{PATH(UDP_SEND), "sendto v6", AF_INET6, UDP, GO_SENDTO, 0, 0, NULL, 0},
	{PATH(UDP_SEND), "sendmsg", AF_INET, UDP, GO_SENDMSG, 0, 0, NULL, 0},
	{PATH(UDP_SEND), "sendmmsg", AF_INET6, UDP, GO_SENDMMSG, 0, 0, NULL, 0},
	{PATH(UDP_SEND_CONNECTED), "send", AF_INET, UDP, GO_SEND, 0, 0, NULL, 0},
	{PATH(UDP_SEND_CONNECTED), "send v6", AF_INET6, UDP, GO_SEND, 0, 0, NULL, 0},
	{PATH(UDPLITE_CONNECT), "udplite4", AF_INET, LITE, GO_CONNECT_SEND, 0, 0, "UDP-Lite", 0},
	{PATH(UDPLITE_CONNECT), "udplite6", AF_INET6, LITE, GO_CONNECT_SEND, 0, 0, "UDPLITEv6", 0},
	{PATH(UDPLITE_SEND), "udplite4 sendto", AF_INET, LITE, GO_SENDTO, 0, 0, "UDP-Lite", 0},
	{PATH(UDPLITE_SEND), "udplite6 sendto", AF_INET6, LITE, GO_SENDTO, 0, 0, "UDPLITEv6", 0},
	{PATH(PING_CONNECT), "ping4", AF_INET, PING4, GO_CONNECT_SEND, 0, 0, NULL, 0},
	{PATH(PING_CONNECT), "ping6", AF_INET6, PING6, GO_CONNECT_SEND, 0, 0, NULL, 0},
	{PATH(PING_SEND), "ping4 sendto", AF_INET, PING4, GO_SENDTO, 0, 0, NULL, 0},
	{PATH(PING_SEND), "ping6 sendto", AF_INET6, PING6, GO_SENDTO, 0, 0, NULL, 0},
	{PATH(SCTP), "sctp connect", AF_INET, SOCK_STREAM, IPPROTO_SCTP, GO_CONNECT, 0, REFUSED,
	 "SCTP", 0},
	{PATH(SCTP), "sctp sendto", AF_INET, SOCK_SEQPACKET, IPPROTO_SCTP, GO_SENDTO, 0, REFUSED,
	 "SCTP", 0},
	{PATH(RAW), "raw4 sendto", AF_INET, SOCK_RAW, IPPROTO_ICMP, GO_SENDTO, 0, 0, NULL, 0},
	{PATH(RAW), "raw4 udp sendto", AF_INET, SOCK_RAW, IPPROTO_UDP, GO_SENDTO, 0, 0, NULL, 0},
	{PATH(RAW), "raw4 connect", AF_INET, SOCK_RAW, IPPROTO_UDP, GO_CONNECT_SEND, 0, 0, NULL, 0},
	{PATH(RAW), "raw6 sendto", AF_INET6, SOCK_RAW, IPPROTO_ICMPV6, GO_SENDTO, 0, 0, NULL, 0},
	{PATH(RAW), "raw6 connect", AF_INET6, SOCK_RAW, IPPROTO_UDP, GO_CONNECT_SEND, 0, 0, NULL,
	 0},
	{PATH(PACKET), "packet sendto", AF_PACKET, SOCK_DGRAM, 0, GO_PACKET, 0, 0, "PACKET", 0},
	{PATH(IO_URING_CONNECT), "inline", AF_INET, UDP, GO_URING_CONNECT, URING_INLINE, 0, NULL,
	 0},
	{PATH(IO_URING_CONNECT), "tcp6 inline", AF_INET6, TCP, GO_URING_CONNECT, URING_INLINE,
	 REFUSED, NULL, 0},
	{PATH(IO_URING_CONNECT), "worker", AF_INET, UDP, GO_URING_CONNECT, URING_WORKER, 0, NULL,
	 0},
	{PATH(IO_URING_CONNECT), "polled", AF_INET6, UDP, GO_URING_CONNECT, URING_POLLED, 0, NULL,
	 0},
	{PATH(IO_URING_SEND), "inline", AF_INET, UDP, GO_URING_SEND, URING_INLINE, 0, NULL, 0},
	{PATH(IO_URING_SEND), "worker", AF_INET6, UDP, GO_URING_SEND, URING_WORKER, 0, NULL, 0},
	{PATH(IO_URING_SEND), "polled", AF_INET, UDP, GO_URING_SEND, URING_POLLED, 0, NULL, 0},
	{PATH(UNIX), "unix", AF_UNIX, SOCK_STREAM, 0, GO_UNIX, 0, 0, NULL, 0},
	{PATH(VSOCK), "vsock", AF_VSOCK, SOCK_STREAM, 0, GO_VSOCK, 0, REFUSED, "AF_VSOCK", 0},
	{PATH(EARLIER_SOCKET), "udp", AF_INET, UDP, GO_BOTH, 0, 0, NULL, FROM_EARLIER},
	{PATH(EARLIER_SOCKET), "tcp", AF_INET6, TCP, GO_CONNECT, 0, REFUSED, NULL, FROM_EARLIER},
	{PATH(PASSED_SOCKET), "fork", AF_INET, UDP, GO_BOTH, 0, 0, NULL, FROM_PARENT},
	{PATH(PASSED_SOCKET), "tcp fork", AF_INET, TCP, GO_CONNECT, 0, REFUSED, NULL, FROM_PARENT},
	{PATH(PASSED_SOCKET), "SCM_RIGHTS", AF_INET6, UDP, GO_BOTH, 0, 0, NULL, FROM_MESSAGE},
	{PATH(LEFT_SOCKET), "udp4", AF_INET, UDP, GO_BOTH, 0, 0, NULL, FROM_LEAVER},
	{PATH(LEFT_SOCKET), "udp6", AF_INET6, UDP, GO_BOTH, 0, 0, NULL, FROM_LEAVER},
	{PATH(TCP_OUTCOME), "refused", AF_INET, TCP, GO_CONNECT, 0, REFUSED, NULL, 0},
	{PATH(TCP_OUTCOME), "accepted", AF_INET, TCP, GO_ACCEPT, 0, 0, NULL, 0},
	{PATH(DATAGRAM_CLOSE), "connected", AF_INET, UDP, GO_CONNECT, 0, 0, NULL, 0},
	{PATH(DATAGRAM_CLOSE), "sent", AF_INET6, UDP, GO_SENDTO, 0, 0, NULL, 0},
	{PATH(TCP_ACCEPT), "accept", AF_INET6, TCP, GO_ACCEPT, 0, 0, NULL, 0},
	{PATH(DCCP), "dccp4", AF_INET, DCCP, GO_CONNECT, 0, REFUSED, "DCCP", 0},
	{PATH(DCCP), "dccp6", AF_INET6, DCCP, GO_CONNECT, 0, REFUSED, "DCCPv6", 0},
	{PATH(L2TP_IP), "l2tp4 sendto", AF_INET, L2TP, GO_SENDTO, 0, 0, "L2TP/IP", 0},
	{PATH(L2TP_IP), "l2tp6 sendto", AF_INET6, L2TP, GO_SENDTO, 0, 0, "L2TP/IPv6", 0},
	{PATH(SMC_CONNECT), "AF_SMC", AF_SMC, SOCK_STREAM, 0, GO_CONNECT, 0,
	 REFUSED | EGRESS_NO_COOKIE, "SMC", 0},
	{PATH(SMC_CONNECT), "IPPROTO_SMC", AF_INET, SOCK_STREAM, IPPROTO_SMC, GO_CONNECT, 0,
	 REFUSED | EGRESS_NO_COOKIE, "INET_SMC", 0},
	{PATH(RDS), "rds", AF_RDS, SOCK_SEQPACKET, 0, GO_RDS, 0, REFUSED, "RDS", 0},
	{PATH(XDP), "xdp", AF_XDP, SOCK_RAW, 0, GO_MAKE, 0, 0, "XDP", 0},
	{PATH(RXRPC), "rxrpc", AF_RXRPC, SOCK_DGRAM, AF_INET, GO_RXRPC, 0,
	 REFUSED | EGRESS_NO_COOKIE, "RXRPC", 0},
	{PATH(EARLIER_CONNECTION), "tcp4", AF_INET, TCP, GO_SEND, 0, 0, NULL, FROM_BEFORE},
	{PATH(EARLIER_CONNECTION), "tcp6", AF_INET6, TCP, GO_SEND, 0, 0, NULL, FROM_BEFORE},
	{PATH(EARLIER_CONNECTION), "accepted", AF_INET, TCP, GO_ANSWER, 0, 0, NULL, FROM_BEFORE},
	{PATH(EARLIER_CONNECTION), "udp4", AF_INET, UDP, GO_SEND, 0, 0, NULL, FROM_BEFORE},
	{PATH(EARLIER_CONNECTION), "udp6", AF_INET6, UDP, GO_SEND, 0, 0, NULL, FROM_BEFORE},
	{PATH(OTHER_FAMILY), "netlink", AF_NETLINK, SOCK_RAW, 0, GO_CONNECT, 0, REFUSED, "NETLINK",
	 0},
	{PATH(OTHER_FAMILY), "tipc", AF_TIPC, SOCK_SEQPACKET, 0, GO_CONNECT, 0, REFUSED, "TIPC", 0},
};
const uint32_t egress_path_count = LIVE_COUNT(egress_paths);

static int passed = -1, pair[2] = {-1, -1}; /* of the current row */

int egress_socket(const struct egress_path *w)
{
	return socket(w->domain, w->type | SOCK_CLOEXEC, w->protocol);
}

/* ---- outside ------------------------------------------------------------ */

void egress_outside(uint32_t row)
{
	for (int i = 0; i < 2; i++)
		if (pair[i] >= 0)
			close(pair[i]);
	if (passed >= 0)
		close(passed);
	passed = pair[0] = pair[1] = -1;
	if (egress_paths[row].place == FROM_PARENT)
		passed = egress_socket(&egress_paths[row]);
	if (egress_paths[row].place == FROM_MESSAGE)
		LIVE_CHECK(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), "pair: %s",
			   strerror(errno));
}

union rights {
	struct cmsghdr head;
	char space[CMSG_SPACE(sizeof(int))];
};

static struct msghdr message_of(struct iovec *data, union rights *rights)
{
	memset(rights, 0, sizeof(*rights));
	return (struct msghdr){
		.msg_iov = data,
		.msg_iovlen = 1,
		.msg_control = rights,
		.msg_controllen = sizeof(rights->space),
	};
}

void egress_hand_over(uint32_t row)
{
	struct iovec data = {.iov_base = "!", .iov_len = 1};
	union rights rights;
	struct msghdr m = message_of(&data, &rights);
	int fd;

	if (egress_paths[row].place != FROM_MESSAGE)
		return;
	fd = egress_socket(&egress_paths[row]);
	rights.head.cmsg_level = SOL_SOCKET;
	rights.head.cmsg_type = SCM_RIGHTS;
	rights.head.cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(&rights.head), &fd, sizeof(fd));
	LIVE_CHECK(fd >= 0 && sendmsg(pair[0], &m, 0) == 1, "SCM_RIGHTS: %s", strerror(errno));
	close(fd);
}

static int receive_fd(void)
{
	char c;
	struct iovec data = {.iov_base = &c, .iov_len = 1};
	union rights rights;
	struct msghdr m = message_of(&data, &rights);
	int fd;

	LIVE_CHECK(recvmsg(pair[1], &m, MSG_CMSG_CLOEXEC) == 1 && CMSG_FIRSTHDR(&m),
		   "SCM_RIGHTS: %s", strerror(errno));
	memcpy(&fd, CMSG_DATA(&rights.head), sizeof(fd));
	return fd;
}

/* ---- inside ------------------------------------------------------------- */

socklen_t egress_address_of(const struct egress_attempt *t, union egress_address *a)
{
	memset(a, 0, sizeof(*a));
	a->any.sa_family = t->family;
	if (t->family == AF_INET) {
		a->v4.sin_port = htons(t->port);
		memcpy(&a->v4.sin_addr, t->addr, 4);
		return sizeof(a->v4);
	}
	a->v6.sin6_port = htons(t->port);
	memcpy(&a->v6.sin6_addr, t->addr, 16);
	return sizeof(a->v6);
}

/* Differs per row. IPv6 rows share one address and differ in the port. */
static void choose_destination(struct egress_attempt *t, const struct egress_path *w)
{
	const uint8_t v4[] = {127, 77, (uint8_t)w->number, (uint8_t)t->row};
	bool ports = w->type != SOCK_RAW && w->protocol != IPPROTO_ICMP &&
		     w->protocol != IPPROTO_ICMPV6 && w->protocol != PROTOCOL_L2TP;

	t->family = (uint16_t)(w->domain == AF_INET6 || w->how == GO_PACKET ? AF_INET6 : AF_INET);
	t->port = ports ? (uint16_t)(20000 + t->row) : 0;
	if (t->family == AF_INET)
		memcpy(t->addr, v4, sizeof(v4));
	else
		t->addr[15] = 1;
}

int egress_fd = -1;

void egress_set_absent(struct egress_attempt *t, const char *what)
{
	snprintf(t->absent, sizeof(t->absent), "%s: %s", what, strerror(errno));
}

/* Connects the worker's socket to a listener of its own, and keeps both ends open. */
static void connect_stream(struct egress_attempt *t, const struct egress_path *w,
			   union egress_address *to, socklen_t size)
{
	int listener = egress_socket(w), accepted;

	LIVE_CHECK(!bind(listener, &to->any, size) && !listen(listener, 1) &&
			   !connect(egress_fd, &to->any, size) &&
			   (accepted = accept(listener, NULL, NULL)) >= 0,
		   "connect: %s", strerror(errno));
	close(listener);
	if (w->how == GO_SEND)
		return;
	egress_fd = accepted;
	LIVE_CHECK(!getpeername(egress_fd, &to->any, &size), "getpeername: %s", strerror(errno));
	t->port = ntohs(to->v4.sin_port);
	memcpy(t->addr, &to->v4.sin_addr, 4);
}

static void read_cookie(struct egress_attempt *t)
{
	socklen_t size = sizeof(t->cookie);

	LIVE_CHECK(!getsockopt(egress_fd, SOL_SOCKET, SO_COOKIE, &t->cookie, &size),
		   "SO_COOKIE: %s", strerror(errno));
}

/*
 * The packets of a connection, and the reset that ends it, may never leave. Without SO_LINGER the
 * kernel would repeat them after the test.
 */
static void wait_less(const struct egress_path *w)
{
	const struct timeval moment = {.tv_usec = 200000};
	const struct linger at_once = {.l_onoff = 1};

	setsockopt(egress_fd, SOL_SOCKET, SO_SNDTIMEO, &moment, sizeof(moment));
	if (w->place == FROM_BEFORE)
		setsockopt(egress_fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
}

void egress_prepare(const void *row, void *tried)
{
	struct egress_attempt *t = tried;
	const struct egress_path *w = &egress_paths[*(const uint32_t *)row];
	union egress_address to;
	socklen_t size;

	t->row = *(const uint32_t *)row;
	choose_destination(t, w);
	if (w->how == GO_PACKET)
		egress_packet_receiver(t);
	egress_fd = w->place == FROM_PARENT    ? passed
		    : w->place == FROM_MESSAGE ? receive_fd()
					       : egress_socket(w);
	if (egress_fd < 0) {
		t->error = errno;
		egress_set_absent(t, "socket");
		return;
	}
	if (egress_may_be_refused)
		wait_less(w);
	if (w->how == GO_FASTOPEN_CONNECT &&
	    setsockopt(egress_fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, &(int){1}, sizeof(int)))
		egress_set_absent(t, "TCP_FASTOPEN_CONNECT");
	if (w->place == FROM_EARLIER)
		live_cgroup_enter(&egress_cgroup);
	if (w->place == FROM_LEAVER)
		live_cgroup_enter(NULL);
	size = egress_address_of(t, &to);
	if (w->type == SOCK_STREAM && w->place == FROM_BEFORE)
		connect_stream(t, w, &to, size);
	else if (w->how == GO_SEND && connect(egress_fd, &to.any, size))
		t->error = errno;
	LIVE_CHECK(!t->error || egress_may_be_refused, "connect: %s", strerror(t->error));
	read_cookie(t);
}

/* ---- the network ---------------------------------------------------------- */

void egress_allow_ping(const void *unused, void *unused_out)
{
	(void)unused;
	(void)unused_out;
	LIVE_CHECK(connection_sysctl("net/ipv4/ping_group_range", "0 2147483647"),
		   "ping_group_range");
}

void egress_expect_absent(const struct egress_path *w, const struct egress_attempt *t)
{
	bool uses_uring = w->how == GO_URING_CONNECT || w->how == GO_URING_SEND;

	printf("not tried: %s, %s: %s\n", agentsh_ebpf_coverage_name(w->number), w->name,
	       t->absent);
	LIVE_CHECK((w->protocol_name && !kernel_lists(w->protocol_name)) ||
			   (uses_uring && access("/proc/sys/kernel/io_uring_disabled", F_OK) &&
			    strstr(t->absent, strerror(ENOSYS))),
		   "%s, %s: %s, although the kernel has it", agentsh_ebpf_coverage_name(w->number),
		   w->name, t->absent);
}
