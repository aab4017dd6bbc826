/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PROGRESS tells what open connections have sent and received: at the interval, and when the
 * session is detached. Nothing stays untold: the last PROGRESS or CLOSED of each socket is what
 * its process counted.
 */
#include <poll.h>
#include <string.h>

#include "progress_told.h"

#define PROGRESS AGENTSH_EBPF_EVENT_PROGRESS
#define INTERVAL_MS 100

static void expect_members(const struct counts *s, const struct agentsh_ebpf_event *e)
{
	bool server = strstr(s->name, "server"), udp = !moves_is_tcp(s);
	const uint32_t flags = server ? AGENTSH_EBPF_FLAG_INBOUND : 0;

	CONNECTION_SAME(e->session_id, MOVES_SESSION);
	CONNECTION_SAME(e->flags, flags);
	CONNECTION_SAME(e->tgid, told_worker.pid);
	CONNECTION_SAME(e->cgroup_id, told_cgroup.id);
	CONNECTION_SAME(e->protocol, udp ? IPPROTO_UDP : IPPROTO_TCP);
	CONNECTION_SAME(e->error, 0);
	CONNECTION_SAME(e->rtt_us != 0, !udp);
	LIVE_CHECK(e->duration_ns && e->duration_ns < e->timestamp_ns, "%s: duration_ns", s->name);
	LIVE_CHECK(e->local_port && e->remote_port, "%s: ports", s->name);
}

/* ---- at the interval -------------------------------------------------------- */

static void through_the_interval(uint64_t missing)
{
	size_t count;

	told_begin(TOLD_RING, INTERVAL_MS, missing);
	for (int i = 0; i < 3; i++) {
		told_move(MOVES_TCP | MOVES_UDP);
		told_await();
	}
	for (uint32_t n = 0; n < told_moved.count; n++)
		if (told_is_seen(&told_moved.list[n]))
			expect_members(&told_moved.list[n],
				       told_last(&told_moved.list[n], PROGRESS));
	/* three intervals with traffic of UDP alone: two sockets each */
	for (int i = 0; i < 3; i++) {
		count = connection_count(PROGRESS);
		told_move(MOVES_UDP);
		told_await();
		for (size_t n = count; n < connection_count(PROGRESS); n++)
			CONNECTION_SAME(connection_find(PROGRESS, n)->protocol, IPPROTO_UDP);
	}
	told_move(MOVES_HALF);
	told_await();
	count = connection_count(PROGRESS);
	told_move(MOVES_CLOSE);
	live_worker_stop(&told_worker);
	counted_drain(told_tracer, &told_moved);
	counted_expect("CLOSED", &told_moved);
	live_detach(told_session);
	live_drain(told_tracer);
	CONNECTION_SAME(connection_count(PROGRESS), count);
	CONNECTION_SAME(live_tracer_stats(told_tracer).malformed, 0);
}

START_TEST(at_the_interval)
{
	through_the_interval(0);
}
END_TEST

/* A program that cannot read the kernel's structures does not know what TCP has told_moved. */
START_TEST(at_the_interval_without_btf)
{
	through_the_interval(1ULL << AGENTSH_EBPF_CHECK_BTF);
}
END_TEST

/* The loop of a host learns from the descriptor alone that the interval is over. */
START_TEST(in_a_foreign_loop)
{
	static struct agentsh_ebpf_event events[64];
	struct pollfd ready;
	int ret;

	told_begin(TOLD_RING, INTERVAL_MS, 0);
	ready = (struct pollfd){.fd = agentsh_ebpf_fd(told_tracer), .events = POLLIN};
	told_move(MOVES_UDP);
	told_await();
	for (int i = 0; i < 3; i++) {
		size_t before = connection_count(PROGRESS);

		live_drain(told_tracer);
		told_move(MOVES_UDP); /* puts no event into the ring */
		while (connection_count(PROGRESS) < before + 2) {
			LIVE_CHECK(poll(&ready, 1, LIVE_DEADLINE_MS) == 1, "not readable");
			ret = agentsh_ebpf_read(told_tracer, events, LIVE_COUNT(events), 0);
			LIVE_CHECK(ret >= 0, "read: %d", ret);
			for (int n = 0; n < ret; n++)
				live_on_event(NULL, &events[n]);
		}
		told_await();
	}
}
END_TEST

