/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Unusual connections, each in its own network namespace: TCP Fast Open, MPTCP, two SYNs
 * that cross, and retransmissions.
 */
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "connection_attempts.h"

#define CLOSED AGENTSH_EBPF_EVENT_CLOSED
#define LOCAL AGENTSH_EBPF_FLAG_LOCAL_CLOSED
#define TCP_ESTABLISHED_STATE 1
#define FASTOPEN_BOTH_NO_COOKIE                                                                    \
	"1543" /* Documentation/networking/ip-sysctl: 1 | 2 | 4 | 0x200 | 0x400 */

struct odd {
	struct connection connection;
	int left_out;
};

static int fastopen_listen(enum connection_family family, struct connection_address *at)
{
	int fd;

	connection_sysctl("net/ipv4/tcp_fastopen", FASTOPEN_BOTH_NO_COOKIE);
	fd = connection_listen(family, 0, 8, at);
	LIVE_CHECK(!setsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN, &(int){8}, sizeof(int)),
		   "TCP_FASTOPEN: %s", strerror(errno));
	return fd;
}

/* The client closes first; both sides read to the end of the stream. */
static void finish(struct connection *connection, int fd, int server)
{
	connection_ending(connection);
	shutdown(fd, SHUT_WR);
	CONNECTION_SAME(connection_read_end(server), 0);
	close(server);
	CONNECTION_SAME(connection_read_end(fd), 0);
	connection_ended(connection, CLOSED, LOCAL, 0);
	close(fd);
}

static void answer(struct connection *connection, int fd, int server, size_t size)
{
	connection_write(server, size);
	connection_read(fd, size);
	connection->received = size;
}

/* A send that connects, with data in the SYN. */
static void fastopen_send(enum connection_family family, struct odd *odd)
{
	struct connection_address at;
	int listener = fastopen_listen(family, &at), fd = connection_socket(family, 0), server;
	static const char data[500];

	connection_before(&odd->connection, fd, &at, "MSG_FASTOPEN");
	CONNECTION_SAME(sendto(fd, data, sizeof(data), MSG_FASTOPEN, &at.sa.any, at.size), 500);
	connection_after(&odd->connection, fd);
	server = connection_accept(listener);
	connection_wait_state(fd, TCP_ESTABLISHED_STATE);
	connection_is_connected(&odd->connection, fd);
	odd->connection.known &= ~(uint32_t)CONNECTION_RTT;
	LIVE_CHECK(connection_info(fd).tcpi_options & 32 /* TCPI_OPT_SYN_DATA */,
		   "the data was not in the SYN");
	connection_read(server, 500);
	odd->connection.sent = 500;
	answer(&odd->connection, fd, server, 600);
	finish(&odd->connection, fd, server);
}

/* The SYN waits for the first write. */
static void fastopen_connect(enum connection_family family, struct odd *odd)
{
	struct connection_address at;
	int listener = fastopen_listen(family, &at), fd = connection_socket(family, 0), server,
	    error;

	LIVE_CHECK(!setsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, &(int){1}, sizeof(int)),
		   "TCP_FASTOPEN_CONNECT: %s", strerror(errno));
	error = connection_connect(&odd->connection, fd, &at, "TCP_FASTOPEN_CONNECT");
	LIVE_CHECK(!error, "connect: %s", strerror(error));
	connection_write(fd, 500);
	server = connection_accept(listener);
	connection_wait_state(fd, TCP_ESTABLISHED_STATE);
	connection_is_connected(&odd->connection, fd);
	odd->connection.known &= ~(uint32_t)CONNECTION_RTT;
	connection_read(server, 500);
	odd->connection.sent = 500;
	answer(&odd->connection, fd, server, 600);
	finish(&odd->connection, fd, server);
}

static void mptcp(enum connection_family family, struct odd *odd)
{
	struct connection_address at;
	int listener, fd, server, error;

	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_MPTCP);
	if (fd < 0) {
		LIVE_CHECK(errno == EPROTONOSUPPORT, "socket: %s", strerror(errno));
		odd->left_out = 1;
		return;
	}
	close(fd);
	listener = connection_listen(family, IPPROTO_MPTCP, 8, &at);
	fd = connection_socket(family, IPPROTO_MPTCP);
	error = connection_connect(&odd->connection, fd, &at, "MPTCP");
	LIVE_CHECK(!error, "connect: %s", strerror(error));
	connection_is_connected(&odd->connection, fd);
	server = connection_accept(listener);
	connection_write(fd, 3000);
	connection_read(server, 3000);
	odd->connection.sent = 3000;
	answer(&odd->connection, fd, server, 4000);
	connection_ending(&odd->connection);
	shutdown(fd, SHUT_WR);
	CONNECTION_SAME(connection_read_end(server), 0);
	close(server);
	CONNECTION_SAME(connection_read_end(fd), 0);
	close(fd);
	connection_ended(&odd->connection, CLOSED, 0, 0);
	/* the protocol decides when its subflow ends and which side closes it */
	odd->connection.end_ns[1] = UINT64_MAX;
}

