/* SPDX-License-Identifier: Apache-2.0 */
/* The forms in which DNS answers arrive: segments, pieces, options, several servers. */
#include <errno.h>
#include <net/if.h>
#include <netinet/udp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "kernel.h"
#include "names.h"
#include "names_server.h"

#ifndef UDP_GRO
#define UDP_GRO 104
#endif

#define SERVER "127.0.53.1"
#define SECOND "127.0.53.2"
#define FIRST_ADDRESS "127.0.3.1"
#define SECOND_ADDRESS "127.0.3.2"

/* pieces.*: a byte per segment; gro.*: both answers in one packet; long.*: 6,000 bytes */
static void zone(const struct names_query *q, struct names_answer *answer)
{
	static const char filler[250] = {(char)249};
	struct names_message *m = &answer->message;

	names_reply(m, q, NAMES_NOERROR);
	for (int i = 0; !strcmp(q->name, "long.test") && i < 23; i++)
		names_record(m, NULL, NAMES_TXT, 5, filler, sizeof(filler));
	names_address(m, NULL, 50,
		      q->type == NAMES_AAAA	       ? "fd53::3"
		      : !strncmp(q->name, "second", 6) ? SECOND_ADDRESS
						       : FIRST_ADDRESS);
	answer->piece = strncmp(q->name, "pieces", 6) ? 0 : 1;
	answer->options = !strncmp(q->name, "options", 7);
	if (!strcmp(q->name, "gro.test")) {
		answer->copies = 2;
		answer->segmented = true;
	}
}

struct seen {
	struct names_visit visit[2];
	uint64_t asked_ns;
	char absent[80];
};

typedef void (*way_fn)(struct seen *seen);

static void visit_both(struct seen *seen)
{
	const struct connection_address first = connection_address(FIRST_ADDRESS, NAMES_PORT);
	const struct connection_address second = connection_address(SECOND_ADDRESS, NAMES_PORT);

	names_visit(&first, &seen->visit[0]);
	names_visit(&second, &seen->visit[1]);
}

/* Both messages in one write: the answers come in one segment, or in pieces of one byte. */
static void two_over_tcp(struct seen *seen, const char *first, const char *second)
{
	const struct connection_address server = connection_address(SERVER, 53);
	static struct names_message m, both;
	int fd = names_socket(NAMES_TCP, &server);

	names_question(&m, 1, first, NAMES_A);
	names_put16(&both, (uint16_t)m.size);
	names_put(&both, m.data, m.size);
	names_question(&m, 2, second, NAMES_A);
	names_put16(&both, (uint16_t)m.size);
	names_put(&both, m.data, m.size);
	LIVE_CHECK(send(fd, both.data, both.size, 0) == (ssize_t)both.size, "send: %s",
		   strerror(errno));
	names_receive(fd, NAMES_TCP, &m);
	names_receive(fd, NAMES_TCP, &m);
	close(fd);
	visit_both(seen);
}

static void tcp_together(struct seen *seen)
{
	two_over_tcp(seen, "first.test", "second.test");
}

static void tcp_pieces(struct seen *seen)
{
	two_over_tcp(seen, "pieces.test", "second.pieces.test");
}

/* The question comes in pieces, too: the length alone, then byte by byte. */
static void tcp_question_in_pieces(struct seen *seen)
{
	const struct connection_address server = connection_address(SERVER, 53);
	static struct names_message m, framed;
	int fd = names_socket(NAMES_TCP, &server);

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
	names_question(&m, 1, "first.test", NAMES_A);
	names_put16(&framed, (uint16_t)m.size);
	names_put(&framed, m.data, m.size);
	for (size_t i = 0; i < framed.size; i++)
		LIVE_CHECK(send(fd, framed.data + i, 1, 0) == 1, "send: %s", strerror(errno));
	names_receive(fd, NAMES_TCP, &m);
	close(fd);
	names_ask(NAMES_TCP, &server, "second.test", NAMES_A, 2);
	visit_both(seen);
}

/* One connection, asked again after each answer. */
static void tcp_kept(struct seen *seen)
{
	const struct connection_address server = connection_address(SERVER, 53);
	static const char *const names[] = {"first.test", "second.test"};
	static struct names_message m;
	int fd = names_socket(NAMES_TCP, &server);

	for (uint16_t i = 0; i < 2; i++) {
		names_question(&m, i, names[i], NAMES_A);
		names_send(fd, NAMES_TCP, &server, &m);
		names_receive(fd, NAMES_TCP, &m);
	}
	close(fd);
	visit_both(seen);
}

