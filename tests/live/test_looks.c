/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The looks at the sessions, by which poll and read find a session that lost its sight: with
 * many sessions, while events flow, with a callback that detaches, and never.
 */
#include <errno.h>
#include <linux/bpf.h>
#include <string.h>

#include "blinding.h"
#include "traffic.h"

#define SESSIONS 150 /* more than one look has */

/* Each session has its turn within about one interval, and its own event, one per call. */
START_TEST(each_of_many)
{
	static struct live_cgroup cgroups[SESSIONS];
	static bool told[SESSIONS];
	struct agentsh_ebpf_event event;

	memset(told, 0, sizeof(told));
	blinding_begin();
	for (uint64_t i = 0; i < SESSIONS; i++) {
		live_cgroup_make(&cgroups[i], &blinding_above);
		live_attach(blinding_tracer, &cgroups[i], 100 + i);
	}
	ck_assert_int_eq(agentsh_ebpf_poll(blinding_tracer, 3 * BLINDING_INTERVAL_MS), 0);
	for (size_t i = 0; i < SESSIONS; i++)
		blinding_detach_link(&cgroups[i], BPF_CGROUP_INET4_CONNECT);
	for (size_t i = 0; i < SESSIONS; i++) {
		ck_assert_int_eq(agentsh_ebpf_read(blinding_tracer, &event, 1, LIVE_DEADLINE_MS),
				 1);
		ck_assert_uint_eq(event.kind, AGENTSH_EBPF_EVENT_SESSION_BLIND);
		ck_assert_uint_ge(event.session_id, 100);
		ck_assert(!told[event.session_id - 100]);
		told[event.session_id - 100] = true;
	}
	ck_assert_int_eq(agentsh_ebpf_poll(blinding_tracer, 3 * BLINDING_INTERVAL_MS), 0);
	live_close(blinding_tracer);
}
END_TEST

/* A host whose ring is never empty still looks. */
START_TEST(while_events_flow)
{
	struct live_worker worker;
	bool blind = false;

	blinding_begin();
	blinding_detach_link(&blinding_cgroup, BPF_CGROUP_UDP4_SENDMSG);
	live_worker_start(&worker, &blinding_cgroup);
	for (uint32_t i = 0; !blind && i < 2000; i++) {
		struct agentsh_ebpf_event events[10];
		int n;

		traffic_of(&worker, CONNECTS(.first = 1 + 50 * i, .count = 50));
		n = agentsh_ebpf_read(blinding_tracer, events, 10, 0);
		for (int k = 0; k < n; k++)
			blind |= events[k].kind == AGENTSH_EBPF_EVENT_SESSION_BLIND;
	}
	live_worker_stop(&worker);
	ck_assert(blind);
	blinding_end();
}
END_TEST

static int detach_in_callback(void *ctx, const struct agentsh_ebpf_event *event)
{
	live_on_event(ctx, event);
	LIVE_CHECK(!agentsh_ebpf_session_detach(blinding_session), "detach");
	return 0;
}

START_TEST(detach_for_the_event)
{
	const struct agentsh_ebpf_tracer_options options = {
		.check_interval_ms = BLINDING_INTERVAL_MS,
		.on_event = detach_in_callback,
	};

	live_cgroup_make(&blinding_cgroup, NULL);
	blinding_tracer = live_open(&options);
	blinding_session = live_attach(blinding_tracer, &blinding_cgroup, 7);
	blinding_detach_link(&blinding_cgroup, BPF_CGROUP_INET4_CONNECT);
	ck_assert_int_eq(agentsh_ebpf_poll(blinding_tracer, LIVE_DEADLINE_MS), 1);
	ck_assert_int_eq(agentsh_ebpf_session_detach(blinding_session), -EINVAL);
	live_close(blinding_tracer);
}
END_TEST

START_TEST(never)
{
	const struct agentsh_ebpf_tracer_options options = {.check_interval_ms = UINT32_MAX};
	int fds = live_open_fds(), with;

	live_cgroup_make(&blinding_cgroup, NULL);
	fds = live_open_fds();
	blinding_tracer = live_open(&options);
	with = live_open_fds() - fds;
	blinding_session = live_attach(blinding_tracer, &blinding_cgroup, 7);
	blinding_detach_link(&blinding_cgroup, BPF_CGROUP_INET4_CONNECT);
	ck_assert_int_eq(agentsh_ebpf_poll(blinding_tracer, 5 * BLINDING_INTERVAL_MS), 0);
	ck_assert_int_eq(blinding_check().error, ENOLINK);
	live_close(blinding_tracer);
	blinding_tracer = live_open(NULL);
	ck_assert_int_eq(live_open_fds() - fds, with + 1); /* the timer */
	live_close(blinding_tracer);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("looks");
	TCase *tcase = live_case(suite, "looks");

	tcase_add_test(tcase, each_of_many);
	tcase_add_test(tcase, while_events_flow);
	tcase_add_test(tcase, detach_for_the_event);
	tcase_add_test(tcase, never);
	return live_main(suite);
}
