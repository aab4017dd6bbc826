/* SPDX-License-Identifier: Apache-2.0 */
/* One tracer, one cgroup, one session. */
#ifndef TRACE_H
#define TRACE_H

#include <stdbool.h>
#include <stdint.h>

#include <agentsh/ebpf.h>

#include "cgroup.h"
#include "options.h"
#include "unavailable.h"

struct trace {
	struct agentsh_ebpf_tracer *tracer; /* NULL: not tracing */
	struct agentsh_ebpf_session *session;
	struct cgroup cgroup;
	uint64_t start_ns; /* Unix time: before the first event */
};

/* Not tracing. */
void trace_init(struct trace *trace);

/* False: why is filled and nothing is left behind. */
bool trace_start(struct trace *trace, const struct options *options, struct unavailable *why);

/* No more events are made; those that are unread stay. Removes the cgroup if it is ours. */
void trace_detach(struct trace *trace);

/* After trace_detach() and the last read: exact, for there was one session only. */
void trace_stats(const struct trace *trace, struct agentsh_ebpf_stats *stats);

void trace_close(struct trace *trace);

#endif
