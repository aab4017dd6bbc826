/* SPDX-License-Identifier: Apache-2.0 */
/* Failed attempts: one CONNECT_FAILED with the errno value if a SYN was sent, otherwise none. */
#include <string.h>

#include "connection_attempts.h"
#include "failed_paths.h"

static void run_attempt(const void *arg, void *out)
{
	const struct connection_attempt *attempt = arg;

	live_own_netns(NULL, NULL);
	failed_paths[attempt->path](attempt->family, out);
}

static struct connections made[CONNECTION_ATTEMPTS];
static struct connection all[CONNECTION_ATTEMPTS * CONNECTIONS_MAX];

/* All families at the same time, with and without HOOK_ACCEPT: a timeout takes 3 seconds. */
START_TEST(attempts_fail)
{
	struct connection_attempts attempts;
	size_t count = 0;

	memset(made, 0, sizeof(made));
	connection_attempts_start(&attempts, (size_t)_i, run_attempt, sizeof(made[0]));
	for (int i = 0; i < CONNECTION_ATTEMPTS; i++) {
		live_worker_receive(&attempts.worker[i], &made[i], sizeof(made[i]));
		memcpy(all + count, made[i].list, made[i].count * sizeof(all[0]));
		count += made[i].count;
		/* waits for the events of this worker only: those of earlier workers are there */
		connection_drain(attempts.tracer[i], all, count);
	}
	for (int i = 0; i < CONNECTION_ATTEMPTS; i++)
		live_worker_kill(&attempts.worker[i]); /* closes the sockets that it still has */
	for (int i = 0; i < CONNECTION_ATTEMPTS; i++)
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
