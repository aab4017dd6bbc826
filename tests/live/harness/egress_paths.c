/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/vm_sockets.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "live.h"
#include "io_uring_ops.h"
#include "egress_kernel.h"
#include "egress_paths.h"

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif
#ifndef TCP_FASTOPEN_CONNECT
#define TCP_FASTOPEN_CONNECT 30
#endif

struct live_cgroup egress_cgroup;

#define PATH(name) AGENTSH_EBPF_COVERAGE_##name
#define TCP SOCK_STREAM, IPPROTO_TCP
#define UDP SOCK_DGRAM, IPPROTO_UDP
#define LITE SOCK_DGRAM, IPPROTO_UDPLITE
#define PING4 SOCK_DGRAM, IPPROTO_ICMP
#define PING6 SOCK_DGRAM, IPPROTO_ICMPV6
#define DCCP 6, 33	     /* SOCK_DCCP, IPPROTO_DCCP */
#define L2TP SOCK_DGRAM, 115 /* IPPROTO_L2TP */
#define IPPROTO_SMC 256
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
	{PATH(UDPLITE_CONNECT), "udplite4", AF_INET, LITE, GO_CONNECT, 0, 0, "UDP-Lite", 0},
	{PATH(UDPLITE_CONNECT), "udplite6", AF_INET6, LITE, GO_CONNECT, 0, 0, "UDPLITEv6", 0},
	{PATH(UDPLITE_SEND), "udplite4 sendto", AF_INET, LITE, GO_SENDTO, 0, 0, "UDP-Lite", 0},
	{PATH(UDPLITE_SEND), "udplite6 sendto", AF_INET6, LITE, GO_SENDTO, 0, 0, "UDPLITEv6", 0},
	{PATH(PING_CONNECT), "ping4", AF_INET, PING4, GO_CONNECT, 0, 0, NULL, 0},
	{PATH(PING_CONNECT), "ping6", AF_INET6, PING6, GO_CONNECT, 0, 0, NULL, 0},
	{PATH(PING_SEND), "ping4 sendto", AF_INET, PING4, GO_SENDTO, 0, 0, NULL, 0},
	{PATH(PING_SEND), "ping6 sendto", AF_INET6, PING6, GO_SENDTO, 0, 0, NULL, 0},
	{PATH(SCTP), "sctp connect", AF_INET, SOCK_STREAM, IPPROTO_SCTP, GO_CONNECT, 0, REFUSED,
	 "SCTP", 0},
	{PATH(SCTP), "sctp sendto", AF_INET, SOCK_SEQPACKET, IPPROTO_SCTP, GO_SENDTO, 0, REFUSED,
	 "SCTP", 0},
	{PATH(RAW), "raw4 sendto", AF_INET, SOCK_RAW, IPPROTO_ICMP, GO_SENDTO, 0, 0, NULL, 0},
	{PATH(RAW), "raw4 udp sendto", AF_INET, SOCK_RAW, IPPROTO_UDP, GO_SENDTO, 0, 0, NULL, 0},
	{PATH(RAW), "raw4 connect", AF_INET, SOCK_RAW, IPPROTO_UDP, GO_CONNECT, 0, 0, NULL, 0},
	{PATH(RAW), "raw6 sendto", AF_INET6, SOCK_RAW, IPPROTO_ICMPV6, GO_SENDTO, 0, 0, NULL, 0},
	{PATH(RAW), "raw6 connect", AF_INET6, SOCK_RAW, IPPROTO_UDP, GO_CONNECT, 0, 0, NULL, 0},
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
	{PATH(OTHER_FAMILY), "netlink", AF_NETLINK, SOCK_RAW, 0, GO_CONNECT, 0, REFUSED, "NETLINK",
	 0},
	{PATH(OTHER_FAMILY), "tipc", AF_TIPC, SOCK_SEQPACKET, 0, GO_CONNECT, 0, REFUSED, "TIPC", 0},
};
const uint32_t egress_path_count = LIVE_COUNT(egress_paths);

static int passed = -1, pair[2] = {-1, -1}; /* of the current row */

static int make_socket(const struct egress_path *w)
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
		passed = make_socket(&egress_paths[row]);
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
	fd = make_socket(&egress_paths[row]);
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

union address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

static socklen_t address_of(const struct egress_attempt *t, union address *a)
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
	bool ports =
		w->type != SOCK_RAW && w->protocol != IPPROTO_ICMP && w->protocol != IPPROTO_ICMPV6;

	t->family = (uint16_t)(w->domain == AF_INET6 ? AF_INET6 : AF_INET);
	t->port = ports ? (uint16_t)(20000 + t->row) : 0;
	if (t->family == AF_INET)
		memcpy(t->addr, v4, sizeof(v4));
	else
		t->addr[15] = 1;
}

static int fd = -1; /* the worker's socket */

static void set_absent(struct egress_attempt *t, const char *what)
{
	snprintf(t->absent, sizeof(t->absent), "%s: %s", what, strerror(errno));
}

