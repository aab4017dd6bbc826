/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Attempts that come to nothing: one CONNECT_FAILED with the errno for each that
 * sent a SYN, none for those that did not. A listener whose queue is full
 * takes no notice of a SYN: a black hole on loopback.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/ip_icmp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "life.h"

#define SESSION_ID 66
#define FAMILIES 3
#define LIVES_MAX 8
#define SYN_TIMEOUT_NS 1000000000 /* the first; before it nothing has timed out */
#define SYN_SENT 2
#define CLOSED 7
#define FAILED AGENTSH_EBPF_EVENT_CONNECT_FAILED

struct lives {
	size_t count;
	struct life list[LIVES_MAX];
};

static struct life *new_life(struct lives *lives)
{
	LIVE_CHECK(lives->count < LIVES_MAX, "too many lives");
	return &lives->list[lives->count++];
}

static void failed(struct life *life, int error)
{
	life_ended(life, FAILED, 0, error);
}

static int error_of(int fd)
{
	int error = 0;
	socklen_t size = sizeof(error);

	LIVE_CHECK(!getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size), "SO_ERROR");
	return error;
}

static void nonblocking(int fd)
{
	LIVE_CHECK(!fcntl(fd, F_SETFL, O_NONBLOCK), "O_NONBLOCK: %s", strerror(errno));
}

/* Waits for the end of a non-blocking connect(). */
static int outcome(int fd)
{
	struct pollfd poll_fd = {.fd = fd, .events = POLLOUT};

	LIVE_CHECK(poll(&poll_fd, 1, LIVE_DEADLINE_MS) == 1, "connect() neither fails nor ends");
	return error_of(fd);
}

struct hole {
	struct life_address at;
	int listener, filler;
};

static struct hole hole_make(enum life_family family)
{
	struct hole hole;

	hole.listener = life_listen(family, 0, 0, &hole.at);
	hole.filler = life_socket(family, 0);
	return hole;
}

/* As a life, for its events are seen too; it is not over. */
static struct hole hole_open(enum life_family family, struct lives *lives)
{
	struct hole hole = hole_make(family);
	struct life *life = new_life(lives);
	int error = life_connect(life, hole.filler, &hole.at, "filler");

	LIVE_CHECK(!error, "filler: %s", strerror(error));
	life_is_connected(life, hole.filler);
	life_wait_arrived(hole.listener);
	return hole;
}

/* ---- the ways ------------------------------------------------------------ */

static struct life_address nowhere(enum life_family family)
{
	struct life_address at;

	close(life_listen(family, 0, 1, &at));
	return at;
}

static void refused(enum life_family family, struct lives *lives)
{
	const struct life_address at = nowhere(family);
	struct life *life = new_life(lives);
	int fd = life_socket(family, 0);

	LIFE_SAME(life_connect(life, fd, &at, "refused"), ECONNREFUSED);
	life->end_ns[0] = life->connect.boot_ns[0];
	life->known = 0; /* the port is given back */
	failed(life, ECONNREFUSED);
	close(fd);
}

static void refused_later(enum life_family family, struct lives *lives)
{
	const struct life_address at = nowhere(family);
	struct life *life = new_life(lives);
	int fd = life_socket(family, 0), error;

	nonblocking(fd);
	error = life_connect(life, fd, &at, "non-blocking, refused");
	LIVE_CHECK(error == EINPROGRESS, "connect: %s", strerror(error));
	life->end_ns[0] = life->connect.boot_ns[0];
	life->known = 0;
	LIFE_SAME(outcome(fd), ECONNREFUSED);
	failed(life, ECONNREFUSED);
	close(fd);
}

static void timed_out(enum life_family family, struct lives *lives)
{
	const struct hole hole = hole_open(family, lives);
	struct life *life = new_life(lives);
	int fd = life_socket(family, 0);

	LIVE_CHECK(!setsockopt(fd, IPPROTO_TCP, TCP_SYNCNT, &(int){1}, sizeof(int)),
		   "TCP_SYNCNT: %s", strerror(errno));
	nonblocking(fd);
	LIFE_SAME(life_connect(life, fd, &hole.at, "timed out"), EINPROGRESS);
	life->end_ns[0] = life->connect.boot_ns[0] + SYN_TIMEOUT_NS;
	LIFE_SAME(outcome(fd), ETIMEDOUT);
	failed(life, ETIMEDOUT);
	life->retransmits = life_info(fd).tcpi_total_retrans;
	LIVE_CHECK(life->retransmits, "the SYN was not sent again");
	life->known |= LIFE_RETRANSMITS;
	close(fd);
}

