/* SPDX-License-Identifier: Apache-2.0 */
/* One address on two network interfaces, which are two hosts. */
#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <string.h>
#include <unistd.h>

#include "hostile.h"
#include "kernel.h"
#include "netlink.h"

#define CLOSED AGENTSH_EBPF_EVENT_CLOSED
#define UDP_SEND AGENTSH_EBPF_EVENT_UDP_SEND
#define PORT 99

static uint32_t interfaces[2];

static void two_interfaces(struct hostile_result *r)
{
	int error = netlink_add_veth("hostile0", "hostile1");

	if (error) {
		hostile_absent(r, "no veth", 0);
		return;
	}
	interfaces[0] = if_nametoindex("hostile0");
	interfaces[1] = if_nametoindex("hostile1");
}

/*
 * One address on two links is two hosts. Programs that cannot read the kernel's structures do
 * not know which link the process has chosen, and report every datagram to such an IPv6 address.
 */
static void link_local(struct hostile_result *r,
		       void (*choose)(int fd, uint32_t ifindex, struct connection_address *to),
		       const char *address)
{
	struct connection_address to = connection_address(address, PORT);
	int family = to.sa.any.sa_family, fd = hostile_socket(family, SOCK_DGRAM, 0);
	int reported = kernel_hides_tasks() ? family == AF_INET6 ? 4 : 1 : 2;
	struct hostile_want *w = NULL;

	for (int i = 0; i < 4; i++) {
		choose(fd, interfaces[i % 2], &to);
		if (i < reported) {
			w = hostile_expect(r, UDP_SEND, fd, &to);
			w->is.want.ifindex = kernel_hides_tasks() ? 0 : interfaces[i];
		} else {
			r->deduplicated++;
		}
		/* whether there is a route does not matter */
		sendto(fd, "x", 1, 0, &to.sa.any, to.size);
	}
	close(fd);
	w = hostile_expect_same(r, w, CLOSED, 0);
	w->is.want.ifindex = kernel_hides_tasks() ? 0 : interfaces[1];
}

static void choose_scope(int fd, uint32_t ifindex, struct connection_address *to)
{
	(void)fd;
	to->sa.v6.sin6_scope_id = ifindex;
}

static void choose_multicast4(int fd, uint32_t ifindex, struct connection_address *to)
{
	const struct ip_mreqn link = {.imr_ifindex = (int)ifindex};

	(void)to;
	LIVE_CHECK(!setsockopt(fd, IPPROTO_IP, IP_MULTICAST_IF, &link, sizeof(link)),
		   "IP_MULTICAST_IF: %s", strerror(errno));
}

static void choose_multicast6(int fd, uint32_t ifindex, struct connection_address *to)
{
	(void)to;
	LIVE_CHECK(!setsockopt(fd, IPPROTO_IPV6, IPV6_MULTICAST_IF, &ifindex, sizeof(ifindex)),
		   "IPV6_MULTICAST_IF: %s", strerror(errno));
}

static void link_by_scope(struct hostile_result *r)
{
	link_local(r, choose_scope, "fe80::1234");
}

static void choose_pktinfo6(int fd, uint32_t ifindex, struct connection_address *to)
{
	const struct in6_pktinfo link = {.ipi6_ifindex = ifindex};

	choose_multicast6(fd, interfaces[0], to);
	LIVE_CHECK(!setsockopt(fd, IPPROTO_IPV6, IPV6_PKTINFO, &link, sizeof(link)),
		   "IPV6_PKTINFO: %s", strerror(errno));
}

static void link_by_pktinfo6(struct hostile_result *r)
{
	link_local(r, choose_pktinfo6, "ff02::1234");
}

static void link_by_multicast4(struct hostile_result *r)
{
	link_local(r, choose_multicast4, "239.1.2.3");
}

static void link_by_multicast6(struct hostile_result *r)
{
	link_local(r, choose_multicast6, "ff02::1234");
}

