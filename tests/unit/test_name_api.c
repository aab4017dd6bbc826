/* SPDX-License-Identifier: Apache-2.0 */
/* The calls for names: arguments, results, and what a synthetic tracer does. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "name_harness.h"

#define ADDRESS 0xc0000201 /* 192.0.2.1 */
#define FLAG(name) AGENTSH_EBPF_NAME_FLAG_##name

static const uint8_t address[16] = {192, 0, 2, 1};
static const uint8_t mapped[16] = {[10] = 0xff, 0xff, 192, 0, 2, 1};
static const uint8_t address6[16] = {0x20, 0x01, 0x0d, 0xb8, [15] = 1};
static struct agentsh_ebpf_tracer *tracer;
static struct agentsh_ebpf_session *session;
static struct agentsh_ebpf_name name = {.size = sizeof(name)};

static void set_up(void)
{
	tracer = unit_open(NULL);
	session = unit_attach(tracer, 1);
}

/* Injects a connect() by a process, and reads it. */
static struct agentsh_ebpf_event connect_by(uint32_t tgid, uint16_t family, const void *to)
{
	struct agentsh_ebpf_event event = unit_event(1), got;

	event.timestamp_ns = 0;
	event.tgid = tgid;
	event.family = family;
	memcpy(event.remote_addr, to, family == AF_INET ? 4 : 16);
	event.name_id = 77; /* is not taken from the host */
	ck_assert_int_eq(agentsh_ebpf_inject(session, &event), 0);
	ck_assert_int_eq(agentsh_ebpf_read(tracer, &got, 1, 0), 1);
	return got;
}

START_TEST(arguments)
{
	const struct agentsh_ebpf_event event = unit_event(1);
	struct agentsh_ebpf_dns dns = {.size = sizeof(dns)};
	struct agentsh_ebpf_address list[1];

	set_up();
	ck_assert_int_eq(agentsh_ebpf_event_name(NULL, &event, &name), -EFAULT);
	ck_assert_int_eq(agentsh_ebpf_event_name(tracer, NULL, &name), -EFAULT);
	ck_assert_int_eq(agentsh_ebpf_event_name(tracer, &event, NULL), -EFAULT);
	ck_assert_int_eq(agentsh_ebpf_event_name(tracer, &event, &name), -ENOENT);
	ck_assert_int_eq(agentsh_ebpf_event_dns(NULL, &event, &dns), -EFAULT);
	ck_assert_int_eq(agentsh_ebpf_event_dns(tracer, NULL, &dns), -EFAULT);
	ck_assert_int_eq(agentsh_ebpf_event_dns(tracer, &event, NULL), -EFAULT);
	ck_assert_int_eq(agentsh_ebpf_event_dns(tracer, &event, &dns), -ENOENT);
	ck_assert_int_eq(agentsh_ebpf_event_addresses(NULL, &event, list, 1), -EFAULT);
	ck_assert_int_eq(agentsh_ebpf_event_addresses(tracer, NULL, list, 1), -EFAULT);
	ck_assert_int_eq(agentsh_ebpf_event_addresses(tracer, &event, NULL, 1), -EFAULT);
	ck_assert_int_eq(agentsh_ebpf_event_addresses(tracer, &event, NULL, 0), -ENOENT);
	ck_assert_int_eq(agentsh_ebpf_session_name_lookup(NULL, AF_INET, address, 0, &name),
			 -EFAULT);
	ck_assert_int_eq(agentsh_ebpf_session_name_lookup(session, AF_INET, NULL, 0, &name),
			 -EFAULT);
	ck_assert_int_eq(agentsh_ebpf_session_name_lookup(session, AF_INET, address, 0, NULL),
			 -EFAULT);
	ck_assert_int_eq(agentsh_ebpf_session_name_lookup(session, 1, address, 0, &name), -EINVAL);
	ck_assert_int_eq(agentsh_ebpf_session_name_lookup(session, AF_INET, address, 0, &name),
			 -ENOENT);
	ck_assert_int_eq(agentsh_ebpf_session_name_seed(NULL, AF_INET, address, "a", 0), -EFAULT);
	ck_assert_int_eq(agentsh_ebpf_session_name_seed(session, AF_INET, NULL, "a", 0), -EFAULT);
	ck_assert_int_eq(agentsh_ebpf_session_name_seed(session, 0, address, "a", 0), -EINVAL);
	ck_assert_int_eq(agentsh_ebpf_session_name_seed(session, AF_INET, address, "", 0), -EINVAL);
	ck_assert_int_eq(agentsh_ebpf_session_name_seed(session, AF_INET, address, "a..b", 0),
			 -EINVAL);
	ck_assert_int_eq(agentsh_ebpf_session_name_seed(session, AF_INET, address, NULL, 0), 0);
	ck_assert_int_eq(agentsh_ebpf_inject_name(NULL, AF_INET, address, &name), -EFAULT);
	ck_assert_int_eq(agentsh_ebpf_inject_name(session, AF_INET, NULL, &name), -EFAULT);
	ck_assert_int_eq(agentsh_ebpf_inject_name(session, AF_INET, address, NULL), -EFAULT);
	ck_assert_int_eq(agentsh_ebpf_inject_name(session, AF_INET, address, &name), -EINVAL);
	agentsh_ebpf_session_detach(session);
	ck_assert_int_eq(agentsh_ebpf_session_name_lookup(session, AF_INET, address, 0, &name),
			 -EINVAL);
	ck_assert_int_eq(agentsh_ebpf_session_name_seed(session, AF_INET, address, "a", 0),
			 -EINVAL);
	ck_assert_int_eq(agentsh_ebpf_inject_name(session, AF_INET, address, &name), -EINVAL);
	agentsh_ebpf_tracer_close(tracer);
}
END_TEST

