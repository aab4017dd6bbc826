/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names for a host without CAP_PERFMON: the verifier is stricter with its programs, and paths of
 * AF_UNIX sockets cannot be read.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "client_hello.h"
#include "host_limits.h"
#include "kernel.h"
#include "names_talk.h"

#define SERVER "127.0.53.1"
#define HOOKS (NAMES_HOOKS | AGENTSH_EBPF_HOOK_SERVER_NAME | AGENTSH_EBPF_HOOK_TRAFFIC)

static struct live_cgroup cgroup;
static struct agentsh_ebpf_tracer *tracer; /* of the host process */

/* alias.test has the address of the talk, large.test that of the visit. */
static void zone(const struct names_query *q, struct names_answer *answer)
{
	static const char filler[250] = {(char)249};
	struct names_message *m = &answer->message;

	names_reply(m, q, NAMES_NOERROR);
	if (!strcmp(q->name, "alias.test")) {
		names_cname(m, NULL, 20, "real.test");
		names_address(m, "real.test", 20, TALK_ADDRESS);
		return;
	}
	for (int i = 0; i < 12; i++)
		names_record(m, NULL, NAMES_TXT, 20, filler, sizeof(filler));
	names_address(m, NULL, 20, "127.0.14.1");
}

/* ---- the session ------------------------------------------------------------- */

struct made {
	struct names_visit visit;
	struct talked talked;
	uint64_t unix_cookie, ns;
};

static void makes(const void *talk, void *out)
{
	const struct connection_address server = connection_address(SERVER, 53);
	const struct connection_address to = connection_address("127.0.14.1", NAMES_PORT);
	const struct sockaddr_un nobody = {.sun_family = AF_UNIX, .sun_path = "/nobody/listens"};
	struct made *made = out;
	socklen_t size = sizeof(made->unix_cookie);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	made->ns = connection_now();
	names_ask(NAMES_CONNECTED, &server, "alias.test", NAMES_A, 1);
	names_ask(NAMES_TCP, &server, "large.test", NAMES_A, 2);
	names_visit(&to, &made->visit);
	talk_do(talk, &made->talked);
	LIVE_CHECK(fd >= 0 && !getsockopt(fd, SOL_SOCKET, SO_COOKIE, &made->unix_cookie, &size) &&
			   connect(fd, (const struct sockaddr *)&nobody, sizeof(nobody)),
		   "AF_UNIX: %s", strerror(errno));
	close(fd);
}

/* ---- the host ---------------------------------------------------------------- */

static void opens(const void *hooks, void *unused)
{
	(void)unused;
	host_memlock_unlimited();
	LIVE_CHECK(!host_nobody() && !host_keep_caps(CAPS_BPF_AND_NET), "caps: %s",
		   strerror(errno));
	tracer = names_open((struct names_open){.hooks = *(const uint32_t *)hooks});
	live_attach(tracer, &cgroup, NAMES_SESSION);
}

static void reads(const void *arg, void *unused)
{
	const struct made *made = arg;
	struct names_want want = {
		.asked = "large.test",
		.source = AGENTSH_EBPF_NAME_DNS_TCP,
		.ttl_s = 20,
		.asker = made->visit.tgid,
		.answered_ns = made->ns,
		.resolver = SERVER,
	};
	size_t at;

	(void)unused;
	live_drain(tracer);
	names_expect("DNS over TCP, 3 KiB", &made->visit, &want);
	want.asked = "alias.test";
	want.owner = "real.test";
	want.source = AGENTSH_EBPF_NAME_DNS;
	want.server_name = "fronted.test";
	want.server_name_source = AGENTSH_EBPF_NAME_TLS;
	want.alpn = "h2";
	want.flags = AGENTSH_EBPF_NAME_FLAG_DIFFERS;
	talk_expect("DNS and TLS", &made->talked, &want);
	at = names_find(NAMES_SESSION, AGENTSH_EBPF_EVENT_UNIX_CONNECT, made->unix_cookie, 0);
	if (!(agentsh_ebpf_tracer_hooks(tracer) & AGENTSH_EBPF_HOOK_UNIX)) {
		LIVE_CHECK(at == live_seen.count, "a UNIX_CONNECT");
		return;
	}
	LIVE_CHECK(at < live_seen.count, "no UNIX_CONNECT");
	names_expect_at("AF_UNIX without a path", at, &(struct names_want){0});
}

START_TEST(names_without_perfmon)
{
	const struct client_hello hello = {
		.sni = "fronted.test", .alpn = "h2", .size = 1554, .late = true};
	uint32_t hooks = HOOKS | (kernel_hooks_unix() ? AGENTSH_EBPF_HOOK_UNIX : 0);
	struct live_worker worker, host;
	static struct talk t;
	struct made made;

	if (!(hooks & AGENTSH_EBPF_HOOK_UNIX))
		printf("left out: AF_UNIX: the kernel is older than 6.7\n");
	memset(&t, 0, sizeof(t));
	t.port = TALK_PORT;
	t.size = client_hello_build(&hello, t.data);
	t.first = 5;
	names_serve(SERVER, 53, zone);
	names_serve_visits();
	talk_serve();
	live_cgroup_make(&cgroup, NULL);
	live_worker_start(&host, NULL);
	live_worker_start(&worker, &cgroup);
	live_worker_call(&host, opens, &hooks, sizeof(hooks), NULL, 0);
	live_worker_call(&worker, makes, &t, sizeof(t), &made, sizeof(made));
	live_worker_stop(&worker);
	live_worker_call(&host, reads, &made, sizeof(made), NULL, 0);
	live_worker_stop(&host);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("names: without CAP_PERFMON");
	TCase *tcase = live_case(suite, "without CAP_PERFMON");

	tcase_add_test(tcase, names_without_perfmon);
	return names_main(suite);
}
