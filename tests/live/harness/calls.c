/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "calls.h"
#include "live.h"

struct address {
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	} sa;
	socklen_t size;
};

static struct address address_of(int domain, const char *text, uint16_t port)
{
	struct address a;
	int ok;

	memset(&a, 0, sizeof(a));
	if (!text) {
		a.size = sizeof(a.sa.v4);
		a.sa.any.sa_family = AF_UNSPEC;
		return a;
	}
	a.sa.any.sa_family = (sa_family_t)domain;
	if (domain == AF_INET) {
		a.size = sizeof(a.sa.v4);
		a.sa.v4.sin_port = htons(port);
		ok = inet_pton(AF_INET, text, &a.sa.v4.sin_addr);
	} else {
		a.size = sizeof(a.sa.v6);
		a.sa.v6.sin6_port = htons(port);
		ok = inet_pton(AF_INET6, text, &a.sa.v6.sin6_addr);
	}
	LIVE_CHECK(ok == 1, "%s is no address", text);
	return a;
}

/* The address as an event has it: a mapped one as IPv4. */
static void end_of(const struct address *a, uint8_t addr[16], uint16_t *port)
{
	memset(addr, 0, 16);
	if (a->sa.any.sa_family == AF_INET) {
		memcpy(addr, &a->sa.v4.sin_addr, 4);
		*port = ntohs(a->sa.v4.sin_port);
	} else {
		bool mapped = IN6_IS_ADDR_V4MAPPED(&a->sa.v6.sin6_addr);

		memcpy(addr, a->sa.v6.sin6_addr.s6_addr + (mapped ? 12 : 0), mapped ? 4 : 16);
		*port = ntohs(a->sa.v6.sin6_port);
	}
}

static void want_remote(struct expectation *t, const struct call *call, const struct address *to)
{
	bool v4 = to->sa.any.sa_family == AF_INET || IN6_IS_ADDR_V4MAPPED(&to->sa.v6.sin6_addr);

	t->want.family = v4 ? AF_INET : AF_INET6;
	t->want.flags = v4 && call->domain == AF_INET6 ? AGENTSH_EBPF_FLAG_V4_MAPPED : 0;
	end_of(to, t->want.remote_addr, &t->want.remote_port);
}

static void want_local(struct expectation *t, int fd)
{
	struct address a = {.size = sizeof(a.sa)};

	LIVE_CHECK(!getsockname(fd, &a.sa.any, &a.size), "getsockname: %s", strerror(errno));
	end_of(&a, t->want.local_addr, &t->want.local_port);
}

static int prepare(const struct call *call, struct address *to, int *listener)
{
	int fd = socket(call->domain, call->type | SOCK_CLOEXEC, call->protocol), one = 1;

	LIVE_CHECK(fd >= 0, "%s: socket: %s", call->name, strerror(errno));
	if (call->bind) {
		struct address from = address_of(call->domain, call->bind, 0);

		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
		LIVE_CHECK(!bind(fd, &from.sa.any, from.size), "%s: bind: %s", call->name,
			   strerror(errno));
	}
	if (call->flags & CALL_LISTEN) {
		*listener = socket(call->domain, call->type | SOCK_CLOEXEC, call->protocol);
		setsockopt(*listener, IPPROTO_TCP, TCP_FASTOPEN, &(int){8}, sizeof(int));
		LIVE_CHECK(*listener >= 0 && !bind(*listener, &to->sa.any, to->size) &&
				   !listen(*listener, 8) &&
				   !getsockname(*listener, &to->sa.any, &to->size),
			   "%s: listen: %s", call->name, strerror(errno));
	}
	return fd;
}

/* Sends one message to each address; with CALL_PKTINFO it names its source. */
static int send_messages(const struct call *call, int fd, struct address *to, int count)
{
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(sizeof(struct in6_pktinfo))];
	} control;
	struct iovec data = {.iov_base = "x", .iov_len = 1};
	struct mmsghdr messages[CALL_MESSAGES];
	int flags = call->flags & CALL_FASTOPEN ? MSG_FASTOPEN : 0;

	memset(messages, 0, sizeof(messages));
	for (int i = 0; i < count; i++) {
		struct msghdr *m = &messages[i].msg_hdr;

		m->msg_name = &to[i].sa;
		m->msg_namelen = to[i].size;
		m->msg_iov = &data;
		m->msg_iovlen = 1;
	}
	if (call->flags & CALL_PKTINFO) {
		bool v4 = call->domain == AF_INET;
		size_t size = v4 ? sizeof(struct in_pktinfo) : sizeof(struct in6_pktinfo);

		memset(&control, 0, sizeof(control));
		control.align.cmsg_level = v4 ? IPPROTO_IP : IPPROTO_IPV6;
		control.align.cmsg_type = v4 ? IP_PKTINFO : IPV6_PKTINFO;
		control.align.cmsg_len = CMSG_LEN(size);
		if (v4)
			((struct in_pktinfo *)CMSG_DATA(&control.align))->ipi_spec_dst.s_addr =
				htonl(0x7f010203);
		else
			((struct in6_pktinfo *)CMSG_DATA(&control.align))->ipi6_addr =
				in6addr_loopback;
		messages[0].msg_hdr.msg_control = &control;
		messages[0].msg_hdr.msg_controllen = CMSG_SPACE(size);
	}
	if (call->how == CALL_SENDMSG)
		return sendmsg(fd, &messages[0].msg_hdr, flags) < 0 ? errno : 0;
	if (sendmmsg(fd, messages, (unsigned int)count, flags) == count)
		return 0;
	return errno ? errno : EIO; /* only some were sent */
}

