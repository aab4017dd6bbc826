/* SPDX-License-Identifier: Apache-2.0 */
/* What a callback may do, and the effect on the events. */
#include <errno.h>
#include <setjmp.h>
#include <string.h>

#include "unit.h"

struct host {
	struct agentsh_ebpf_tracer *tracer;
	struct agentsh_ebpf_session *session, *other;
	uint64_t next; /* number of the next event */
	uint32_t calls;
	int answer;
	uint32_t stop_after;
};

static struct host host;

static int count(void *ctx, const struct agentsh_ebpf_event *event)
{
	struct host *h = ctx;

	ck_assert_ptr_eq(h, &host);
	ck_assert_uint_eq(event->socket_cookie, h->next++);
	h->calls++;
	return h->stop_after && h->calls % h->stop_after == 0 ? h->answer : 0;
}

static void open_host(agentsh_ebpf_event_fn fn)
{
	const struct agentsh_ebpf_tracer_options o = {
		.ring_size = 65536,
		.ring_quota = 100,
		.on_event = fn,
		.event_ctx = &host,
	};

	memset(&host, 0, sizeof(host));
	host.tracer = unit_open(&o);
	host.session = unit_attach(host.tracer, 1);
}

/*
 * Any return value but 0 stops the poll after that event; the next poll continues with the
 * next event.
 */
START_TEST(stop_early)
{
	static const int answers[] = {1, -1, -EINTR, 4711};
	uint32_t polls = 0;

	open_host(count);
	host.answer = answers[_i];
	host.stop_after = 7;
	for (uint64_t i = 0; i < 100; i++)
		ck_assert_int_eq(unit_inject(host.session, i), 0);
	while (host.calls < 98) {
		ck_assert_int_eq(agentsh_ebpf_poll(host.tracer, 0), 7);
		ck_assert_uint_eq(host.calls, ++polls * 7);
		ck_assert_uint_eq(unit_tracer_stats(host.tracer).delivered, host.calls);
	}
	ck_assert_int_eq(agentsh_ebpf_poll(host.tracer, 0), 2);
	ck_assert_int_eq(agentsh_ebpf_poll(host.tracer, 0), 0);
	ck_assert_uint_eq(unit_session_stats(host.session).delivered, 100);
	agentsh_ebpf_tracer_close(host.tracer);
}
END_TEST

/* Read and poll deliver from the same stream. */
START_TEST(read_goes_on)
{
	struct agentsh_ebpf_event got[10];

	open_host(count);
	host.answer = 1;
	host.stop_after = 3;
	for (uint64_t i = 0; i < 10; i++)
		ck_assert_int_eq(unit_inject(host.session, i), 0);
	ck_assert_int_eq(agentsh_ebpf_poll(host.tracer, -1), 3);
	ck_assert_int_eq(agentsh_ebpf_read(host.tracer, got, 4, -1), 4);
	ck_assert_uint_eq(got[0].socket_cookie, 3);
	ck_assert_uint_eq(got[3].socket_cookie, 6);
	host.next = 7;
	ck_assert_int_eq(agentsh_ebpf_poll(host.tracer, -1), 3);
	agentsh_ebpf_tracer_close(host.tracer);
}
END_TEST

static int reenter(void *ctx, const struct agentsh_ebpf_event *event)
{
	struct host *h = ctx;
	struct agentsh_ebpf_event buf;

	(void)event;
	h->calls++;
	ck_assert_int_eq(agentsh_ebpf_poll(h->tracer, 0), -EBUSY);
	ck_assert_int_eq(agentsh_ebpf_poll(h->tracer, -1), -EBUSY);
	ck_assert_int_eq(agentsh_ebpf_read(h->tracer, &buf, 1, 0), -EBUSY);
	ck_assert_int_eq(agentsh_ebpf_read(h->tracer, &buf, 1, -1), -EBUSY);
	return 0;
}

START_TEST(no_poll_inside)
{
	open_host(reenter);
	for (uint64_t i = 0; i < 5; i++)
		ck_assert_int_eq(unit_inject(host.session, i), 0);
	ck_assert_int_eq(agentsh_ebpf_poll(host.tracer, 0), 5);
	ck_assert_uint_eq(host.calls, 5);
	/* the tracer is busy only during the callback */
	ck_assert_int_eq(agentsh_ebpf_poll(host.tracer, 0), 0);
	ck_assert_int_eq(unit_inject(host.session, 5), 0);
	ck_assert_int_eq(agentsh_ebpf_poll(host.tracer, 0), 1);
	agentsh_ebpf_tracer_close(host.tracer);
}
END_TEST

/* Each event injects the next one, until the callback stops or the batch is full. */
static int chain(void *ctx, const struct agentsh_ebpf_event *event)
{
	struct host *h = ctx;

	ck_assert_uint_eq(event->socket_cookie, h->next++);
	h->calls++;
	if (h->stop_after && h->calls == h->stop_after)
		return 0;
	ck_assert_int_eq(unit_inject(h->session, h->next), 0);
	return 0;
}