/* Results of every size get what fits, and nothing behind them is written. */
START_TEST(sizes)
{
	struct agentsh_ebpf_event event;

	set_up();
	ck_assert_int_eq(agentsh_ebpf_session_name_seed(session, AF_INET, address, "a.example", 0),
			 0);
	event = connect_by(100, AF_INET, address);
	ck_assert_int_eq(agentsh_ebpf_event_name(tracer, &event, &name), 0);
	for (uint32_t size = 0; size < sizeof(name) + 64; size++) {
		unsigned char *p = malloc(size + 8);
		size_t known = size < sizeof(name) ? size : sizeof(name);
		struct agentsh_ebpf_name *out = (void *)p;

		memset(p, 0xc5, size + 8);
		memcpy(p, &size, 4);
		ck_assert_int_eq(agentsh_ebpf_event_name(tracer, &event, out),
				 size < 4 ? -EINVAL : 0);
		if (size >= 4)
			ck_assert_mem_eq(p + 4, (char *)&name + 4, known - 4);
		for (size_t i = known < 4 ? 4 : known; i < size + 8; i++)
			ck_assert_uint_eq(p[i], i < size ? 0 : 0xc5);
		free(p);
	}
	agentsh_ebpf_tracer_close(tracer);
}
END_TEST

START_TEST(seed)
{
	struct agentsh_ebpf_event event;

	set_up();
	ck_assert_int_eq(
		agentsh_ebpf_session_name_seed(session, AF_INET6, mapped, "Seed.Example.", 1000),
		0);
	event = connect_by(100, AF_INET, address);
	ck_assert_uint_ne(event.name_id, 77);
	ck_assert_int_eq(agentsh_ebpf_event_name(tracer, &event, &name), 0);
	ck_assert_str_eq(name.asked, "seed.example");
	ck_assert_str_eq(name.owner, "seed.example");
	ck_assert_uint_eq(name.source, AGENTSH_EBPF_NAME_SEED);
	ck_assert_uint_eq(name.ttl_ns, 1000 * NAME_SECOND);
	ck_assert_uint_eq(name.flags, 0);
	ck_assert_uint_eq(name.asker_tgid, 0);
	ck_assert_uint_eq(name.resolver.family, 0);
	/* the next seed replaces it */
	ck_assert_int_eq(agentsh_ebpf_session_name_seed(session, AF_INET, address, "b.example", 0),
			 0);
	ck_assert_int_eq(agentsh_ebpf_session_name_lookup(session, AF_INET, address, 0, &name), 1);
	ck_assert_str_eq(name.asked, "b.example");
	ck_assert_uint_eq(name.ttl_ns, UINT64_MAX);
	ck_assert_int_eq(agentsh_ebpf_session_name_seed(session, AF_INET, address, NULL, 0), 0);
	ck_assert_int_eq(agentsh_ebpf_session_name_lookup(session, AF_INET, address, 0, &name),
			 -ENOENT);
	ck_assert_uint_eq(connect_by(100, AF_INET, address).name_id, 0);
	/* the earlier event keeps no name beyond the next read */
	ck_assert_int_eq(agentsh_ebpf_event_name(tracer, &event, &name), -ENOENT);
	ck_assert_int_eq(
		agentsh_ebpf_session_name_seed(session, AF_INET6, address6, "six.example", 0), 0);
	event = connect_by(100, AF_INET6, address6);
	ck_assert_int_eq(agentsh_ebpf_event_name(tracer, &event, &name), 0);
	ck_assert_str_eq(name.asked, "six.example");
	agentsh_ebpf_tracer_close(tracer);
}
END_TEST