static int act(const struct call *call, int fd, struct address *to, int count)
{
	int flags = call->flags & CALL_FASTOPEN ? MSG_FASTOPEN : 0;

	errno = 0;
	switch (call->how) {
	case CALL_CONNECT:
		return connect(fd, &to->sa.any, to->size) ? errno : 0;
	case CALL_SENDTO:
		return sendto(fd, "x", 1, flags, &to->sa.any, to->size) < 0 ? errno : 0;
	default:
		return send_messages(call, fd, to, count);
	}
}

/* The source address in a message becomes the local address of the event. */
static void want_pktinfo(struct expectation *t, int domain)
{
	memset(t->want.local_addr, 0, sizeof(t->want.local_addr));
	if (domain == AF_INET)
		memcpy(t->want.local_addr, (const uint8_t[]){127, 1, 2, 3}, 4);
	else
		t->want.local_addr[15] = 1;
}

static size_t call_on(const struct call *call, int fd, struct address *to, struct expectation *list)
{
	int count = call->how == CALL_SENDMMSG ? CALL_MESSAGES : 1, error;
	bool connects = call->how == CALL_CONNECT || call->flags & CALL_FASTOPEN;

	memset(list, 0, (size_t)count * sizeof(*list));
	for (int i = 0; i < count; i++) {
		struct expectation *t = &list[i];

		snprintf(t->name, sizeof(t->name), "%s [%d]", call->name, i);
		expectation_task(t);
		expectation_socket(t, fd);
		if (call->flags & CALL_SUBFLOW)
			t->want.socket_cookie = 0;
		t->want.kind = connects ? AGENTSH_EBPF_EVENT_CONNECT : AGENTSH_EBPF_EVENT_UDP_SEND;
		want_remote(t, call, &to[i]);
		want_local(t, fd);
	}
	for (int i = 0; i < count; i++)
		expectation_clocks(&list[i], 0);
	error = act(call, fd, to, count);
	for (int i = 0; i < count; i++)
		expectation_clocks(&list[i], 1);
	LIVE_CHECK(call->error == CALL_ANY_ERROR || error == call->error, "%s: %s instead of %s",
		   call->name, strerror(error), strerror(call->error));
	for (int i = 0; i < count; i++) {
		list[i].error = error;
		if (!connects) /* the kernel chose the port before the hook ran */
			want_local(&list[i], fd);
		if (call->flags & CALL_PKTINFO)
			want_pktinfo(&list[i], call->domain);
	}
	return call->flags & CALL_NO_EVENT ? 0 : (size_t)count;
}

size_t call_make(const struct call *call, struct expectation *list)
{
	int domain = call->flags & CALL_PLAIN_V4 ? AF_INET : call->domain, listener = -1;
	struct address to[CALL_MESSAGES];
	size_t made = 0;
	int fd;

	for (int i = 0; i < CALL_MESSAGES; i++)
		to[i] = address_of(domain, call->to, (uint16_t)(call->port + i));
	fd = prepare(call, to, &listener);
	if (call->flags & CALL_CONNECTED) {
		struct call first = *call;
		struct address at =
			address_of(call->domain, call->domain == AF_INET ? "127.9.8.7" : "::1", 7);

		first.how = CALL_CONNECT;
		first.flags = 0;
		first.error = 0;
		made += call_on(&first, fd, &at, list);
	}
	if (call->flags & CALL_NONBLOCK)
		LIVE_CHECK(!fcntl(fd, F_SETFL, O_NONBLOCK), "O_NONBLOCK: %s", strerror(errno));
	made += call_on(call, fd, to, list + made);
	close(fd);
	if (listener >= 0)
		close(listener);
	return made;
}

