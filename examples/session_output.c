/* SPDX-License-Identifier: Apache-2.0 */
#include "session_output.h"

#include <arpa/inet.h>
#include <limits.h>
#include <stddef.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* ---- JSON lines --------------------------------------------------------------- */

static void begin(uint64_t session_id, const char *type, uint64_t unix_ns)
{
	time_t seconds = (time_t)(unix_ns / 1000000000);
	struct tm tm;
	char date[32];

	strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", gmtime_r(&seconds, &tm));
	fprintf(stderr, "{\"type\":\"%s\",\"timestamp\":\"%s.%09luZ\",\"session_id\":\"%llu\"",
		type, date, (unsigned long)(unix_ns % 1000000000), (unsigned long long)session_id);
}

static void write_member(const char *member, const char *text)
{
	fprintf(stderr, ",\"%s\":\"", member);
	for (; *text; text++) {
		if (*text == '"' || *text == '\\' || (unsigned char)*text < 0x20)
			fprintf(stderr, "\\u%04x", (unsigned)*text);
		else
			fputc(*text, stderr);
	}
	fprintf(stderr, "\"");
}

void write_line(uint64_t session_id, const char *type, const char *member, const char *text)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	begin(session_id, type, (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec);
	write_member(member, text);
	fprintf(stderr, "}\n");
}

/* The call was made already, so the decision is only for the log. */
static const char *policy(const struct agentsh_ebpf_event *event)
{
	static const uint8_t loopback6[16] = {[15] = 1};
	int local = event->family == AF_INET ? event->remote_addr[0] == 127
					     : !memcmp(event->remote_addr, loopback6, 16);

	return local ? "{\"decision\":\"allow\",\"rule\":\"loopback\"}"
		     : "{\"decision\":\"audit\",\"rule\":\"default\"}";
}

/* The process may have chosen the name: it is for the log, not for the policy. */
static void write_domain(const struct agentsh_ebpf_tracer *tracer,
			 const struct agentsh_ebpf_event *event)
{
	struct agentsh_ebpf_name name = {.size = sizeof(name)};

	if (agentsh_ebpf_event_name(tracer, event, &name) || !name.source)
		return;
	write_member("domain", name.asked);
	write_member("domain_source", agentsh_ebpf_name_source_name(name.source));
}

void write_event(const struct agentsh_ebpf_tracer *tracer, const struct agentsh_ebpf_event *event)
{
	const char *type, *open = "", *close = "";
	char ip[INET6_ADDRSTRLEN];

	switch (event->kind) {
	case AGENTSH_EBPF_EVENT_CONNECT:
		type = "net_connect";
		break;
	case AGENTSH_EBPF_EVENT_UDP_SEND:
		type = "net_udp_send";
		break;
	case AGENTSH_EBPF_EVENT_SESSION_BLIND:
		write_line(event->session_id, "net_session_blind", "reason",
			   strerror(event->error));
		return;
	default: /* a kind that needs a hook which the host did not ask for */
		return;
	}
	if (event->family == AF_INET6)
		open = "[", close = "]";
	inet_ntop(event->family, event->remote_addr, ip, sizeof(ip));
	begin(event->session_id, type, agentsh_ebpf_event_realtime_ns(event));
	fprintf(stderr, ",\"pid\":%u,\"remote\":\"%s%s%s:%u\",\"ip\":\"%s\",\"port\":%u",
		event->ns_tgid ? event->ns_tgid : event->tgid, open, ip, close, event->remote_port,
		ip, event->remote_port);
	write_domain(tracer, event);
	fprintf(stderr, ",\"protocol\":\"%s\",\"policy\":%s,\"lost\":%llu}\n",
		agentsh_ebpf_protocol_name(event->protocol), policy(event),
		(unsigned long long)event->session_lost);
}

/* ---- Metrics ------------------------------------------------------------------ */

#define COUNTER(member, help)                                                                      \
	{                                                                                          \
#member, help, offsetof(struct agentsh_ebpf_stats, member)                         \
	}
