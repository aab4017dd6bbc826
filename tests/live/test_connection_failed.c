/* SPDX-License-Identifier: Apache-2.0 */
/* Failed attempts: one CONNECT_FAILED with the errno value if a SYN was sent, otherwise none. */
#include <string.h>

#include "failed_paths.h"

#define FAMILIES 3
#define HOOK_SETS 2
#define ATTEMPTS (HOOK_SETS * FAMILIES) /* of one path, all at the same time */

struct attempt {
	size_t path;
	enum connection_family family;
};

static void run_attempt(const void *arg, void *out)
{
	const struct attempt *attempt = arg;

	live_own_netns(NULL, NULL);
	failed_paths[attempt->path](attempt->family, out);
}

static struct connections made[ATTEMPTS];
static struct connection all[ATTEMPTS * CONNECTIONS_MAX];

/* All families at the same time, with and without HOOK_ACCEPT: a timeout takes 3 seconds. */
START_TEST(attempts_fail)
{
	struct agentsh_ebpf_tracer *tracer[HOOK_SETS] = {
		connection_open(CONNECTION_CONNECT),
		connection_open(CONNECTION_CONNECT | AGENTSH_EBPF_HOOK_ACCEPT),
	};
	struct live_cgroup session[ATTEMPTS];
	struct live_worker worker[ATTEMPTS];
	size_t count = 0;

	memset(made, 0, sizeof(made));
	for (int i = 0; i < ATTEMPTS; i++) {
		const struct attempt attempt = {(size_t)_i, (enum connection_family)(i % FAMILIES)};

		live_cgroup_make(&session[i], NULL);
		live_attach(tracer[i / FAMILIES], &session[i], (uint64_t)i + 1);
		live_worker_start(&worker[i], &session[i]);
		live_worker_send(&worker[i], run_attempt, &attempt, sizeof(attempt),
				 sizeof(made[i]));
	}
	for (int i = 0; i < ATTEMPTS; i++) {
		live_worker_receive(&worker[i], &made[i], sizeof(made[i]));
		memcpy(all + count, made[i].list, made[i].count * sizeof(all[0]));
		count += made[i].count;
		/* waits for the events of this worker only: those of earlier workers are there */
		connection_drain(tracer[i / FAMILIES], all, count);
	}
	for (int i = 0; i < ATTEMPTS; i++)
		live_worker_kill(&worker[i]); /* closes the sockets that it still has */
	for (int i = 0; i < ATTEMPTS; i++)
		if (made[i].count)
			connection_expect_of((uint64_t)i + 1, made[i].list, made[i].count);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("connection: failed");
	TCase *tcase = live_case(suite, "attempts");

	tcase_add_loop_test(tcase, attempts_fail, 0, (int)failed_path_count);
	return live_main(suite);
}
