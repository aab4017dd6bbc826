/* SPDX-License-Identifier: Apache-2.0 */
/* Unusual calls, each in its own network namespace, and calls that cause no event. */
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "calls.h"
#include "kernel.h"
#include "live.h"

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif

#define SESSION_ID 5

#define TCP SOCK_STREAM, IPPROTO_TCP
#define UDP SOCK_DGRAM, IPPROTO_UDP
#define FAR6 "2001:db8:1122:3344:5566:7788:99aa:bbcc"

static struct call_expectations expectations;

static const struct call odd_calls[] = {
	{"tcp4 refused", AF_INET, TCP, CALL_CONNECT, "127.4.5.6", 999, NULL, 0, ECONNREFUSED},
	{"tcp6 refused", AF_INET6, TCP, CALL_CONNECT, "::1", 999, NULL, 0, ECONNREFUSED},
	{"tcp4 accepted", AF_INET, TCP, CALL_CONNECT, "127.4.5.6", 0, NULL, CALL_LISTEN, 0},
	{"tcp6 accepted", AF_INET6, TCP, CALL_CONNECT, "::1", 0, NULL, CALL_LISTEN, 0},
	{"tcp mapped accepted", AF_INET6, TCP, CALL_CONNECT, "::ffff:127.4.5.6", 0, NULL,
	 CALL_LISTEN, 0},
	{"tcp4 no route", AF_INET, TCP, CALL_CONNECT, "198.51.100.7", 443, NULL, 0, ENETUNREACH},
	{"tcp6 no route", AF_INET6, TCP, CALL_CONNECT, FAR6, 443, NULL, 0, ENETUNREACH},
	{"tcp mapped no route", AF_INET6, TCP, CALL_CONNECT, "::ffff:198.51.100.7", 443, NULL, 0,
	 ENETUNREACH},
	{"udp4 no route", AF_INET, UDP, CALL_SENDTO, "198.51.100.7", 53, NULL, 0, ENETUNREACH},
	{"udp6 no route", AF_INET6, UDP, CALL_SENDTO, FAR6, 53, NULL, 0, ENETUNREACH},
	{"tcp4 non-blocking", AF_INET, TCP, CALL_CONNECT, "127.4.5.6", 0, NULL,
	 CALL_LISTEN | CALL_NONBLOCK, EINPROGRESS},
	{"tcp6 non-blocking refused", AF_INET6, TCP, CALL_CONNECT, "::1", 999, NULL, CALL_NONBLOCK,
	 EINPROGRESS},
	{"fastopen4 sendto", AF_INET, TCP, CALL_SENDTO, "127.4.5.6", 0, NULL,
	 CALL_LISTEN | CALL_FASTOPEN, 0},
	{"fastopen6 sendmsg", AF_INET6, TCP, CALL_SENDMSG, "::1", 0, NULL,
	 CALL_LISTEN | CALL_FASTOPEN, 0},
	{"udp4 highest port", AF_INET, UDP, CALL_SENDTO, "127.4.5.6", 65535, NULL, 0, 0},
	{"udp4 to a broadcast address", AF_INET, UDP, CALL_SENDTO, "255.255.255.255", 67, NULL, 0,
	 CALL_ANY_ERROR},
	{"udp6 connected, sendto elsewhere", AF_INET6, UDP, CALL_SENDTO, "::1", 26000, NULL,
	 CALL_CONNECTED, CALL_ANY_ERROR},
	{"udp4 connected, sendto elsewhere", AF_INET, UDP, CALL_SENDTO, "127.4.5.6", 26000, NULL,
	 CALL_CONNECTED, CALL_ANY_ERROR},
	{"udp4 connected, connect elsewhere", AF_INET, UDP, CALL_CONNECT, "127.4.5.6", 26001, NULL,
	 CALL_CONNECTED, 0},
	{"udp4 source in the message", AF_INET, UDP, CALL_SENDMSG, "127.4.5.6", 26002, NULL,
	 CALL_PKTINFO, 0},
	{"udp4 bound, source in the message", AF_INET, UDP, CALL_SENDMSG, "127.4.5.6", 26002,
	 "127.3.2.1", CALL_PKTINFO, 0},
	{"udp6 source in the message", AF_INET6, UDP, CALL_SENDMSG, "::1", 26003, NULL,
	 CALL_PKTINFO, 0},
	{"sockaddr_in on a udp6 socket, sendto", AF_INET6, UDP, CALL_SENDTO, "127.4.5.6", 26004,
	 NULL, CALL_PLAIN_V4, 0},
	{"sockaddr_in on a udp6 socket, connect", AF_INET6, UDP, CALL_CONNECT, "127.4.5.6", 26005,
	 NULL, CALL_PLAIN_V4, 0},
	{"udplite4 sendto", AF_INET, SOCK_DGRAM, IPPROTO_UDPLITE, CALL_SENDTO, "127.4.5.6", 26006,
	 NULL, 0, 0},
	{"udplite6 sendto", AF_INET6, SOCK_DGRAM, IPPROTO_UDPLITE, CALL_SENDTO, "::1", 26007, NULL,
	 0, 0},
	{"ping4 connect", AF_INET, SOCK_DGRAM, IPPROTO_ICMP, CALL_CONNECT, "127.4.5.6", 0, NULL, 0,
	 0},
	{"ping6 connect", AF_INET6, SOCK_DGRAM, IPPROTO_ICMPV6, CALL_CONNECT, "::1", 0, NULL, 0, 0},
	/* the kernel runs the hook on the first subflow, whose cookie no system call returns */
	{"mptcp4 connect", AF_INET, SOCK_STREAM, IPPROTO_MPTCP, CALL_CONNECT, "127.4.5.6", 0, NULL,
	 CALL_LISTEN | CALL_SUBFLOW, 0},
	{"mptcp6 connect", AF_INET6, SOCK_STREAM, IPPROTO_MPTCP, CALL_CONNECT, "::1", 0, NULL,
	 CALL_LISTEN | CALL_SUBFLOW, 0},
	{"mptcp4 refused", AF_INET, SOCK_STREAM, IPPROTO_MPTCP, CALL_CONNECT, "127.4.5.6", 999,
	 NULL, CALL_SUBFLOW, ECONNREFUSED},
	/* neither taking a connection back nor a send that fails before it starts is an event */
	{"udp4 disconnect", AF_INET, UDP, CALL_CONNECT, NULL, 0, NULL, CALL_NO_EVENT, 0},
	{"tcp4 send without connect", AF_INET, TCP, CALL_SENDTO, "127.4.5.6", 26008, NULL,
	 CALL_NO_EVENT, EPIPE},
};

