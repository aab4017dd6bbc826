/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs each way of hostile.h as a process without privileges in a session with all hooks. The
 * expected events, and no others, are reported; the statistics are exact; another session is
 * not affected. SECURITY.md lists the ways and their results.
 */
#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "hostile.h"

#define WITNESS_ID 1

static const struct {
	const struct hostile_way *ways;
	const size_t *count;
} tables[] = {
	{hostile_memory, &hostile_memory_count},   {hostile_names, &hostile_names_count},
	{hostile_links, &hostile_links_count},	   {hostile_sockets, &hostile_sockets_count},
	{hostile_tasks, &hostile_tasks_count},	   {hostile_unseen, &hostile_unseen_count},
	{hostile_traffic, &hostile_traffic_count}, {hostile_packets, &hostile_packets_count},
	{hostile_refused, &hostile_refused_count}, {hostile_closed, &hostile_closed_count},
};

static const struct hostile_way *way_of(int number)
{
	for (size_t i = 0; i < LIVE_COUNT(tables); i++) {
		if ((size_t)number < *tables[i].count)
			return &tables[i].ways[number];
		number -= (int)*tables[i].count;
	}
	return NULL;
}

/* ---- in the process ------------------------------------------------------- */

static void become_nobody(void)
{
	LIVE_CHECK(!setgroups(0, NULL) && !setresgid(HOSTILE_USER, HOSTILE_USER, HOSTILE_USER) &&
			   !setresuid(HOSTILE_USER, HOSTILE_USER, HOSTILE_USER),
		   "user: %s", strerror(errno));
	prctl(PR_SET_DUMPABLE, 1); /* so that /proc/self belongs to the process, as after exec */
}

static void run(const void *number, void *result)
{
	const struct hostile_way *way = way_of(*(const int *)number);
	struct hostile_result *r = result;

	hostile_hooks = way->hooks ? way->hooks : HOSTILE_ALL_HOOKS;
	/* outside: the kernel itself makes sockets in a new namespace (RDS) */
	live_cgroup_enter(NULL);
	live_own_netns(NULL, NULL);
	live_cgroup_enter(&hostile_cgroup);
	if (way->prepare)
		way->prepare(r);
	become_nobody();
	if (!r->absent[0])
		way->go(r);
}

/* A connection in the other session. */
static void witness(const void *hooks, void *result)
{
	struct connection_address at;
	int listener = connection_listen(CONNECTION_V4, 0, 8, &at);

	hostile_hooks = *(const uint32_t *)hooks;
	hostile_converse(result, connection_socket(CONNECTION_V4, 0), listener, &at, NULL, 0);
	close(listener);
}

/* ---- in the host ---------------------------------------------------------- */

/* Finds the first expectation of the event's socket that has no event yet. */
static int find(const struct hostile_result *r, const bool *used,
		const struct agentsh_ebpf_event *e)
{
	for (int inside = 0; inside < 2; inside++) {
		for (uint32_t i = 0; i < r->count; i++) {
			const struct agentsh_ebpf_event *w = &r->want[i].is.want;

			if (!used[i] && (inside ? !w->socket_cookie && w->kind == e->kind
						: w->socket_cookie == e->socket_cookie))
				return (int)i;
		}
	}
	return -1;
}

static uint32_t compare(const char *name, uint64_t session_id, const struct hostile_result *r)
{
	bool used[HOSTILE_WANTS_MAX] = {false};
	const char *what;
	int i;

	for (size_t n = 0; n < live_seen.count; n++) {
		const struct agentsh_ebpf_event *e = &live_seen.list[n];

		if (e->session_id != session_id)
			continue;
		i = find(r, used, e);
		LIVE_CHECK(i >= 0, "%s: an event too many: %s to port %u, flags 0x%x", name,
			   agentsh_ebpf_kind_name(e->kind), e->remote_port, e->flags);
		used[i] = true;
		what = hostile_differs(&r->want[i], e);
		LIVE_CHECK(!what, "%s: event %d: %s", name, i, what);
	}
	for (uint32_t n = 0; n < r->count; n++)
		LIVE_CHECK(used[n], "%s: event %u is missing: %s", name, n, r->want[n].is.name);
	return r->count;
}