void calls_make_all(const void *unused, void *call_expectations)
{
	struct call_expectations *expectations = call_expectations;

	(void)unused;
	for (size_t i = 0; i < calls_all_count; i++) {
		LIVE_CHECK(expectations->count + CALL_MESSAGES + 1 <= CALLS_EXPECTATIONS_MAX,
			   "too many calls");
		expectations->count +=
			call_make(&calls_all[i], expectations->list + expectations->count);
	}
}

#define TCP SOCK_STREAM, IPPROTO_TCP
#define UDP SOCK_DGRAM, IPPROTO_UDP

/*
 * All bytes of the addresses and ports differ, so that a wrong byte order or offset shows.
 * Nothing is expected to listen on the TCP ports; a listener would not change the events.
 */
void calls_start(struct live_worker *worker, struct agentsh_ebpf_tracer *tracer,
		 uint64_t session_id)
{
	static struct live_cgroup session;

	live_cgroup_make(&session, NULL);
	live_attach(tracer, &session, session_id);
	live_worker_start(worker, &session);
}

void calls_expect(const char *caller, struct call_expectations *made, uint64_t session_id)
{
	const char *differs;

	for (size_t i = 0; i < made->count; i++)
		made->list[i].want.session_id = session_id;
	differs = expectation_all_differ(made->list, made->count);
	LIVE_CHECK(made->count && !differs, "%s: %s", caller, differs);
}

const struct call calls_all[] = {
	{"tcp4 connect", AF_INET, TCP, CALL_CONNECT, "127.1.2.3", 4660, NULL, 0, CALL_ANY_ERROR},
	{"tcp6 connect", AF_INET6, TCP, CALL_CONNECT, "::1", 4661, NULL, 0, CALL_ANY_ERROR},
	{"tcp mapped connect", AF_INET6, TCP, CALL_CONNECT, "::ffff:127.1.2.4", 4662, NULL, 0,
	 CALL_ANY_ERROR},
	{"tcp4 bound connect", AF_INET, TCP, CALL_CONNECT, "127.1.2.3", 4660, "127.3.2.1", 0,
	 CALL_ANY_ERROR},
	{"tcp6 bound connect", AF_INET6, TCP, CALL_CONNECT, "::1", 4661, "::1", 0, CALL_ANY_ERROR},
	{"tcp mapped bound connect", AF_INET6, TCP, CALL_CONNECT, "::ffff:127.1.2.4", 4662,
	 "::ffff:127.3.2.1", 0, CALL_ANY_ERROR},
	{"udp4 connect", AF_INET, UDP, CALL_CONNECT, "127.1.2.3", 513, NULL, 0, 0},
	{"udp6 connect", AF_INET6, UDP, CALL_CONNECT, "::1", 514, NULL, 0, 0},
	{"udp mapped connect", AF_INET6, UDP, CALL_CONNECT, "::ffff:127.1.2.4", 515, NULL, 0, 0},
	{"udp4 bound connect", AF_INET, UDP, CALL_CONNECT, "127.1.2.3", 513, "127.3.2.1", 0, 0},
	{"udp4 sendto", AF_INET, UDP, CALL_SENDTO, "127.1.2.3", 25000, NULL, 0, 0},
	{"udp6 sendto", AF_INET6, UDP, CALL_SENDTO, "::1", 25010, NULL, 0, 0},
	{"udp mapped sendto", AF_INET6, UDP, CALL_SENDTO, "::ffff:127.1.2.4", 25020, NULL, 0, 0},
	{"udp4 bound sendto", AF_INET, UDP, CALL_SENDTO, "127.1.2.3", 25000, "127.3.2.1", 0, 0},
	{"udp4 sendmsg", AF_INET, UDP, CALL_SENDMSG, "127.1.2.3", 25030, NULL, 0, 0},
	{"udp6 sendmsg", AF_INET6, UDP, CALL_SENDMSG, "::1", 25040, NULL, 0, 0},
	{"udp6 bound sendmsg", AF_INET6, UDP, CALL_SENDMSG, "::1", 25040, "::1", 0, 0},
	{"udp mapped sendmsg", AF_INET6, UDP, CALL_SENDMSG, "::ffff:127.1.2.4", 25050, NULL, 0, 0},
	{"udp mapped bound sendmsg", AF_INET6, UDP, CALL_SENDMSG, "::ffff:127.1.2.4", 25050,
	 "::ffff:127.3.2.1", 0, 0},
	{"udp4 sendmmsg", AF_INET, UDP, CALL_SENDMMSG, "127.1.2.3", 25060, NULL, 0, 0},
	{"udp6 sendmmsg", AF_INET6, UDP, CALL_SENDMMSG, "::1", 25070, NULL, 0, 0},
	{"udp mapped sendmmsg", AF_INET6, UDP, CALL_SENDMMSG, "::ffff:127.1.2.4", 25080, NULL, 0,
	 0},
};
const size_t calls_all_count = LIVE_COUNT(calls_all);
