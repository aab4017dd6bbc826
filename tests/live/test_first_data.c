/* SPDX-License-Identifier: Apache-2.0 */
/*
 * FIRST_DATA tells a datagram socket that has sent from one that was only connected, and INBOUND
 * a server from a client.
 */
#include <stdio.h>
#include <string.h>

#include "first_data.h"

#define HOOKS (CONNECTION_CONNECT | AGENTSH_EBPF_HOOK_UDP | AGENTSH_EBPF_HOOK_TRAFFIC)

static struct live_cgroup cgroup;

static void run(const void *number, void *out)
{
	live_cgroup_enter(NULL);
	live_own_netns(NULL, NULL);
	live_cgroup_enter(&cgroup);
	first_data_family = (enum connection_family)(*(const int *)number % 3);
	first_data_cases[*(const int *)number / 3].go(out);
	counted_close(&first_data_sockets);
}

static void same_end(const char *name, const char *what, const uint8_t addr[16], uint16_t port,
		     const struct connection_address *should)
{
	uint16_t should_port;
	uint8_t should_addr[16];

	connection_end(should, should_addr, &should_port);
	LIVE_CHECK(port == should_port, "%s: %s port %u, expected %u", name, what, port,
		   should_port);
	LIVE_CHECK(!memcmp(addr, should_addr, 16), "%s: %s address", name, what);
}

static void same_event(const char *name, const struct want *w, const struct agentsh_ebpf_event *e)
{
	struct agentsh_ebpf_event local = *e;
	char title[100];

	snprintf(title, sizeof(title), "%s: %s", name, agentsh_ebpf_kind_name(w->kind));
	LIVE_CHECK(e->kind == w->kind, "%s: the event is %s", title,
		   agentsh_ebpf_kind_name(e->kind));
	LIVE_CHECK(e->flags == w->flags, "%s: flags 0x%x, expected 0x%x", title, e->flags,
		   w->flags);
	LIVE_CHECK(e->tgid == w->tgid && e->pid == w->tgid, "%s: process %u, expected %u", title,
		   e->tgid, w->tgid);
	LIVE_CHECK(e->cgroup_id == (w->tgid ? cgroup.id : 0), "%s: cgroup_id", title);
	CONNECTION_SAME(e->protocol, IPPROTO_UDP);
	CONNECTION_SAME(e->socket_type, SOCK_DGRAM);
	CONNECTION_SAME(e->family, first_data_family == CONNECTION_V6 ? AF_INET6 : AF_INET);
	CONNECTION_SAME(e->session_id, 6);
	same_end(title, "remote", e->remote_addr, e->remote_port, &w->remote);
	if (!w->has_local)
		return;
	if (e->kind == AGENTSH_EBPF_EVENT_CLOSED &&
	    connection_errors_hidden) /* the port is unknown then */
		connection_end(&w->local, local.local_addr, &local.local_port);
	same_end(title, "local", local.local_addr, local.local_port, &w->local);
}

/* The next event of the socket in live_seen, from this index on. */
static size_t next_of(uint64_t cookie, const bool *used)
{
	for (size_t i = 0; i < live_seen.count; i++)
		if (!used[i] && live_seen.list[i].socket_cookie == cookie)
			return i;
	return live_seen.count;
}

static void compare(const char *name, const struct wants *w)
{
	bool used[WANTS_MAX * 2] = {false};

	for (uint32_t i = 0; i < w->count; i++) {
		size_t at = next_of(w->list[i].cookie, used);

		LIVE_CHECK(at < live_seen.count && at < LIVE_COUNT(used), "%s: no %s", name,
			   agentsh_ebpf_kind_name(w->list[i].kind));
		used[at] = true;
		same_event(name, &w->list[i], &live_seen.list[at]);
	}
	LIVE_CHECK(live_seen.count == w->count, "%s: %zu events, expected %u", name,
		   live_seen.count, w->count);
}

static void try_case(int number, struct agentsh_ebpf_tracer *tracer)
{
	struct live_worker worker;
	struct wants w;

	first_data_family = (enum connection_family)(number % 3);
	live_cgroup_make(&cgroup, NULL);
	live_attach(tracer, &cgroup, 6);
	live_worker_start(&worker, &cgroup);
	live_worker_call(&worker, run, &number, sizeof(number), &w, sizeof(w));
	live_worker_stop(&worker);
	live_drain(tracer);
	compare(first_data_cases[number / 3].name, &w);
}

START_TEST(told_apart)
{
	try_case(_i, connection_open(HOOKS));
}
END_TEST

START_TEST(told_apart_without_btf)
{
	try_case(_i, connection_open_without_btf(HOOKS));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("first data");
	TCase *tcase = live_case(suite, "first data");

	tcase_add_loop_test(tcase, told_apart, 0, (int)first_data_cases_count * 3);
	tcase_add_loop_test(tcase, told_apart_without_btf, 0, (int)first_data_cases_count * 3);
	return live_main(suite);
}
