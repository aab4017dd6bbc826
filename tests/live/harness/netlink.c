/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/genetlink.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/inet_diag.h>
#include <linux/mptcp.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <linux/veth.h>
#include <net/if.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "netlink.h"

struct message {
	struct nlmsghdr head;
	char body[1000];
};

static void begin(struct message *m, int type, int flags, const void *body, size_t size)
{
	memset(m, 0, sizeof(*m));
	m->head.nlmsg_type = (uint16_t)type;
	m->head.nlmsg_flags = (uint16_t)(NLM_F_REQUEST | NLM_F_ACK | flags);
	m->head.nlmsg_len = (uint32_t)NLMSG_LENGTH(size);
	memcpy(m->body, body, size);
}

static void *end_of(struct message *m)
{
	return (char *)m + NLMSG_ALIGN(m->head.nlmsg_len);
}

static struct nlattr *add(struct message *m, int type, const void *value, size_t size)
{
	struct nlattr *attr = end_of(m);

	attr->nla_type = (uint16_t)type;
	attr->nla_len = (uint16_t)(NLA_HDRLEN + size);
	if (size)
		memcpy((char *)attr + NLA_HDRLEN, value, size);
	m->head.nlmsg_len = NLMSG_ALIGN(m->head.nlmsg_len) + NLA_ALIGN(attr->nla_len);
	return attr;
}

/* The attributes from here to close_nest() are inside this one. */
static struct nlattr *open_nest(struct message *m, int type)
{
	return add(m, type | NLA_F_NESTED, NULL, 0);
}

static void close_nest(struct message *m, struct nlattr *nest)
{
	nest->nla_len = (uint16_t)((char *)end_of(m) - (char *)nest);
}

/* Sends the message and receives the answer into it. */
static int transact(int protocol, struct message *m)
{
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol), error = 0;
	const struct nlmsgerr *answer = (const void *)m->body;

	if (fd < 0)
		return errno;
	if (send(fd, m, m->head.nlmsg_len, 0) < 0 || recv(fd, m, sizeof(*m), 0) < 0)
		error = errno;
	else if (m->head.nlmsg_type == NLMSG_ERROR)
		error = -answer->error;
	close(fd);
	return error;
}

int netlink_set_up(const char *name)
{
	const struct ifinfomsg link = {
		.ifi_index = (int)if_nametoindex(name), .ifi_flags = IFF_UP, .ifi_change = IFF_UP};
	struct message m;

	begin(&m, RTM_NEWLINK, 0, &link, sizeof(link));
	return transact(NETLINK_ROUTE, &m);
}

static int add_veth(const char *name, const char *peer, int peer_netns_fd)
{
	const struct ifinfomsg none = {0};
	struct nlattr *info, *data, *other;
	struct message m;

	begin(&m, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &none, sizeof(none));
	add(&m, IFLA_IFNAME, name, strlen(name) + 1);
	info = open_nest(&m, IFLA_LINKINFO);
	add(&m, IFLA_INFO_KIND, "veth", 4);
	data = open_nest(&m, IFLA_INFO_DATA);
	other = add(&m, VETH_INFO_PEER, &none, sizeof(none));
	add(&m, IFLA_IFNAME, peer, strlen(peer) + 1);
	if (peer_netns_fd >= 0)
		add(&m, IFLA_NET_NS_FD, &peer_netns_fd, sizeof(peer_netns_fd));
	close_nest(&m, other);
	close_nest(&m, data);
	close_nest(&m, info);
	return transact(NETLINK_ROUTE, &m);
}

int netlink_add_veth(const char *name, const char *peer)
{
	int error = add_veth(name, peer, -1);

	if (!error)
		error = netlink_set_up(name);
	return error ? error : netlink_set_up(peer);
}

int netlink_add_veth_between(const char *name, const char *peer, int peer_netns_fd)
{
	return add_veth(name, peer, peer_netns_fd);
}

