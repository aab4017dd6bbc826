/* SPDX-License-Identifier: Apache-2.0 */
/* A ring in plain memory, for AGENTSH_EBPF_MODE_SYNTHETIC. */
#ifndef AGENTSH_RING_SYNTHETIC_H
#define AGENTSH_RING_SYNTHETIC_H

#include <stddef.h>
#include <stdint.h>

struct agentsh_ebpf_error;
struct agentsh_ebpf_event;
struct agentsh_ring;
struct agentsh_session_state;

int agentsh_synthetic_open(struct agentsh_ring *ring, struct agentsh_ebpf_error *err);
void agentsh_synthetic_close(struct agentsh_ring *ring);
/* Readable while the ring has records. */
int agentsh_synthetic_fd(const struct agentsh_ring *ring);
/* Delivers all records, like libbpf's ring_buffer__consume(). */
int agentsh_synthetic_drain(struct agentsh_ring *ring);
/* Numbers of bytes that were taken out, and put in. */
uint64_t agentsh_synthetic_consumed(const struct agentsh_ring *ring);
uint64_t agentsh_synthetic_produced(const struct agentsh_ring *ring);
/* Puts a record of any size in, for tests. -ENOBUFS: counted as lost. */
int agentsh_synthetic_put(struct agentsh_ring *ring, const struct agentsh_session_state *state,
			  const void *record, size_t size);
/* Puts an event in, as the kernel programs would. -ENOBUFS: counted as lost. */
int agentsh_synthetic_inject(struct agentsh_ring *ring, const struct agentsh_session_state *state,
			     const struct agentsh_ebpf_event *event);

#endif
