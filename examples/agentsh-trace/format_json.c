/* SPDX-License-Identifier: Apache-2.0 */
#include "format_json.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include <agentsh/ebpf.h>

#include "address.h"
#include "blind.h"
#include "destinations.h"
#include "errno_names.h"
#include "event_types.h"
#include "summary.h"
#include "unavailable.h"

static void begin(struct text *t, const char *type, uint64_t time_ns, uint64_t session_id)
{
	time_t seconds = (time_t)(time_ns / 1000000000);
	struct tm utc;

	gmtime_r(&seconds, &utc);
	text_format(t, "{\"type\":\"%s\",\"ts\":\"%04d-%02d-%02dT%02d:%02d:%02d.%09uZ\"", type,
		    utc.tm_year + 1900, utc.tm_mon + 1, utc.tm_mday, utc.tm_hour, utc.tm_min,
		    utc.tm_sec, (unsigned)(time_ns % 1000000000));
	text_format(t, ",\"session_id\":%" PRIu64, session_id);
}

static void append_number(struct text *t, const char *name, uint64_t value)
{
	text_format(t, ",\"%s\":%" PRIu64, name, value);
}

static void append_string(struct text *t, const char *name, const char *value, size_t n)
{
	text_format(t, ",\"%s\":", name);
	text_json(t, value, n);
}

static void append_boolean(struct text *t, const char *name, bool value)
{
	text_format(t, ",\"%s\":%s", name, value ? "true" : "false");
}

/* value contains nothing to escape; NULL becomes null. */
static void append_word(struct text *t, const char *name, const char *value)
{
	const char *quote = value ? "\"" : "";

	text_format(t, ",\"%s\":%s%s%s", name, quote, value ? value : "null", quote);
}

static void append_error(struct text *t, const struct agentsh_ebpf_event *event)
{
	if (event->flags & AGENTSH_EBPF_FLAG_NO_ERROR)
		append_word(t, "error", NULL);
	else
		text_format(t, ",\"error\":%" PRId32, event->error);
	append_word(t, "error_name", errno_symbol(event->error));
}

static void append_closed(struct text *t, const struct agentsh_ebpf_event *event)
{
	append_number(t, "duration_ns", event->duration_ns);
	if (event->socket_type != SOCK_STREAM) {
		append_number(t, "datagrams", event->packets_sent);
		return;
	}
	append_error(t, event);
	append_word(t, "closed_by",
		    event->flags & AGENTSH_EBPF_FLAG_LOCAL_CLOSED    ? "local"
		    : event->flags & AGENTSH_EBPF_FLAG_REMOTE_CLOSED ? "remote"
								     : NULL);
	append_number(t, "rtt_us", event->rtt_us);
	append_number(t, "bytes_sent", event->bytes_sent);
	append_number(t, "bytes_received", event->bytes_received);
	append_number(t, "retransmits", event->retransmits);
	append_boolean(t, "inbound", event->flags & AGENTSH_EBPF_FLAG_INBOUND);
}

/* Appends the members that only events about the result of an attempt have. */
static void append_outcome(struct text *t, const struct agentsh_ebpf_event *event)
{
	switch (event->kind) {
	case AGENTSH_EBPF_EVENT_CONNECTED:
		append_number(t, "duration_ns", event->duration_ns);
		append_number(t, "rtt_us", event->rtt_us);
		append_number(t, "retransmits", event->retransmits);
		break;
	case AGENTSH_EBPF_EVENT_CONNECT_FAILED:
		append_number(t, "duration_ns", event->duration_ns);
		append_error(t, event);
		append_number(t, "retransmits", event->retransmits);
		break;
	case AGENTSH_EBPF_EVENT_CLOSED:
		append_closed(t, event);
		break;
	case AGENTSH_EBPF_EVENT_ACCEPTED:
		append_number(t, "rtt_us", event->rtt_us);
		append_boolean(t, "inbound", true);
		break;
	default:
		return;
	}
	append_boolean(t, "attributed", !(event->flags & AGENTSH_EBPF_FLAG_UNATTRIBUTED));
}

static void append_blind(struct text *t, const struct agentsh_ebpf_event *event)
{
	append_number(t, "cgroup_id", event->cgroup_id);
	append_number(t, "session_lost", event->session_lost);
	text_format(t, ",\"error\":%" PRId32, event->error);
	append_word(t, "reason", blind_reason(event->error));
}

