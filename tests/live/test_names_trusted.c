/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A resolver inside the session that lies: its names are reported with its address, and are not
 * taken if the host trusts other resolvers only.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "names.h"
#include "names_server.h"

#define TRUSTED "127.0.53.1"
#define LIAR "127.0.53.66"
#define LIAR6 "fd53::4"
#define ADDRESS "127.0.6.1"
#define OTHER "127.0.6.2"
#define TTL_S 40

static void zone(const struct names_query *q, struct names_answer *answer)
{
	names_reply(&answer->message, q, NAMES_NOERROR);
	names_address(&answer->message, NULL, TTL_S,
		      strcmp(q->name, "other.test") ? ADDRESS : OTHER);
}

/* Says that the address is that of any name. */
static void lies(struct live_worker *worker, const char *address)
{
	const struct names_service service = {.at = connection_address(address, 53), .zone = zone};

	live_worker_call(worker, names_serve_inside, &service, sizeof(service), NULL, 0);
}

static struct agentsh_ebpf_session *attach_trusting(struct agentsh_ebpf_tracer *tracer,
						    const struct live_cgroup *cgroup, uint16_t port)
{
	struct agentsh_ebpf_session_options options = {
		.size = sizeof(options),
		.session_id = NAMES_SESSION,
	};

	/* The unused first element stays as it is. */
	options.trusted_resolvers[1].family = AF_INET;
	options.trusted_resolvers[1].port = port;
	inet_pton(AF_INET, TRUSTED, options.trusted_resolvers[1].addr);
	return live_attach_with(tracer, cgroup, &options);
}

START_TEST(resolver_is_told)
{
	const char *liar = _i ? LIAR6 : LIAR;
	struct agentsh_ebpf_tracer *tracer = names_open((struct names_open){0});
	struct agentsh_ebpf_session *session;
	struct live_worker worker;
	struct names_visit visit;
	struct live_cgroup cgroup;
	struct names_want want;
	uint64_t ns;

	names_serve_visits();
	session = names_session(tracer, &cgroup, &worker);
	lies(&worker, liar);
	ns = names_ask_by(&worker, liar, "bank.test");
	names_visit_by(&worker, ADDRESS, &visit);
	live_drain(tracer);
	want = names_answered("bank.test", TTL_S, liar, &worker, ns);
	names_expect("a resolver inside", &visit, &want);
	CONNECTION_SAME(live_session_stats(session).answers, 1);
	CONNECTION_SAME(live_session_stats(session).answers_unasked, 0);
}
END_TEST

/* Only answers of the trusted resolver give names. _i 1: any port is trusted. */
START_TEST(trusted_resolvers)
{
	struct agentsh_ebpf_tracer *tracer = names_open((struct names_open){0});
	struct agentsh_ebpf_session *session;
	struct live_worker worker;
	struct names_visit visit[2];
	struct live_cgroup cgroup;
	struct names_want want;
	uint64_t ns;

	names_serve(TRUSTED, 53, zone);
	names_serve_visits();
	live_cgroup_make(&cgroup, NULL);
	session = attach_trusting(tracer, &cgroup, _i ? 0 : 53);
	live_worker_start(&worker, &cgroup);
	lies(&worker, LIAR);
	lies(&worker, LIAR6);
	names_ask_by(&worker, LIAR, "other.test");
	names_ask_by(&worker, LIAR6, "other.test");
	ns = names_ask_by(&worker, TRUSTED, "real.test");
	names_ask_by(&worker, LIAR, "bank.test"); /* the trusted name stays */
	names_visit_by(&worker, ADDRESS, &visit[0]);
	names_visit_by(&worker, OTHER, &visit[1]);
	live_drain(tracer);
	want = names_answered("real.test", TTL_S, TRUSTED, &worker, ns);
	names_expect("a trusted resolver", &visit[0], &want);
	names_expect("other resolvers", &visit[1], &(struct names_want){0});
	CONNECTION_SAME(live_session_stats(session).answers, 1);
	CONNECTION_SAME(live_session_stats(session).answers_untrusted, 3);
}
END_TEST

/* The address of the trusted resolver with another port is another resolver. */
START_TEST(trusted_port)
{
	struct agentsh_ebpf_tracer *tracer = names_open((struct names_open){0});
	struct agentsh_ebpf_session *session;
	struct live_worker worker;
	struct names_visit visit;
	struct live_cgroup cgroup;

	names_serve(TRUSTED, 53, zone);
	names_serve_visits();
	live_cgroup_make(&cgroup, NULL);
	session = attach_trusting(tracer, &cgroup, 5353);
	live_worker_start(&worker, &cgroup);
	names_ask_by(&worker, TRUSTED, "real.test");
	names_visit_by(&worker, ADDRESS, &visit);
	live_drain(tracer);
	names_expect("another port", &visit, &(struct names_want){0});
	CONNECTION_SAME(live_session_stats(session).answers_untrusted, 1);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("names: trusted resolvers");
	TCase *tcase = live_case(suite, "trusted resolvers");

	tcase_add_loop_test(tcase, resolver_is_told, 0, 2);
	tcase_add_loop_test(tcase, trusted_resolvers, 0, 2);
	tcase_add_test(tcase, trusted_port);
	return names_main(suite);
}