void egress_prepare(const void *row, void *tried)
{
	struct egress_attempt *t = tried;
	const struct egress_path *w = &egress_paths[*(const uint32_t *)row];
	socklen_t size = sizeof(t->cookie);
	union address to;

	t->row = *(const uint32_t *)row;
	choose_destination(t, w);
	fd = w->place == FROM_PARENT	? passed
	     : w->place == FROM_MESSAGE ? receive_fd()
					: make_socket(w);
	if (fd < 0) {
		set_absent(t, "socket");
		return;
	}
	LIVE_CHECK(!getsockopt(fd, SOL_SOCKET, SO_COOKIE, &t->cookie, &size), "SO_COOKIE: %s",
		   strerror(errno));
	if (w->how == GO_FASTOPEN_CONNECT &&
	    setsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, &(int){1}, sizeof(int)))
		set_absent(t, "TCP_FASTOPEN_CONNECT");
	if (w->place == FROM_EARLIER)
		live_cgroup_enter(&egress_cgroup);
	if (w->place == FROM_LEAVER)
		live_cgroup_enter(NULL);
	size = address_of(t, &to);
	if (w->how == GO_SEND)
		LIVE_CHECK(!connect(fd, &to.any, size), "connect: %s", strerror(errno));
}

static int go_packet(void)
{
	struct sockaddr_ll to = {
		.sll_family = AF_PACKET,
		.sll_protocol = htons(ETH_P_IP),
		.sll_ifindex = (int)if_nametoindex("lo"),
		.sll_halen = ETH_ALEN,
	};

	return sendto(fd, "packet", 6, 0, (const struct sockaddr *)&to, sizeof(to)) < 0 ? errno : 0;
}

static int go_unix(void)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), error = 0;
	socklen_t size = sizeof(at);

	/* the kernel chooses an abstract name: no file is made */
	if (bind(listener, (const struct sockaddr *)&at, sizeof(sa_family_t)) ||
	    listen(listener, 1) || getsockname(listener, (struct sockaddr *)&at, &size) ||
	    connect(fd, (const struct sockaddr *)&at, size) || send(fd, "x", 1, 0) != 1)
		error = errno;
	close(listener);
	return error;
}

static int go_vsock(void)
{
	/* Nobody listens there, and most machines have no vsock loopback: do not wait 2 s for it.
	 */
	const struct sockaddr_vm to = {.svm_family = AF_VSOCK, .svm_cid = 1, .svm_port = 9};
	const struct timeval timeout = {.tv_usec = 50000};

	setsockopt(fd, AF_VSOCK, SO_VM_SOCKETS_CONNECT_TIMEOUT, &timeout, sizeof(timeout));
	return connect(fd, (const struct sockaddr *)&to, sizeof(to)) ? errno : 0;
}

/* Connects to a listener of this process at the row's destination. */
static int go_accept(const struct egress_path *w, const union address *to, socklen_t size)
{
	int listener = make_socket(w), accepted = -1, error = 0;

	if (bind(listener, &to->any, size) || listen(listener, 1) || connect(fd, &to->any, size) ||
	    (accepted = accept(listener, NULL, NULL)) < 0)
		error = errno;
	if (accepted >= 0)
		close(accepted);
	close(listener);
	return error;
}

/* Sends an echo request, because ping sockets accept nothing else; other sockets take it, too. */
static int go(const struct egress_path *w, struct egress_attempt *t)
{
	char echo[8] = {w->domain == AF_INET ? 8 : (char)128};
	union address to;
	socklen_t size = address_of(t, &to);
	struct iovec data = {.iov_base = echo, .iov_len = sizeof(echo)};
	struct mmsghdr m = {
		.msg_hdr = {
			.msg_name = &to, .msg_namelen = size, .msg_iov = &data, .msg_iovlen = 1}};
	int result;

	if (w->number == PATH(OTHER_FAMILY))
		to.any.sa_family = (sa_family_t)w->domain;
	switch (w->how) {
	case GO_BOTH:
		if (sendto(fd, echo, sizeof(echo), 0, &to.any, size) < 0)
			return errno;
		/* fall through */
	case GO_CONNECT:
	case GO_FASTOPEN_CONNECT:
		return connect(fd, &to.any, size) ? errno : 0;
	case GO_SENDTO:
		return sendto(fd, echo, sizeof(echo), 0, &to.any, size) < 0 ? errno : 0;
	case GO_FASTOPEN_SEND:
		return sendto(fd, echo, sizeof(echo), MSG_FASTOPEN, &to.any, size) < 0 ? errno : 0;
	case GO_SENDMSG:
		return sendmsg(fd, &m.msg_hdr, 0) < 0 ? errno : 0;
	case GO_SENDMMSG:
		return sendmmsg(fd, &m, 1, 0) < 0 ? errno : 0;
	case GO_SEND:
		return send(fd, echo, sizeof(echo), 0) < 0 ? errno : 0;
	case GO_URING_CONNECT:
	case GO_URING_SEND:
		result = w->how == GO_URING_SEND
				 ? uring_sendmsg((enum uring_how)w->option, fd, &m.msg_hdr)
				 : uring_connect((enum uring_how)w->option, fd, &to.any, size);
		if (result == URING_ABSENT)
			set_absent(t, "io_uring_setup");
		return result < 0 ? -result : 0;
	case GO_ACCEPT:
		return go_accept(w, &to, size);
	case GO_PACKET:
		return go_packet();
	case GO_UNIX:
		return go_unix();
	case GO_RDS:
		return egress_go_rds(fd, &to.v4);
	case GO_RXRPC:
		return egress_go_rxrpc(fd, &to.v4);
	case GO_MAKE:
		return 0;
	default:
		return go_vsock();
	}
}

void egress_go(const void *tried, void *again)
{
	struct egress_attempt *t = again;
	const struct egress_path *w;
	int error;

	memcpy(t, tried, sizeof(*t));
	w = &egress_paths[t->row];
	error = go(w, t);
	LIVE_CHECK(!error || t->absent[0] || w->flags & EGRESS_ANY_ERROR, "%s, %s: %s",
		   agentsh_ebpf_coverage_name(w->number), w->name, strerror(error));
	close(fd);
}
