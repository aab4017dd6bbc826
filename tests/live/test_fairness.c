/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One session floods from all processors while fifty others make twenty connections per
 * second: the others lose no event, and the counts of every session add up exactly. And if the
 * host does not read, no process loses its network.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "pace.h"

#define QUIET 50
#define QUIET_PAUSE_US 50000 /* 20 per second */
#define QUIET_EACH 60	     /* for 3 seconds */
#define NOISE_PROCESSES_MAX 4
#define NOISE_DESTINATIONS 40 /* most datagrams repeat a destination */

struct noise {
	struct pace_shared *shared;
	uint64_t made; /* in: the limit, 0: none; out: number of calls */
	uint64_t failed;
};

static struct live_cgroup cgroups[QUIET + 1];
static struct live_worker workers[QUIET], noise_workers[NOISE_PROCESSES_MAX];
static struct agentsh_ebpf_session *sessions[QUIET + 1]; /* the last one is the noise */
static struct pace_shared *shared;
static uint64_t seen[QUIET + 1];

static void teardown(void)
{
	pace_unshare(shared);
	shared = NULL;
}

/* live_fn: connects and sends without pause until it is stopped or has reached its limit. */
static void make_noise(const void *arg, void *out)
{
	struct noise noise = *(const struct noise *)arg;
	uint64_t limit = noise.made ? noise.made : UINT64_MAX;
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int sender = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	LIVE_CHECK(fd >= 0 && sender >= 0, "socket: %s", strerror(errno));
	for (noise.made = 0; noise.made < limit && !atomic_load(&noise.shared->stop);) {
		struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(9)};
		uint32_t host = 1 + (uint32_t)noise.made % NOISE_DESTINATIONS;

		to.sin_addr.s_addr = htonl(0x7f000000U + host);
		if (connect(fd, (void *)&to, sizeof(to)))
			noise.failed++;
		noise.made++;
		/* ECONNREFUSED is about an earlier datagram: this one is an event, too */
		if (sendto(sender, "x", 1, 0, (void *)&to, sizeof(to)) < 0 && errno != ECONNREFUSED)
			noise.failed++;
		noise.made++;
	}
	close(fd);
	close(sender);
	memcpy(out, &noise, sizeof(noise));
}

static void noise_begin(struct live_worker *worker, uint64_t limit)
{
	const struct noise noise = {.shared = shared, .made = limit};

	live_worker_send(worker, make_noise, &noise, sizeof(noise), sizeof(noise));
}

static void count_some(struct agentsh_ebpf_tracer *tracer)
{
	static struct agentsh_ebpf_event events[256];
	int ret = agentsh_ebpf_read(tracer, events, LIVE_COUNT(events), 10);

	LIVE_CHECK(ret >= 0, "read: %d", ret);
	for (int i = 0; i < ret; i++) {
		LIVE_CHECK(events[i].session_id <= QUIET, "session %llu",
			   (unsigned long long)events[i].session_id);
		seen[events[i].session_id]++;
	}
}

static uint64_t account(size_t i)
{
	struct agentsh_ebpf_stats stats = live_session_stats(sessions[i]);

	return stats.delivered + stats.lost + stats.deduplicated;
}

static void expect_quiet(const struct agentsh_ebpf_tracer *tracer)
{
	uint64_t delivered = 0, lost = 0, deduplicated = 0;
	struct agentsh_ebpf_stats total = live_tracer_stats(tracer);

	for (size_t i = 0; i <= QUIET; i++) {
		struct agentsh_ebpf_stats stats = live_session_stats(sessions[i]);

		LIVE_CHECK(stats.delivered == seen[i], "session %zu: %llu delivered, %llu seen", i,
			   (unsigned long long)stats.delivered, (unsigned long long)seen[i]);
		if (i < QUIET)
			LIVE_CHECK(stats.lost == 0 && stats.delivered == QUIET_EACH,
				   "session %zu: %llu delivered, %llu lost", i,
				   (unsigned long long)stats.delivered,
				   (unsigned long long)stats.lost);
		delivered += stats.delivered;
		lost += stats.lost;
		deduplicated += stats.deduplicated;
	}
	ck_assert_uint_eq(total.delivered, delivered);
	ck_assert_uint_eq(total.lost, lost);
	ck_assert_uint_eq(total.deduplicated, deduplicated);
	ck_assert_uint_eq(total.malformed, 0);
}