/* Only groups in this range may make ping sockets; in a new namespace it is empty. */
static void allow_ping(void)
{
	int fd = open("/proc/sys/net/ipv4/ping_group_range", O_WRONLY | O_CLOEXEC);

	LIVE_CHECK(fd >= 0 && write(fd, "0 0", 3) == 3, "ping_group_range: %s", strerror(errno));
	close(fd);
}

static bool kernel_has(const struct call *call)
{
	int fd = socket(call->domain, call->type, call->protocol);

	if (fd < 0 && errno == EPROTONOSUPPORT) {
		fprintf(stderr, "left out: %s: the kernel has no such protocol\n", call->name);
		return false;
	}
	LIVE_CHECK(fd >= 0, "%s: socket: %s", call->name, strerror(errno));
	close(fd);
	return true;
}

static void odd_one(const void *index, void *out)
{
	const struct call *call = &odd_calls[*(const int *)index];
	struct call_expectations *t = out;

	live_own_netns(NULL, NULL);
	allow_ping();
	signal(SIGPIPE, SIG_IGN);
	if (kernel_has(call))
		t->count = call_make(call, t->list);
}

/* Before 6.1 no hook runs for connect() of a ping socket: tries whether a program can refuse it. */
static void try_ping(const void *index, void *refused)
{
	const struct call *call = &odd_calls[*(const int *)index];
	struct sockaddr_in6 to = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	struct sockaddr_in to4 = {.sin_family = AF_INET};
	int fd;

	to4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	live_own_netns(NULL, NULL);
	allow_ping();
	fd = socket(call->domain, call->type, call->protocol);
	LIVE_CHECK(fd >= 0, "%s: socket: %s", call->name, strerror(errno));
	if (call->domain == AF_INET)
		*(bool *)refused = connect(fd, (void *)&to4, sizeof(to4)) && errno == EPERM;
	else
		*(bool *)refused = connect(fd, (void *)&to, sizeof(to)) && errno == EPERM;
	close(fd);
}