/* ---- at detach -------------------------------------------------------------- */

/* Each open connection with traffic since its last PROGRESS has one, and no other. */
static void through_detach(uint32_t interval_ms, uint64_t missing, bool told)
{
	size_t before, pending;

	told_begin(TOLD_RING, interval_ms, missing);
	told_move(MOVES_TCP | MOVES_UDP);
	told_move(MOVES_HALF);
	if (interval_ms) {
		told_await();
		if (!told)
			told_move(MOVES_UDP);
	}
	live_drain(told_tracer);
	before = connection_count(PROGRESS);
	pending = told_pending();
	LIVE_CHECK(interval_ms || pending == (connection_errors_hidden ? 2 : 6), "%zu sockets",
		   pending);
	live_detach(told_session);
	live_drain(told_tracer);
	for (uint32_t n = 0; n < told_moved.count; n++) {
		const struct counts *s = &told_moved.list[n];

		if (!told_is_seen(s))
			continue;
		LIVE_CHECK(told_last(s, PROGRESS), "%s: no PROGRESS", s->name);
		told_same(s, told_last(s, PROGRESS));
	}
	told_expect_rising();
	CONNECTION_SAME(connection_count(PROGRESS) - before, pending);
	CONNECTION_SAME(live_tracer_stats(told_tracer).lost, 0);
	told_move(MOVES_UDP | MOVES_CLOSE); /* not in a session any more */
	CONNECTION_SAME(live_drain(told_tracer), 0);
}

START_TEST(at_detach)
{
	through_detach(0, 0, false);
}
END_TEST

START_TEST(at_detach_without_btf)
{
	through_detach(0, 1ULL << AGENTSH_EBPF_CHECK_BTF, false);
}
END_TEST

/* The interval is so long that it is hardly ever over before the detach. */
START_TEST(at_detach_after_the_interval)
{
	through_detach(2000, 0, _i);
}
END_TEST

/* Of nested sessions, each tells its own sockets. */
START_TEST(of_one_session)
{
	struct agentsh_ebpf_session *inner;
	struct live_cgroup child;
	size_t all = 0, mine = 0;

	told_begin(TOLD_RING, 0, 0);
	live_cgroup_make(&child, &told_cgroup);
	inner = live_attach(told_tracer, &child, 99);
	live_worker_stop(&told_worker);
	live_worker_start(&told_worker, &child);
	live_worker_call(&told_worker, moves_open, NULL, 0, &told_moved, sizeof(told_moved));
	told_move(MOVES_UDP | MOVES_TCP);
	live_detach(inner);
	live_drain(told_tracer);
	for (size_t i = 0; i < live_seen.count; i++) {
		all += live_seen.list[i].kind == PROGRESS;
		mine += live_seen.list[i].kind == PROGRESS && live_seen.list[i].session_id == 99;
	}
	CONNECTION_SAME(all, connection_errors_hidden ? 2 : 6);
	CONNECTION_SAME(mine, all);
	live_detach(told_session);
	live_drain(told_tracer);
	CONNECTION_SAME(connection_count(PROGRESS), 2 * all);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("progress");
	TCase *tcase = live_case(suite, "progress");

	tcase_add_test(tcase, at_the_interval);
	tcase_add_test(tcase, at_the_interval_without_btf);
	tcase_add_test(tcase, in_a_foreign_loop);
	tcase_add_test(tcase, at_detach);
	tcase_add_test(tcase, at_detach_without_btf);
	tcase_add_loop_test(tcase, at_detach_after_the_interval, 0, 2);
	tcase_add_test(tcase, of_one_session);
	return live_main(suite);
}
