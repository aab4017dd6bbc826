/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "names_talk.h"

static int listening(uint16_t port)
{
	const struct connection_address any = connection_address("::", port);
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);

	LIVE_CHECK(fd >= 0 && !setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int)) &&
			   !setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &(int){0}, sizeof(int)) &&
			   !bind(fd, &any.sa.any, any.size) && !listen(fd, 64),
		   "listen: %s", strerror(errno));
	return fd;
}

/* Answers each read with one byte, so that the client can wait. */
static void serve_one(int fd)
{
	static char in[65536];

	while (read(fd, in, sizeof(in)) > 0)
		send(fd, "k", 1, MSG_NOSIGNAL);
	close(fd);
}

static void serve(const void *arg, void *unused)
{
	const int *fds = arg;
	struct pollfd list[2] = {{.fd = fds[0], .events = POLLIN},
				 {.fd = fds[1], .events = POLLIN}};

	(void)unused;
	while (poll(list, 2, -1) > 0) {
		for (int i = 0; i < 2; i++) {
			int fd;

			if (!list[i].revents)
				continue;
			fd = accept(fds[i], NULL, NULL);
			if (i && send(fd, "220 mail.test ready\r\n", 21, MSG_NOSIGNAL) != 21)
				break;
			serve_one(fd);
		}
	}
}

void talk_serve(void)
{
	const int fds[2] = {listening(TALK_PORT), listening(TALK_FIRST_PORT)};
	struct live_worker worker;

	live_worker_start(&worker, NULL);
	live_worker_send(&worker, serve, fds, sizeof(fds), 0);
	close(fds[0]);
	close(fds[1]);
}

static void wait_for_a_byte(int fd)
{
	char byte;

	LIVE_CHECK(read(fd, &byte, 1) == 1, "the server does not answer: %s", strerror(errno));
}

static void send_all(int fd, const struct talk *t)
{
	size_t at = 0, n = t->first ? t->first : t->size;

	while (at < t->size) {
		if (n > t->size - at)
			n = t->size - at;
		if (t->pause > at && t->pause < at + n)
			n = t->pause - at;
		LIVE_CHECK(send(fd, t->data + at, n, MSG_NOSIGNAL) == (ssize_t)n, "send: %s",
			   strerror(errno));
		at += n;
		if (at == t->pause)
			wait_for_a_byte(fd);
		n = t->piece ? t->piece : t->size;
	}
}

void talk_do(const void *talk, void *talked)
{
	const struct talk *t = talk;
	struct talked *seen = talked;
	const struct connection_address to =
		t->family == CONNECTION_V4   ? connection_address(TALK_ADDRESS, t->port)
		: t->family == CONNECTION_V6 ? connection_address(TALK_ADDRESS6, t->port)
					     : names_mapped(TALK_ADDRESS, t->port);
	struct expectation socket_of;
	char in[256];
	int fd;

	seen->before_ns = connection_now();
	fd = names_socket(NAMES_TCP, &to);
	LIVE_CHECK(!setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int)), "NODELAY");
	memset(&socket_of, 0, sizeof(socket_of));
	expectation_socket(&socket_of, fd);
	seen->cookie = socket_of.want.socket_cookie;
	seen->tgid = (uint32_t)getpid();
	if (t->port == TALK_FIRST_PORT)
		wait_for_a_byte(fd);
	send_all(fd, t);
	shutdown(fd, SHUT_WR);
	while (read(fd, in, sizeof(in)) > 0)
		;
	close(fd);
	seen->after_ns = connection_now();
}

void talk_expect(const char *title, const struct talked *talked, const struct names_want *want)
{
	static const uint32_t kinds[] = {AGENTSH_EBPF_EVENT_CONNECT, AGENTSH_EBPF_EVENT_CONNECTED,
					 AGENTSH_EBPF_EVENT_SERVER_NAME, AGENTSH_EBPF_EVENT_CLOSED};
	size_t count = 0, last = 0;

	for (size_t i = 0; i < LIVE_COUNT(kinds); i++) {
		struct names_want now = *want;
		size_t at = names_find(NAMES_SESSION, kinds[i], talked->cookie, 0);

		if (kinds[i] == AGENTSH_EBPF_EVENT_SERVER_NAME && !want->server_name) {
			LIVE_CHECK(at == live_seen.count, "%s: a SERVER_NAME, %s", title,
				   names_seen[at].name.server_name);
			continue;
		}
		LIVE_CHECK(at < live_seen.count, "%s: no %s, of %zu events", title,
			   agentsh_ebpf_kind_name(kinds[i]), live_seen.count);
		LIVE_CHECK(at >= last, "%s: order", title);
		last = at;
		count++;
		if (i < 2) { /* before the first data */
			now.server_name = now.alpn = NULL;
			now.server_name_source = 0;
			now.flags &= ~(uint32_t)(AGENTSH_EBPF_NAME_FLAG_OUTER |
						 AGENTSH_EBPF_NAME_FLAG_DIFFERS |
						 AGENTSH_EBPF_NAME_FLAG_CUT);
		}
		names_expect_at(title, at, &now);
		CONNECTION_SAME(live_seen.list[at].tgid, talked->tgid);
		LIVE_CHECK(live_seen.list[at].timestamp_ns >= talked->before_ns &&
				   live_seen.list[at].timestamp_ns <= talked->after_ns + 1000000000,
			   "%s: timestamp_ns", title);
	}
	for (size_t i = 0; i < live_seen.count; i++)
		count -= live_seen.list[i].socket_cookie == talked->cookie;
	LIVE_CHECK(!count, "%s: events of the connection beyond those expected", title);
}
