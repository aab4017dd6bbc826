/* SPDX-License-Identifier: Apache-2.0 */
/* A thread that reads the events of a variant and sleeps while there are none. */
#ifndef BENCH_CONSUMER_H
#define BENCH_CONSUMER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "variant.h"

struct consumer {
	const struct variant *variant;
	void *state;
	int cpu;
	pthread_t thread;
	atomic_bool stop;
	unsigned long delivered; /* valid after consumer_stop() */
	uint64_t drain_cpu_ns;	 /* CPU time to read what was left; valid after consumer_stop() */
};

void consumer_start(struct consumer *consumer);

/* CPU time of the thread so far. */
uint64_t consumer_cpu_ns(const struct consumer *consumer);

/* Reads the remaining events, then ends the thread. */
void consumer_stop(struct consumer *consumer);

#endif
