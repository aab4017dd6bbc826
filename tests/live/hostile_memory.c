/* SPDX-License-Identifier: Apache-2.0 */
/* Ways that exhaust memory: of a socket's options, and of the library's table of sockets. */
#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "hostile.h"

#define CONNECT AGENTSH_EBPF_EVENT_CONNECT
#define CONNECT_FAILED AGENTSH_EBPF_EVENT_CONNECT_FAILED
#define CLOSED AGENTSH_EBPF_EVENT_CLOSED
#define UNUSED_PORT 9

/* Adds keys for addresses that are not used until the kernel refuses; false: it has no keys. */
static bool fill_with_keys(struct hostile_result *r, int fd)
{
	struct tcp_md5sig key;
	struct connection_address peer = connection_address("10.0.0.0", 0);
	uint32_t number = 0;

	memset(&key, 0, sizeof(key));
	key.tcpm_keylen = TCP_MD5SIG_MAXKEYLEN;
	do {
		peer.sa.v4.sin_addr.s_addr = htonl(0x0a000000 + ++number);
		memcpy(&key.tcpm_addr, &peer.sa.v4, sizeof(peer.sa.v4));
	} while (!setsockopt(fd, IPPROTO_TCP, TCP_MD5SIG, &key, sizeof(key)));
	if (number < 10) {
		hostile_absent(r, "TCP_MD5SIG", errno);
		return false;
	}
	LIVE_CHECK(errno == ENOMEM, "TCP_MD5SIG: %s", strerror(errno));
	return true;
}

/* Joins groups until the kernel refuses. */
static void fill_with_groups(int fd)
{
	struct ipv6_mreq group;
	uint32_t number = 0;

	memset(&group, 0, sizeof(group));
	group.ipv6mr_interface = if_nametoindex("lo");
	group.ipv6mr_multiaddr = connection_address("ff15::1", 0).sa.v6.sin6_addr;
	do {
		number++;
		memcpy(&group.ipv6mr_multiaddr.s6_addr[8], &number, sizeof(number));
	} while (!setsockopt(fd, IPPROTO_IPV6, IPV6_JOIN_GROUP, &group, sizeof(group)));
	LIVE_CHECK(errno == ENOMEM && number > 10, "IPV6_JOIN_GROUP: %s", strerror(errno));
}

static void keys_connect(struct hostile_result *r)
{
	struct connection_address at;
	int listener = connection_listen(CONNECTION_V4, 0, 8, &at);
	int fd = hostile_socket(AF_INET, SOCK_STREAM, 0);

	if (fill_with_keys(r, fd))
		hostile_converse(r, fd, listener, &at, NULL, 0);
}

static void keys_refused(struct hostile_result *r)
{
	int fd = hostile_socket(AF_INET, SOCK_STREAM, 0);

	if (fill_with_keys(r, fd))
		hostile_be_refused(r, fd);
}

/* The library notes the owner of a listener in this memory, so it is unknown here. */
static void unattributed_inbound(struct hostile_result *r)
{
	for (uint32_t i = 0; i < r->count; i++)
		if (r->want[i].is.want.flags & AGENTSH_EBPF_FLAG_INBOUND)
			r->want[i].is.want.flags |= AGENTSH_EBPF_FLAG_UNATTRIBUTED;
}

static void keys_listener(struct hostile_result *r)
{
	struct connection_address at = connection_address("127.0.0.1", 0);
	int listener = hostile_socket(AF_INET, SOCK_STREAM, 0);

	if (!fill_with_keys(r, listener))
		return;
	LIVE_CHECK(!bind(listener, &at.sa.any, at.size) && !listen(listener, 8) &&
			   !getsockname(listener, &at.sa.any, &at.size),
		   "listen: %s", strerror(errno));
	hostile_converse(r, hostile_socket(AF_INET, SOCK_STREAM, 0), listener, &at, NULL, 0);
	unattributed_inbound(r);
}

static void datagram(struct hostile_result *r, int fd)
{
	struct connection_address to = connection_address("::1", UNUSED_PORT);
	struct hostile_want *w = hostile_expect(r, CONNECT, fd, &to);

	hostile_connect(fd, &to, 0);
	hostile_expect_same(r, w, CLOSED, 0);
	close(fd);
}

static void groups_datagram(struct hostile_result *r)
{
	int fd = hostile_socket(AF_INET6, SOCK_DGRAM, 0);

	fill_with_groups(fd);
	datagram(r, fd);
}

static void no_option_memory(struct hostile_result *r)
{
	struct connection_address at;
	int listener;

	if (!hostile_own_namespaces(r, "net.core.optmem_max"))
		return;
	if (!connection_sysctl("net/core/optmem_max", "0")) {
		hostile_absent(r, "net.core.optmem_max is not of the namespace", 0);
		return;
	}
	listener = connection_listen(CONNECTION_V4, 0, 8, &at);
	hostile_converse(r, hostile_socket(AF_INET, SOCK_STREAM, 0), listener, &at, NULL, 0);
	hostile_be_refused(r, hostile_socket(AF_INET, SOCK_STREAM, 0));
	datagram(r, hostile_socket(AF_INET6, SOCK_DGRAM, 0));
	unattributed_inbound(r);
}

#define TABLE_ROOM 4

/*
 * Holds more datagram sockets than the session may. One that found no room has no CLOSED; when
 * one is closed, the next has room again.
 */
static void full_table(struct hostile_result *r)
{
	struct connection_address to;
	struct hostile_want *w;
	int fds[TABLE_ROOM + 2];

	for (uint16_t i = 0; i < TABLE_ROOM + 2; i++) {
		to = connection_address("127.0.0.1", (uint16_t)(100 + i));
		fds[i] = hostile_socket(AF_INET, SOCK_DGRAM, 0);
		w = hostile_expect(r, CONNECT, fds[i], &to);
		hostile_connect(fds[i], &to, 0);
		if (i >= TABLE_ROOM)
			w->is.want.flags |= AGENTSH_EBPF_FLAG_UNTRACKED;
		else
			hostile_expect_same(r, w, CLOSED, 0); /* when the process ends */
	}
	close(fds[0]);
	r->untracked = 2;
	datagram(r, hostile_socket(AF_INET6, SOCK_DGRAM, 0));
}

const struct hostile_way hostile_memory[] = {
	{.name = "TCP_MD5SIG keys fill the socket's memory, connect", .go = keys_connect},
	{.name = "TCP_MD5SIG keys fill the socket's memory, refused", .go = keys_refused},
	{.name = "TCP_MD5SIG keys fill the listener's memory", .go = keys_listener},
	{.name = "IPV6_JOIN_GROUP fills the socket's memory, close", .go = groups_datagram},
	{.name = "net.core.optmem_max is 0", .go = no_option_memory},
	{.name = "more sockets than max_sockets", .go = full_table, .max_sockets = TABLE_ROOM},
};
const size_t hostile_memory_count = LIVE_COUNT(hostile_memory);
