/* SPDX-License-Identifier: Apache-2.0 */
/* The output of session_host.c: JSON lines and counters. */
#ifndef SESSION_OUTPUT_H
#define SESSION_OUTPUT_H

#include <stdio.h>

#include <agentsh/ebpf.h>

/* Counters of the host itself, which no call of the library returns. */
struct host_counters {
	unsigned unavailable;
	unsigned attach_failed;
};

/* Writes a JSON line with one additional member to stderr. The text is UTF-8. */
void write_line(uint64_t session_id, const char *type, const char *member, const char *text);

/* Writes the JSON line of an event to stderr. Call it before the next poll or read. */
void write_event(const struct agentsh_ebpf_tracer *tracer, const struct agentsh_ebpf_event *event);

/* Writes the counters in Prometheus' text format; without a tracer, only the host's counters. */
void write_counters(FILE *out, const struct host_counters *host,
		    const struct agentsh_ebpf_tracer *tracer, uint64_t session_id,
		    const struct agentsh_ebpf_stats *of_session);

/*
 * Replaces a file for the textfile collector of node_exporter, which may read it at any time.
 * With "" as path the counters go to stdout.
 */
void replace_counters(const char *path, const struct host_counters *host,
		      const struct agentsh_ebpf_tracer *tracer, uint64_t session_id,
		      const struct agentsh_ebpf_stats *of_session);

#endif
