/* SPDX-License-Identifier: Apache-2.0 */
#include "format_json.h"

#include <inttypes.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include <agentsh/ebpf.h>

#include "address.h"
#include "blind.h"
#include "destinations.h"
#include "errno_names.h"
#include "event_types.h"
#include "format_json_names.h"
#include "json.h"
#include "socket_words.h"
#include "summary.h"
#include "unavailable.h"

static void append_error(struct text *t, const struct agentsh_ebpf_event *event)
{
	if (event->flags & AGENTSH_EBPF_FLAG_NO_ERROR)
		json_word(t, "error", NULL);
	else
		text_format(t, ",\"error\":%" PRId32, event->error);
	json_word(t, "error_name", errno_symbol(event->error));
}

/* SCTP has sockets of the type SOCK_STREAM, too. */
static bool is_tcp(const struct agentsh_ebpf_event *event)
{
	return event->socket_type == SOCK_STREAM && event->protocol != IPPROTO_SCTP;
}

static void append_traffic(struct text *t, const struct agentsh_ebpf_event *event)
{
	if (is_tcp(event)) {
		json_number(t, "rtt_us", event->rtt_us);
	} else {
		json_number(t, "sent", event->packets_sent);
		json_number(t, "received", event->packets_received);
	}
	json_number(t, "bytes_sent", event->bytes_sent);
	json_number(t, "bytes_received", event->bytes_received);
	if (is_tcp(event))
		json_number(t, "retransmits", event->retransmits);
}

static void append_end(struct text *t, const struct agentsh_ebpf_event *event)
{
	if (!is_tcp(event))
		return;
	append_error(t, event);
	json_word(t, "closed_by",
		  event->flags & AGENTSH_EBPF_FLAG_LOCAL_CLOSED	   ? "local"
		  : event->flags & AGENTSH_EBPF_FLAG_REMOTE_CLOSED ? "remote"
								   : NULL);
}

static void append_verdict(struct text *t, const struct agentsh_ebpf_event *event)
{
	if (!event->verdict && !event->rule_id)
		return;
	json_word(t, "verdict", agentsh_ebpf_verdict_name(event->verdict));
	json_number(t, "rule_id", event->rule_id);
}

/* Appends the members that not all kinds of event have. */
static void append_outcome(struct text *t, const struct agentsh_ebpf_event *event)
{
	switch (event->kind) {
	case AGENTSH_EBPF_EVENT_CONNECTED:
		json_number(t, "duration_ns", event->duration_ns);
		json_number(t, "rtt_us", event->rtt_us);
		json_number(t, "retransmits", event->retransmits);
		break;
	case AGENTSH_EBPF_EVENT_CONNECT_FAILED:
		json_number(t, "duration_ns", event->duration_ns);
		append_error(t, event);
		json_number(t, "retransmits", event->retransmits);
		break;
	case AGENTSH_EBPF_EVENT_CLOSED:
		json_number(t, "duration_ns", event->duration_ns);
		append_end(t, event);
		append_traffic(t, event);
		break;
	case AGENTSH_EBPF_EVENT_PROGRESS:
		json_number(t, "duration_ns", event->duration_ns);
		append_traffic(t, event);
		break;
	case AGENTSH_EBPF_EVENT_ACCEPTED:
		json_number(t, "rtt_us", event->rtt_us);
		break;
	case AGENTSH_EBPF_EVENT_DNS_ANSWER:
		json_number(t, "duration_ns", event->duration_ns);
		break;
	default:
		break;
	}
}

static void append_blind(struct text *t, const struct agentsh_ebpf_event *event)
{
	json_number(t, "cgroup_id", event->cgroup_id);
	json_number(t, "session_lost", event->session_lost);
	text_format(t, ",\"error\":%" PRId32, event->error);
	json_word(t, "reason", blind_reason(event->error));
}

/* A process chooses these names, so they may contain any bytes. */
static void append_comm(struct text *t, const char *name, const char comm[16])
{
	json_string(t, name, comm, strnlen(comm, 16));
}

