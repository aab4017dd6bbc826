/* SPDX-License-Identifier: Apache-2.0 */
/* The trace for programs: one JSON object a line. No I/O. */
#ifndef JSON_H
#define JSON_H

#include <stdint.h>

#include "text.h"

struct agentsh_ebpf_event;
struct agentsh_ebpf_stats;
struct tally;
struct unavailable;

struct json_session {
	uint64_t session_id;
	uint64_t cgroup_id;
	const char *cgroup_path;
	uint32_t hooks; /* AGENTSH_EBPF_HOOK_ bits that are on */
};

/* Times are Unix time in nanoseconds. An event of unknown kind gives no line. */
void json_event(struct text *t, const struct agentsh_ebpf_event *event, uint64_t time_ns);
void json_attached(struct text *t, const struct json_session *session, uint64_t time_ns);
void json_detached(struct text *t, const struct json_session *session,
		   const struct agentsh_ebpf_stats *stats, const struct tally *tally,
		   uint64_t time_ns);
void json_unavailable(struct text *t, const struct unavailable *why, uint64_t session_id,
		      uint64_t time_ns);

#endif