static int connect_into(const struct hole *hole, enum life_family family, struct life *life,
			const char *name)
{
	int fd = life_socket(family, 0);

	nonblocking(fd);
	LIFE_SAME(life_connect(life, fd, &hole->at, name), EINPROGRESS);
	LIFE_SAME(life_info(fd).tcpi_state, SYN_SENT);
	return fd;
}

static void given_up(enum life_family family, struct lives *lives)
{
	const struct hole hole = hole_open(family, lives);
	struct life *life = new_life(lives);
	int fd = connect_into(&hole, family, life, "given up");

	/* asking again is no other attempt */
	LIVE_CHECK(connect(fd, &hole.at.sa.any, hole.at.size) && errno == EALREADY, "again: %s",
		   strerror(errno));
	life_ending(life);
	close(fd);
	failed(life, ECANCELED);
}

static void taken_back(enum life_family family, struct lives *lives)
{
	const struct sockaddr none = {.sa_family = AF_UNSPEC};
	const struct hole hole = hole_open(family, lives);
	struct life *life = new_life(lives);
	int fd = connect_into(&hole, family, life, "taken back");

	life_ending(life);
	LIVE_CHECK(!connect(fd, &none, sizeof(none)), "AF_UNSPEC: %s", strerror(errno));
	failed(life, ECANCELED);
	close(fd);
}

/* bind() comes too late, but its hook runs before the kernel says so. */
static void bound_meanwhile(enum life_family family, struct lives *lives)
{
	const struct life_address any = life_loopback(family, 0);
	const struct hole hole = hole_open(family, lives);
	struct life *life = new_life(lives);
	int fd = connect_into(&hole, family, life, "bound meanwhile");

	LIVE_CHECK(bind(fd, &any.sa.any, any.size) && errno == EINVAL, "bind: %s", strerror(errno));
	life_ending(life);
	close(fd);
	failed(life, ECANCELED);
}

/* getsockname() goes on to tell the port of the attempt before, which was given back. */
static void no_port_yet(struct life *life)
{
	life->connect.want.local_port = 0;
}

/* Again with the same socket: another attempt with an end of its own. */
static void second_try(enum life_family family, struct lives *lives)
{
	const struct life_address at = nowhere(family);
	struct life_address there;
	int fd = life_socket(family, 0), listener = life_listen(family, 0, 8, &there);
	struct life *life;
	int error;

	for (int i = 0; i < 2; i++) {
		life = new_life(lives);
		LIFE_SAME(life_connect(life, fd, &at, "try"), ECONNREFUSED);
		life->end_ns[0] = life->connect.boot_ns[0];
		life->known = 0;
		failed(life, ECONNREFUSED);
		if (i)
			no_port_yet(life);
	}
	life = new_life(lives);
	error = life_connect(life, fd, &there, "last try");
	LIVE_CHECK(!error, "last try: %s", strerror(error));
	life_is_connected(life, fd);
	no_port_yet(life);
	life_ending(life);
	life_close_hard(fd);
	life_ended(life, AGENTSH_EBPF_EVENT_CLOSED, 0, 0);
	close(listener);
}

static void no_route(enum life_family family, struct lives *lives)
{
	static const char *const far[] = {"198.51.100.7", "2001:db8::1", "::ffff:198.51.100.7"};
	struct life_address at = life_loopback(family, 443);
	int fd = life_socket(family, 0);

	inet_pton(at.sa.any.sa_family, far[family],
		  family == LIFE_V4 ? (void *)&at.sa.v4.sin_addr : (void *)&at.sa.v6.sin6_addr);
	LIFE_SAME(life_connect(new_life(lives), fd, &at, "no route"), ENETUNREACH);
	close(fd);
}

/* The one port there is is taken; the second time after an attempt that got to a SYN. */
static void no_port(enum life_family family, struct lives *lives)
{
	const struct life_address at = nowhere(family);
	struct life_address there;
	int one = life_socket(family, 0), other = life_socket(family, 0), error;
	struct life *life = new_life(lives);

	life_listen(family, 0, 8, &there); /* open as long as the worker */
	life_sysctl("net/ipv4/ip_local_port_range", "40000 40000");
	error = life_connect(life, one, &there, "holds the port");
	LIVE_CHECK(!error, "connect: %s", strerror(error));
	life_is_connected(life, one);
	LIFE_SAME(life->local_port, 40000);
	LIFE_SAME(life_connect(new_life(lives), other, &there, "no port"), EADDRNOTAVAIL);
	life = new_life(lives);
	LIFE_SAME(life_connect(life, other, &at, "refused"), ECONNREFUSED);
	life->end_ns[0] = life->connect.boot_ns[0];
	life->known = 0;
	failed(life, ECONNREFUSED);
	life = new_life(lives);
	LIFE_SAME(life_connect(life, other, &there, "no port again"), EADDRNOTAVAIL);
	no_port_yet(life);
}