/* A socket that connects to itself receives its own SYN. */
static void crossed(enum connection_family family, struct odd *odd)
{
	struct connection_address at = connection_loopback(family, 0);
	int fd = connection_socket(family, 0), error;

	LIVE_CHECK(!bind(fd, &at.sa.any, at.size) && !getsockname(fd, &at.sa.any, &at.size),
		   "bind: %s", strerror(errno));
	error = connection_connect(&odd->connection, fd, &at, "to itself");
	LIVE_CHECK(!error, "connect: %s", strerror(error));
	connection_is_connected(&odd->connection, fd);
	odd->connection.known &= ~(uint32_t)CONNECTION_RTT;
	connection_write(fd, 800);
	connection_read(fd, 800);
	odd->connection.sent = odd->connection.received = 800;
	connection_ending(&odd->connection);
	shutdown(fd, SHUT_WR);
	CONNECTION_SAME(connection_read_end(fd), 0);
	connection_wait_state(fd, 7 /* TCP_CLOSE */);
	connection_ended(&odd->connection, CLOSED, LOCAL, 0);
	close(fd);
}

static void lo_up(bool up)
{
	struct ifreq lo = {.ifr_name = "lo", .ifr_flags = up ? IFF_UP : 0};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	LIVE_CHECK(fd >= 0 && !ioctl(fd, SIOCSIFFLAGS, &lo), "lo: %s", strerror(errno));
	close(fd);
}

/* lo is down for a while. IPv6 runs as IPv4, because its address does not survive that. */
static void retransmitted(enum connection_family wanted, struct odd *odd)
{
	enum connection_family family = wanted == CONNECTION_V6 ? CONNECTION_V4 : wanted;
	struct connection_address at;
	int listener = connection_listen(family, 0, 8, &at), fd = connection_socket(family, 0),
	    server, error;

	error = connection_connect(&odd->connection, fd, &at, "retransmitted");
	LIVE_CHECK(!error, "connect: %s", strerror(error));
	connection_is_connected(&odd->connection, fd);
	server = connection_accept(listener);
	lo_up(false);
	connection_write(fd, 900);
	for (int i = 0; !connection_info(fd).tcpi_retransmits && i < LIVE_DEADLINE_MS / 10; i++)
		usleep(10000);
	lo_up(true);
	connection_read(server, 900);
	odd->connection.sent = 900;
	answer(&odd->connection, fd, server, 1);
	connection_ending(&odd->connection);
	shutdown(fd, SHUT_WR);
	CONNECTION_SAME(connection_read_end(server), 0);
	close(server);
	CONNECTION_SAME(connection_read_end(fd), 0);
	connection_wait_state(fd, 7 /* TCP_CLOSE */);
	connection_ended(&odd->connection, CLOSED, LOCAL, 0);
	connection_ended_info(&odd->connection, fd);
	LIVE_CHECK(odd->connection.retransmits, "nothing was retransmitted");
	close(fd);
}

static void (*const paths[])(enum connection_family family, struct odd *odd) = {
	fastopen_send, fastopen_connect, mptcp, crossed, retransmitted,
};

static void run_attempt(const void *arg, void *out)
{
	const struct connection_attempt *attempt = arg;

	live_own_netns(NULL, NULL);
	paths[attempt->path](attempt->family, out);
}

static struct odd made[CONNECTION_ATTEMPTS];
static struct connection all[CONNECTION_ATTEMPTS];

static const struct agentsh_ebpf_event *closed_of(uint64_t session_id)
{
	for (size_t i = 0; i < live_seen.count; i++) {
		const struct agentsh_ebpf_event *e = &live_seen.list[i];

		if (e->kind == CLOSED && e->session_id == session_id &&
		    !(e->flags & AGENTSH_EBPF_FLAG_INBOUND))
			return e;
	}
	LIVE_FAIL("session %llu has no CLOSED", (unsigned long long)session_id);
}

/* All families at the same time, with and without HOOK_ACCEPT: a lost segment takes a second. */
START_TEST(odd_one)
{
	struct connection_attempts attempts;
	size_t count = 0;

	memset(made, 0, sizeof(made));
	connection_attempts_start(&attempts, (size_t)_i, run_attempt, sizeof(made[0]));
	for (int i = 0; i < CONNECTION_ATTEMPTS; i++) {
		live_worker_receive(&attempts.worker[i], &made[i], sizeof(made[i]));
		live_worker_stop(&attempts.worker[i]);
		if (made[i].left_out) {
			fprintf(stderr, "left out: mptcp: the kernel has no such protocol\n");
			continue;
		}
		all[count++] = made[i].connection;
		/* waits for the events of this worker only: those of earlier workers are there */
		connection_drain(attempts.tracer[i], all, count);
	}
	for (int i = 0; i < CONNECTION_ATTEMPTS; i++) {
		const uint64_t id = (uint64_t)i + 1;

		if (made[i].left_out)
			continue;
		if (paths[_i] == mptcp)
			made[i].connection.flags =
				closed_of(id)->flags & (LOCAL | AGENTSH_EBPF_FLAG_REMOTE_CLOSED);
		connection_expect_of(id, &made[i].connection, 1);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("connection: odd");
	TCase *tcase = live_case(suite, "odd");

	tcase_add_loop_test(tcase, odd_one, 0, (int)LIVE_COUNT(paths));
	return live_main(suite);
}
