/* SPDX-License-Identifier: Apache-2.0 */
/* Clients and servers that use datagram sockets on the loopback interface. */
#include <errno.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "first_data.h"

#define CONNECT AGENTSH_EBPF_EVENT_CONNECT
#define UDP_SEND AGENTSH_EBPF_EVENT_UDP_SEND
#define CLOSED AGENTSH_EBPF_EVENT_CLOSED
#define FIRST_DATA AGENTSH_EBPF_EVENT_FIRST_DATA
#define UNANNOUNCED AGENTSH_EBPF_EVENT_UNANNOUNCED
#define INBOUND AGENTSH_EBPF_FLAG_INBOUND
#define UNATTRIBUTED AGENTSH_EBPF_FLAG_UNATTRIBUTED

struct counted first_data_sockets;
enum connection_family first_data_family;

/* ---- calls and their events ------------------------------------------------- */

static struct want *want(struct wants *w, int fd, uint32_t kind, uint32_t flags,
			 const struct connection_address *remote)
{
	struct want *next = &w->list[w->count++];

	LIVE_CHECK(w->count <= WANTS_MAX, "too many events");
	*next = (struct want){.cookie = counted_of(&first_data_sockets, fd)->cookie,
			      .kind = kind,
			      .flags = flags,
			      .tgid = flags & UNATTRIBUTED ? 0 : (uint32_t)getpid(),
			      .remote = *remote};
	if (first_data_family == CONNECTION_MAPPED)
		next->flags |= AGENTSH_EBPF_FLAG_V4_MAPPED;
	return next;
}

/* An event that a packet caused has both of its addresses. */
static struct want *want_packet(struct wants *w, int fd, uint32_t kind, uint32_t flags,
				const struct connection_address *local,
				const struct connection_address *remote)
{
	struct want *next = want(w, fd, kind, flags, remote);

	next->local = *local;
	next->has_local = true;
	return next;
}

static int client(void)
{
	return counted_socket(&first_data_sockets, "client",
			      first_data_family == CONNECTION_V4 ? AF_INET : AF_INET6, SOCK_DGRAM,
			      0);
}

static int server(struct connection_address *at)
{
	*at = connection_loopback(first_data_family, 0);
	return counted_bound(&first_data_sockets, "server", at);
}

static void connects(struct wants *w, int fd, const struct connection_address *to)
{
	want(w, fd, CONNECT, 0, to);
	LIVE_CHECK(!connect(fd, &to->sa.any, to->size), "connect: %s", strerror(errno));
}

static void sends(int fd, const struct connection_address *to)
{
	LIVE_CHECK(sendto(fd, "abc", 3, 0, to ? &to->sa.any : NULL, to ? to->size : 0) == 3,
		   "sendto: %s", strerror(errno));
}

/* Receives a datagram; its source is the local end of the sender. */
static struct connection_address receives(int fd)
{
	struct connection_address from;

	LIVE_CHECK(counted_receive_one(&first_data_sockets, fd, &from, LIVE_DEADLINE_MS),
		   "nothing arrives");
	return from;
}

/*
 * The first packet since connect(). For a mapped address the kernel passes the destination of each
 * send to the IPv4 hook.
 */
static void want_first(struct wants *w, int fd, uint32_t flags, uint32_t sender,
		       const struct connection_address *local,
		       const struct connection_address *remote)
{
	if (first_data_family == CONNECTION_MAPPED)
		want(w, fd, UDP_SEND, flags, remote)->tgid = sender;
	want_packet(w, fd, FIRST_DATA, flags, local, remote);
}

/* The first datagram to a server that answers nothing: it stays without a process. */
static void only_receives(struct wants *w, int fd, const struct connection_address *at,
			  const struct connection_address *from)
{
	want_packet(w, fd, UNANNOUNCED, INBOUND | UNATTRIBUTED, at, from);
	want_packet(w, fd, CLOSED, INBOUND | UNATTRIBUTED, at, from);
}

