/* SPDX-License-Identifier: Apache-2.0 */
#include "json.h"

#include <inttypes.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include <agentsh/ebpf.h>

#include "address.h"
#include "failure.h"
#include "kinds.h"
#include "tally.h"
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

static void number(struct text *t, const char *name, uint64_t value)
{
	text_format(t, ",\"%s\":%" PRIu64, name, value);
}

static void string(struct text *t, const char *name, const char *value, size_t n)
{
	text_format(t, ",\"%s\":", name);
	text_json(t, value, n);
}

static void boolean(struct text *t, const char *name, bool value)
{
	text_format(t, ",\"%s\":%s", name, value ? "true" : "false");
}

/* A word of ours, which needs no escapes; NULL is null. */
static void word(struct text *t, const char *name, const char *value)
{
	const char *quote = value ? "\"" : "";

	text_format(t, ",\"%s\":%s%s%s", name, quote, value ? value : "null", quote);
}

static void error(struct text *t, const struct agentsh_ebpf_event *event)
{
	if (event->flags & AGENTSH_EBPF_FLAG_NO_ERROR)
		word(t, "error", NULL);
	else
		text_format(t, ",\"error\":%" PRId32, event->error);
	word(t, "error_name", failure_name(event->error));
}

static void closed(struct text *t, const struct agentsh_ebpf_event *event)
{
	number(t, "duration_ns", event->duration_ns);
	if (event->socket_type != SOCK_STREAM) {
		number(t, "datagrams", event->datagrams);
		return;
	}
	error(t, event);
	word(t, "closed_by",
	     event->flags & AGENTSH_EBPF_FLAG_LOCAL_CLOSED    ? "local"
	     : event->flags & AGENTSH_EBPF_FLAG_REMOTE_CLOSED ? "remote"
							      : NULL);
	number(t, "rtt_us", event->rtt_us);
	number(t, "bytes_sent", event->bytes_sent);
	number(t, "bytes_received", event->bytes_received);
	number(t, "retransmits", event->retransmits);
	boolean(t, "inbound", event->flags & AGENTSH_EBPF_FLAG_INBOUND);
}

/* What only the outcome of a connection has: of each kind the members that it can have. */
static void outcome(struct text *t, const struct agentsh_ebpf_event *event)
{
	switch (event->kind) {
	case AGENTSH_EBPF_EVENT_CONNECTED:
		number(t, "duration_ns", event->duration_ns);
		number(t, "rtt_us", event->rtt_us);
		number(t, "retransmits", event->retransmits);
		break;
	case AGENTSH_EBPF_EVENT_CONNECT_FAILED:
		number(t, "duration_ns", event->duration_ns);
		error(t, event);
		number(t, "retransmits", event->retransmits);
		break;
	case AGENTSH_EBPF_EVENT_CLOSED:
		closed(t, event);
		break;
	case AGENTSH_EBPF_EVENT_ACCEPTED:
		number(t, "rtt_us", event->rtt_us);
		boolean(t, "inbound", true);
		break;
	default:
		return;
	}
	boolean(t, "attributed", !(event->flags & AGENTSH_EBPF_FLAG_UNATTRIBUTED));
}

void json_event(struct text *t, const struct agentsh_ebpf_event *event, uint64_t time_ns)
{
	const char *type = kinds_json_type(event->kind);
	char ip[ADDRESS_MAX];

	if (!type)
		return;
	begin(t, type, time_ns, event->session_id);
	number(t, "pid", event->pid);
	number(t, "tgid", event->tgid);
	number(t, "ppid", event->ppid);
	number(t, "uid", event->uid);
	string(t, "comm", event->comm, strnlen(event->comm, sizeof(event->comm)));
	number(t, "cgroup_id", event->cgroup_id);
	number(t, "socket_cookie", event->socket_cookie);
	text_format(t, ",\"family\":\"%s\",\"v4_mapped\":%s,\"proto\":\"%s\"",
		    event->family == AF_INET	? "ipv4"
		    : event->family == AF_INET6 ? "ipv6"
						: "unknown",
		    event->flags & AGENTSH_EBPF_FLAG_V4_MAPPED ? "true" : "false",
		    agentsh_ebpf_protocol_name(event->protocol));
	text_format(t, ",\"dst_ip\":\"%s\"", address_text(event->family, event->remote_addr, ip));
	number(t, "dst_port", event->remote_port);
	text_format(t, ",\"src_ip\":\"%s\"", address_text(event->family, event->local_addr, ip));
	number(t, "src_port", event->local_port);
	number(t, "session_lost", event->session_lost);
	outcome(t, event);
	text_string(t, "}\n");
}

static void hooks(struct text *t, uint32_t bits)
{
	const char *comma = "", *name;

	text_string(t, ",\"hooks\":[");
	for (unsigned i = 0; (name = kinds_hook_name(i)) != NULL; i++) {
		if (!(bits >> i & 1))
			continue;
		text_format(t, "%s\"%s\"", comma, name);
		comma = ",";
	}
	text_string(t, "]");
}

void json_attached(struct text *t, const struct json_session *session, uint64_t time_ns)
{
	begin(t, "ebpf_attached", time_ns, session->session_id);
	number(t, "cgroup_id", session->cgroup_id);
	string(t, "cgroup", session->cgroup_path, strlen(session->cgroup_path));
	word(t, "version", agentsh_ebpf_version());
	hooks(t, session->hooks);
	text_string(t, "}\n");
}

void json_detached(struct text *t, const struct json_session *session,
		   const struct agentsh_ebpf_stats *stats, const struct tally *tally,
		   uint64_t time_ns)
{
	begin(t, "ebpf_detached", time_ns, session->session_id);
	number(t, "cgroup_id", session->cgroup_id);
	number(t, "delivered", tally->shown);
	number(t, "unchosen", tally->unchosen);
	number(t, "lost", stats->lost);
	number(t, "lost_quota", stats->lost_quota);
	number(t, "deduplicated", stats->deduplicated);
	number(t, "malformed", stats->malformed);
	text_string(t, "}\n");
}

void json_unavailable(struct text *t, const struct unavailable *why, uint64_t session_id,
		      uint64_t time_ns)
{
	begin(t, "ebpf_unavailable", time_ns, session_id);
	string(t, "reason", why->reason, strlen(why->reason));
	string(t, "step", why->step, strlen(why->step));
	text_format(t, ",\"code\":%d}\n", why->code);
}
