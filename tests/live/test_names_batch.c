/* SPDX-License-Identifier: Apache-2.0 */
/* How long names are kept: for a whole batch of agentsh_ebpf_read(), and within the limits. */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "names.h"
#include "names_server.h"

#define SERVER "127.0.53.1"
#define NAMES 100

static void zone(const struct names_query *q, struct names_answer *answer)
{
	char text[20];
	int number;

	names_reply(&answer->message, q, NAMES_NOERROR);
	if (sscanf(q->name, "n%d", &number) == 1) {
		snprintf(text, sizeof(text), "127.0.13.%d", number);
		names_address(&answer->message, NULL, 40, text);
	}
}

struct numbers {
	int first, count;
	bool ask, visit;
};

/* All names first, then all visits. */
static void asks_and_visits(const void *arg, void *unused)
{
	const struct connection_address server = connection_address(SERVER, 53);
	const struct numbers *n = arg;
	struct names_visit visit;
	char text[40];

	(void)unused;
	for (int i = n->first; n->ask && i < n->first + n->count; i++) {
		snprintf(text, sizeof(text), "n%d.batch.test", i);
		names_ask(NAMES_CONNECTED, &server, text, NAMES_A, (uint16_t)i);
	}
	for (int i = n->first; n->visit && i < n->first + n->count; i++) {
		struct connection_address to;

		snprintf(text, sizeof(text), "127.0.13.%d", i);
		to = connection_address(text, NAMES_PORT);
		names_visit(&to, &visit);
	}
}

static void make(struct live_worker *worker, struct numbers numbers)
{
	live_worker_call(worker, asks_and_visits, &numbers, sizeof(numbers), NULL, 0);
}

static int name_of(const struct agentsh_ebpf_tracer *tracer, const struct agentsh_ebpf_event *e,
		   struct agentsh_ebpf_name *name)
{
	memset(name, 0, sizeof(*name));
	name->size = sizeof(*name);
	return agentsh_ebpf_event_name(tracer, e, name);
}

static void expect_name(const struct agentsh_ebpf_event *e, const struct agentsh_ebpf_name *name)
{
	char text[40];

	snprintf(text, sizeof(text), "n%d.batch.test", e->remote_addr[3]);
	LIVE_CHECK(!strcmp(name->asked, text), "asked is %s, expected %s", name->asked, text);
}

/* The address is one of names_visit(), not the name server's. */
static bool is_visit(const struct agentsh_ebpf_event *e)
{
	return e->family == AF_INET && e->remote_addr[2] == 13;
}

struct reading {
	const struct agentsh_ebpf_tracer *tracer;
	const struct agentsh_ebpf_event *events;
	int count, named;
};

/* Another thread looks the names of the batch up. */
static void *look_up(void *arg)
{
	struct reading *r = arg;
	struct agentsh_ebpf_name name;

	for (int i = r->count - 1; i >= 0; i--) /* in any order */
		r->named += is_visit(&r->events[i]) && !name_of(r->tracer, &r->events[i], &name);
	return NULL;
}

START_TEST(whole_batch)
{
	static struct agentsh_ebpf_event events[256], old[256];
	struct agentsh_ebpf_tracer *tracer = names_open((struct names_open){0});
	int count, visits = 0, named = 0, before = 0;
	struct agentsh_ebpf_name name;
	struct live_cgroup cgroup;
	struct live_worker worker;

	names_serve(SERVER, 53, zone);
	names_serve_visits();
	names_session(tracer, &cgroup, &worker);
	make(&worker, (struct numbers){0, NAMES, true, true});
	while ((count = agentsh_ebpf_read(tracer, events, LIVE_COUNT(events), 0)) > 0) {
		struct reading r = {tracer, events, count, 0};
		pthread_t thread;
		int here = 0;

		for (int i = 0; i < count; i++) {
			if (!is_visit(&events[i]))
				continue;
			here++;
			LIVE_CHECK(!name_of(tracer, &events[i], &name), "event %d of %d", i, count);
			expect_name(&events[i], &name);
		}
		LIVE_CHECK(!pthread_create(&thread, NULL, look_up, &r) &&
				   !pthread_join(thread, NULL),
			   "thread");
		CONNECTION_SAME(r.named, here);
		for (int i = 0; i < before; i++) { /* gone, or the same name */
			int ret = is_visit(&old[i]) ? name_of(tracer, &old[i], &name) : -ENOENT;

			LIVE_CHECK(!ret || ret == -ENOENT, "an older event: %d", ret);
			if (!ret)
				expect_name(&old[i], &name);
		}
		memcpy(old, events, sizeof(old));
		before = count;
		visits += here;
		named += r.named;
	}
	CONNECTION_SAME(count, 0);
	CONNECTION_SAME(visits, 5 * NAMES);
	CONNECTION_SAME(named, visits);
}
END_TEST

/* names_max: the names that were used longest ago are dropped, and counted. */
START_TEST(limited)
{
	struct agentsh_ebpf_tracer *tracer = names_open((struct names_open){0});
	const struct agentsh_ebpf_session_options options = {
		.size = sizeof(options),
		.session_id = NAMES_SESSION,
		.names_max = 16,
	};
	struct agentsh_ebpf_session *session;
	struct live_cgroup cgroup;
	struct live_worker worker;
	size_t named[2] = {0, 0};

	names_serve(SERVER, 53, zone);
	names_serve_visits();
	live_cgroup_make(&cgroup, NULL);
	session = live_attach_with(tracer, &cgroup, &options);
	live_worker_start(&worker, &cgroup);
	make(&worker, (struct numbers){0, 40, true, false});
	make(&worker, (struct numbers){0, 40, false, true});
	live_drain(tracer);
	for (size_t i = 0; i < live_seen.count; i++) {
		const struct agentsh_ebpf_event *e = &live_seen.list[i];

		if (e->kind != AGENTSH_EBPF_EVENT_CONNECT || e->remote_port != NAMES_PORT)
			continue;
		named[e->remote_addr[3] >= 24] += !!e->name_id;
		if (e->name_id)
			expect_name(e, &names_seen[i].name);
	}
	CONNECTION_SAME(named[0], 0); /* of those that were dropped */
	CONNECTION_SAME(named[1], 16);
	/* no socket is dropped, because each was closed before the next one */
	CONNECTION_SAME(live_session_stats(session).names_evicted, 24);
}
END_TEST

/* Detach while records are in the ring: their events still have names. */
START_TEST(detached)
{
	struct agentsh_ebpf_tracer *tracer = names_open((struct names_open){0});
	struct agentsh_ebpf_session *session;
	struct live_cgroup cgroup;
	struct live_worker worker;
	size_t visits = 0;

	names_serve(SERVER, 53, zone);
	names_serve_visits();
	session = names_session(tracer, &cgroup, &worker);
	make(&worker, (struct numbers){0, 10, true, true});
	live_detach(session);
	live_drain(tracer);
	for (size_t i = 0; i < live_seen.count; i++) {
		if (live_seen.list[i].remote_port != NAMES_PORT)
			continue;
		visits++;
		LIVE_CHECK(!names_seen[i].name_ret, "%s has no name",
			   agentsh_ebpf_kind_name(live_seen.list[i].kind));
		expect_name(&live_seen.list[i], &names_seen[i].name);
	}
	CONNECTION_SAME(visits, 50);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("names: kept");
	TCase *tcase = live_case(suite, "kept");

	tcase_add_test(tcase, whole_batch);
	tcase_add_test(tcase, limited);
	tcase_add_test(tcase, detached);
	return names_main(suite);
}
