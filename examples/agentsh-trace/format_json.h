/* SPDX-License-Identifier: Apache-2.0 */
/* Formats a trace as JSON, one object per line. No I/O. */
#ifndef FORMAT_JSON_H
#define FORMAT_JSON_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "format_json_names.h"
#include "names.h"
#include "proc_read.h"
#include "text.h"

struct agentsh_ebpf_event;
struct agentsh_ebpf_stats;
struct destination_row;
struct summary;
struct unavailable;

struct format_json_session {
	uint64_t session_id;
	uint64_t cgroup_id;
	const char *cgroup_path;
	uint32_t hooks; /* active AGENTSH_EBPF_HOOK_ bits */
};

/* What /proc shows of the process of an event. The process chooses all of the bytes. */
struct format_json_process {
	const char *exe; /* NULL: unknown */
	size_t exe_size;
	const char *args; /* each ends with NUL, except perhaps the last; NULL: unknown */
	size_t args_size;
	bool args_cut;
};

/* What a line shows beside the members of the event. */
struct format_json_details {
	const struct format_json_process *process; /* NULL: left out */
	const char *cgroup;			   /* path of event->cgroup_id; NULL: unknown */
	const struct names
		*names; /* NULL: members about the name of the destination are left out */
};

/* Most bytes of the line of an event: each byte of a path or an argument can take six. */
#define FORMAT_JSON_EVENT_MAX                                                                      \
	((size_t)6 * (PROC_EXE_MAX + PROC_ARGS_MAX + PATH_MAX) + FORMAT_JSON_NAMES_MAX + 4096)

/* Times are Unix time in nanoseconds. An event of an unknown kind produces no line. */
void format_json_event(struct text *t, const struct agentsh_ebpf_event *event, uint64_t time_ns,
		       const struct format_json_details *details);
void format_json_attached(struct text *t, const struct format_json_session *session,
			  uint64_t time_ns);
/* hooks: the AGENTSH_EBPF_HOOK_ bits that were active. */
void format_json_destination(struct text *t, const struct destination_row *row, uint32_t hooks,
			     uint64_t session_id, uint64_t time_ns);
void format_json_detached(struct text *t, const struct format_json_session *session,
			  const struct agentsh_ebpf_stats *stats, const struct summary *summary,
			  uint64_t time_ns);
void format_json_unavailable(struct text *t, const struct unavailable *why, uint64_t session_id,
			     uint64_t time_ns);

#endif
