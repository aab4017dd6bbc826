/* SPDX-License-Identifier: Apache-2.0 */
/* Other tools that watch connects, run for comparison. */
#ifndef BENCH_PEERS_H
#define BENCH_PEERS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct peer {
	pid_t pid;
	int output; /* file with the output */
};

/* Whether PATH has this program. */
bool peer_there(const char *program);

/* Starts it on a CPU and waits for this output. False: it ended; the output says why. */
bool peer_start(struct peer *peer, char *const *argv, int cpu, const char *ready);

/* CPU time of all its threads so far. */
uint64_t peer_cpu_ns(const struct peer *peer);

/* Sends the signal and waits for the end; 0: only waits. */
void peer_end(struct peer *peer, int signal);

/* Returns all output, which the caller frees, and releases the peer. */
char *peer_output(struct peer *peer);

#endif
