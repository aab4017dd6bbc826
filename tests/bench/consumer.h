/* SPDX-License-Identifier: Apache-2.0 */
/* A thread of its own that reads a variant's events, asleep while there are none. */
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
	unsigned long delivered; /* right after consumer_stop() */
	uint64_t drain_cpu_ns;	 /* likewise: of its processor, to read what was left */
};

void consumer_start(struct consumer *consumer);

/* What its thread has used of its processor so far. */
uint64_t consumer_cpu_ns(const struct consumer *consumer);

/* Reads what is left, then ends the thread. */
void consumer_stop(struct consumer *consumer);

#endif