static const struct agentsh_ebpf_tracer_options rings[] = {
	{.size = 0}, /* the defaults */
	{.ring_size = 1U << 18, .wakeup_delay_us = 10000},
	{.flags = AGENTSH_EBPF_OPEN_NO_MODERATION},
};

START_TEST(one_is_noisy)
{
	struct agentsh_ebpf_tracer *tracer = live_open(&rings[_i]);
	int processors = (int)sysconf(_SC_NPROCESSORS_ONLN);
	uint64_t made = 0, quiet = 0;
	struct noise noise;

	if (processors > NOISE_PROCESSES_MAX)
		processors = NOISE_PROCESSES_MAX;
	memset(seen, 0, sizeof(seen));
	shared = pace_share();
	for (size_t i = 0; i <= QUIET; i++) {
		live_cgroup_make(&cgroups[i], NULL);
		sessions[i] = live_attach(tracer, &cgroups[i], i);
	}
	for (int i = 0; i < processors; i++) {
		live_worker_start(&noise_workers[i], &cgroups[QUIET]);
		noise_begin(&noise_workers[i], 0);
	}
	for (size_t i = 0; i < QUIET; i++) {
		live_worker_start(&workers[i], &cgroups[i]);
		pace_begin(&workers[i], (struct pace){.shared = shared,
						      .count = QUIET_EACH,
						      .pause_us = QUIET_PAUSE_US,
						      .unseen = PACE_NEVER});
	}
	/* a reader that also does other things */
	while (quiet < QUIET * QUIET_EACH) {
		for (int i = 0; i < 20; i++)
			count_some(tracer);
		usleep(5000);
		quiet = 0;
		for (size_t i = 0; i < QUIET; i++)
			quiet += account(i);
	}
	for (size_t i = 0; i < QUIET; i++)
		live_worker_receive(&workers[i], NULL, 0);
	atomic_store(&shared->stop, true);
	for (int i = 0; i < processors; i++) {
		live_worker_receive(&noise_workers[i], &noise, sizeof(noise));
		ck_assert_uint_eq(noise.failed, 0);
		made += noise.made;
	}
	/* reads what is left in the ring; then there must be no other event */
	while (live_tracer_stats(tracer).delivered + live_tracer_stats(tracer).lost +
		       live_tracer_stats(tracer).deduplicated <
	       made + quiet)
		count_some(tracer);
	ck_assert_int_eq(agentsh_ebpf_poll(tracer, 20), 0);
	ck_assert_uint_eq(account(QUIET), made);
	expect_quiet(tracer);
	/* without any loss, the test would have shown nothing */
	ck_assert_uint_gt(live_session_stats(sessions[QUIET]).lost_quota, 0);
	for (size_t i = 0; i < QUIET; i++)
		live_worker_stop(&workers[i]);
	for (int i = 0; i < processors; i++)
		live_worker_stop(&noise_workers[i]);
}
END_TEST

/* Two sessions make more events than the ring holds, and the host does not read. */
START_TEST(nobody_reads)
{
	struct agentsh_ebpf_tracer *tracer = live_open(&rings[_i]);
	const uint64_t limit = 40000;
	struct noise noise;

	shared = pace_share();
	for (size_t i = 0; i < 2; i++) {
		struct agentsh_ebpf_stats stats;

		live_cgroup_make(&cgroups[i], NULL);
		sessions[i] = live_attach(tracer, &cgroups[i], i);
		live_worker_start(&workers[i], &cgroups[i]);
		noise_begin(&workers[i], limit);
		live_worker_receive(&workers[i], &noise, sizeof(noise));
		live_worker_stop(&workers[i]);
		ck_assert_uint_eq(noise.failed, 0);
		ck_assert_uint_eq(noise.made, limit);
		stats = live_session_stats(sessions[i]);
		ck_assert_uint_eq(stats.delivered, 0);
		ck_assert_uint_gt(stats.lost, 0);
	}
	live_seen.count = 0;
	live_drain(tracer);
	for (size_t i = 0; i < 2; i++)
		ck_assert_uint_eq(account(i), limit);
	ck_assert_uint_eq(live_tracer_stats(tracer).delivered, live_seen.count);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("fairness");
	TCase *tcase = live_case(suite, "fairness");

	tcase_add_checked_fixture(tcase, NULL, teardown);
	tcase_add_loop_test(tcase, one_is_noisy, 0, LIVE_COUNT(rings));
	tcase_add_loop_test(tcase, nobody_reads, 0, LIVE_COUNT(rings));
	return live_main(suite);
}
