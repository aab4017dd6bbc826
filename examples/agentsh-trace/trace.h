/* SPDX-License-Identifier: Apache-2.0 */
/* One tracer, one cgroup, one session. */
#ifndef TRACE_H
#define TRACE_H

#include <stdbool.h>
#include <stdint.h>

#include <agentsh/ebpf.h>

#include "cgroup.h"
#include "options.h"
#include "rules.h"
#include "unavailable.h"

struct trace {
	struct agentsh_ebpf_tracer *tracer; /* NULL: not tracing */
	struct agentsh_ebpf_session *session;
	struct rules rules;
	struct cgroup cgroup;
	uint64_t start_ns; /* Unix time, earlier than that of the first event */
};

/* Sets up a trace that is not running. */
void trace_init(struct trace *trace);

/* These return false and fill why on failure; then call trace_close(). */

/* Opens the cgroup of --cgroup, or makes a cgroup for COMMAND. */
bool trace_open_cgroup(struct trace *trace, const struct options *options, struct unavailable *why);

/* Opens the cgroup, too. */
bool trace_start(struct trace *trace, const struct options *options, struct unavailable *why);

/* Says on stderr what the session no longer sees, if it is still attached. */
void trace_warn_blind(const struct trace *trace);

/* Stops recording events; unread events can still be read. Removes the cgroup if trace made it. */
void trace_detach(struct trace *trace);

/* Exact after trace_detach() and the last read, because the tracer had only one session. */
void trace_stats(const struct trace *trace, struct agentsh_ebpf_stats *stats);

void trace_close(struct trace *trace);

#endif