/* What the process itself asked for wins over the seed, which wins over all others. */
START_TEST(seed_and_answers)
{
	static struct name_host h;

	name_open(&h, 0, NULL);
	name_resolve(&h, 100, "asked.example", ADDRESS);
	ck_assert_int_eq(
		agentsh_ebpf_session_name_seed(h.session, AF_INET, address, "seed.example", 0), 0);
	name_resolve(&h, 200, "other.example", ADDRESS);
	NAME_EXPECT(&h, name_connect(&h, 1, 100, ADDRESS), "asked.example");
	NAME_EXPECT(&h, name_connect(&h, 2, 300, ADDRESS), "seed.example");
	ck_assert_uint_eq(name_of(&h, &h.events[1]).flags, FLAG(SHARED));
	ck_assert_uint_eq(name_of(&h, &h.events[1]).others, 2);
	ck_assert_int_eq(agentsh_ebpf_session_name_seed(h.session, AF_INET, address, NULL, 0), 0);
	NAME_EXPECT(&h, name_connect(&h, 3, 300, ADDRESS), "other.example");
	name_close(&h);
}
END_TEST

START_TEST(inject_name)
{
	struct agentsh_ebpf_name put = {
		.size = sizeof(put),
		.source = AGENTSH_EBPF_NAME_DNS_TCP,
		.server_name_source = AGENTSH_EBPF_NAME_TLS,
		.flags = FLAG(CUT) | FLAG(OUTER),
		.asker_tgid = 100,
		.ttl_ns = 1234567890123,
		.resolver = {.family = AF_INET6, .port = 5353, .addr = {1, 2, [15] = 3}},
		.asked = "asked.example",
		.owner = "owner.example",
		.server_name = "asked.example",
		.alpn = "h2",
	};
	struct agentsh_ebpf_event event;

	set_up();
	ck_assert_int_eq(agentsh_ebpf_inject_name(session, AF_INET, address, &put), 0);
	event = connect_by(100, AF_INET, address);
	ck_assert_int_eq(agentsh_ebpf_event_name(tracer, &event, &name), 0);
	ck_assert_uint_lt(name.age_ns, 1000 * NAME_SECOND);
	put.age_ns = name.age_ns;
	ck_assert_mem_eq(&name, &put, sizeof(put));
	event = connect_by(101, AF_INET, address);
	ck_assert_int_eq(agentsh_ebpf_event_name(tracer, &event, &name), 0);
	ck_assert_uint_eq(name.flags, put.flags | FLAG(OTHER_PROCESS));
	/* only the name of the server */
	put.source = AGENTSH_EBPF_NAME_NONE;
	ck_assert_int_eq(agentsh_ebpf_inject_name(session, AF_INET6, address6, &put), 0);
	event = connect_by(100, AF_INET6, address6);
	ck_assert_int_eq(agentsh_ebpf_event_name(tracer, &event, &name), 0);
	ck_assert_str_eq(name.asked, "");
	ck_assert_str_eq(name.server_name, "asked.example");
	put.server_name_source = AGENTSH_EBPF_NAME_NONE;
	ck_assert_int_eq(agentsh_ebpf_inject_name(session, AF_INET6, address6, &put), -EINVAL);
	put.source = AGENTSH_EBPF_NAME_UNIX + 1;
	ck_assert_int_eq(agentsh_ebpf_inject_name(session, AF_INET6, address6, &put), -EINVAL);
	put.source = AGENTSH_EBPF_NAME_DNS;
	memset(put.asked, 'a', sizeof(put.asked)); /* without an end */
	ck_assert_int_eq(agentsh_ebpf_inject_name(session, AF_INET6, address6, &put), -EINVAL);
	agentsh_ebpf_tracer_close(tracer);
}
END_TEST