static void append_args(struct text *t, const struct format_json_process *process)
{
	const char *at = process->args, *separator = "", *end;

	if (!at) {
		json_word(t, "args", NULL);
		return;
	}
	end = at + process->args_size;
	text_string(t, ",\"args\":[");
	while (at < end) {
		size_t n = strnlen(at, (size_t)(end - at));

		text_string(t, separator);
		text_json(t, at, n);
		separator = ",";
		at += n + 1;
	}
	text_string(t, "]");
}

static void append_program(struct text *t, const struct format_json_process *process)
{
	if (process->exe)
		json_string(t, "exe", process->exe, process->exe_size);
	else
		json_word(t, "exe", NULL);
	append_args(t, process);
	json_boolean(t, "args_cut", process->args_cut);
}

static void append_process(struct text *t, const struct agentsh_ebpf_event *event,
			   const struct format_json_details *details)
{
	json_number(t, "pid", event->pid);
	json_number(t, "tgid", event->tgid);
	json_number(t, "ppid", event->ppid);
	json_number(t, "ns_pid", event->ns_pid);
	json_number(t, "ns_tgid", event->ns_tgid);
	json_number(t, "container_pid", event->container_pid);
	json_number(t, "container_tgid", event->container_tgid);
	json_number(t, "uid", event->uid);
	json_number(t, "gid", event->gid);
	append_comm(t, "comm", event->comm);
	append_comm(t, "process_comm", event->process_comm);
	json_number(t, "process_start_ns", event->process_start_ns);
	json_number(t, "exe_inode", event->exe_inode);
	json_number(t, "exe_device", event->exe_device);
	if (details->process)
		append_program(t, details->process);
	json_number(t, "cgroup_id", event->cgroup_id);
	if (details->cgroup)
		json_string(t, "cgroup", details->cgroup, strlen(details->cgroup));
	else
		json_word(t, "cgroup", NULL);
}

static void append_socket(struct text *t, const struct agentsh_ebpf_event *event)
{
	/* A socket that is about to be made has no addresses. */
	const uint16_t addresses =
		event->kind == AGENTSH_EBPF_EVENT_SOCKET_DENIED ? AF_UNSPEC : event->family;
	char ip[ADDRESS_MAX];

	json_number(t, "socket_cookie", event->socket_cookie);
	json_number(t, "netns_cookie", event->netns_cookie);
	json_word(t, "family",
		  event->family == AF_INET    ? "ipv4"
		  : event->family == AF_INET6 ? "ipv6"
		  : event->family == AF_UNIX  ? "unix"
					      : "unknown");
	json_boolean(t, "v4_mapped", event->flags & AGENTSH_EBPF_FLAG_V4_MAPPED);
	json_word(t, "proto", agentsh_ebpf_protocol_name(event->protocol));
	json_number(t, "protocol", event->protocol);
	json_word(t, "socket_type", socket_word_type(event->socket_type));
	json_word(t, "dst_ip", address_text(addresses, event->remote_addr, ip));
	json_number(t, "dst_port", event->remote_port);
	json_word(t, "src_ip", address_text(addresses, event->local_addr, ip));
	json_number(t, "src_port", event->local_port);
	json_number(t, "ifindex", event->ifindex);
	json_boolean(t, "source_routed", event->flags & AGENTSH_EBPF_FLAG_SOURCE_ROUTED);
	json_boolean(t, "unspecified", event->flags & AGENTSH_EBPF_FLAG_UNSPECIFIED);
	json_boolean(t, "untracked", event->flags & AGENTSH_EBPF_FLAG_UNTRACKED);
	json_boolean(t, "inbound", event->flags & AGENTSH_EBPF_FLAG_INBOUND);
	json_boolean(t, "attributed", !(event->flags & AGENTSH_EBPF_FLAG_UNATTRIBUTED));
}

void format_json_event(struct text *t, const struct agentsh_ebpf_event *event, uint64_t time_ns,
		       const struct format_json_details *details)
{
	char type[32];

	if (!event_types_known(event->kind))
		return;
	snprintf(type, sizeof(type), "net_%s", agentsh_ebpf_kind_name(event->kind));
	json_begin(t, type, time_ns, event->session_id);
	json_number(t, "timestamp_ns", event->timestamp_ns);
	if (event->kind == AGENTSH_EBPF_EVENT_SESSION_BLIND) {
		append_blind(t, event);
	} else {
		append_process(t, event, details);
		append_socket(t, event);
		format_json_names(t, event, details->names);
		json_number(t, "session_lost", event->session_lost);
		append_verdict(t, event);
		append_outcome(t, event);
	}
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
	json_begin(t, "ebpf_attached", time_ns, session->session_id);
	json_number(t, "cgroup_id", session->cgroup_id);
	json_string(t, "cgroup", session->cgroup_path, strlen(session->cgroup_path));
	json_word(t, "version", agentsh_ebpf_version());
	append_hooks(t, session->hooks);
	text_string(t, "}\n");
}

