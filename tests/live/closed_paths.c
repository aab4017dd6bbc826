/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "closed_paths.h"

#define LOCAL AGENTSH_EBPF_FLAG_LOCAL_CLOSED
#define REMOTE AGENTSH_EBPF_FLAG_REMOTE_CLOSED

enum { FIN_WAIT2 = 5, CLOSED = 7, CLOSE_WAIT = 8 };

static void closed(struct pair *p, uint32_t flags, int error)
{
	connection_ended(p->connection, AGENTSH_EBPF_EVENT_CLOSED, flags, error);
}

static void sent_received(struct pair *p, uint64_t sent, uint64_t received)
{
	p->connection->sent = sent;
	p->connection->received = received;
}

/* A request and a response. */
static void talk(struct pair *p, size_t sent, size_t received)
{
	connection_write(p->client, sent);
	connection_read(p->server, sent);
	connection_write(p->server, received);
	connection_read(p->client, received);
	sent_received(p, sent, received);
}

static void client_first(struct pair *p)
{
	talk(p, 1000, 30000);
	connection_ending(p->connection);
	shutdown(p->client, SHUT_WR);
	CONNECTION_SAME(connection_read_end(p->server), 0);
	close(p->server);
	CONNECTION_SAME(connection_read_end(p->client), 0);
	connection_wait_state(p->client, CLOSED);
	closed(p, LOCAL, 0);
	connection_ended_info(p->connection, p->client);
	close(p->client);
}

static void client_closes_at_once(struct pair *p)
{
	talk(p, 7, 9);
	connection_ending(p->connection);
	close(p->client); /* leaves an orphan: the kernel replaces it by a smaller socket */
	CONNECTION_SAME(connection_read_end(p->server), 0);
	close(p->server);
	closed(p, LOCAL, 0);
}

static void server_first(struct pair *p)
{
	talk(p, 2000, 5);
	close(p->server);
	CONNECTION_SAME(connection_read_end(p->client), 0);
	connection_ending(p->connection);
	shutdown(p->client, SHUT_WR);
	connection_wait_state(p->client, CLOSED);
	closed(p, REMOTE, 0);
	connection_ended_info(p->connection, p->client);
	close(p->client);
}

static void server_first_with_data(struct pair *p)
{
	talk(p, 1, 1);
	connection_write(p->server, 4321);
	close(p->server);
	CONNECTION_SAME(connection_read_end(p->client), 4321);
	connection_ending(p->connection);
	close(p->client);
	sent_received(p, 1, 4322);
	closed(p, REMOTE, 0);
}

static void nothing_sent(struct pair *p)
{
	connection_ending(p->connection);
	shutdown(p->client, SHUT_WR);
	close(p->server);
	CONNECTION_SAME(connection_read_end(p->client), 0);
	closed(p, LOCAL, 0);
	close(p->client);
}

static void half_closed_then_data(struct pair *p)
{
	connection_write(p->client, 100);
	connection_ending(p->connection);
	shutdown(p->client, SHUT_WR);
	CONNECTION_SAME(connection_read_end(p->server), 100);
	connection_write(p->server, 54321);
	close(p->server);
	CONNECTION_SAME(connection_read_end(p->client), 54321);
	sent_received(p, 100, 54321);
	closed(p, LOCAL, 0);
	close(p->client);
}

/* The client has sent its FIN, and the server has acknowledged it. */
static void half_close(struct pair *p)
{
	connection_write(p->client, 100);
	shutdown(p->client, SHUT_WR);
	CONNECTION_SAME(connection_read_end(p->server), 100);
	connection_wait_state(p->client, FIN_WAIT2);
}

static void half_closed_and_left(struct pair *p)
{
	half_close(p);
	connection_ending(p->connection);
	close(p->client); /* without waiting for the server's FIN */
	sent_received(p, 100, 0);
	closed(p, LOCAL, 0);
	close(p->server);
}

/* Data arrived after the half-close and was read, but no FIN followed. */
static void half_closed_data_and_left(struct pair *p)
{
	half_close(p);
	connection_write(p->server, 3000);
	connection_read(p->client, 3000);
	connection_ending(p->connection);
	close(p->client);
	sent_received(p, 100, 3000);
	closed(p, LOCAL, 0);
	close(p->server);
}

static void half_closed_data_and_reset(struct pair *p)
{
	half_close(p);
	connection_write(p->server, 3000);
	connection_read(p->client, 3000);
	connection_ending(p->connection);
	connection_close_hard(p->server);
	connection_wait_state(p->client, CLOSED);
	sent_received(p, 100, 3000);
	closed(p, LOCAL, ECONNRESET);
	close(p->client);
}

static void unread_at_close(struct pair *p)
{
	talk(p, 10, 10);
	connection_write(p->server, 777);
	LIVE_CHECK(recv(p->client, &(char){0}, 1, MSG_PEEK) == 1, "peek: %s", strerror(errno));
	connection_ending(p->connection);
	close(p->client); /* sends a reset */
	sent_received(p, 10, 787);
	closed(p, 0, 0);
	close(p->server);
}

/* The same after the server's FIN, which must not count as a byte. */
static void unread_and_end_at_close(struct pair *p)
{
	talk(p, 10, 10);
	connection_write(p->server, 777);
	shutdown(p->server, SHUT_WR);
	connection_wait_state(p->client, CLOSE_WAIT);
	connection_ending(p->connection);
	close(p->client);
	sent_received(p, 10, 787);
	closed(p, REMOTE, 0);
	close(p->server);
}