/* A name is there for the whole batch, and numbers are not used twice. */
START_TEST(batches)
{
	struct agentsh_ebpf_event put = unit_event(1), got[300];
	uint64_t last = 0;

	set_up();
	ck_assert_int_eq(agentsh_ebpf_session_name_seed(session, AF_INET, address, "a.example", 0),
			 0);
	put.family = AF_INET;
	memcpy(put.remote_addr, address, 4);
	for (int round = 0; round < 3; round++) {
		for (size_t i = 0; i < UNIT_COUNT(got); i++)
			ck_assert_int_eq(agentsh_ebpf_inject(session, &put), 0);
		ck_assert_int_eq(agentsh_ebpf_read(tracer, got, UNIT_COUNT(got), 0),
				 UNIT_COUNT(got));
		for (size_t i = 0; i < UNIT_COUNT(got); i++) {
			ck_assert_uint_gt(got[i].name_id, last);
			last = got[i].name_id;
			ck_assert_int_eq(agentsh_ebpf_event_name(tracer, &got[i], &name), 0);
			ck_assert_str_eq(name.asked, "a.example");
		}
	}
	agentsh_ebpf_tracer_close(tracer);
}
END_TEST

static int on_event(void *ctx, const struct agentsh_ebpf_event *event)
{
	int *calls = ctx;

	++*calls;
	ck_assert_int_eq(agentsh_ebpf_event_name(tracer, event, &name), 0);
	ck_assert_str_eq(name.asked, "a.example");
	ck_assert_int_eq(agentsh_ebpf_session_name_lookup(session, AF_INET, address, 0, &name), 1);
	ck_assert_int_eq(agentsh_ebpf_session_name_seed(session, AF_INET, address, "a.example", 9),
			 0);
	return 0;
}

START_TEST(callback)
{
	int calls = 0;
	const struct agentsh_ebpf_tracer_options o = {.on_event = on_event, .event_ctx = &calls};
	struct agentsh_ebpf_event put = unit_event(1);

	tracer = unit_open(&o);
	session = unit_attach(tracer, 1);
	ck_assert_int_eq(agentsh_ebpf_session_name_seed(session, AF_INET, address, "a.example", 0),
			 0);
	put.family = AF_INET;
	memcpy(put.remote_addr, address, 4);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(agentsh_ebpf_inject(session, &put), 0);
	ck_assert_int_eq(agentsh_ebpf_poll(tracer, 0), 3);
	ck_assert_int_eq(calls, 3);
	agentsh_ebpf_tracer_close(tracer);
}
END_TEST

