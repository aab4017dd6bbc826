/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "names_server.h"

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif

static void bound(int *fd, int type, struct connection_address *at)
{
	*fd = socket(at->sa.any.sa_family, type | SOCK_CLOEXEC, 0);
	LIVE_CHECK(*fd >= 0 && !setsockopt(*fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int)) &&
			   !bind(*fd, &at->sa.any, at->size),
		   "name server: bind: %s", strerror(errno));
}

/* Router alert in IPv4; a Hop-by-Hop header with padding in IPv6. */
static void set_options(int fd, int family, bool on)
{
	static const uint8_t alert[4] = {148, 4, 0, 0}, padding[8] = {0, 0, 1, 4};

	if (family == AF_INET)
		LIVE_CHECK(!setsockopt(fd, IPPROTO_IP, IP_OPTIONS, alert, on ? sizeof(alert) : 0),
			   "IP_OPTIONS: %s", strerror(errno));
	else
		LIVE_CHECK(!setsockopt(fd, IPPROTO_IPV6, IPV6_HOPOPTS, padding,
				       on ? sizeof(padding) : 0),
			   "IPV6_HOPOPTS: %s", strerror(errno));
}

static void answer_udp(const struct names_service *s)
{
	static struct names_answer answer;
	static uint8_t in[NAMES_MESSAGE_MAX], out[4 * NAMES_MESSAGE_MAX];
	struct connection_address from = {.size = sizeof(from.sa)};
	ssize_t n = recvfrom(s->udp, in, sizeof(in), 0, &from.sa.any, &from.size);
	struct names_query q;
	size_t size;

	if (n < 0 || !names_read_query(&q, in, (size_t)n, false))
		return;
	memset(&answer, 0, sizeof(answer));
	s->zone(&q, &answer);
	size = answer.message.size;
	if (!size)
		return;
	if (answer.options)
		set_options(s->udp, s->at.sa.any.sa_family, true);
	if (answer.segmented) {
		for (uint32_t i = 0; i < answer.copies; i++)
			memcpy(out + i * size, answer.message.data, size);
		LIVE_CHECK(!setsockopt(s->udp, IPPROTO_UDP, UDP_SEGMENT, &(int){(int)size},
				       sizeof(int)),
			   "UDP_SEGMENT: %s", strerror(errno));
		sendto(s->udp, out, size * answer.copies, 0, &from.sa.any, from.size);
		setsockopt(s->udp, IPPROTO_UDP, UDP_SEGMENT, &(int){0}, sizeof(int));
	} else {
		for (uint32_t i = 0; i < (answer.copies ? answer.copies : 1); i++)
			LIVE_CHECK(sendto(s->udp, answer.message.data, size, 0, &from.sa.any,
					  from.size) == (ssize_t)size,
				   "name server: sendto: %s", strerror(errno));
	}
	if (answer.options)
		set_options(s->udp, s->at.sa.any.sa_family, false);
}

static void write_pieces(int fd, const uint8_t *data, size_t size, size_t piece)
{
	for (size_t n; size; data += n, size -= n) {
		n = piece && piece < size ? piece : size;
		if (send(fd, data, n, MSG_NOSIGNAL) != (ssize_t)n)
			return;
	}
}

/* One connection: answers all questions that arrive together with one write. */
static void serve_connection(const struct names_service *s, int fd)
{
	static struct names_answer answer;
	static uint8_t in[65536], out[65536];
	size_t have = 0;
	ssize_t n;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
	while ((n = read(fd, in + have, sizeof(in) - have)) > 0) {
		size_t done = 0, filled = 0, piece = 0;

		have += (size_t)n;
		while (have - done >= 2) {
			size_t size = (size_t)(in[done] << 8 | in[done + 1]);
			struct names_query q;

			if (have - done - 2 < size)
				break;
			memset(&answer, 0, sizeof(answer));
			if (names_read_query(&q, in + done + 2, size, true))
				s->zone(&q, &answer);
			done += 2 + size;
			if (!answer.message.size)
				continue;
			out[filled] = (uint8_t)(answer.message.size >> 8);
			out[filled + 1] = (uint8_t)answer.message.size;
			memcpy(out + filled + 2, answer.message.data, answer.message.size);
			filled += 2 + answer.message.size;
			piece = answer.piece;
		}
		memmove(in, in + done, have - done);
		have -= done;
		write_pieces(fd, out, filled, piece);
	}
	close(fd);
}

static void serve(const void *arg, void *unused)
{
	const struct names_service *s = arg;
	struct pollfd fds[2] = {{.fd = s->udp, .events = POLLIN}, {.fd = s->tcp, .events = POLLIN}};

	(void)unused;
	while (poll(fds, 2, -1) > 0) {
		if (fds[0].revents)
			answer_udp(s);
		if (fds[1].revents)
			serve_connection(s, accept(s->tcp, NULL, NULL));
	}
}

