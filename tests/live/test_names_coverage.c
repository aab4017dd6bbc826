/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Compares what agentsh_ebpf_coverage() claims about names with events: on each way that a process
 * can learn or send the name secret.test, and with each set of hooks.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client_hello.h"
#include "names.h"
#include "names_server.h"

#define SECRET "secret.test"
#define SERVER "127.0.53.1"
#define ADDRESS "127.0.12.1"

static void zone(const struct names_query *q, struct names_answer *answer)
{
	names_reply(&answer->message, q, NAMES_NOERROR);
	names_address(&answer->message, NULL, 20, ADDRESS);
}

static void visit(void)
{
	const struct connection_address to = connection_address(ADDRESS, NAMES_PORT);
	struct names_visit unused;

	names_visit(&to, &unused);
}

/* As encryption: the name does not stand in the bytes. */
static size_t hide(const char *text, uint8_t *out)
{
	size_t size = strlen(text);

	for (size_t i = 0; i < size; i++)
		out[i] = (uint8_t)text[i] ^ 0x55;
	return size;
}

/* A connection to a server in this process, which sends the bytes back. */
static void exchange(uint16_t port, const void *data, size_t size)
{
	const struct connection_address to = connection_address(SERVER, port);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), client, server;
	char in[CLIENT_HELLO_MAX];

	LIVE_CHECK(
		listener >= 0 &&
			!setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int)) &&
			!bind(listener, &to.sa.any, to.size) && !listen(listener, 1),
		"listen: %s", strerror(errno));
	client = names_socket(NAMES_TCP, &to);
	server = connection_accept(listener);
	LIVE_CHECK(send(client, data, size, MSG_NOSIGNAL) == (ssize_t)size, "send");
	LIVE_CHECK(recv(server, in, size, MSG_WAITALL) == (ssize_t)size &&
			   send(server, in, size, MSG_NOSIGNAL) == (ssize_t)size,
		   "server: %s", strerror(errno));
	connection_read(client, size);
	close(client);
	close(server);
	close(listener);
}

static void dns_udp(void)
{
	const struct connection_address server = connection_address(SERVER, 53);

	names_ask(NAMES_CONNECTED, &server, SECRET, NAMES_A, 1);
	visit();
}

static void dns_tcp(void)
{
	const struct connection_address server = connection_address(SERVER, 53);

	names_ask(NAMES_TCP, &server, SECRET, NAMES_A, 1);
	visit();
}

/* A record of application data, as after the handshake. */
static void dns_tls(void)
{
	uint8_t record[100] = {23, 3, 3, 0};

	record[4] = (uint8_t)hide(SECRET, record + 5);
	exchange(853, record, 5U + record[4]);
	visit();
}

static void dns_https(void)
{
	const struct client_hello hello = {.sni = "dns.test", .alpn = "h2"};
	uint8_t data[CLIENT_HELLO_MAX];
	size_t size = client_hello_build(&hello, data);

	size += hide(SECRET, data + size);
	exchange(443, data, size);
	visit();
}

static void local_resolver(void)
{
	char name[20];
	int pair[2];

	LIVE_CHECK(!socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, pair), "socketpair");
	LIVE_CHECK(send(pair[0], SECRET, sizeof(SECRET), 0) == (ssize_t)sizeof(SECRET) &&
			   recv(pair[1], name, sizeof(name), 0) == (ssize_t)sizeof(SECRET) &&
			   send(pair[1], ADDRESS, sizeof(ADDRESS), 0) == (ssize_t)sizeof(ADDRESS) &&
			   recv(pair[0], name, sizeof(name), 0) == (ssize_t)sizeof(ADDRESS),
		   "resolver: %s", strerror(errno));
	close(pair[0]);
	close(pair[1]);
	visit();
}

static void hosts_file(void)
{
	char line[80], address[40], name[40];
	FILE *file = tmpfile();

	LIVE_CHECK(file && fputs(ADDRESS " " SECRET "\n", file) > 0 && !fseek(file, 0, SEEK_SET) &&
			   fgets(line, sizeof(line), file) &&
			   sscanf(line, "%39s %39s", address, name) == 2 && !strcmp(name, SECRET),
		   "hosts file: %s", strerror(errno));
	fclose(file);
	visit();
}

static void asks_early(const void *unused, void *unused_out)
{
	const struct connection_address server = connection_address(SERVER, 53);

	(void)unused;
	(void)unused_out;
	names_ask(NAMES_CONNECTED, &server, SECRET, NAMES_A, 1);
}

static void tls_server_name(void)
{
	const struct client_hello hello = {.sni = SECRET};
	uint8_t data[CLIENT_HELLO_MAX];

	exchange(443, data, client_hello_build(&hello, data));
}

static void tls_encrypted_name(void)
{
	const struct client_hello hello = {.sni = "public.test", .ech = true};
	uint8_t data[CLIENT_HELLO_MAX];
	size_t size = client_hello_build(&hello, data);

	hide(SECRET, data + size - 50); /* in the extension, which is the last */
	exchange(443, data, size);
}

static void http_host(void)
{
	static const char request[] = "GET / HTTP/1.1\r\nHost: " SECRET "\r\n\r\n";

	exchange(80, request, strlen(request));
}