/* As getaddrinfo(3) does to sort the addresses of a name. */
static void only_connected(struct wants *w)
{
	const struct connection_address first = connection_loopback(first_data_family, 26400),
					second = connection_loopback(first_data_family, 26401);
	const struct sockaddr nothing = {.sa_family = AF_UNSPEC};
	int fd = client();

	connects(w, fd, &first);
	connects(w, fd, &second);
	LIVE_CHECK(!connect(fd, &nothing, sizeof(nothing)), "AF_UNSPEC: %s", strerror(errno));
	want(w, fd, CLOSED, 0, &second);
}

static void connected_and_sent(struct wants *w)
{
	struct connection_address at, from;
	int to = server(&at), fd = client();

	connects(w, fd, &at);
	for (int i = 0; i < 3; i++) {
		sends(fd, NULL);
		from = receives(to);
	}
	want_first(w, fd, 0, (uint32_t)getpid(), &from, &at);
	want_packet(w, fd, CLOSED, 0, &from, &at);
	only_receives(w, to, &at, &from);
}

/* Each connect() makes the next packet the first one. */
static void connected_again(struct wants *w)
{
	struct connection_address at[2], from;
	int to[] = {server(&at[0]), server(&at[1])}, fd = client();

	for (int i = 0; i < 2; i++) {
		connects(w, fd, &at[i]);
		sends(fd, NULL);
		from = receives(to[i]);
		want_first(w, fd, 0, (uint32_t)getpid(), &from, &at[i]);
		only_receives(w, to[i], &at[i], &from);
		sends(fd, NULL);
		receives(to[i]);
	}
	connects(w, fd, &at[0]); /* without another packet */
	want(w, fd, CLOSED, 0, &at[0]);
}

static void unconnected(struct wants *w)
{
	struct connection_address at[2], from;
	int to[] = {server(&at[0]), server(&at[1])}, fd = client();

	for (int i = 0; i < 2; i++) {
		sends(fd, &at[i]);
		from = receives(to[i]);
		want(w, fd, UDP_SEND, 0, &at[i]);
		if (!i)
			want_packet(w, fd, FIRST_DATA, 0, &from, &at[i]);
		only_receives(w, to[i], &at[i], &from);
		sends(fd, &at[i]);
		receives(to[i]);
	}
	want_packet(w, fd, CLOSED, 0, &from, &at[1]);
}

static void zero_length(struct wants *w)
{
	struct connection_address at, from;
	int to = server(&at), fd = client();

	connects(w, fd, &at);
	counted_send(&first_data_sockets, fd, 0, NULL);
	from = receives(to);
	want_first(w, fd, 0, (uint32_t)getpid(), &from, &at);
	want_packet(w, fd, CLOSED, 0, &from, &at);
	only_receives(w, to, &at, &from);
}

/* In a network namespace whose only route is to itself. */
static void failed(struct wants *w)
{
	struct connection_address at, from, away = connection_loopback(first_data_family, 9);
	int to = server(&at), fd = client();

	if (first_data_family == CONNECTION_V4)
		away.sa.v4.sin_addr.s_addr = htonl(0x0a010203);
	else if (first_data_family == CONNECTION_V6)
		away.sa.v6.sin6_addr.s6_addr[0] = 0xfd;
	else
		away.sa.v6.sin6_addr.s6_addr[12] = 10;
	want(w, fd, UDP_SEND, 0, &away);
	counted_fail(&first_data_sockets, fd, 3, &away, ENETUNREACH);
	want(w, fd, UDP_SEND, 0, &at);
	sends(fd, &at);
	from = receives(to);
	want_packet(w, fd, FIRST_DATA, 0, &from, &at);
	want_packet(w, fd, CLOSED, 0, &from, &at);
	only_receives(w, to, &at, &from);
}

static uint32_t in_child(void (*fn)(int fd, const struct connection_address *to), int fd,
			 const struct connection_address *to)
{
	pid_t pid = fork();
	int status;

	if (!pid) {
		fn(fd, to);
		_exit(0);
	}
	LIVE_CHECK(pid > 0 && waitpid(pid, &status, 0) == pid && !status, "the child failed");
	return (uint32_t)pid;
}

