/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Seeds, look-ups and names of events from several threads while one thread reads and another
 * attaches and detaches. ThreadSanitizer runs this test, too.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>

#include "unit.h"

#define ROUNDS 300

static const uint8_t address[4] = {192, 0, 2, 1};
static struct agentsh_ebpf_tracer *tracer;
static struct agentsh_ebpf_session *session;
static _Atomic bool done;
static _Atomic uint64_t last_id; /* of an event that was delivered */
static _Atomic uint64_t named;
static _Atomic(const char *) says;

static void require(bool ok, const char *text)
{
	if (!ok)
		atomic_store(&says, text);
}

static void *seeder(void *unused)
{
	(void)unused;
	for (uint32_t i = 0; !atomic_load(&done); i++, sched_yield()) {
		const char *name = i % 3 ? i % 2 ? "one.example" : "two.example" : NULL;

		require(!agentsh_ebpf_session_name_seed(session, AF_INET, address, name, i),
			"seed failed");
	}
	return NULL;
}

static bool is_known(const struct agentsh_ebpf_name *name)
{
	return !strcmp(name->asked, "one.example") || !strcmp(name->asked, "two.example");
}

static void *looker(void *unused)
{
	struct agentsh_ebpf_name name = {.size = sizeof(name)};
	struct agentsh_ebpf_event event = {0};
	int ret;

	(void)unused;
	for (; !atomic_load(&done); sched_yield()) {
		ret = agentsh_ebpf_session_name_lookup(session, AF_INET, address, 0, &name);
		require(ret == -ENOENT || (ret == 1 && is_known(&name)), "look-up failed");
		event.name_id = atomic_load(&last_id);
		ret = agentsh_ebpf_event_name(tracer, &event, &name);
		require(ret == -ENOENT || (!ret && is_known(&name)), "wrong name");
		if (!ret)
			atomic_fetch_add(&named, 1);
	}
	return NULL;
}

static void *attacher(void *unused)
{
	struct agentsh_ebpf_session *other;

	(void)unused;
	for (; !atomic_load(&done); sched_yield()) {
		require(!agentsh_ebpf_session_attach(tracer, 0, NULL, &other, NULL),
			"attach failed");
		require(!agentsh_ebpf_session_name_seed(other, AF_INET, address, "x", 0),
			"seed failed");
		unit_inject(other, 1);
		require(!agentsh_ebpf_session_detach(other), "detach failed");
		require(agentsh_ebpf_session_name_seed(other, AF_INET, address, "x", 0) == -EINVAL,
			"seed after detach");
	}
	return NULL;
}

START_TEST(all_at_once)
{
	struct agentsh_ebpf_event put = unit_event(1), got[16];
	struct agentsh_ebpf_name name = {.size = sizeof(name)};
	pthread_t threads[4];
	uint64_t with_name = 0;

	tracer = unit_open(NULL);
	session = unit_attach(tracer, 1);
	put.family = AF_INET;
	memcpy(put.remote_addr, address, sizeof(address));
	pthread_create(&threads[0], NULL, seeder, NULL);
	pthread_create(&threads[1], NULL, looker, NULL);
	pthread_create(&threads[2], NULL, looker, NULL);
	pthread_create(&threads[3], NULL, attacher, NULL);
	for (uint64_t deadline = unit_now_ns() + UNIT_DEADLINE_MS * 1000000ULL, i = 0;
	     i < ROUNDS || (!(with_name && atomic_load(&named)) && unit_now_ns() < deadline); i++) {
		int n;

		for (int k = 0; k < 8; k++)
			agentsh_ebpf_inject(session, &put);
		n = agentsh_ebpf_read(tracer, got, UNIT_COUNT(got), 0);
		for (int k = 0; k < n; k++) {
			if (got[k].session_id != 1 || !got[k].name_id)
				continue;
			ck_assert_int_eq(agentsh_ebpf_event_name(tracer, &got[k], &name), 0);
			ck_assert(is_known(&name));
			atomic_store(&last_id, got[k].name_id);
			with_name++;
		}
	}
	atomic_store(&done, true);
	for (size_t i = 0; i < UNIT_COUNT(threads); i++)
		pthread_join(threads[i], NULL);
	ck_assert_msg(!atomic_load(&says), "%s", atomic_load(&says));
	ck_assert_uint_gt(with_name, 0);
	ck_assert_uint_gt(atomic_load(&named), 0);
	agentsh_ebpf_tracer_close(tracer);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("name_threads");
	TCase *tcase = unit_case(suite, "name_threads");

	tcase_add_test(tcase, all_at_once);
	return unit_main(suite);
}