static void make_sockets(struct names_service *s)
{
	bound(&s->udp, SOCK_DGRAM, &s->at);
	bound(&s->tcp, SOCK_STREAM, &s->at);
	LIVE_CHECK(!listen(s->tcp, 64), "listen: %s", strerror(errno));
}

void names_serve_inside(const void *names_service, void *unused)
{
	struct names_service s = *(const struct names_service *)names_service;

	(void)unused;
	make_sockets(&s);
	if (!fork()) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		serve(&s, NULL);
		_exit(0);
	}
	close(s.udp);
	close(s.tcp);
}

void names_serve(const char *address, uint16_t port, names_zone zone)
{
	struct names_service s = {.at = connection_address(address, port), .zone = zone};
	struct live_worker worker;

	make_sockets(&s);
	live_worker_start(&worker, NULL);
	live_worker_send(&worker, serve, &s, sizeof(s), 0);
	close(s.udp);
	close(s.tcp);
}

/* ---- the client ----------------------------------------------------------- */

struct connection_address names_mapped(const char *text, uint16_t port)
{
	char mapped[80];

	snprintf(mapped, sizeof(mapped), "::ffff:%s", text);
	return connection_address(mapped, port);
}

int names_socket(enum names_way way, const struct connection_address *server)
{
	const struct timeval deadline = {.tv_sec = LIVE_DEADLINE_MS / 1000};
	int fd = socket(server->sa.any.sa_family,
			(way == NAMES_TCP ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC, 0);

	LIVE_CHECK(fd >= 0 && !setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &deadline, sizeof(deadline)),
		   "socket: %s", strerror(errno));
	if (way != NAMES_UNCONNECTED)
		LIVE_CHECK(!connect(fd, &server->sa.any, server->size), "connect: %s",
			   strerror(errno));
	return fd;
}

void names_send(int fd, enum names_way way, const struct connection_address *server,
		const struct names_message *m)
{
	uint8_t framed[2 + NAMES_MESSAGE_MAX] = {(uint8_t)(m->size >> 8), (uint8_t)m->size};
	bool tcp = way == NAMES_TCP;
	size_t size = m->size + (tcp ? 2 : 0);
	ssize_t n;

	memcpy(framed + 2, m->data, m->size);
	if (way == NAMES_UNCONNECTED)
		n = sendto(fd, m->data, size, 0, &server->sa.any, server->size);
	else
		n = send(fd, tcp ? framed : m->data, size, MSG_NOSIGNAL);
	LIVE_CHECK(n == (ssize_t)size, "question: %s", strerror(errno));
}

static void read_exactly(int fd, uint8_t *to, size_t size)
{
	for (size_t have = 0; have < size;) {
		ssize_t n = read(fd, to + have, size - have);

		LIVE_CHECK(n > 0, "answer over TCP: %zd, %s", n, strerror(errno));
		have += (size_t)n;
	}
}

void names_receive(int fd, enum names_way way, struct names_message *m)
{
	uint8_t length[2];
	ssize_t n;

	if (way == NAMES_TCP) {
		read_exactly(fd, length, 2);
		m->size = (size_t)(length[0] << 8 | length[1]);
		LIVE_CHECK(m->size <= sizeof(m->data), "an answer of %zu bytes", m->size);
		read_exactly(fd, m->data, m->size);
		return;
	}
	n = recv(fd, m->data, sizeof(m->data), 0);
	LIVE_CHECK(n > 0, "answer: %s", strerror(errno));
	m->size = (size_t)n;
}

void names_ask(enum names_way way, const struct connection_address *server, const char *name,
	       uint16_t type, uint16_t id)
{
	static struct names_message m;
	int fd = names_socket(way, server);

	names_question(&m, id, name, type);
	names_send(fd, way, server, &m);
	names_receive(fd, way, &m);
	LIVE_CHECK(m.data[0] == id >> 8 && m.data[1] == (id & 255), "another answer");
	close(fd);
}

struct question {
	char server[40], name[300];
};

static void asks(const void *question, void *asked_ns)
{
	const struct question *q = question;
	const struct connection_address server = connection_address(q->server, 53);

	*(uint64_t *)asked_ns = connection_now();
	names_ask(NAMES_CONNECTED, &server, q->name, NAMES_A, 11);
}

uint64_t names_ask_by(struct live_worker *worker, const char *server, const char *name)
{
	struct question q;
	uint64_t asked_ns;

	memset(&q, 0, sizeof(q));
	snprintf(q.server, sizeof(q.server), "%s", server);
	snprintf(q.name, sizeof(q.name), "%s", name);
	live_worker_call(worker, asks, &q, sizeof(q), &asked_ns, sizeof(asked_ns));
	return asked_ns;
}