static const struct counter {
	const char *name, *help;
	size_t offset;
} counters[] = {
	COUNTER(delivered, "Events delivered to the host."),
	COUNTER(lost, "Events that did not fit into the ring or the quota."),
	COUNTER(lost_quota, "Lost events that exceeded the quota of a session."),
	COUNTER(deduplicated, "Datagrams to known destinations, without an event."),
	COUNTER(untracked, "How often a socket found no room in the table of sockets."),
	COUNTER(packets_lost, "Packets with names that did not fit into the ring or the quota."),
	COUNTER(answers, "DNS answers whose names were taken."),
	COUNTER(answers_unasked, "DNS answers that no question of the session explains."),
	COUNTER(answers_untrusted, "DNS answers of name servers that are not trusted."),
	COUNTER(answers_malformed, "DNS messages that are malformed."),
	COUNTER(messages_skipped, "Messages with names that exceed the limit, or found no memory."),
	COUNTER(names_evicted, "Names that were dropped to make room for others."),
	COUNTER(allowed, "Calls that the rules allow."),
	COUNTER(denied, "Calls that the rules denied, and that failed."),
	COUNTER(would_deny, "Calls that the rules deny, but that were let go on."),
	COUNTER(packets_denied, "Packets that the rules deny, and that were dropped."),
	COUNTER(packets_would_deny, "Packets that the rules deny, but that were sent."),
	/* always 0 for a session, and the last OF_TRACER_ONLY: */
	COUNTER(attach_failures, "Failed calls to attach."),
	COUNTER(malformed, "Records that could not be decoded."),
};
enum {
	OF_TRACER_ONLY = 2,
	OF_TRACER = sizeof(counters) / sizeof(counters[0]),
	OF_SESSION = OF_TRACER - OF_TRACER_ONLY
};

static void print_head(FILE *out, const char *name, const char *type, const char *help)
{
	fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void print(FILE *out, const char *prefix, const char *labels,
		  const struct agentsh_ebpf_stats *stats, size_t n)
{
	char name[64];
	uint64_t value;

	for (size_t i = 0; i < n; i++) {
		memcpy(&value, (const char *)stats + counters[i].offset, sizeof(value));
		snprintf(name, sizeof(name), "%s_%s_total", prefix, counters[i].name);
		print_head(out, name, "counter", counters[i].help);
		fprintf(out, "%s%s %llu\n", name, labels, (unsigned long long)value);
	}
}

void write_counters(FILE *out, const struct host_counters *host,
		    const struct agentsh_ebpf_tracer *tracer, uint64_t session_id,
		    const struct agentsh_ebpf_stats *of_session)
{
	struct agentsh_ebpf_stats stats = {.size = sizeof(stats)};
	char label[48];

	print_head(out, "agentsh_net_ebpf_unavailable_total", "counter", "Failed calls to open.");
	fprintf(out, "agentsh_net_ebpf_unavailable_total %u\n", host->unavailable);
	print_head(out, "agentsh_net_ebpf_attach_fail_total", "counter", "Commands not attached.");
	fprintf(out, "agentsh_net_ebpf_attach_fail_total %u\n", host->attach_failed);
	if (agentsh_ebpf_tracer_stats(tracer, &stats))
		return;
	print_head(out, "agentsh_ebpf_sessions", "gauge", "Sessions attached now.");
	fprintf(out, "agentsh_ebpf_sessions %u\n", stats.sessions);
	print(out, "agentsh_ebpf", "", &stats, OF_TRACER);
	snprintf(label, sizeof(label), "{session=\"%llu\"}", (unsigned long long)session_id);
	print(out, "agentsh_ebpf_session", label, of_session, OF_SESSION);
}

void replace_counters(const char *path, const struct host_counters *host,
		      const struct agentsh_ebpf_tracer *tracer, uint64_t session_id,
		      const struct agentsh_ebpf_stats *of_session)
{
	char temporary[PATH_MAX];
	FILE *out;
	int failed;

	if (!*path) {
		write_counters(stdout, host, tracer, session_id, of_session);
		return;
	}
	snprintf(temporary, sizeof(temporary), "%s.%d", path, (int)getpid());
	out = fopen(temporary, "we");
	if (!out) {
		perror(temporary);
		return;
	}
	write_counters(out, host, tracer, session_id, of_session);
	failed = ferror(out);
	if (fclose(out) || failed || rename(temporary, path)) {
		perror(path);
		unlink(temporary);
	}
}