static bool kernel_hooks(int index, const struct live_cgroup *cgroup)
{
	const struct call *call = &odd_calls[index];
	struct live_worker worker;
	bool refused = false;
	int link;

	if (call->protocol != IPPROTO_ICMP && call->protocol != IPPROTO_ICMPV6)
		return true;
	link = kernel_refuse_at(cgroup->fd, call->domain == AF_INET ? BPF_CGROUP_INET4_CONNECT
								    : BPF_CGROUP_INET6_CONNECT);
	live_worker_start(&worker, cgroup);
	live_worker_call(&worker, try_ping, &index, sizeof(index), &refused, sizeof(refused));
	live_worker_stop(&worker);
	close(link);
	if (!refused)
		fprintf(stderr, "left out: %s: the kernel has no hook there\n", call->name);
	return refused;
}

START_TEST(odd_call)
{
	struct live_cgroup session;
	struct agentsh_ebpf_tracer *tracer;
	struct live_worker worker;
	const char *differs;
	bool hooked;

	memset(&expectations, 0, sizeof(expectations));
	live_cgroup_make(&session, NULL);
	hooked = kernel_hooks(_i, &session);
	tracer = live_open_kept(NULL);
	live_attach(tracer, &session, SESSION_ID);
	live_worker_start(&worker, &session);
	live_worker_call(&worker, odd_one, &_i, sizeof(_i), &expectations, sizeof(expectations));
	live_worker_stop(&worker);
	live_drain(tracer);
	if (!hooked)
		expectations.count = 0; /* without a hook there is no event */
	for (size_t i = 0; i < expectations.count; i++)
		expectations.list[i].want.session_id = SESSION_ID;
	differs = expectation_all_differ(expectations.list, expectations.count);
	LIVE_CHECK(!differs, "%s", differs);
}
END_TEST

/* ---- sends that name no destination -------------------------------------- */

/* Sends on a connected socket: only the connect causes an event. */
static void connected_sends(const void *unused, void *out)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(26010)};
	struct iovec data = {.iov_base = "x", .iov_len = 1};
	struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1};
	int fd;

	(void)unused;
	live_own_netns(NULL, NULL);
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	fd = socket(AF_INET, SOCK_DGRAM, 0);
	LIVE_CHECK(!connect(fd, (void *)&to, sizeof(to)), "connect: %s", strerror(errno));
	for (int i = 0; i < 10; i++) {
		/* some fail with ECONNREFUSED, because nothing listens there */
		(void)!send(fd, "x", 1, 0);
		(void)!write(fd, "x", 1);
		(void)!sendmsg(fd, &message, 0);
	}
	close(fd);
	*(int *)out = 1;
}

START_TEST(sends_without_a_destination)
{
	struct live_cgroup session;
	struct agentsh_ebpf_tracer *tracer;
	struct live_worker worker;
	int done;

	live_cgroup_make(&session, NULL);
	tracer = live_open_kept(NULL);
	live_attach(tracer, &session, SESSION_ID);
	live_worker_start(&worker, &session);
	live_worker_call(&worker, connected_sends, NULL, 0, &done, sizeof(done));
	live_worker_stop(&worker);
	ck_assert_uint_eq(live_drain(tracer), 1);
	ck_assert_uint_eq(live_seen.list[0].kind, AGENTSH_EBPF_EVENT_CONNECT);
	ck_assert_uint_eq(live_seen.list[0].remote_port, 26010);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("odd");
	TCase *tcase = live_case(suite, "odd calls");

	tcase_add_loop_test(tcase, odd_call, 0, LIVE_COUNT(odd_calls));
	tcase_add_test(tcase, sends_without_a_destination);
	return live_main(suite);
}
