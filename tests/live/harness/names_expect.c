/* SPDX-License-Identifier: Apache-2.0 */
/* Compares names with what the tests expect. */
#include <stdio.h>
#include <string.h>

#include "names.h"

size_t names_find(uint64_t session_id, uint32_t kind, uint64_t cookie, size_t n)
{
	for (size_t i = 0; i < live_seen.count; i++) {
		const struct agentsh_ebpf_event *e = &live_seen.list[i];

		if (e->session_id == session_id && e->kind == kind &&
		    (!cookie || e->socket_cookie == cookie) && !n--)
			return i;
	}
	return live_seen.count;
}

struct names_want names_answered(const char *name, uint32_t ttl_s, const char *resolver,
				 const struct live_worker *asker, uint64_t ns)
{
	return (struct names_want){
		.asked = name,
		.ttl_s = ttl_s,
		.asker = (uint32_t)asker->pid,
		.answered_ns = ns,
		.resolver = resolver,
	};
}

static void same_number(const char *title, const char *member, uint64_t is, uint64_t should)
{
	LIVE_CHECK(is == should, "%s: %s is %llu, expected %llu", title, member,
		   (unsigned long long)is, (unsigned long long)should);
}

static void same_text(const char *title, const char *member, const char *is, const char *should)
{
	LIVE_CHECK(!strcmp(is, should ? should : ""), "%s: %s is \"%s\", expected \"%s\"", title,
		   member, is, should ? should : "");
}

static void same_resolver(const char *title, const struct agentsh_ebpf_address *is,
			  const struct names_want *want)
{
	struct connection_address at;
	uint8_t addr[16] = {0};
	uint16_t port = 0;

	if (!want->resolver) {
		same_number(title, "resolver.family", is->family, 0);
		same_number(title, "resolver.port", is->port, 0);
		return;
	}
	at = connection_address(want->resolver, want->resolver_port ? want->resolver_port : 53);
	connection_end(&at, addr, &port);
	same_number(title, "resolver.family", is->family, at.sa.any.sa_family);
	same_number(title, "resolver.port", is->port, port);
	same_number(title, "resolver.ttl_s", is->ttl_s, 0);
	LIVE_CHECK(!memcmp(is->addr, addr, sizeof(addr)), "%s: resolver.addr", title);
}

void names_same(const char *title, const struct agentsh_ebpf_name *is,
		const struct names_want *want)
{
	same_number(title, "size", is->size, sizeof(*is));
	same_text(title, "asked", is->asked, want->asked);
	same_text(title, "owner", is->owner, want->owner ? want->owner : want->asked);
	same_text(title, "server_name", is->server_name, want->server_name);
	same_text(title, "alpn", is->alpn, want->alpn);
	same_number(title, "source", is->source,
		    want->source  ? want->source
		    : want->asked ? AGENTSH_EBPF_NAME_DNS
				  : AGENTSH_EBPF_NAME_NONE);
	same_number(title, "server_name_source", is->server_name_source, want->server_name_source);
	same_number(title, "flags", is->flags, want->flags);
	same_number(title, "others", is->others, want->others);
	same_number(title, "asker_tgid", is->asker_tgid, want->asker);
	same_number(title, "ttl_ns", is->ttl_ns,
		    want->no_end ? UINT64_MAX : (uint64_t)want->ttl_s * 1000000000);
	same_resolver(title, &is->resolver, want);
}

void names_expect_at(const char *title, size_t index, const struct names_want *want)
{
	const struct names_of *of = &names_seen[index];
	const struct agentsh_ebpf_event *e = &live_seen.list[index];
	char text[200];

	LIVE_CHECK(index < live_seen.count, "%s: no such event, of %zu", title, live_seen.count);
	snprintf(text, sizeof(text), "%s: %s", title, agentsh_ebpf_kind_name(e->kind));
	if (!want->asked && !want->server_name) {
		LIVE_CHECK(!e->name_id && of->name_ret == -2 /* -ENOENT */,
			   "%s has the name \"%s\", server name \"%s\"", text, of->name.asked,
			   of->name.server_name);
		return;
	}
	LIVE_CHECK(e->name_id, "%s has no name, expected \"%s\"", text,
		   want->asked ? want->asked : want->server_name);
	LIVE_CHECK(!of->name_ret, "%s: agentsh_ebpf_event_name: %d", text, of->name_ret);
	names_same(text, &of->name, want);
	if (!want->answered_ns) {
		same_number(text, "age_ns", of->name.age_ns, 0);
		return;
	}
	LIVE_CHECK(of->name.age_ns && of->name.age_ns <= e->timestamp_ns - want->answered_ns,
		   "%s: age_ns is %llu, and the question was %llu ns before", text,
		   (unsigned long long)of->name.age_ns,
		   (unsigned long long)(e->timestamp_ns - want->answered_ns));
}

void names_expect_tcp(uint64_t session_id, const char *title, const struct names_visit *visit,
		      const struct names_want *want)
{
	static const uint32_t kinds[] = {AGENTSH_EBPF_EVENT_CONNECT, AGENTSH_EBPF_EVENT_CONNECTED,
					 AGENTSH_EBPF_EVENT_CLOSED};
	size_t count = 0, at;

	for (size_t i = 0; i < LIVE_COUNT(kinds); i++) {
		at = names_find(session_id, kinds[i], visit->tcp_cookie, 0);
		LIVE_CHECK(at < live_seen.count, "%s: no %s, of %zu events", title,
			   agentsh_ebpf_kind_name(kinds[i]), live_seen.count);
		names_expect_at(title, at, want);
	}
	for (size_t i = 0; i < live_seen.count; i++)
		count += live_seen.list[i].session_id == session_id &&
			 live_seen.list[i].socket_cookie == visit->tcp_cookie;
	LIVE_CHECK(count == LIVE_COUNT(kinds), "%s: %zu events of the connection", title, count);
}

void names_expect_in(uint64_t session_id, const char *title, const struct names_visit *visit,
		     const struct names_want *want)
{
	size_t at;

	names_expect_tcp(session_id, title, visit, want);
	at = names_find(session_id, AGENTSH_EBPF_EVENT_UDP_SEND, visit->udp_cookie, 0);
	LIVE_CHECK(at < live_seen.count, "%s: no UDP_SEND", title);
	names_expect_at(title, at, want);
	at = names_find(session_id, AGENTSH_EBPF_EVENT_CLOSED, visit->udp_cookie, 0);
	if (at < live_seen.count)
		names_expect_at(title, at, want);
}

void names_expect(const char *title, const struct names_visit *visit, const struct names_want *want)
{
	names_expect_in(NAMES_SESSION, title, visit, want);
}
