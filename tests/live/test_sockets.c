/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of sockets: what finds no room is marked and counted, a session cannot take the
 * room of others, and no socket stays in the table for longer than it can have events.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "kernel.h"
#include "live.h"

#define ALL (AGENTSH_EBPF_HOOK_CONNECT | AGENTSH_EBPF_HOOK_LIFECYCLE | AGENTSH_EBPF_HOOK_ACCEPT)
#define UNTRACKED AGENTSH_EBPF_FLAG_UNTRACKED
#define SOCKETS_MAX 64

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif

static struct live_cgroup cgroups[2];
static struct live_worker workers[2];
static struct agentsh_ebpf_session *sessions[2];

static struct agentsh_ebpf_tracer *open_with(uint32_t max_sockets)
{
	const struct agentsh_ebpf_tracer_options options = {
		.hooks = ALL,
		.required_hooks = ALL,
		.max_sockets = max_sockets,
	};

	return live_open(&options);
}

static void attach(struct agentsh_ebpf_tracer *tracer, int i, uint32_t max_sockets)
{
	const struct agentsh_ebpf_session_options options = {
		.size = sizeof(options),
		.session_id = (uint64_t)i,
		.max_sockets = max_sockets,
	};
	struct agentsh_ebpf_error err = LIVE_ERROR;

	LIVE_CHECK(
		!agentsh_ebpf_session_attach(tracer, cgroups[i].fd, &options, &sessions[i], &err),
		"attach: %s", err.message);
}

static void start(int i)
{
	live_cgroup_make(&cgroups[i], NULL);
	live_worker_start(&workers[i], &cgroups[i]);
}

/* ---- calls of the worker -------------------------------------------------- */

static int open_sockets[SOCKETS_MAX];
static int open_count;

static struct sockaddr_in discard_port(in_addr_t address)
{
	return (struct sockaddr_in){
		.sin_family = AF_INET,
		.sin_port = htons(9),
		.sin_addr.s_addr = htonl(address),
	};
}

/* Connects arg datagram sockets and keeps them open. */
static void connect_datagrams(const void *arg, void *unused)
{
	const struct sockaddr_in to = discard_port(INADDR_LOOPBACK);

	(void)unused;
	for (int i = 0; i < *(const int *)arg; i++) {
		int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

		LIVE_CHECK(fd >= 0 && !connect(fd, (const void *)&to, sizeof(to)), "connect: %s",
			   strerror(errno));
		open_sockets[open_count++] = fd;
	}
}

static void close_all(const void *unused, void *unused_out)
{
	(void)unused;
	(void)unused_out;
	while (open_count)
		close(open_sockets[--open_count]);
}

/* A listener and arg connections to it, whose ends stay open. */
static void connect_streams(const void *arg, void *unused)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof(at);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)unused;
	LIVE_CHECK(!bind(listener, (void *)&at, size) && !listen(listener, 8) &&
			   !getsockname(listener, (void *)&at, &size),
		   "listen: %s", strerror(errno));
	open_sockets[open_count++] = listener;
	for (int i = 0; i < *(const int *)arg; i++) {
		int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

		LIVE_CHECK(!connect(fd, (void *)&at, size), "connect: %s", strerror(errno));
		open_sockets[open_count++] = fd;
		open_sockets[open_count++] = accept(listener, NULL, NULL);
	}
}

/*
 * Attempts without a SYN, with TCP and with MPTCP if the kernel has it. Without BTF the
 * states of MPTCP attempts stay until detach.
 */
static void fail_to_connect(const void *arg, void *unused)
{
	static const int protocols[] = {IPPROTO_TCP, IPPROTO_MPTCP};
	const struct sockaddr_in to = discard_port(INADDR_BROADCAST);

	(void)unused;
	for (int i = 0; i < *(const int *)arg; i++) {
		int protocol = protocols[kernel_hides_tasks() ? 0 : i % 2];
		int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, protocol);

		LIVE_CHECK(fd >= 0 || protocol != IPPROTO_TCP, "socket: %s", strerror(errno));
		if (fd < 0)
			continue;
		LIVE_CHECK(connect(fd, (const void *)&to, sizeof(to)), "to a broadcast address");
		close(fd);
	}
}

/* Attempts whose SYN waits for data that never comes. */
static void defer_connect(const void *arg, void *unused)
{
	const struct sockaddr_in to = discard_port(INADDR_LOOPBACK);

	(void)unused;
	for (int i = 0; i < *(const int *)arg; i++) {
		int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

		LIVE_CHECK(fd >= 0 &&
				   !setsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, &(int){1},
					       sizeof(int)) &&
				   !setsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN_NO_COOKIE, &(int){1},
					       sizeof(int)) &&
				   !connect(fd, (const void *)&to, sizeof(to)),
			   "connect: %s", strerror(errno));
		close(fd);
	}
}

static void call(int i, live_fn fn, int arg)
{
	live_worker_call(&workers[i], fn, &arg, sizeof(arg), NULL, 0);
}

/* ---- what was seen -------------------------------------------------------- */

static size_t count_seen(uint64_t session, uint32_t kind, uint32_t flags)
{
	size_t count = 0;

	for (size_t i = 0; i < live_seen.count; i++) {
		const struct agentsh_ebpf_event *e = &live_seen.list[i];

		count += e->session_id == session && e->kind == kind &&
			 (e->flags & UNTRACKED) == flags;
	}
	return count;
}

