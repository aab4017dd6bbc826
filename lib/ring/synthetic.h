/* SPDX-License-Identifier: Apache-2.0 */
/* A ring in plain memory, for AGENTSH_EBPF_MODE_SYNTHETIC. */
#ifndef AGENTSH_RING_SYNTHETIC_H
#define AGENTSH_RING_SYNTHETIC_H

struct agentsh_ebpf_error;
struct agentsh_ebpf_tracer;

int agentsh_synth_open(struct agentsh_ebpf_tracer *tracer, struct agentsh_ebpf_error *err);
void agentsh_synth_close(struct agentsh_ebpf_tracer *tracer);
/* Readable while the ring has records. */
int agentsh_synth_fd(const struct agentsh_ebpf_tracer *tracer);
/* Delivers all records, like libbpf's ring_buffer__consume(). */
int agentsh_synth_drain(struct agentsh_ebpf_tracer *tracer);

#endif
