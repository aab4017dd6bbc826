/* SPDX-License-Identifier: Apache-2.0 */
/* A build without AGENTSH_EBPF_UDP: open leaves UDP out, and reports the other events. */
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "live.h"

#define ALL_HOOKS                                                                                  \
	(AGENTSH_EBPF_HOOK_CONNECT | AGENTSH_EBPF_HOOK_UDP | AGENTSH_EBPF_HOOK_LIFECYCLE |         \
	 AGENTSH_EBPF_HOOK_ACCEPT | AGENTSH_EBPF_HOOK_TRAFFIC | AGENTSH_EBPF_HOOK_DNS |            \
	 AGENTSH_EBPF_HOOK_SERVER_NAME)

/* A datagram without connect(), which UDP would report, then a connect(). */
static void send_then_connect(const void *unused, void *unused_out)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(9)};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	(void)unused;
	(void)unused_out;
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	LIVE_CHECK(fd >= 0, "socket: %s", strerror(errno));
	LIVE_CHECK(sendto(fd, "", 1, 0, (void *)&to, sizeof(to)) == 1, "sendto: %s",
		   strerror(errno));
	close(fd);
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	LIVE_CHECK(fd >= 0 && !connect(fd, (void *)&to, sizeof(to)), "connect: %s",
		   strerror(errno));
	close(fd);
}

START_TEST(udp_is_left_out)
{
	const struct agentsh_ebpf_tracer_options all = {.hooks = ALL_HOOKS};
	struct agentsh_ebpf_tracer *tracer = live_open(&all);
	struct live_cgroup cgroup;
	struct live_worker worker;

	ck_assert_uint_eq(agentsh_ebpf_hooks_built(),
			  (ALL_HOOKS & ~AGENTSH_EBPF_HOOK_UDP) | AGENTSH_EBPF_HOOK_UNIX);
	ck_assert_uint_eq(agentsh_ebpf_tracer_hooks(tracer), ALL_HOOKS & ~AGENTSH_EBPF_HOOK_UDP);
	live_cgroup_make(&cgroup, NULL);
	live_attach(tracer, &cgroup, 1);
	live_worker_start(&worker, &cgroup);
	live_worker_call(&worker, send_then_connect, NULL, 0, NULL, 0);
	live_worker_stop(&worker);
	while (agentsh_ebpf_poll(tracer, 0) > 0)
		;
	ck_assert_uint_ge(live_seen.count, 1);
	for (size_t i = 0; i < live_seen.count; i++)
		ck_assert_uint_ne(live_seen.list[i].kind, AGENTSH_EBPF_EVENT_UDP_SEND);
	live_close(tracer);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("no_udp");

	tcase_add_test(live_case(suite, "no_udp"), udp_is_left_out);
	return live_main(suite);
}