START_TEST(inject_inside)
{
	open_host(chain);
	host.stop_after = 1000;
	ck_assert_int_eq(unit_inject(host.session, 0), 0);
	ck_assert_int_eq(agentsh_ebpf_poll(host.tracer, 0), 1000);
	ck_assert_int_eq(agentsh_ebpf_poll(host.tracer, 0), 0);
	/* an endless chain ends at the limit of a batch */
	host.calls = host.stop_after = 0;
	ck_assert_int_eq(unit_inject(host.session, host.next), 0);
	ck_assert_int_eq(agentsh_ebpf_poll(host.tracer, 0), 4096);
	ck_assert_uint_eq(host.calls, 4096);
	agentsh_ebpf_tracer_close(host.tracer);
}
END_TEST

/* The callback detaches the event's session and attaches another one. */
static int replace(void *ctx, const struct agentsh_ebpf_event *event)
{
	struct host *h = ctx;

	ck_assert_uint_eq(event->session_id, 1);
	if (!h->calls++) {
		ck_assert_uint_eq(unit_session_stats(h->session).delivered, 1);
		ck_assert_int_eq(agentsh_ebpf_session_detach(h->session), 0);
		h->session = NULL;
		h->other = unit_attach(h->tracer, 2);
	}
	/* the event is still valid, because detach does not free it */
	ck_assert_uint_eq(event->socket_cookie, h->next++);
	ck_assert_uint_eq(unit_session_stats(h->other).delivered, 0);
	ck_assert_uint_eq(unit_tracer_stats(h->tracer).sessions, 1);
	ck_assert_uint_eq(unit_tracer_stats(h->tracer).delivered, h->calls);
	ck_assert_int_eq(agentsh_ebpf_wake(h->tracer), 0);
	return 0;
}

START_TEST(attach_and_detach_inside)
{
	struct agentsh_ebpf_event got;

	open_host(replace);
	for (uint64_t i = 0; i < 5; i++)
		ck_assert_int_eq(unit_inject(host.session, i), 0);
	ck_assert_int_eq(agentsh_ebpf_poll(host.tracer, 0), 5);
	ck_assert_uint_eq(host.calls, 5);
	/* the wake in the callback ends the next wait */
	ck_assert_int_eq(agentsh_ebpf_poll(host.tracer, -1), 0);
	ck_assert_int_eq(unit_inject(host.other, 9), 0);
	ck_assert_int_eq(agentsh_ebpf_read(host.tracer, &got, 1, -1), 1);
	ck_assert_uint_eq(got.session_id, 2);
	agentsh_ebpf_tracer_close(host.tracer);
}
END_TEST

static jmp_buf outside;

static int leave(void *ctx, const struct agentsh_ebpf_event *event)
{
	(void)ctx;
	(void)event;
	longjmp(outside, 1);
}

/* A callback that never returns: its poll has not ended, and never will. */
START_TEST(never_returns)
{
	struct agentsh_ebpf_event got;

	open_host(leave);
	ck_assert_int_eq(unit_inject(host.session, 0), 0);
	if (!setjmp(outside)) {
		agentsh_ebpf_poll(host.tracer, 0);
		ck_abort_msg("poll has returned");
	}
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(agentsh_ebpf_poll(host.tracer, 0), -EBUSY);
		ck_assert_int_eq(agentsh_ebpf_read(host.tracer, &got, 1, 0), -EBUSY);
	}
	/* all other calls work */
	host.other = unit_attach(host.tracer, 2);
	ck_assert_int_eq(unit_inject(host.other, 1), 0);
	ck_assert_uint_eq(unit_tracer_stats(host.tracer).sessions, 2);
	ck_assert_int_eq(agentsh_ebpf_session_detach(host.other), 0);
	agentsh_ebpf_tracer_close(host.tracer);
}
END_TEST

START_TEST(none)
{
	struct agentsh_ebpf_event got;

	open_host(NULL);
	ck_assert_int_eq(unit_inject(host.session, 3), 0);
	ck_assert_int_eq(agentsh_ebpf_poll(host.tracer, 0), -EINVAL);
	ck_assert_int_eq(agentsh_ebpf_poll(host.tracer, -1), -EINVAL);
	ck_assert_int_eq(agentsh_ebpf_read(host.tracer, &got, 1, 0), 1);
	ck_assert_uint_eq(got.socket_cookie, 3);
	agentsh_ebpf_tracer_close(host.tracer);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("callback");
	TCase *tcase = unit_case(suite, "callback");

	tcase_add_loop_test(tcase, stop_early, 0, 4);
	tcase_add_test(tcase, read_goes_on);
	tcase_add_test(tcase, no_poll_inside);
	tcase_add_test(tcase, inject_inside);
	tcase_add_test(tcase, attach_and_detach_inside);
	tcase_add_test(tcase, never_returns);
	tcase_add_test(tcase, none);
	return unit_main(suite);
}