/* Two servers, one socket, the same id; the answers are read after both questions. */
static void several_servers(struct seen *seen)
{
	const struct connection_address server[2] = {connection_address(SERVER, 53),
						     connection_address(SECOND, 53)};
	static struct names_message m;
	int fd = names_socket(NAMES_UNCONNECTED, &server[0]);

	names_question(&m, 9, "first.test", NAMES_A);
	names_send(fd, NAMES_UNCONNECTED, &server[0], &m);
	names_question(&m, 9, "second.test", NAMES_A);
	names_send(fd, NAMES_UNCONNECTED, &server[1], &m);
	names_receive(fd, NAMES_UNCONNECTED, &m);
	names_receive(fd, NAMES_UNCONNECTED, &m);
	close(fd);
	visit_both(seen);
}

/* getaddrinfo() of glibc: A and AAAA over one socket at the same time. */
static void many_questions(struct seen *seen)
{
	const struct connection_address server = connection_address(SERVER, 53);
	static struct names_message m;
	char name[40];
	int fd = names_socket(NAMES_CONNECTED, &server);

	for (uint16_t i = 0; i < 8; i++) {
		snprintf(name, sizeof(name),
			 i == 3	  ? "second.test"
			 : i == 6 ? "first.test"
				  : "more%d.test",
			 i);
		names_question(&m, i, name, i == 3 || i == 6 ? NAMES_A : NAMES_AAAA);
		names_send(fd, NAMES_CONNECTED, &server, &m);
	}
	for (int i = 0; i < 8; i++)
		names_receive(fd, NAMES_CONNECTED, &m);
	close(fd);
	visit_both(seen);
}

/* A UDP_GRO socket can get several answers in one packet, and both count. */
static void gro(struct seen *seen)
{
	const struct connection_address server = connection_address(SERVER, 53);
	static struct names_message m;
	int fd = names_socket(NAMES_CONNECTED, &server);
	size_t one;

	if (setsockopt(fd, IPPROTO_UDP, UDP_GRO, &(int){1}, sizeof(int))) {
		snprintf(seen->absent, sizeof(seen->absent), "the kernel has no UDP_GRO");
		return;
	}
	names_question(&m, 3, "gro.test", NAMES_A);
	names_send(fd, NAMES_CONNECTED, &server, &m);
	one = m.size + 16;
	names_receive(fd, NAMES_CONNECTED, &m);
	if (m.size == one && kernel_may_split_on_loopback()) {
		snprintf(seen->absent, sizeof(seen->absent),
			 "the loopback device of this kernel splits the packet");
		return;
	}
	CONNECTION_SAME(m.size, 2 * one); /* they have come in one packet */
	names_ask(NAMES_CONNECTED, &server, "second.test", NAMES_A, 4);
	close(fd);
	visit_both(seen);
}

static void set_mtu(int mtu)
{
	struct ifreq lo = {.ifr_name = "lo", .ifr_mtu = mtu};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	LIVE_CHECK(fd >= 0 && !ioctl(fd, SIOCSIFMTU, &lo), "MTU of lo: %s", strerror(errno));
	close(fd);
}

/* How many datagrams the network namespace has put together: a column of two lines "Ip: ...". */
static unsigned long long reassembled(void)
{
	FILE *file = fopen("/proc/thread-self/net/snmp", "re");
	char names[1000], values[1000], *name, *value, *name_rest, *value_rest;

	LIVE_CHECK(file && fgets(names, sizeof(names), file) && fgets(values, sizeof(values), file),
		   "/proc/thread-self/net/snmp: %s", strerror(errno));
	fclose(file);
	name = strtok_r(names, " ", &name_rest);
	value = strtok_r(values, " ", &value_rest);
	while (name && value && strcmp(name, "ReasmOKs") != 0) {
		name = strtok_r(NULL, " ", &name_rest);
		value = strtok_r(NULL, " ", &value_rest);
	}
	LIVE_CHECK(name && value, "/proc/thread-self/net/snmp has no ReasmOKs");
	return strtoull(value, NULL, 10);
}

/* The message is longer than a packet of the link: IP fragments, put together. */
static void fragments(struct seen *seen)
{
	const struct connection_address server = connection_address(SERVER, 53);
	unsigned long long before = reassembled();

	set_mtu(1500);
	names_ask(NAMES_CONNECTED, &server, "first.test", NAMES_A, 5);
	names_ask(NAMES_CONNECTED, &server, "second.test", NAMES_A, 5);
	names_ask(NAMES_CONNECTED, &server, "long.test", NAMES_A, 6);
	set_mtu(65536);
	CONNECTION_SAME(reassembled() - before, 1);
	visit_both(seen);
}

static void options4(struct seen *seen)
{
	const struct connection_address server = connection_address(SERVER, 53);

	names_ask(NAMES_CONNECTED, &server, "options.test", NAMES_A, 5);
	names_ask(NAMES_UNCONNECTED, &server, "second.test", NAMES_A, 5);
	visit_both(seen);
}