/* TCP_FASTOPEN_CONNECT with a cookie puts the SYN off until there is data. */
static void never_written(enum life_family family, struct lives *lives)
{
	struct life_address at;
	struct life *life;
	int listener, fd;

	life_sysctl("net/ipv4/tcp_fastopen", "1543"); /* both sides, no cookie needed */
	listener = life_listen(family, 0, 8, &at);
	LIVE_CHECK(!setsockopt(listener, IPPROTO_TCP, TCP_FASTOPEN, &(int){8}, sizeof(int)),
		   "TCP_FASTOPEN: %s", strerror(errno));
	fd = life_socket(family, 0);
	LIVE_CHECK(!setsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, &(int){1}, sizeof(int)),
		   "TCP_FASTOPEN_CONNECT: %s", strerror(errno));
	life = new_life(lives);
	LIFE_SAME(life_connect(life, fd, &at, "never written"), 0);
	life->known = 0;
	close(fd);
	close(listener);
}

/* A host that forbids: an ICMP message that quotes the SYN. */
static void prohibited(enum life_family family, struct lives *lives)
{
	struct {
		struct icmphdr head;
		uint8_t quoted[28];
	} message = {.head = {.type = ICMP_DEST_UNREACH, .code = ICMP_PKT_FILTERED}};
	struct sockaddr_in to = {.sin_family = AF_INET};
	int syns = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_TCP);
	int icmp = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMP);
	struct hole hole;
	struct life *life;
	uint16_t words[sizeof(message) / 2];
	uint8_t packet[256];
	uint32_t sum = 0;
	int fd;

	if (family == LIFE_V6)
		return; /* the others have IPv4 packets */
	hole = hole_open(family, lives);
	life = new_life(lives);
	LIVE_CHECK(syns >= 0 && icmp >= 0, "raw sockets: %s", strerror(errno));
	while (recv(syns, packet, sizeof(packet), MSG_DONTWAIT) > 0)
		;
	fd = connect_into(&hole, family, life, "prohibited");
	LIVE_CHECK(recv(syns, packet, sizeof(packet), 0) >= 40, "no SYN: %s", strerror(errno));
	memcpy(message.quoted, packet, sizeof(message.quoted));
	memcpy(&to.sin_addr, packet + 12, 4); /* back to where it came from */
	memcpy(words, &message, sizeof(message));
	for (size_t i = 0; i < LIVE_COUNT(words); i++)
		sum += words[i];
	sum = (sum & 0xffff) + (sum >> 16);
	message.head.checksum = (uint16_t) ~(sum + (sum >> 16));
	life_ending(life);
	LIVE_CHECK(sendto(icmp, &message, sizeof(message), 0, (void *)&to, sizeof(to)) ==
			   (ssize_t)sizeof(message),
		   "ICMP: %s", strerror(errno));
	LIFE_SAME(outcome(fd), EHOSTUNREACH);
	life->known = 0;
	failed(life, EHOSTUNREACH);
	close(fd);
}

static void (*const ways[])(enum life_family family, struct lives *lives) = {
	refused,    refused_later, timed_out, given_up,	     taken_back, bound_meanwhile,
	second_try, no_route,	   no_port,   never_written, prohibited,
};

static void one_way(const void *index, void *out)
{
	int i = *(const int *)index;

	live_own_netns(NULL, NULL);
	ways[i / FAMILIES]((enum life_family)(i % FAMILIES), out);
}

static struct lives lives;

static void attempts_fail(uint32_t hooks, int index)
{
	struct live_cgroup session;
	struct agentsh_ebpf_tracer *tracer = life_open(hooks);
	struct live_worker worker;

	memset(&lives, 0, sizeof(lives));
	live_cgroup_make(&session, NULL);
	live_attach(tracer, &session, SESSION_ID);
	live_worker_start(&worker, &session);
	live_worker_call(&worker, one_way, &index, sizeof(index), &lives, sizeof(lives));
	life_drain(tracer, lives.list, lives.count);
	live_worker_kill(&worker); /* what it holds open is no matter */
	if (lives.count)
		life_expect(lives.list, lives.count);
}

START_TEST(attempt)
{
	attempts_fail(LIFE_CONNECT, _i);
}
END_TEST

START_TEST(attempt_with_accept)
{
	attempts_fail(LIFE_CONNECT | AGENTSH_EBPF_HOOK_ACCEPT, _i);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("life: failed");
	TCase *tcase = live_case(suite, "attempts");

	tcase_add_loop_test(tcase, attempt, 0, (int)LIVE_COUNT(ways) * FAMILIES);
	tcase_add_loop_test(tcase, attempt_with_accept, 0, (int)LIVE_COUNT(ways) * FAMILIES);
	return live_main(suite);
}
