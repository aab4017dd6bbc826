/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <signal.h>

#include "consumer.h"
#include "util.h"

static long take(struct consumer *c, int timeout_ms)
{
	long n = c->variant->consume(c->state, timeout_ms);

	if (n < 0 && n != -EINTR)
		die("%s: reading gave %ld", c->variant->name, n);
	if (n > 0)
		c->delivered += (unsigned long)n;
	return n;
}

static void *run(void *arg)
{
	struct consumer *c = arg;
	uint64_t begin;

	pin(c->cpu);
	while (!atomic_load(&c->stop))
		take(c, -1);
	begin = clock_ns(CLOCK_THREAD_CPUTIME_ID);
	while (take(c, 0) > 0)
		;
	c->drain_cpu_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID) - begin;
	return NULL;
}

uint64_t consumer_cpu_ns(const struct consumer *c)
{
	clockid_t clock;

	if (pthread_getcpuclockid(c->thread, &clock))
		die("pthread_getcpuclockid failed");
	return clock_ns(clock);
}

static void nothing(int signal)
{
	(void)signal;
}

void consumer_start(struct consumer *c)
{
	const struct sigaction action = {.sa_handler = nothing}; /* no SA_RESTART */

	sigaction(SIGUSR1, &action, NULL);
	c->delivered = 0;
	atomic_init(&c->stop, false);
	if (pthread_create(&c->thread, NULL, run, c))
		die("pthread_create failed");
}

/*
 * libbpf's reader cannot be woken, so the readers of all variants get a signal; it is repeated
 * until it has arrived while the reader slept.
 */
void consumer_stop(struct consumer *c)
{
	struct timespec until;

	atomic_store(&c->stop, true);
	do {
		pthread_kill(c->thread, SIGUSR1);
		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_nsec += 5000000;
		if (until.tv_nsec >= 1000000000) {
			until.tv_nsec -= 1000000000;
			until.tv_sec++;
		}
	} while (pthread_timedjoin_np(c->thread, NULL, &until));
}