static void append_destination(struct text *t, const struct destination_row *row)
{
	const struct destination_key *key = &row->key;
	char ip[ADDRESS_MAX];

	if (key->unattributed || !key->family)
		json_word(t, "process", NULL);
	else
		json_string(t, "process", key->process,
			    strnlen(key->process, sizeof(key->process)));
	if (*row->name)
		json_string(t, "dst_name", row->name, strlen(row->name));
	else
		json_word(t, "dst_name", NULL);
	json_word(t, "dst_ip",
		  row->at.family ? address_text(row->at.family, row->at.address, ip) : NULL);
	json_if_known(t, "dst_port", key->port, key->family && !key->inbound);
	json_word(t, "proto", key->family ? agentsh_ebpf_protocol_name(key->protocol) : NULL);
	json_number(t, "ifindex", row->at.family ? row->at.ifindex : 0);
	json_boolean(t, "inbound", key->inbound);
}

void format_json_destination(struct text *t, const struct destination_row *row, uint32_t hooks,
			     uint64_t session_id, uint64_t time_ns)
{
	const bool bytes = !row->key.family || destinations_count_bytes(row->key.protocol, hooks);
	const bool ended = row->durations.count;

	json_begin(t, "net_summary", time_ns, session_id);
	append_destination(t, row);
	json_number(t, "connections", row->connections);
	json_if_known(t, "failed", row->failed, hooks & AGENTSH_EBPF_HOOK_LIFECYCLE);
	json_if_known(t, "bytes_sent", row->bytes_sent, bytes);
	json_if_known(t, "bytes_received", row->bytes_received, bytes);
	json_if_known(t, "p50_ns", durations_median(&row->durations), ended);
	json_if_known(t, "longest_ns", row->durations.longest_ns, ended);
	text_string(t, "}\n");
}

void format_json_detached(struct text *t, const struct format_json_session *session,
			  const struct agentsh_ebpf_stats *stats, const struct summary *summary,
			  uint64_t time_ns)
{
	json_begin(t, "ebpf_detached", time_ns, session->session_id);
	json_number(t, "cgroup_id", session->cgroup_id);
	json_number(t, "delivered", summary->shown);
	json_number(t, "unchosen", summary->unchosen);
	json_number(t, "lost", stats->lost);
	json_number(t, "lost_quota", stats->lost_quota);
	json_number(t, "deduplicated", stats->deduplicated);
	json_number(t, "malformed", stats->malformed);
	json_number(t, "untracked", stats->untracked);
	json_number(t, "packets_lost", stats->packets_lost);
	json_number(t, "answers", stats->answers);
	json_number(t, "answers_unasked", stats->answers_unasked);
	json_number(t, "answers_untrusted", stats->answers_untrusted);
	json_number(t, "answers_malformed", stats->answers_malformed);
	json_number(t, "messages_skipped", stats->messages_skipped);
	json_number(t, "names_evicted", stats->names_evicted);
	json_number(t, "allowed", stats->allowed);
	json_number(t, "denied", stats->denied);
	json_number(t, "would_deny", stats->would_deny);
	json_number(t, "packets_denied", stats->packets_denied);
	json_number(t, "packets_would_deny", stats->packets_would_deny);
	text_string(t, "}\n");
}

void format_json_unavailable(struct text *t, const struct unavailable *why, uint64_t session_id,
			     uint64_t time_ns)
{
	json_begin(t, "ebpf_unavailable", time_ns, session_id);
	json_string(t, "reason", why->reason, strlen(why->reason));
	json_string(t, "step", why->step, strlen(why->step));
	text_format(t, ",\"code\":%d}\n", why->code);
}
