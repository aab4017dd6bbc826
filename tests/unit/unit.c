/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "unit.h"

int unit_main(Suite *suite)
{
	SRunner *runner = srunner_create(suite);
	int failed;

	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

TCase *unit_case(Suite *suite, const char *name)
{
	TCase *tcase = tcase_create(name);

	tcase_set_timeout(tcase, 120);
	suite_add_tcase(suite, tcase);
	return tcase;
}

struct agentsh_ebpf_tracer *unit_open(const struct agentsh_ebpf_tracer_options *opts)
{
	struct agentsh_ebpf_tracer_options o = {0};
	struct agentsh_ebpf_tracer *tracer = NULL;
	struct agentsh_ebpf_error err = {.size = sizeof(err)};

	if (opts)
		o = *opts;
	o.size = sizeof(o);
	o.mode = AGENTSH_EBPF_MODE_SYNTHETIC;
	ck_assert_msg(!agentsh_ebpf_tracer_open(&o, &tracer, &err), "open: %s", err.message);
	ck_assert_ptr_nonnull(tracer);
	unit_expect_no_error(&err);
	return tracer;
}

struct agentsh_ebpf_tracer *unit_open_ring(uint32_t ring_size)
{
	const struct agentsh_ebpf_tracer_options o = {.ring_size = ring_size, .ring_quota = 100};

	return unit_open(&o);
}

struct agentsh_ebpf_session *unit_attach(struct agentsh_ebpf_tracer *tracer, uint64_t session_id)
{
	const struct agentsh_ebpf_session_options o = {
		.size = sizeof(o),
		.session_id = session_id,
	};
	struct agentsh_ebpf_session *session = NULL;
	struct agentsh_ebpf_error err = {.size = sizeof(err)};

	ck_assert_msg(!agentsh_ebpf_session_attach(tracer, 0, &o, &session, &err), "attach: %s",
		      err.message);
	ck_assert_ptr_nonnull(session);
	unit_expect_no_error(&err);
	return session;
}

struct agentsh_ebpf_stats unit_tracer_stats(const struct agentsh_ebpf_tracer *tracer)
{
	struct agentsh_ebpf_stats stats = {.size = sizeof(stats)};

	ck_assert_int_eq(agentsh_ebpf_tracer_stats(tracer, &stats), 0);
	ck_assert_uint_eq(stats.size, sizeof(stats));
	return stats;
}

struct agentsh_ebpf_stats unit_session_stats(const struct agentsh_ebpf_session *session)
{
	struct agentsh_ebpf_stats stats = {.size = sizeof(stats)};

	ck_assert_int_eq(agentsh_ebpf_session_stats(session, &stats), 0);
	ck_assert_uint_eq(stats.size, sizeof(stats));
	ck_assert_uint_eq(stats.sessions, 1);
	ck_assert_uint_eq(stats.attach_failures, 0);
	ck_assert_uint_eq(stats.malformed, 0);
	return stats;
}

uint64_t unit_random(void)
{
	static uint64_t state = 0x9e3779b97f4a7c15;

	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

uint32_t unit_below(uint32_t limit)
{
	return (uint32_t)((unit_random() >> 32) % limit);
}

struct agentsh_ebpf_event unit_event(uint64_t number)
{
	return (struct agentsh_ebpf_event){
		.kind = AGENTSH_EBPF_EVENT_CONNECT,
		.timestamp_ns = number + 1,
		.socket_cookie = number,
	};
}

static void random_bytes(void *to, size_t size)
{
	for (size_t i = 0; i < size; i++)
		((unsigned char *)to)[i] = (unsigned char)(unit_random() >> 32);
}

struct agentsh_ebpf_event unit_random_event(void)
{
	struct agentsh_ebpf_event event;
	uint32_t some = unit_below(3) ? unit_below(256) : 0;

	random_bytes(&event, sizeof(event));
	event.kind &= 0xff;
	event.flags &= 0xffff;
	event.timestamp_ns |= 1; /* 0 would be replaced */
	if (!(some & 1))
		event.error = 0;
	if (!(some & 2))
		event.rtt_us = 0;
	if (!(some & 4))
		event.duration_ns = 0;
	if (!(some & 8))
		event.bytes_sent = 0;
	if (!(some & 16))
		event.bytes_received = 0;
	if (!(some & 32))
		event.retransmits = 0;
	if (!(some & 64))
		event.packets_sent = 0;
	if (!(some & 128))
		event.packets_received = 0;
	if (unit_has_outcome(&event)) /* no record has both */
		event.verdict = event.rule_id = 0;
	return event;
}

bool unit_has_outcome(const struct agentsh_ebpf_event *e)
{
	return e->error || e->rtt_us || e->duration_ns || e->bytes_sent || e->bytes_received ||
	       e->retransmits || e->packets_sent || e->packets_received;
}

uint32_t unit_ring_bytes(const struct agentsh_ebpf_event *e)
{
	if (unit_has_outcome(e))
		return UNIT_RING_BYTES_OUTCOME;
	return e->verdict || e->rule_id ? UNIT_RING_BYTES_JUDGED : UNIT_RING_BYTES;
}

int unit_inject(struct agentsh_ebpf_session *session, uint64_t number)
{
	const struct agentsh_ebpf_event event = unit_event(number);

	return agentsh_ebpf_inject(session, &event);
}

uint32_t unit_fill(struct agentsh_ebpf_session *session)
{
	uint32_t n = 0;
	int ret;

	while (!(ret = unit_inject(session, n)))
		n++;
	ck_assert_int_eq(ret, -ENOBUFS);
	return n;
}

uint32_t unit_drain(struct agentsh_ebpf_tracer *tracer)
{
	struct agentsh_ebpf_event buf[64];
	uint32_t sum = 0;
	int n;

	while ((n = agentsh_ebpf_read(tracer, buf, UNIT_COUNT(buf), 0)) > 0)
		sum += (uint32_t)n;
	ck_assert_int_eq(n, 0);
	return sum;
}

void unit_expect_event(const struct agentsh_ebpf_event *got, const struct agentsh_ebpf_event *put,
		       uint64_t session_id, uint64_t session_lost)
{
	struct agentsh_ebpf_event want = *put;
	const unsigned char *a = (const unsigned char *)got, *b = (const unsigned char *)&want;

	want.session_id = session_id;
	want.session_lost = session_lost;
	want.comm[sizeof(want.comm) - 1] = '\0';
	want.process_comm[sizeof(want.process_comm) - 1] = '\0';
	want.reserved0 = 0;
	want.name_id = 0;
	memset(want.reserved, 0, sizeof(want.reserved));
	if (!memcmp(got, &want, sizeof(want))) /* an assertion per byte takes minutes */
		return;
	for (size_t i = 0; i < sizeof(want); i++)
		ck_assert_msg(a[i] == b[i], "byte %zu of the event is 0x%02x, not 0x%02x", i, a[i],
			      b[i]);
}

void unit_expect_error(const struct agentsh_ebpf_error *err, int code, uint32_t step,
		       const char *text)
{
	const char *end = memchr(err->message, '\0', sizeof(err->message));

	ck_assert_msg(end, "the message does not end");
	ck_assert_msg(end != err->message, "the message is empty");
	ck_assert_msg(err->code == code, "code %d, not %d: %s", err->code, code, err->message);
	ck_assert_msg(err->step == step, "step %s, not %s: %s", agentsh_ebpf_step_name(err->step),
		      agentsh_ebpf_step_name(step), err->message);
	ck_assert_msg(strstr(err->message, text), "\"%s\" does not contain \"%s\"", err->message,
		      text);
	for (const char *c = err->message; c < end; c++)
		ck_assert_msg(*c >= ' ' && *c != 0x7f, "byte 0x%02x in \"%s\"", (unsigned char)*c,
			      err->message);
	ck_assert_uint_eq(err->reserved, 0);
}

void unit_expect_no_error(const struct agentsh_ebpf_error *err)
{
	static const char empty[sizeof(err->message)];

	ck_assert_uint_eq(err->size, sizeof(*err));
	ck_assert_int_eq(err->code, 0);
	ck_assert_uint_eq(err->step, AGENTSH_EBPF_STEP_NONE);
	ck_assert_uint_eq(err->reserved, 0);
	ck_assert_mem_eq(err->message, empty, sizeof(empty));
}

int unit_open_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int n = 0;

	ck_assert_ptr_nonnull(dir);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

uint64_t unit_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

void unit_sleep_ms(unsigned int ms)
{
	struct timespec left = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};

	while (nanosleep(&left, &left) && errno == EINTR)
		;
}

bool unit_sanitized(void)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
	return true;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
	return true;
#else
	return false;
#endif
#else
	return false;
#endif
}
