/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "pace.h"

#define SPIN_US 100 /* a sleep takes about this much longer than requested */

struct pace_shared *pace_share(void)
{
	void *at = mmap(NULL, sizeof(struct pace_shared), PROT_READ | PROT_WRITE,
			MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	LIVE_CHECK(at != MAP_FAILED, "mmap: %s", strerror(errno));
	return at;
}

void pace_unshare(struct pace_shared *shared)
{
	if (shared)
		munmap(shared, sizeof(*shared));
}

uint32_t pace_random(uint32_t *seed, uint32_t below)
{
	*seed = *seed * 1664525 + 1013904223;
	return (uint32_t)(((uint64_t)*seed * below) >> 32);
}

int64_t pace_now_us(void)
{
	return (int64_t)(live_clock_ns(CLOCK_MONOTONIC) / 1000);
}

static void wait_until_us(int64_t end)
{
	int64_t left;

	while ((left = end - pace_now_us()) > 0)
		if (left > SPIN_US)
			usleep((useconds_t)(left - SPIN_US));
}

/* Returns false if the worker has to stop. */
static bool wait_until_seen(const struct pace *p)
{
	while (atomic_load(&p->shared->made) - atomic_load(&p->shared->seen) > p->unseen) {
		if (atomic_load(&p->shared->stop))
			return false;
		usleep(10);
	}
	return !atomic_load(&p->shared->stop);
}

static void pace_run(const void *arg, void *unused)
{
	const struct pace *p = arg;
	uint32_t seed = p->count, made = 0;
	int64_t next = pace_now_us();
	bool go_on = true;

	while (made < p->count && go_on) {
		uint32_t burst = p->burst ? 1 + pace_random(&seed, p->burst) : 1;

		for (uint32_t i = 0; i < burst && made < p->count; i++) {
			const struct traffic one =
				CONNECTS(.first = atomic_load(&p->shared->made) + 1, .count = 1);

			traffic_make(&one, unused);
			atomic_fetch_add(&p->shared->made, 1);
			made++;
		}
		go_on = p->unseen == PACE_NEVER ? !atomic_load(&p->shared->stop)
						: wait_until_seen(p);
		if (p->burst)
			next = pace_now_us() + pace_random(&seed, p->pause_us + 1);
		else if (p->unseen == PACE_NEVER)
			next += p->pause_us;
		else
			next = pace_now_us() + p->pause_us;
		wait_until_us(next);
	}
}

void pace_begin(struct live_worker *worker, struct pace pace)
{
	live_worker_send(worker, pace_run, &pace, sizeof(pace), 0);
}

static void on_alarm(int number)
{
	(void)number;
}

void pace_deadline(void)
{
	const struct sigaction action = {.sa_handler = on_alarm};

	sigaction(SIGALRM, &action, NULL);
	alarm(LIVE_DEADLINE_MS / 1000);
}

void pace_deadline_over(void)
{
	alarm(0);
}

unsigned long pace_sleeps(pid_t tid)
{
	char path[64], line[128];
	unsigned long count = 0;
	bool found = false;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/self/task/%d/status", (int)tid);
	file = fopen(path, "re");
	LIVE_CHECK(file, "%s: %s", path, strerror(errno));
	while (fgets(line, sizeof(line), file))
		found |= sscanf(line, "voluntary_ctxt_switches: %lu", &count) == 1;
	fclose(file);
	LIVE_CHECK(found, "%s has no voluntary_ctxt_switches", path);
	return count;
}