static void append_attempt(struct text *t, const struct agentsh_ebpf_event *event)
{
	char ip[ADDRESS_MAX];

	append_number(t, "pid", event->pid);
	append_number(t, "tgid", event->tgid);
	append_number(t, "ppid", event->ppid);
	append_number(t, "uid", event->uid);
	append_string(t, "comm", event->comm, strnlen(event->comm, sizeof(event->comm)));
	append_number(t, "cgroup_id", event->cgroup_id);
	append_number(t, "socket_cookie", event->socket_cookie);
	text_format(t, ",\"family\":\"%s\",\"v4_mapped\":%s,\"proto\":\"%s\"",
		    event->family == AF_INET	? "ipv4"
		    : event->family == AF_INET6 ? "ipv6"
						: "unknown",
		    event->flags & AGENTSH_EBPF_FLAG_V4_MAPPED ? "true" : "false",
		    agentsh_ebpf_protocol_name(event->protocol));
	text_format(t, ",\"dst_ip\":\"%s\"", address_text(event->family, event->remote_addr, ip));
	append_number(t, "dst_port", event->remote_port);
	text_format(t, ",\"src_ip\":\"%s\"", address_text(event->family, event->local_addr, ip));
	append_number(t, "src_port", event->local_port);
	append_number(t, "ifindex", event->ifindex);
	append_boolean(t, "source_routed", event->flags & AGENTSH_EBPF_FLAG_SOURCE_ROUTED);
	append_boolean(t, "unspecified", event->flags & AGENTSH_EBPF_FLAG_UNSPECIFIED);
	append_boolean(t, "untracked", event->flags & AGENTSH_EBPF_FLAG_UNTRACKED);
	append_number(t, "session_lost", event->session_lost);
	append_outcome(t, event);
}

void format_json_event(struct text *t, const struct agentsh_ebpf_event *event, uint64_t time_ns)
{
	char type[32];

	if (!event_types_known(event->kind))
		return;
	snprintf(type, sizeof(type), "net_%s", agentsh_ebpf_kind_name(event->kind));
	begin(t, type, time_ns, event->session_id);
	if (event->kind == AGENTSH_EBPF_EVENT_SESSION_BLIND)
		append_blind(t, event);
	else
		append_attempt(t, event);
	text_string(t, "}\n");
}

static void append_hooks(struct text *t, uint32_t hooks)
{
	const char *comma = "";

	text_string(t, ",\"hooks\":[");
	for (uint32_t hook = 1; hook; hook <<= 1) {
		if (!(hooks & hook))
			continue;
		text_format(t, "%s\"%s\"", comma, agentsh_ebpf_hook_name(hook));
		comma = ",";
	}
	text_string(t, "]");
}

void format_json_attached(struct text *t, const struct format_json_session *session,
			  uint64_t time_ns)
{
	begin(t, "ebpf_attached", time_ns, session->session_id);
	append_number(t, "cgroup_id", session->cgroup_id);
	append_string(t, "cgroup", session->cgroup_path, strlen(session->cgroup_path));
	append_word(t, "version", agentsh_ebpf_version());
	append_hooks(t, session->hooks);
	text_string(t, "}\n");
}

/* What is not counted becomes null. */
static void append_if_known(struct text *t, const char *name, uint64_t value, bool known)
{
	if (known)
		append_number(t, name, value);
	else
		append_word(t, name, NULL);
}

static void append_destination(struct text *t, const struct destination_key *key)
{
	char ip[ADDRESS_MAX];

	if (key->unattributed || !key->family)
		append_word(t, "process", NULL);
	else
		append_string(t, "process", key->process,
			      strnlen(key->process, sizeof(key->process)));
	append_word(t, "dst_ip", key->family ? address_text(key->family, key->address, ip) : NULL);
	append_if_known(t, "dst_port", key->port, key->family && !key->inbound);
	append_word(t, "proto", key->family ? agentsh_ebpf_protocol_name(key->protocol) : NULL);
	append_number(t, "ifindex", key->ifindex);
	append_boolean(t, "inbound", key->inbound);
}

void format_json_destination(struct text *t, const struct destination_row *row, uint32_t hooks,
			     uint64_t session_id, uint64_t time_ns)
{
	const bool bytes = !row->key.family || destinations_count_bytes(row->key.protocol, hooks);
	const bool ended = row->durations.count;

	begin(t, "net_summary", time_ns, session_id);
	append_destination(t, &row->key);
	append_number(t, "connections", row->connections);
	append_if_known(t, "failed", row->failed, hooks & AGENTSH_EBPF_HOOK_LIFECYCLE);
	append_if_known(t, "bytes_sent", row->bytes_sent, bytes);
	append_if_known(t, "bytes_received", row->bytes_received, bytes);
	append_if_known(t, "p50_ns", durations_median(&row->durations), ended);
	append_if_known(t, "longest_ns", row->durations.longest_ns, ended);
	text_string(t, "}\n");
}

void format_json_detached(struct text *t, const struct format_json_session *session,
			  const struct agentsh_ebpf_stats *stats, const struct summary *summary,
			  uint64_t time_ns)
{
	begin(t, "ebpf_detached", time_ns, session->session_id);
	append_number(t, "cgroup_id", session->cgroup_id);
	append_number(t, "delivered", summary->shown);
	append_number(t, "unchosen", summary->unchosen);
	append_number(t, "lost", stats->lost);
	append_number(t, "lost_quota", stats->lost_quota);
	append_number(t, "deduplicated", stats->deduplicated);
	append_number(t, "malformed", stats->malformed);
	append_number(t, "untracked", stats->untracked);
	text_string(t, "}\n");
}

void format_json_unavailable(struct text *t, const struct unavailable *why, uint64_t session_id,
			     uint64_t time_ns)
{
	begin(t, "ebpf_unavailable", time_ns, session_id);
	append_string(t, "reason", why->reason, strlen(why->reason));
	append_string(t, "step", why->step, strlen(why->step));
	text_format(t, ",\"code\":%d}\n", why->code);
}
