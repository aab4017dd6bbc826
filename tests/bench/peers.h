/* SPDX-License-Identifier: Apache-2.0 */
/* Programs of others that watch connects, while they run beside us. */
#ifndef BENCH_PEERS_H
#define BENCH_PEERS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct peer {
	pid_t pid;
	int output; /* a file of what it has written */
};

/* Whether there is such a program in PATH. */
bool peer_there(const char *program);

/* Starts it on a CPU and waits until it has written this; false: it ended, output tells why. */
bool peer_start(struct peer *peer, char *const *argv, int cpu, const char *ready);

/* What its threads have used of the processors so far. */
uint64_t peer_cpu_ns(const struct peer *peer);

/* Sends the signal and waits for its end; 0: waits only. */
void peer_end(struct peer *peer, int signal);

/* All that it has written; the caller frees it, and then the peer is gone. */
char *peer_output(struct peer *peer);

#endif