/* The kernel may send in any process's place, so the packet does not name its own. */
static void sent_by_another(struct wants *w)
{
	struct connection_address at, from;
	uint32_t sender;
	int to = server(&at), fd = client();

	connects(w, fd, &at);
	sender = in_child(sends, fd, NULL);
	from = receives(to);
	want_first(w, fd, 0, sender, &from, &at);
	want_packet(w, fd, CLOSED, 0, &from, &at);
	only_receives(w, to, &at, &from);
}

/* ---- servers --------------------------------------------------------------- */

/* A client, which its peer's answer does not make a server, and the first request. */
static struct connection_address request(struct wants *w, int to,
					 const struct connection_address *at)
{
	struct connection_address from;
	int fd = client();

	sends(fd, at);
	from = receives(to);
	want(w, fd, UDP_SEND, 0, at);
	want_packet(w, fd, FIRST_DATA, 0, &from, at);
	want_packet(w, fd, CLOSED, 0, &from, at);
	return from;
}

static void answers(struct wants *w)
{
	struct connection_address at, from;
	int fd = server(&at);

	from = request(w, fd, &at);
	want_packet(w, fd, UNANNOUNCED, INBOUND | UNATTRIBUTED, &at, &from);
	sends(fd, &from);
	sends(fd, &from);
	want(w, fd, UDP_SEND, INBOUND, &from);
	want_packet(w, fd, FIRST_DATA, INBOUND, &at, &from);
	from = request(w, fd, &at); /* another client */
	sends(fd, &from);
	want(w, fd, UDP_SEND, INBOUND, &from);
	want_packet(w, fd, CLOSED, INBOUND, &at, &from);
}

/* The process that answers first is the owner, and another one only of its own call. */
static void answered_by_others(struct wants *w)
{
	struct connection_address at, from;
	uint32_t first, second;
	int fd = server(&at);

	from = request(w, fd, &at);
	want_packet(w, fd, UNANNOUNCED, INBOUND | UNATTRIBUTED, &at, &from);
	first = in_child(sends, fd, &from);
	want(w, fd, UDP_SEND, INBOUND, &from)->tgid = first;
	want_packet(w, fd, FIRST_DATA, INBOUND, &at, &from)->tgid = first;
	from = request(w, fd, &at);
	second = in_child(sends, fd, &from);
	want(w, fd, UDP_SEND, INBOUND, &from)->tgid = second;
	want_packet(w, fd, CLOSED, INBOUND, &at, &from)->tgid = first;
}

/* A server that connects to its client, as QUIC servers do. */
static void answers_connected(struct wants *w)
{
	struct connection_address at, from;
	int fd = server(&at);

	from = request(w, fd, &at);
	want_packet(w, fd, UNANNOUNCED, INBOUND | UNATTRIBUTED, &at, &from);
	connects(w, fd, &from);
	sends(fd, NULL);
	want_first(w, fd, INBOUND, (uint32_t)getpid(), &at, &from);
	want_packet(w, fd, CLOSED, INBOUND, &at, &from);
}

/* The peer sends before the socket does, although connect() was called. */
static void connected_but_silent(struct wants *w)
{
	struct connection_address at, own;
	int to = server(&at), fd = server(&own);

	connects(w, fd, &at);
	sends(to, &own);
	receives(fd);
	want(w, to, UDP_SEND, 0, &own);
	want_packet(w, to, FIRST_DATA, 0, &at, &own);
	want_packet(w, to, CLOSED, 0, &at, &own);
	sends(fd, NULL);
	receives(to);
	want_first(w, fd, INBOUND, (uint32_t)getpid(), &own, &at);
	want_packet(w, fd, CLOSED, INBOUND, &own, &at);
}

const struct first_data_case first_data_cases[] = {
	{"a socket that is only connected", only_connected},
	{"connect() and send()", connected_and_sent},
	{"connect() again", connected_again},
	{"sendto()", unconnected},
	{"a datagram without data", zero_length},
	{"sends that fail", failed},
	{"a send by another process", sent_by_another},
	{"a server", answers},
	{"a server of several processes", answered_by_others},
	{"a server that connects", answers_connected},
	{"a connected socket whose peer sends first", connected_but_silent},
};
const size_t first_data_cases_count = LIVE_COUNT(first_data_cases);
