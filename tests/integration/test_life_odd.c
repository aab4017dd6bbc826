/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connections out of the ordinary, each in its own network namespace: TCP Fast
 * Open, MPTCP, two SYNs that cross, segments that have to be sent again.
 */
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "life.h"

#define CLOSED AGENTSH_EBPF_EVENT_CLOSED
#define LOCAL AGENTSH_EBPF_FLAG_LOCAL_CLOSED
#define ACCEPT AGENTSH_EBPF_HOOK_ACCEPT
#define TCP_ESTABLISHED_STATE 1
#define FASTOPEN_BOTH_NO_COOKIE                                                                    \
	"1543" /* Documentation/networking/ip-sysctl: 1 | 2 | 4 | 0x200 | 0x400 */

struct odd {
	struct life life;
	int left_out;
};

static int fastopen_listen(enum life_family family, struct life_address *at)
{
	int fd;

	life_sysctl("net/ipv4/tcp_fastopen", FASTOPEN_BOTH_NO_COOKIE);
	fd = life_listen(family, 0, 8, at);
	LIVE_CHECK(!setsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN, &(int){8}, sizeof(int)),
		   "TCP_FASTOPEN: %s", strerror(errno));
	return fd;
}

/* We end first; both sides read to the end. */
static void finish(struct life *life, int fd, int server)
{
	life_ending(life);
	shutdown(fd, SHUT_WR);
	LIFE_SAME(life_read_end(server), 0);
	close(server);
	LIFE_SAME(life_read_end(fd), 0);
	life_ended(life, CLOSED, LOCAL, 0);
	close(fd);
}

static void answer(struct life *life, int fd, int server, size_t size)
{
	life_write(server, size);
	life_read(fd, size);
	life->received = size;
}

/* connect() in a send, with data in the SYN. */
static void fastopen_send(enum life_family family, struct odd *odd)
{
	struct life_address at;
	int listener = fastopen_listen(family, &at), fd = life_socket(family, 0), server;
	static const char data[500];

	life_before(&odd->life, fd, &at, "MSG_FASTOPEN");
	LIFE_SAME(sendto(fd, data, sizeof(data), MSG_FASTOPEN, &at.sa.any, at.size), 500);
	life_after(&odd->life, fd);
	server = life_accept(listener);
	life_wait_state(fd, TCP_ESTABLISHED_STATE);
	life_is_connected(&odd->life, fd);
	odd->life.known &= ~(uint32_t)LIFE_RTT;
	LIVE_CHECK(life_info(fd).tcpi_options & 32 /* TCPI_OPT_SYN_DATA */,
		   "the data was not in the SYN");
	life_read(server, 500);
	odd->life.sent = 500;
	answer(&odd->life, fd, server, 600);
	finish(&odd->life, fd, server);
}

/* The SYN waits for the first write. */
static void fastopen_connect(enum life_family family, struct odd *odd)
{
	struct life_address at;
	int listener = fastopen_listen(family, &at), fd = life_socket(family, 0), server, error;

	LIVE_CHECK(!setsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, &(int){1}, sizeof(int)),
		   "TCP_FASTOPEN_CONNECT: %s", strerror(errno));
	error = life_connect(&odd->life, fd, &at, "TCP_FASTOPEN_CONNECT");
	LIVE_CHECK(!error, "connect: %s", strerror(error));
	life_write(fd, 500);
	server = life_accept(listener);
	life_wait_state(fd, TCP_ESTABLISHED_STATE);
	life_is_connected(&odd->life, fd);
	odd->life.known &= ~(uint32_t)LIFE_RTT;
	life_read(server, 500);
	odd->life.sent = 500;
	answer(&odd->life, fd, server, 600);
	finish(&odd->life, fd, server);
}

static void mptcp(enum life_family family, struct odd *odd)
{
	struct life_address at;
	int listener, fd, server, error;

	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_MPTCP);
	if (fd < 0) {
		LIVE_CHECK(errno == EPROTONOSUPPORT, "socket: %s", strerror(errno));
		odd->left_out = 1;
		return;
	}
	close(fd);
	listener = life_listen(family, IPPROTO_MPTCP, 8, &at);
	fd = life_socket(family, IPPROTO_MPTCP);
	error = life_connect(&odd->life, fd, &at, "MPTCP");
	LIVE_CHECK(!error, "connect: %s", strerror(error));
	life_is_connected(&odd->life, fd);
	server = life_accept(listener);
	life_write(fd, 3000);
	life_read(server, 3000);
	odd->life.sent = 3000;
	answer(&odd->life, fd, server, 4000);
	life_ending(&odd->life);
	shutdown(fd, SHUT_WR);
	LIFE_SAME(life_read_end(server), 0);
	close(server);
	LIFE_SAME(life_read_end(fd), 0);
	close(fd);
	life_ended(&odd->life, CLOSED, 0, 0);
	/* its subflow ends when the kernel likes, and by whom is the protocol's business */
	odd->life.end_ns[1] = UINT64_MAX;
}