static uint64_t untracked(int i)
{
	return live_session_stats(sessions[i]).untracked;
}

START_TEST(a_session_has_its_share)
{
	struct agentsh_ebpf_tracer *tracer = open_with(0);

	start(0);
	start(1);
	attach(tracer, 0, 3);
	attach(tracer, 1, 0);
	call(0, connect_datagrams, 5);
	call(1, connect_datagrams, 5);
	ck_assert_uint_eq(untracked(0), 2);
	ck_assert_uint_eq(untracked(1), 0);
	ck_assert_uint_eq(live_tracer_stats(tracer).untracked, 2);
	call(0, close_all, 0);
	call(1, close_all, 0);
	call(0, connect_datagrams, 3); /* there is room again */
	live_drain(tracer);
	ck_assert_uint_eq(count_seen(0, AGENTSH_EBPF_EVENT_CONNECT, 0), 6);
	ck_assert_uint_eq(count_seen(0, AGENTSH_EBPF_EVENT_CONNECT, UNTRACKED), 2);
	ck_assert_uint_eq(count_seen(0, AGENTSH_EBPF_EVENT_CLOSED, 0), 3);
	ck_assert_uint_eq(count_seen(1, AGENTSH_EBPF_EVENT_CLOSED, 0), 5);
	ck_assert_uint_eq(untracked(0), 2);
	live_close(tracer);
}
END_TEST

/* The table of 16 is divided by nothing but the order of the calls. */
START_TEST(the_table_is_full)
{
	struct agentsh_ebpf_tracer *tracer = open_with(16);

	start(0);
	start(1);
	attach(tracer, 0, 100);
	attach(tracer, 1, 0); /* a quarter: 4 */
	call(1, connect_datagrams, 6);
	call(0, connect_datagrams, 20);
	ck_assert_uint_eq(untracked(1), 2);
	/* the kernel may take a few more elements than the table's size */
	ck_assert_uint_ge(untracked(0), 4);
	ck_assert_uint_le(untracked(0), 8);
	call(0, close_all, 0);
	call(1, connect_datagrams, 1); /* still at its share */
	ck_assert_uint_eq(untracked(1), 3);
	live_close(tracer);
}
END_TEST

/* A connection without room still has CONNECT, CONNECTED and ACCEPTED. */
START_TEST(streams_without_room)
{
	struct agentsh_ebpf_tracer *tracer = open_with(0);

	start(0);
	attach(tracer, 0, 1); /* the listener */
	call(0, connect_streams, 2);
	call(0, close_all, 0);
	live_drain(tracer);
	ck_assert_uint_eq(count_seen(0, AGENTSH_EBPF_EVENT_CONNECT, UNTRACKED), 2);
	ck_assert_uint_eq(count_seen(0, AGENTSH_EBPF_EVENT_CONNECTED, UNTRACKED), 2);
	ck_assert_uint_eq(count_seen(0, AGENTSH_EBPF_EVENT_ACCEPTED, UNTRACKED), 2);
	ck_assert_uint_eq(live_seen.count, 6);
	ck_assert_uint_eq(untracked(0), 6);
	for (size_t i = 0; i < live_seen.count; i++) {
		const struct agentsh_ebpf_event *e = &live_seen.list[i];
		bool known = e->kind != AGENTSH_EBPF_EVENT_CONNECTED;

		ck_assert_int_eq(e->tgid == (uint32_t)workers[0].pid, known);
		ck_assert_int_eq(!(e->flags & AGENTSH_EBPF_FLAG_UNATTRIBUTED), known);
	}
	live_close(tracer);
}
END_TEST

/* Every way in which a socket ends leaves room for the next one. */
START_TEST(no_socket_stays)
{
	struct agentsh_ebpf_tracer *tracer = open_with(0);

	start(0);
	attach(tracer, 0, 8);
	for (int i = 0; i < 10; i++) {
		call(0, connect_streams, 3); /* with a listener: 7 */
		call(0, close_all, 0);
		call(0, fail_to_connect, 16);
		call(0, defer_connect, 8);
		call(0, connect_datagrams, 8);
		call(0, close_all, 0);
	}
	ck_assert_uint_eq(untracked(0), 0);
	live_close(tracer);
}
END_TEST

/* Detach makes room for the next session, although the sockets are still open. */
START_TEST(detach_makes_room)
{
	struct agentsh_ebpf_tracer *tracer = open_with(16);

	start(0);
	for (int i = 0; i < 5; i++) {
		attach(tracer, 0, 16);
		call(0, connect_datagrams, 12);
		ck_assert_uint_eq(untracked(0), 0);
		ck_assert_int_eq(agentsh_ebpf_session_detach(sessions[0]), 0);
	}
	live_close(tracer);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("sockets");
	TCase *tcase = live_case(suite, "sockets");

	tcase_add_test(tcase, a_session_has_its_share);
	tcase_add_test(tcase, the_table_is_full);
	tcase_add_test(tcase, streams_without_room);
	tcase_add_test(tcase, no_socket_stays);
	tcase_add_test(tcase, detach_makes_room);
	return live_main(suite);
}
