/* SPDX-License-Identifier: Apache-2.0 */
/* Names that the host gives, and look-ups of addresses. */
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "names.h"
#include "names_server.h"

#define SERVER "127.0.53.1"
#define SHARED "127.0.4.1"
#define TTL_S 70

/* All names have the same address. */
static void zone(const struct names_query *q, struct names_answer *answer)
{
	names_reply(&answer->message, q, NAMES_NOERROR);
	names_address(&answer->message, NULL, TTL_S, SHARED);
}

static void seed(struct agentsh_ebpf_session *session, const char *address, const char *name,
		 uint32_t ttl_s)
{
	struct in_addr addr;
	int ret;

	inet_pton(AF_INET, address, &addr);
	ret = agentsh_ebpf_session_name_seed(session, AF_INET, &addr, name, ttl_s);
	LIVE_CHECK(!ret, "seed: %d", ret);
}

static struct names_want seeded(const char *name, uint32_t ttl_s, uint64_t ns)
{
	return (struct names_want){
		.asked = name,
		.source = AGENTSH_EBPF_NAME_SEED,
		.ttl_s = ttl_s,
		.no_end = !ttl_s,
		.answered_ns = ns,
	};
}

/* A seed wins over other processes' names, but not over the own one. */
START_TEST(seeds)
{
	struct agentsh_ebpf_tracer *tracer = names_open((struct names_open){0});
	struct agentsh_ebpf_session *session;
	struct live_worker worker, second;
	struct names_visit visit[5];
	struct names_want want;
	struct live_cgroup cgroup;
	uint64_t ns[3];

	names_serve(SERVER, 53, zone);
	names_serve_visits();
	session = names_session(tracer, &cgroup, &worker);
	live_worker_start(&second, &cgroup);
	ns[0] = connection_now();
	seed(session, SHARED, "Seed.Test.", 0);
	names_visit_by(&worker, SHARED, &visit[0]);
	live_drain(tracer);
	ns[1] = names_ask_by(&worker, SERVER, "one.test");
	names_visit_by(&worker, SHARED, &visit[1]);
	names_visit_by(&second, SHARED, &visit[2]);
	live_drain(tracer);
	ns[2] = connection_now();
	seed(session, SHARED, "again.test", 90);
	names_visit_by(&second, SHARED, &visit[3]);
	live_drain(tracer);
	seed(session, SHARED, NULL, 0);
	names_visit_by(&second, SHARED, &visit[4]);
	live_drain(tracer);

	want = seeded("seed.test", 0, ns[0]);
	names_expect("seed", &visit[0], &want);
	want.flags = AGENTSH_EBPF_NAME_FLAG_SHARED;
	want.others = 1;
	names_expect("seed, and the name that another process asked for", &visit[2], &want);
	want = seeded("again.test", 90, ns[2]);
	want.flags = AGENTSH_EBPF_NAME_FLAG_SHARED;
	want.others = 1;
	names_expect("the second seed", &visit[3], &want);
	want = names_answered("one.test", TTL_S, SERVER, &worker, ns[1]);
	want.flags = AGENTSH_EBPF_NAME_FLAG_SHARED;
	want.others = 1;
	names_expect("the own name", &visit[1], &want);
	want.flags = AGENTSH_EBPF_NAME_FLAG_OTHER_PROCESS;
	want.others = 0;
	names_expect("without the seed", &visit[4], &want);
}
END_TEST

/* Seeds need no hook. */
START_TEST(seed_without_the_hook)
{
	struct agentsh_ebpf_tracer *tracer =
		names_open((struct names_open){.hooks = NAMES_HOOKS & ~AGENTSH_EBPF_HOOK_DNS});
	struct live_worker worker;
	struct names_visit visit;
	struct live_cgroup cgroup;
	struct names_want want;
	uint64_t ns = connection_now();

	names_serve_visits();
	seed(names_session(tracer, &cgroup, &worker), SHARED, "seed.test", 0);
	names_visit_by(&worker, SHARED, &visit);
	live_drain(tracer);
	want = seeded("seed.test", 0, ns);
	names_expect("seed", &visit, &want);
}
END_TEST

START_TEST(look_ups)
{
	struct agentsh_ebpf_tracer *tracer = names_open((struct names_open){0});
	struct agentsh_ebpf_session *session;
	struct agentsh_ebpf_name name = {.size = sizeof(name)};
	struct live_worker worker;
	struct names_want want;
	struct live_cgroup cgroup;
	struct in_addr shared, unknown;

	inet_pton(AF_INET, SHARED, &shared);
	inet_pton(AF_INET, "127.0.4.99", &unknown);
	names_serve(SERVER, 53, zone);
	session = names_session(tracer, &cgroup, &worker);
	CONNECTION_SAME(agentsh_ebpf_session_name_lookup(session, AF_INET, &shared, 0, &name),
			-ENOENT);
	names_ask_by(&worker, SERVER, "one.test");
	names_ask_by(&worker, SERVER, "two.test");
	live_drain(tracer);
	CONNECTION_SAME(agentsh_ebpf_session_name_lookup(session, AF_INET, &unknown, 0, &name),
			-ENOENT);
	CONNECTION_SAME(agentsh_ebpf_session_name_lookup(session, AF_INET, &shared, 0, &name), 2);
	want = names_answered("two.test", TTL_S, SERVER, &worker, 1);
	want.flags = AGENTSH_EBPF_NAME_FLAG_SHARED;
	want.others = 1;
	names_same("lookup", &name, &want);
	CONNECTION_SAME(agentsh_ebpf_session_name_lookup(session, AF_INET, &shared, 1, &name), 2);
	want.asked = "one.test";
	names_same("lookup, the second", &name, &want);
	CONNECTION_SAME(agentsh_ebpf_session_name_lookup(session, AF_INET, &shared, 2, &name),
			-ENOENT);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("names: seeds");
	TCase *tcase = live_case(suite, "seeds");

	tcase_add_test(tcase, seeds);
	tcase_add_test(tcase, seed_without_the_hook);
	tcase_add_test(tcase, look_ups);
	return names_main(suite);
}