/* An extension header stands between the IPv6 header and UDP. */
static void options6(struct seen *seen)
{
	const struct connection_address server = connection_address("fd53::4", 53);
	const struct connection_address first = connection_address("fd53::3", NAMES_PORT);

	names_ask(NAMES_CONNECTED, &server, "options.test", NAMES_AAAA, 5);
	names_visit(&first, &seen->visit[0]);
}

/* A raw socket gets copies of all answers, which are nobody's question. */
static void raw_listener(struct seen *seen)
{
	int raw = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_UDP);

	LIVE_CHECK(raw >= 0, "raw socket: %s", strerror(errno));
	many_questions(seen);
	close(raw);
}

static const struct {
	const char *title;
	way_fn go;
	const char *first, *second; /* expected names; NULL: not visited */
	uint32_t answers, unasked, source;
} ways[] = {
	{"two messages in one segment", tcp_together, "first.test", "second.test", 2, 0,
	 AGENTSH_EBPF_NAME_DNS_TCP},
	{"segments of one byte", tcp_pieces, "pieces.test", "second.pieces.test", 2, 0,
	 AGENTSH_EBPF_NAME_DNS_TCP},
	{"a question in segments of one byte", tcp_question_in_pieces, "first.test", "second.test",
	 2, 0, AGENTSH_EBPF_NAME_DNS_TCP},
	{"a connection for several questions", tcp_kept, "first.test", "second.test", 2, 0,
	 AGENTSH_EBPF_NAME_DNS_TCP},
	{"several servers", several_servers, "first.test", "second.test", 2, 0,
	 AGENTSH_EBPF_NAME_DNS},
	{"eight questions at a time", many_questions, "first.test", "second.test", 8, 0,
	 AGENTSH_EBPF_NAME_DNS},
	{"two answers in one packet", gro, "gro.test", "second.test", 2, 1, AGENTSH_EBPF_NAME_DNS},
	{"6,000 bytes", fragments, "first.test", "second.test", 3, 0, AGENTSH_EBPF_NAME_DNS},
	{"IP options", options4, "options.test", "second.test", 2, 0, AGENTSH_EBPF_NAME_DNS},
	{"an IPv6 extension header", options6, "options.test", NULL, 1, 0, AGENTSH_EBPF_NAME_DNS},
	{"a raw socket beside it", raw_listener, "first.test", "second.test", 8, 0,
	 AGENTSH_EBPF_NAME_DNS},
};

static void run(const void *number, void *out)
{
	struct seen *seen = out;

	seen->asked_ns = connection_now();
	ways[*(const int *)number].go(seen);
}

static void expect(int number, const struct seen *seen)
{
	const char *const names[] = {ways[number].first, ways[number].second};

	for (int i = 0; i < 2; i++) {
		const struct names_want want = {
			.asked = names[i],
			.ttl_s = 50,
			.asker = seen->visit[0].tgid,
			.answered_ns = seen->asked_ns,
			.source = ways[number].source,
			.resolver = ways[number].go == options6		      ? "fd53::4"
				    : ways[number].go == several_servers && i ? SECOND
									      : SERVER,
		};

		if (names[i])
			names_expect(ways[number].title, &seen->visit[i], &want);
	}
}

static void try_way(int number, uint64_t missing)
{
	struct agentsh_ebpf_tracer *tracer =
		names_open((struct names_open){.simulate_missing = missing});
	struct agentsh_ebpf_session *session;
	struct agentsh_ebpf_stats stats;
	struct live_cgroup cgroup;
	struct live_worker worker;
	struct seen seen;

	names_serve(SERVER, 53, zone);
	names_serve(SECOND, 53, zone);
	names_serve("fd53::4", 53, zone);
	names_serve_visits();
	session = names_session(tracer, &cgroup, &worker);
	live_worker_call(&worker, run, &number, sizeof(number), &seen, sizeof(seen));
	live_worker_stop(&worker);
	live_drain(tracer);
	if (*seen.absent) {
		printf("left out: %s: %s\n", ways[number].title, seen.absent);
		return;
	}
	expect(number, &seen);
	stats = live_session_stats(session);
	CONNECTION_SAME(stats.answers, ways[number].answers);
	CONNECTION_SAME(stats.answers_unasked, ways[number].unasked);
	CONNECTION_SAME(stats.answers_malformed + stats.answers_untrusted, 0);
	CONNECTION_SAME(stats.packets_lost + stats.lost, 0);
}

START_TEST(packets)
{
	try_way(_i, 0);
}
END_TEST

START_TEST(packets_without_btf)
{
	try_way(_i, 1ULL << AGENTSH_EBPF_CHECK_BTF);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("names: packets");
	TCase *tcase = live_case(suite, "packets");

	tcase_add_loop_test(tcase, packets, 0, (int)LIVE_COUNT(ways));
	tcase_add_loop_test(tcase, packets_without_btf, 0, (int)LIVE_COUNT(ways));
	return names_main(suite);
}