/* A socket that connects to itself: its SYN meets itself on the way. */
static void crossed(enum life_family family, struct odd *odd)
{
	struct life_address at = life_loopback(family, 0);
	int fd = life_socket(family, 0), error;

	LIVE_CHECK(!bind(fd, &at.sa.any, at.size) && !getsockname(fd, &at.sa.any, &at.size),
		   "bind: %s", strerror(errno));
	error = life_connect(&odd->life, fd, &at, "to itself");
	LIVE_CHECK(!error, "connect: %s", strerror(error));
	life_is_connected(&odd->life, fd);
	odd->life.known &= ~(uint32_t)LIFE_RTT;
	life_write(fd, 800);
	life_read(fd, 800);
	odd->life.sent = odd->life.received = 800;
	life_ending(&odd->life);
	shutdown(fd, SHUT_WR);
	LIFE_SAME(life_read_end(fd), 0);
	life_wait_state(fd, 7 /* TCP_CLOSE */);
	life_ended(&odd->life, CLOSED, LOCAL, 0);
	close(fd);
}

static void lo_up(bool up)
{
	struct ifreq lo = {.ifr_name = "lo", .ifr_flags = up ? IFF_UP : 0};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	LIVE_CHECK(fd >= 0 && !ioctl(fd, SIOCSIFFLAGS, &lo), "lo: %s", strerror(errno));
	close(fd);
}

/* The network is away for a while, which an IPv6 address would not outlive. */
static void sent_again(enum life_family wanted, struct odd *odd)
{
	enum life_family family = wanted == LIFE_V6 ? LIFE_V4 : wanted;
	struct life_address at;
	int listener = life_listen(family, 0, 8, &at), fd = life_socket(family, 0), server, error;

	error = life_connect(&odd->life, fd, &at, "sent again");
	LIVE_CHECK(!error, "connect: %s", strerror(error));
	life_is_connected(&odd->life, fd);
	server = life_accept(listener);
	lo_up(false);
	life_write(fd, 900);
	for (int i = 0; !life_info(fd).tcpi_retransmits && i < LIVE_DEADLINE_MS / 10; i++)
		usleep(10000);
	lo_up(true);
	life_read(server, 900);
	odd->life.sent = 900;
	answer(&odd->life, fd, server, 1);
	life_ending(&odd->life);
	shutdown(fd, SHUT_WR);
	LIFE_SAME(life_read_end(server), 0);
	close(server);
	LIFE_SAME(life_read_end(fd), 0);
	life_wait_state(fd, 7 /* TCP_CLOSE */);
	life_ended(&odd->life, CLOSED, LOCAL, 0);
	life_ended_info(&odd->life, fd);
	LIVE_CHECK(odd->life.retransmits, "nothing was sent again");
	close(fd);
}

static void (*const ways[])(enum life_family family, struct odd *odd) = {
	fastopen_send, fastopen_connect, mptcp, crossed, sent_again,
};

#define FAMILIES 3
#define WAYS ((int)LIVE_COUNT(ways) * FAMILIES)

static void one_way(const void *index, void *out)
{
	int i = *(const int *)index;

	live_own_netns(NULL, NULL);
	ways[i / FAMILIES]((enum life_family)(i % FAMILIES), out);
}

START_TEST(odd_one)
{
	struct live_cgroup session;
	struct agentsh_ebpf_tracer *tracer = life_open(LIFE_CONNECT | (_i / WAYS ? ACCEPT : 0));
	struct live_worker worker;
	int way = _i % WAYS;
	static struct odd odd;

	live_cgroup_make(&session, NULL);
	live_attach(tracer, &session, 6);
	live_worker_start(&worker, &session);
	live_worker_call(&worker, one_way, &way, sizeof(way), &odd, sizeof(odd));
	live_worker_stop(&worker);
	if (odd.left_out) {
		fprintf(stderr, "left out: mptcp: the kernel has no such protocol\n");
		return;
	}
	life_drain(tracer, &odd.life, 1);
	if (ways[way / FAMILIES] == mptcp)
		odd.life.flags =
			life_find(CLOSED, 0)->flags & (LOCAL | AGENTSH_EBPF_FLAG_REMOTE_CLOSED);
	life_expect(&odd.life, 1);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("life: odd");
	TCase *tcase = live_case(suite, "odd");

	tcase_add_loop_test(tcase, odd_one, 0, 2 * WAYS);
	return live_main(suite);
}