/* No program sees ancillary data, so the second host counts as the first. */
static void link_by_message(struct hostile_result *r)
{
	struct connection_address to = connection_address("239.1.2.3", PORT);
	int fd = hostile_socket(AF_INET, SOCK_DGRAM, 0);
	struct hostile_want *w = hostile_expect(r, UDP_SEND, fd, &to);

	for (int i = 0; i < 2; i++) {
		const struct in_pktinfo link = {.ipi_ifindex = (int)interfaces[i]};
		union {
			struct cmsghdr align;
			char space[CMSG_SPACE(sizeof(link))];
		} control = {.align = {.cmsg_level = IPPROTO_IP,
				       .cmsg_type = IP_PKTINFO,
				       .cmsg_len = CMSG_LEN(sizeof(link))}};
		struct iovec data = {.iov_base = "x", .iov_len = 1};
		const struct msghdr message = {.msg_name = &to.sa,
					       .msg_namelen = to.size,
					       .msg_iov = &data,
					       .msg_iovlen = 1,
					       .msg_control = &control,
					       .msg_controllen = sizeof(control.space)};

		memcpy(CMSG_DATA(&control.align), &link, sizeof(link));
		sendmsg(fd, &message, 0); /* whether there is a route does not matter */
	}
	close(fd);
	r->deduplicated = 1;
	hostile_expect_same(r, w, CLOSED, 0);
}

/* Without privileges a socket can be bound to a device only once, so there are two sockets. */
static void link_by_device(struct hostile_result *r)
{
	struct connection_address to = connection_address("fe80::1234", PORT);

	for (int i = 0; i < 2; i++) {
		int fd = hostile_socket(AF_INET6, SOCK_DGRAM, 0);
		struct hostile_want *w;

		LIVE_CHECK(!setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, i ? "hostile1" : "hostile0",
				       sizeof("hostile0")),
			   "SO_BINDTODEVICE: %s", strerror(errno));
		w = hostile_expect(r, UDP_SEND, fd, &to);
		w->is.want.ifindex = interfaces[i];
		sendto(fd, "x", 1, 0, &to.sa.any, to.size);
		hostile_expect_same(r, w, CLOSED, 0);
		close(fd);
	}
}

/* The scope of the destination counts, and not the device. */
static void link_beside_device(struct hostile_result *r)
{
	struct connection_address to = connection_address("fe80::1234", PORT);
	int fd = hostile_socket(AF_INET6, SOCK_DGRAM, 0);
	struct hostile_want *w = NULL;

	LIVE_CHECK(!setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, "hostile0", sizeof("hostile0")),
		   "SO_BINDTODEVICE: %s", strerror(errno));
	for (int i = 0; i < 2; i++) {
		to.sa.v6.sin6_scope_id = interfaces[i];
		w = hostile_expect(r, UDP_SEND, fd, &to);
		w->is.want.ifindex = interfaces[kernel_hides_tasks() ? 0 : i];
		sendto(fd, "x", 1, 0, &to.sa.any, to.size);
	}
	close(fd);
	w = hostile_expect_same(r, w, CLOSED, 0);
	w->is.want.ifindex = interfaces[kernel_hides_tasks() ? 0 : 1];
}

const struct hostile_way hostile_links[] = {
	{.name = "fe80::1234 on two interfaces, by sin6_scope_id",
	 .prepare = two_interfaces,
	 .go = link_by_scope,
	 .hooks = HOSTILE_CALLS},
	{.name = "fe80::1234 on two interfaces, by SO_BINDTODEVICE",
	 .prepare = two_interfaces,
	 .go = link_by_device,
	 .hooks = HOSTILE_CALLS},
	{.name = "fe80::1234 on another interface than that of SO_BINDTODEVICE",
	 .prepare = two_interfaces,
	 .go = link_beside_device,
	 .hooks = HOSTILE_CALLS},
	{.name = "239.1.2.3 on two interfaces",
	 .prepare = two_interfaces,
	 .go = link_by_multicast4,
	 .hooks = HOSTILE_CALLS},
	{.name = "ff02::1234 on another interface than that of IPV6_MULTICAST_IF",
	 .prepare = two_interfaces,
	 .go = link_by_pktinfo6,
	 .hooks = HOSTILE_CALLS},
	{.name = "239.1.2.3 on two interfaces, by ancillary data",
	 .prepare = two_interfaces,
	 .go = link_by_message,
	 .hooks = HOSTILE_CALLS},
	{.name = "ff02::1234 on two interfaces",
	 .prepare = two_interfaces,
	 .go = link_by_multicast6,
	 .hooks = HOSTILE_CALLS},
};
const size_t hostile_links_count = LIVE_COUNT(hostile_links);
