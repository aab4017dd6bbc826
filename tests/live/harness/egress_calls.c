/* SPDX-License-Identifier: Apache-2.0 */
/* The calls that use each egress path. */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/vm_sockets.h>
#include <net/if.h>
#include <netinet/ip6.h>
#include <netinet/udp.h>
#include <poll.h>
#include <stddef.h>
#include <string.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "io_uring_ops.h"
#include "egress_internal.h"
#include "egress_kernel.h"

static int receiver = -1;

/* Outside the cgroup, so that the arrival of the packet is no event either. */
void egress_packet_receiver(const struct egress_attempt *t)
{
	union egress_address at;
	socklen_t size = egress_address_of(t, &at);

	live_cgroup_enter(NULL);
	receiver = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	live_cgroup_enter(&egress_cgroup);
	LIVE_CHECK(receiver >= 0 && !bind(receiver, &at.any, size), "receiver: %s",
		   strerror(errno));
}

/* Adds 16-bit words for the checksum of UDP. */
static uint32_t add_words(uint32_t sum, const void *at, size_t size)
{
	for (size_t i = 0; i < size; i += 2) {
		uint16_t word;

		memcpy(&word, (const char *)at + i, sizeof(word));
		sum += word;
	}
	return sum;
}

/* A whole datagram, made by hand, which arrives like any other. */
static int go_packet(const struct egress_attempt *t)
{
	struct sockaddr_ll to = {
		.sll_family = AF_PACKET,
		.sll_protocol = htons(ETH_P_IPV6),
		.sll_ifindex = (int)if_nametoindex("lo"),
		.sll_halen = ETH_ALEN,
	};
	struct {
		struct ip6_hdr ip;
		struct udphdr udp;
		char data[2];
	} packet;
	struct pollfd arrival = {.fd = receiver, .events = POLLIN};
	uint32_t sum;

	memset(&packet, 0, sizeof(packet));
	packet.ip.ip6_vfc = 6 << 4;
	packet.ip.ip6_plen = htons(sizeof(packet.udp) + sizeof(packet.data));
	packet.ip.ip6_nxt = IPPROTO_UDP;
	packet.ip.ip6_hlim = 1;
	packet.ip.ip6_src = in6addr_loopback;
	packet.ip.ip6_dst = in6addr_loopback;
	packet.udp.source = htons(t->port);
	packet.udp.dest = htons(t->port);
	packet.udp.len = packet.ip.ip6_plen;
	sum = add_words(htons(IPPROTO_UDP) + packet.ip.ip6_plen, &packet.ip.ip6_src,
			sizeof(packet) - offsetof(struct ip6_hdr, ip6_src));
	sum = (sum & 0xffff) + (sum >> 16);
	packet.udp.check = (uint16_t) ~(sum + (sum >> 16));
	if (sendto(egress_fd, &packet, sizeof(packet), 0, (const void *)&to, sizeof(to)) < 0)
		return errno;
	LIVE_CHECK(poll(&arrival, 1, LIVE_DEADLINE_MS) == 1, "the packet has not arrived");
	return 0;
}

static int go_unix(void)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), error = 0;
	socklen_t size = sizeof(at);

	/* the kernel chooses an abstract name: no file is made */
	if (bind(listener, (const struct sockaddr *)&at, sizeof(sa_family_t)) ||
	    listen(listener, 1) || getsockname(listener, (struct sockaddr *)&at, &size) ||
	    connect(egress_fd, (const struct sockaddr *)&at, size) ||
	    send(egress_fd, "x", 1, 0) != 1)
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

	setsockopt(egress_fd, AF_VSOCK, SO_VM_SOCKETS_CONNECT_TIMEOUT, &timeout, sizeof(timeout));
	return connect(egress_fd, (const struct sockaddr *)&to, sizeof(to)) ? errno : 0;
}

/* Connects to a listener of this process at the row's destination. */
static int go_accept(const struct egress_path *w, const union egress_address *to, socklen_t size)
{
	int listener = egress_socket(w), accepted = -1, error = 0;

	if (bind(listener, &to->any, size) || listen(listener, 1) ||
	    connect(egress_fd, &to->any, size) || (accepted = accept(listener, NULL, NULL)) < 0)
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
	union egress_address to;
	socklen_t size = egress_address_of(t, &to);
	struct iovec data = {.iov_base = echo, .iov_len = sizeof(echo)};
	struct mmsghdr m = {
		.msg_hdr = {
			.msg_name = &to, .msg_namelen = size, .msg_iov = &data, .msg_iovlen = 1}};
	int result;

	if (w->number == AGENTSH_EBPF_COVERAGE_OTHER_FAMILY)
		to.any.sa_family = (sa_family_t)w->domain;
	switch (w->how) {
	case GO_BOTH:
		if (sendto(egress_fd, echo, sizeof(echo), 0, &to.any, size) < 0)
			return errno;
		/* fall through */
	case GO_CONNECT:
	case GO_FASTOPEN_CONNECT:
		return connect(egress_fd, &to.any, size) ? errno : 0;
	case GO_SENDTO:
		return sendto(egress_fd, echo, sizeof(echo), 0, &to.any, size) < 0 ? errno : 0;
	case GO_FASTOPEN_SEND:
		return sendto(egress_fd, echo, sizeof(echo), MSG_FASTOPEN, &to.any, size) < 0
			       ? errno
			       : 0;
	case GO_SENDMSG:
		return sendmsg(egress_fd, &m.msg_hdr, 0) < 0 ? errno : 0;
	case GO_SENDMMSG:
		return sendmmsg(egress_fd, &m, 1, 0) < 0 ? errno : 0;
	case GO_CONNECT_SEND:
		if (connect(egress_fd, &to.any, size))
			return errno;
		/* fall through */
	case GO_SEND:
	case GO_ANSWER:
		return send(egress_fd, echo, sizeof(echo), 0) < 0 ? errno : 0;
	case GO_URING_CONNECT:
	case GO_URING_SEND:
		result = w->how == GO_URING_SEND
				 ? uring_sendmsg((enum uring_how)w->option, egress_fd, &m.msg_hdr)
				 : uring_connect((enum uring_how)w->option, egress_fd, &to.any,
						 size);
		if (result == URING_ABSENT)
			egress_set_absent(t, "io_uring_setup");
		return result < 0 ? -result : 0;
	case GO_ACCEPT:
		return go_accept(w, &to, size);
	case GO_PACKET:
		return go_packet(t);
	case GO_UNIX:
		return go_unix();
	case GO_RDS:
		return egress_go_rds(egress_fd, &to.v4);
	case GO_RXRPC:
		return egress_go_rxrpc(egress_fd, &to.v4);
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

	memcpy(t, tried, sizeof(*t));
	w = &egress_paths[t->row];
	t->error = go(w, t);
	LIVE_CHECK(
		!t->error || t->absent[0] || w->flags & EGRESS_ANY_ERROR || egress_may_be_refused,
		"%s, %s: %s", agentsh_ebpf_coverage_name(w->number), w->name, strerror(t->error));
	close(egress_fd);
}
