/* SPDX-License-Identifier: Apache-2.0 */
/* The name of an event for each kind of DNS answer. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "names_cases.h"

#define SERVER4 "127.0.53.1"

struct seen {
	struct names_visit visit;
	uint64_t asked_ns;
};

/* Waits for both copies of an answer that comes twice. */
static void ask_once(const struct names_case *c, enum names_way way)
{
	static struct names_message m;
	const struct connection_address server = connection_address(SERVER4, 53);
	int fd = names_socket(way, &server);

	names_question(&m, 0x1234, c->name, c->type);
	if (c->edns)
		names_edns(&m, c->edns);
	names_send(fd, way, &server, &m);
	for (uint32_t i = 0; i <= c->unasked; i++)
		names_receive(fd, way, &m);
	close(fd);
}

static void run_case(const void *number, void *out)
{
	const struct names_case *c = &names_cases[*(const int *)number];
	const struct connection_address to = connection_address(c->address, NAMES_PORT);
	struct seen *seen = out;

	seen->asked_ns = connection_now();
	ask_once(c, NAMES_CONNECTED);
	if (c->then_tcp)
		ask_once(c, NAMES_TCP);
	names_visit(&to, &seen->visit);
}

static void try_case(int number, struct names_open how)
{
	const struct names_case *c = &names_cases[number];
	struct agentsh_ebpf_tracer *tracer = names_open(how);
	struct names_want want = c->want;
	struct agentsh_ebpf_session *session;
	struct agentsh_ebpf_stats stats;
	struct live_cgroup cgroup;
	struct live_worker worker;
	struct seen seen;

	names_serve(SERVER4, 53, names_cases_zone);
	names_serve_visits();
	session = names_session(tracer, &cgroup, &worker);
	live_worker_call(&worker, run_case, &number, sizeof(number), &seen, sizeof(seen));
	live_worker_stop(&worker);
	live_drain(tracer);
	if (want.asked) {
		want.asker = seen.visit.tgid;
		want.resolver = SERVER4;
		want.answered_ns = seen.asked_ns;
	}
	names_expect(c->title, &seen.visit, &want);
	stats = live_session_stats(session);
	CONNECTION_SAME(stats.answers, c->answers);
	CONNECTION_SAME(stats.answers_unasked, c->unasked);
	CONNECTION_SAME(stats.answers_malformed, c->malformed);
	CONNECTION_SAME(stats.answers_untrusted + stats.names_evicted, 0);
	CONNECTION_SAME(stats.packets_lost + stats.lost, 0);
}

START_TEST(answers)
{
	try_case(_i, (struct names_open){0});
}
END_TEST

START_TEST(answers_without_btf)
{
	try_case(_i, (struct names_open){.simulate_missing = 1ULL << AGENTSH_EBPF_CHECK_BTF});
}
END_TEST

START_TEST(answers_with_everything)
{
	try_case(_i, (struct names_open){.hooks = NAMES_HOOKS | AGENTSH_EBPF_HOOK_TRAFFIC |
						  AGENTSH_EBPF_HOOK_SERVER_NAME |
						  AGENTSH_EBPF_HOOK_ACCEPT});
}
END_TEST

/* Without the hook no event has a name. */
START_TEST(names_off)
{
	struct agentsh_ebpf_tracer *tracer =
		names_open((struct names_open){.hooks = NAMES_HOOKS & ~AGENTSH_EBPF_HOOK_DNS});
	struct live_cgroup cgroup;
	struct live_worker worker;
	struct agentsh_ebpf_session *session;
	struct seen seen;

	names_serve(SERVER4, 53, names_cases_zone);
	names_serve_visits();
	session = names_session(tracer, &cgroup, &worker);
	live_worker_call(&worker, run_case, &(int){0}, sizeof(int), &seen, sizeof(seen));
	live_worker_stop(&worker);
	live_drain(tracer);
	names_expect("off", &seen.visit, &(struct names_want){0});
	CONNECTION_SAME(live_session_stats(session).answers, 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("names: DNS");
	TCase *tcase = live_case(suite, "answers");

	tcase_add_loop_test(tcase, answers, 0, (int)names_cases_count);
	tcase_add_loop_test(tcase, answers_without_btf, 0, (int)names_cases_count);
	tcase_add_loop_test(tcase, answers_with_everything, 0, (int)names_cases_count);
	tcase_add_test(tcase, names_off);
	return names_main(suite);
}