static void quic(void)
{
	const struct connection_address to = connection_address(ADDRESS, NAMES_PORT);
	uint8_t initial[1200] = {0xc3, 0, 0, 0, 1, 8};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	hide(SECRET, initial + 100);
	LIVE_CHECK(fd >= 0 && sendto(fd, initial, sizeof(initial), 0, &to.sa.any, to.size) ==
				      (ssize_t)sizeof(initial),
		   "sendto: %s", strerror(errno));
	close(fd);
}

static const struct {
	uint32_t path; /* AGENTSH_EBPF_COVERAGE_ */
	void (*go)(void);
	bool early; /* asks before the session */
} ways[] = {
	{AGENTSH_EBPF_COVERAGE_DNS_UDP, dns_udp, false},
	{AGENTSH_EBPF_COVERAGE_DNS_TCP, dns_tcp, false},
	{AGENTSH_EBPF_COVERAGE_DNS_TLS, dns_tls, false},
	{AGENTSH_EBPF_COVERAGE_DNS_HTTPS, dns_https, false},
	{AGENTSH_EBPF_COVERAGE_LOCAL_RESOLVER, local_resolver, false},
	{AGENTSH_EBPF_COVERAGE_HOSTS_FILE, hosts_file, false},
	{AGENTSH_EBPF_COVERAGE_EARLIER_ANSWER, visit, true},
	{AGENTSH_EBPF_COVERAGE_TLS_SERVER_NAME, tls_server_name, false},
	{AGENTSH_EBPF_COVERAGE_TLS_ENCRYPTED_NAME, tls_encrypted_name, false},
	{AGENTSH_EBPF_COVERAGE_HTTP_HOST, http_host, false},
	{AGENTSH_EBPF_COVERAGE_QUIC_SERVER_NAME, quic, false},
};

static const uint32_t hook_sets[] = {0, AGENTSH_EBPF_HOOK_DNS, AGENTSH_EBPF_HOOK_SERVER_NAME,
				     AGENTSH_EBPF_HOOK_DNS | AGENTSH_EBPF_HOOK_SERVER_NAME};

static void run(const void *number, void *unused)
{
	(void)unused;
	ways[*(const int *)number].go();
}

/* Whether an event has the name. */
static bool appears(const char *name)
{
	for (size_t i = 0; i < live_seen.count; i++)
		if (!names_seen[i].name_ret && (!strcmp(names_seen[i].name.asked, name) ||
						!strcmp(names_seen[i].name.server_name, name)))
			return true;
	return false;
}

START_TEST(claims)
{
	int number = _i / (int)LIVE_COUNT(hook_sets);
	uint32_t hooks = hook_sets[(size_t)_i % LIVE_COUNT(hook_sets)];
	struct agentsh_ebpf_tracer *tracer = names_open(
		(struct names_open){.hooks = (NAMES_HOOKS & ~AGENTSH_EBPF_HOOK_DNS) | hooks});
	struct agentsh_ebpf_coverage c = {.size = sizeof(c)};
	uint64_t bit = 1ULL << ways[number].path;
	struct live_cgroup cgroup;
	struct live_worker worker;

	CONNECTION_SAME(agentsh_ebpf_coverage(tracer, &c), 0);
	LIVE_CHECK(c.count == AGENTSH_EBPF_COVERAGE_QUIC_SERVER_NAME + 1,
		   "a path without a test: there are %u", c.count);
	CONNECTION_SAME(!!(c.seen & bit) + !!(c.implied & bit) + !!(c.unseen & bit), 1);
	names_serve(SERVER, 53, zone);
	names_serve_visits();
	live_cgroup_make(&cgroup, NULL);
	live_worker_start(&worker, &cgroup);
	if (ways[number].early)
		live_worker_call(&worker, asks_early, NULL, 0, NULL, 0);
	live_attach(tracer, &cgroup, NAMES_SESSION);
	live_worker_call(&worker, run, &number, sizeof(number), NULL, 0);
	live_worker_stop(&worker);
	live_drain(tracer);
	LIVE_CHECK(live_seen.count, "no events");
	LIVE_CHECK(appears(SECRET) == !!(c.seen & bit),
		   "%s with hooks 0x%x: the name is %s, "
		   "and the coverage statement says %s",
		   agentsh_ebpf_coverage_name(ways[number].path), hooks,
		   appears(SECRET) ? "seen" : "not seen", c.seen & bit ? "seen" : "unseen");
	/* what the notes say about names beside the encrypted one */
	if (ways[number].go == tls_encrypted_name)
		CONNECTION_SAME(appears("public.test"), !!(hooks & AGENTSH_EBPF_HOOK_SERVER_NAME));
	if (ways[number].go == dns_https)
		CONNECTION_SAME(appears("dns.test"), !!(hooks & AGENTSH_EBPF_HOOK_SERVER_NAME));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("names: coverage");
	TCase *tcase = live_case(suite, "coverage");

	tcase_add_loop_test(tcase, claims, 0, (int)(LIVE_COUNT(ways) * LIVE_COUNT(hook_sets)));
	return names_main(suite);
}