static void check_stats(const struct agentsh_ebpf_session *session, uint32_t events,
			const struct hostile_result *r)
{
	const struct agentsh_ebpf_stats stats = live_session_stats(session);

	CONNECTION_SAME(stats.delivered, events);
	CONNECTION_SAME(stats.lost, 0);
	CONNECTION_SAME(stats.deduplicated, r->deduplicated);
	CONNECTION_SAME(stats.untracked, r->untracked);
}

/* The session still sees everything. */
static void check_health(const struct agentsh_ebpf_session *session)
{
	struct agentsh_ebpf_session_check check = {.size = sizeof(check)};

	CONNECTION_SAME(agentsh_ebpf_session_check(session, &check), 0);
	CONNECTION_SAME(check.error, 0);
	CONNECTION_SAME(check.attached, check.wanted);
	CONNECTION_SAME(check.effective, check.wanted);
}

static struct agentsh_ebpf_session *attach(struct agentsh_ebpf_tracer *tracer,
					   const struct live_cgroup *cgroup, uint64_t session_id,
					   uint32_t max_sockets)
{
	const struct agentsh_ebpf_session_options options = {
		.size = sizeof(options), .session_id = session_id, .max_sockets = max_sockets};
	struct agentsh_ebpf_error err = LIVE_ERROR;
	struct agentsh_ebpf_session *session;
	int ret = agentsh_ebpf_session_attach(tracer, cgroup->fd, &options, &session, &err);

	LIVE_CHECK(!ret, "attach: %s", err.message);
	return session;
}

/* Missing events are named by compare(), so this does not fail. */
static void drain(struct agentsh_ebpf_tracer *tracer, size_t count)
{
	for (int i = 0; i < 20 && live_seen.count < count; i++)
		agentsh_ebpf_poll(tracer, 100);
	live_drain(tracer);
}

static void try_way(int number)
{
	const struct hostile_way *way = way_of(number);
	const uint32_t hooks = way->hooks ? way->hooks : HOSTILE_ALL_HOOKS;
	const struct agentsh_ebpf_tracer_options options = {.hooks = hooks,
							    .required_hooks = hooks};
	struct agentsh_ebpf_tracer *tracer = live_open_kept(&options);
	struct agentsh_ebpf_session *session, *other;
	struct live_worker worker, witness_worker;
	struct live_cgroup witness_cgroup;
	struct hostile_result r, seen;

	memset(&r, 0, sizeof(r));
	memset(&seen, 0, sizeof(seen));
	live_cgroup_make(&hostile_cgroup, NULL);
	live_cgroup_make(&witness_cgroup, NULL);
	session = attach(tracer, &hostile_cgroup, HOSTILE_SESSION, way->max_sockets);
	other = attach(tracer, &witness_cgroup, WITNESS_ID, 0);
	live_worker_start(&worker, &hostile_cgroup);
	live_worker_start(&witness_worker, &witness_cgroup);
	live_worker_call(&worker, run, &number, sizeof(number), &r, sizeof(r));
	live_worker_call(&witness_worker, witness, &hooks, sizeof(hooks), &seen, sizeof(seen));
	live_worker_stop(&witness_worker);
	live_worker_stop(&worker);
	drain(tracer, r.count + seen.count);
	if (r.absent[0]) {
		printf("left out: %s: %s\n", way->name, r.absent);
	} else {
		check_stats(session,
			    way->check ? way->check(&r) : compare(way->name, HOSTILE_SESSION, &r),
			    &r);
		check_stats(other, compare("another session", WITNESS_ID, &seen), &seen);
	}
	check_health(session);
	check_health(other);
	CONNECTION_SAME(live_tracer_stats(tracer).malformed, 0);
	agentsh_ebpf_session_detach(session);
	agentsh_ebpf_session_detach(other);
}

START_TEST(way)
{
	try_way(_i);
}
END_TEST

int main(int argc, char **argv)
{
	Suite *suite;
	TCase *tcase;
	int count = 0;

	if (argc > 1 && !strcmp(argv[1], "--exit")) /* the program that a way executes */
		return 0;
	suite = suite_create("hostile");
	tcase = live_case(suite, "hostile");
	while (way_of(count))
		count++;
	tcase_add_loop_test(tcase, way, 0, count);
	return live_main(suite);
}