static void hard_close(struct pair *p)
{
	talk(p, 500, 600);
	connection_ending(p->connection);
	connection_close_hard(p->client);
	closed(p, 0, 0);
	close(p->server);
}

static void reset_by_peer(struct pair *p)
{
	talk(p, 50, 60);
	connection_ending(p->connection);
	connection_close_hard(p->server);
	connection_wait_state(p->client, CLOSED);
	closed(p, 0, ECONNRESET);
	connection_ended_info(p->connection, p->client);
	close(p->client);
}

static void reset_after_fin(struct pair *p)
{
	talk(p, 50, 60);
	shutdown(p->client, SHUT_WR);
	connection_wait_state(p->client, FIN_WAIT2);
	connection_ending(p->connection);
	connection_close_hard(p->server);
	connection_wait_state(p->client, CLOSED);
	closed(p, LOCAL, ECONNRESET);
	close(p->client);
}

/* The server has closed its socket, so that data from the client causes a reset. */
static void reset_after_peers_fin(struct pair *p)
{
	talk(p, 50, 60);
	close(p->server);
	CONNECTION_SAME(connection_read_end(p->client), 0);
	connection_ending(p->connection);
	connection_write(p->client, 5);
	connection_wait_state(p->client, CLOSED);
	closed(p, REMOTE, EPIPE);
	close(p->client);
}

/* connect() with AF_UNSPEC dissolves the connection. */
static void disconnected(struct pair *p)
{
	const struct sockaddr none = {.sa_family = AF_UNSPEC};

	talk(p, 50, 60);
	connection_ending(p->connection);
	LIVE_CHECK(!connect(p->client, &none, sizeof(none)), "AF_UNSPEC: %s", strerror(errno));
	closed(p, 0, 0);
	close(p->client);
	close(p->server);
}

/* All that was sent is acknowledged, and the rest may not be sent: the peer's window is full. */
static bool window_is_shut(int fd)
{
	const struct tcp_info info = connection_info(fd);

	return !info.tcpi_unacked && info.tcpi_notsent_bytes;
}

static void fill_window(int fd)
{
	static const char data[65536];

	LIVE_CHECK(!fcntl(fd, F_SETFL, O_NONBLOCK), "O_NONBLOCK: %s", strerror(errno));
	for (int waits = 0; waits < LIVE_DEADLINE_MS;) {
		if (send(fd, data, sizeof(data), MSG_NOSIGNAL) > 0)
			continue;
		LIVE_CHECK(errno == EAGAIN, "send: %s", strerror(errno));
		if (window_is_shut(fd))
			return;
		usleep(1000);
		waits++;
	}
	LIVE_FAIL("the peer's window stays open");
}

/* The peer's window is full, so the FIN waits behind data; then the peer resets. */
static void fin_never_sent(struct pair *p)
{
	uint64_t received;

	shutdown(p->server, SHUT_WR);
	connection_wait_state(p->client, CLOSE_WAIT);
	fill_window(p->client);
	connection_ending(p->connection);
	close(p->client);
	usleep(10000);
	received = connection_info(p->server).tcpi_bytes_received;
	connection_close_hard(p->server);
	sent_received(p, received, 0);
	closed(p, REMOTE, ECONNRESET);
}

#define MUCH (10 << 20)

static void *read_much(void *server)
{
	connection_read(*(const int *)server, MUCH);
	return NULL;
}

static void *write_much(void *server)
{
	connection_write(*(const int *)server, MUCH + 1);
	return NULL;
}

static void much(struct pair *p)
{
	pthread_t thread;

	LIVE_CHECK(!pthread_create(&thread, NULL, read_much, &p->server), "no thread");
	connection_write(p->client, MUCH);
	pthread_join(thread, NULL);
	LIVE_CHECK(!pthread_create(&thread, NULL, write_much, &p->server), "no thread");
	connection_read(p->client, MUCH + 1);
	pthread_join(thread, NULL);
	connection_ending(p->connection);
	shutdown(p->client, SHUT_WR);
	CONNECTION_SAME(connection_read_end(p->server), 0);
	close(p->server);
	CONNECTION_SAME(connection_read_end(p->client), 0);
	sent_received(p, MUCH, MUCH + 1);
	closed(p, LOCAL, 0);
	connection_ended_info(p->connection, p->client);
	close(p->client);
}

const struct closed_path closed_paths[] = {
	{.name = "client first", .go = client_first},
	{.name = "client closes at once", .go = client_closes_at_once},
	{.name = "server first", .go = server_first},
	{.name = "server first with data", .go = server_first_with_data},
	{.name = "nothing sent", .go = nothing_sent},
	{.name = "half-closed, then data", .go = half_closed_then_data},
	{.name = "half-closed and left", .go = half_closed_and_left},
	{.name = "half-closed, data, and left", .go = half_closed_data_and_left},
	{.name = "half-closed, data, and reset",
	 .go = half_closed_data_and_reset,
	 .fewer_received = 1},
	{.name = "unread at close", .go = unread_at_close},
	{.name = "unread and FIN at close", .go = unread_and_end_at_close},
	{.name = "hard close", .go = hard_close},
	{.name = "reset by peer", .go = reset_by_peer},
	{.name = "reset after the client's FIN", .go = reset_after_fin},
	{.name = "reset after the server's FIN", .go = reset_after_peers_fin},
	{.name = "disconnected", .go = disconnected},
	{.name = "FIN never sent", .go = fin_never_sent, .fewer_sent = 1},
	{.name = "10 MB each way", .go = much},
};
const size_t closed_path_count = LIVE_COUNT(closed_paths);