START_TEST(forked_child)
{
	struct agentsh_ebpf_event event;
	pid_t child;
	int status;

	set_up();
	ck_assert_int_eq(agentsh_ebpf_session_name_seed(session, AF_INET, address, "a.example", 0),
			 0);
	event = connect_by(100, AF_INET, address);
	child = fork();
	if (!child)
		_exit(agentsh_ebpf_event_name(tracer, &event, &name) != -EPERM ||
		      agentsh_ebpf_session_name_lookup(session, AF_INET, address, 0, &name) !=
			      -EPERM ||
		      agentsh_ebpf_session_name_seed(session, AF_INET, address, "a", 0) != -EPERM);
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(status, 0);
	ck_assert_int_eq(agentsh_ebpf_event_name(tracer, &event, &name), 0);
	agentsh_ebpf_tracer_close(tracer);
}
END_TEST

/* ---- questions without an answer ---------------------------------------------- */

START_TEST(unanswered)
{
	static struct name_host h;
	struct agentsh_ebpf_tracer_options o = {
		.hooks = NAME_HOOKS,
		.flags = AGENTSH_EBPF_OPEN_DNS_EVENTS,
		.dns_timeout_ms = 300,
	};
	struct agentsh_ebpf_dns dns = {.size = sizeof(dns)};
	struct agentsh_ebpf_event got[3];
	struct pollfd fd = {.events = POLLIN};

	h.tracer = tracer = unit_open(&o);
	h.session = session = unit_attach(tracer, 5);
	h.now = agentsh_clock_ns(CLOCK_BOOTTIME);
	name_begin(&h);
	fd.fd = agentsh_ebpf_fd(tracer);
	name_ask(&h, 1, 100, 1, "lost.example");
	name_ask(&h, 1, 100, 2, "found.example");
	ck_assert_int_eq(name_answer(&h, 1, 100, 2, "found.example", ADDRESS), 1);
	ck_assert_int_eq(agentsh_ebpf_event_dns(tracer, &h.events[0], &dns), 0);
	ck_assert_uint_eq(dns.addresses, 1);
	h.tracer->ring.batch = NULL;
	ck_assert_int_eq(poll(&fd, 1, UNIT_DEADLINE_MS), 1);
	ck_assert_int_eq(agentsh_ebpf_read(tracer, got, 3, UNIT_DEADLINE_MS), 1);
	ck_assert_uint_eq(got[0].kind, AGENTSH_EBPF_EVENT_DNS_QUERY);
	ck_assert_uint_eq(got[0].timestamp_ns, h.now);
	ck_assert_uint_eq(got[0].session_id, 5);
	ck_assert_uint_eq(got[0].tgid, 100);
	ck_assert_uint_eq(got[0].remote_port, 53);
	ck_assert_int_eq(agentsh_ebpf_event_name(tracer, &got[0], &name), 0);
	ck_assert_str_eq(name.asked, "lost.example");
	ck_assert_int_eq(agentsh_ebpf_event_dns(tracer, &got[0], &dns), 0);
	ck_assert_uint_eq(dns.addresses, 0);
	ck_assert_int_eq(agentsh_ebpf_event_addresses(tracer, &got[0], NULL, 0), 0);
	/* both events are counted, and no timer is left */
	ck_assert_uint_eq(unit_tracer_stats(tracer).delivered, 2);
	ck_assert_int_eq(poll(&fd, 1, 0), 0);
	ck_assert_int_eq(agentsh_ebpf_read(tracer, got, 3, 0), 0);
	agentsh_ebpf_tracer_close(tracer);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("name_api");
	TCase *tcase = unit_case(suite, "name_api");

	tcase_add_test(tcase, arguments);
	tcase_add_test(tcase, sizes);
	tcase_add_test(tcase, seed);
	tcase_add_test(tcase, seed_and_answers);
	tcase_add_test(tcase, inject_name);
	tcase_add_test(tcase, batches);
	tcase_add_test(tcase, callback);
	tcase_add_test(tcase, forked_child);
	tcase_add_test(tcase, unanswered);
	return unit_main(suite);
}