int netlink_add_address(const char *name, const char *address, uint8_t prefix)
{
	struct ifaddrmsg to = {.ifa_prefixlen = prefix,
			       .ifa_flags = IFA_F_NODAD,
			       .ifa_index = if_nametoindex(name)};
	struct in6_addr addr;
	uint32_t broadcast;
	struct message m;
	size_t size = 16;

	to.ifa_family = AF_INET6;
	if (inet_pton(AF_INET, address, &addr) == 1) {
		to.ifa_family = AF_INET;
		size = 4;
	} else if (inet_pton(AF_INET6, address, &addr) != 1) {
		return EINVAL;
	}
	begin(&m, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, &to, sizeof(to));
	add(&m, IFA_LOCAL, &addr, size);
	add(&m, IFA_ADDRESS, &addr, size);
	if (size == 4) {
		broadcast = addr.s6_addr32[0] | htonl((1U << (32 - prefix)) - 1);
		add(&m, IFA_BROADCAST, &broadcast, sizeof(broadcast));
	}
	return transact(NETLINK_ROUTE, &m);
}

/* Generic netlink numbers its families at run time. */
static int family_number(const char *name, int *number)
{
	const struct genlmsghdr get = {.cmd = CTRL_CMD_GETFAMILY, .version = 1};
	const struct nlattr *attr;
	struct message m;
	int error;

	begin(&m, GENL_ID_CTRL, 0, &get, sizeof(get));
	add(&m, CTRL_ATTR_FAMILY_NAME, name, strlen(name) + 1);
	error = transact(NETLINK_GENERIC, &m);
	if (error)
		return error;
	for (attr = (const void *)(m.body + sizeof(get)); (const char *)attr < (char *)end_of(&m);
	     attr = (const void *)((const char *)attr + NLA_ALIGN(attr->nla_len))) {
		if (attr->nla_type == CTRL_ATTR_FAMILY_ID) {
			*number = *(const uint16_t *)(attr + 1);
			return 0;
		}
	}
	return ENOENT;
}

int netlink_configure(const char *name, const char *address4, const char *address6)
{
	int error = netlink_add_address(name, address4, 24);

	if (!error)
		error = netlink_add_address(name, address6, 64);
	return error ? error : netlink_set_up(name);
}

int netlink_mptcp_subflow(uint32_t address)
{
	struct genlmsghdr command = {.cmd = MPTCP_PM_CMD_SET_LIMITS, .version = 1};
	const uint32_t subflows = 2, flags = MPTCP_PM_ADDR_FLAG_SUBFLOW;
	const uint16_t family = AF_INET;
	struct nlattr *nest;
	struct message m;
	int number, error = family_number(MPTCP_PM_NAME, &number);

	if (error)
		return error;
	begin(&m, number, 0, &command, sizeof(command));
	add(&m, MPTCP_PM_ATTR_RCV_ADD_ADDRS, &subflows, sizeof(subflows));
	add(&m, MPTCP_PM_ATTR_SUBFLOWS, &subflows, sizeof(subflows));
	error = transact(NETLINK_GENERIC, &m);
	if (error)
		return error;
	command.cmd = MPTCP_PM_CMD_ADD_ADDR;
	begin(&m, number, 0, &command, sizeof(command));
	nest = open_nest(&m, MPTCP_PM_ATTR_ADDR);
	add(&m, MPTCP_PM_ADDR_ATTR_FAMILY, &family, sizeof(family));
	add(&m, MPTCP_PM_ADDR_ATTR_ADDR4, &address, sizeof(address));
	add(&m, MPTCP_PM_ADDR_ATTR_FLAGS, &flags, sizeof(flags));
	close_nest(&m, nest);
	return transact(NETLINK_GENERIC, &m);
}

int netlink_abort_tcp(uint16_t local_port, uint16_t remote_port)
{
	struct inet_diag_req_v2 request = {
		.sdiag_family = AF_INET,
		.sdiag_protocol = IPPROTO_TCP,
		.idiag_states = ~0U,
		.id = {.idiag_sport = htons(local_port),
		       .idiag_dport = htons(remote_port),
		       .idiag_src = {htonl(INADDR_LOOPBACK)},
		       .idiag_dst = {htonl(INADDR_LOOPBACK)},
		       .idiag_cookie = {INET_DIAG_NOCOOKIE, INET_DIAG_NOCOOKIE}},
	};
	struct message m;

	begin(&m, SOCK_DESTROY, 0, &request, sizeof(request));
	return transact(NETLINK_SOCK_DIAG, &m);
}
