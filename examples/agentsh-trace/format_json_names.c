/* SPDX-License-Identifier: Apache-2.0 */
#include "format_json_names.h"

#include <string.h>
#include <sys/socket.h>

#include "address.h"
#include "dns_words.h"
#include "json.h"

#define COUNT(array) (sizeof(array) / sizeof(*(array)))
#define NS_PER_S 1000000000U

/* By the bits of AGENTSH_EBPF_NAME_FLAG_. */
static const char *const name_flags[] = {"shared", "expired", "other_process", "unasked",
					 "cut",	   "outer",   "differs"};
/* By the bits of AGENTSH_EBPF_DNS_FLAG_. */
static const char *const dns_flags[] = {"tcp", "truncated", "cut", "unasked", "untrusted"};

/* The time to live is unknown or without end: null. */
static void append_ttl(struct text *t, const char *member, const struct agentsh_ebpf_name *name)
{
	json_if_known(t, member, name->ttl_ns / NS_PER_S, name->ttl_ns != UINT64_MAX);
}

static void append_text(struct text *t, const char *member, const char *value, size_t size)
{
	const size_t n = strnlen(value, size);

	if (n)
		json_string(t, member, value, n);
	else
		json_word(t, member, NULL);
}

/* "192.0.2.53:53", "[2001:db8::53]:53", or null */
static void append_resolver(struct text *t, const struct agentsh_ebpf_address *resolver)
{
	char ip[ADDRESS_MAX];

	if (!*address_text(resolver->family, resolver->addr, ip)) {
		json_word(t, "dst_name_resolver", NULL);
		return;
	}
	text_format(t, ",\"dst_name_resolver\":\"%s%s%s:%u\"",
		    resolver->family == AF_INET6 ? "[" : "", ip,
		    resolver->family == AF_INET6 ? "]" : "", resolver->port);
}

/* Where the name is from, of which all members are about the name that was asked for. */
static void append_origin(struct text *t, const struct agentsh_ebpf_name *name)
{
	json_word(t, "dst_name_source", agentsh_ebpf_name_source_name(name->source));
	append_text(t, "dst_name_owner", name->owner, sizeof(name->owner));
	json_number(t, "dst_name_shared", name->others);
	json_number(t, "dst_name_tgid", name->asker_tgid);
	json_number(t, "dst_name_age_ns", name->age_ns);
	append_ttl(t, "dst_name_ttl_s", name);
	append_resolver(t, &name->resolver);
}

static void append_server_name(struct text *t, const struct agentsh_ebpf_name *name)
{
	json_word(t, "server_name_source", agentsh_ebpf_name_source_name(name->server_name_source));
	append_text(t, "alpn", name->alpn, sizeof(name->alpn));
}

static void append_destination(struct text *t, const struct agentsh_ebpf_name *name)
{
	const bool asked = name && name->source != AGENTSH_EBPF_NAME_NONE;
	const bool server = name && name->server_name_source != AGENTSH_EBPF_NAME_NONE;

	if (asked) {
		append_text(t, "dst_name", name->asked, sizeof(name->asked));
		append_origin(t, name);
	} else {
		json_word(t, "dst_name", NULL);
	}
	if (server) {
		append_text(t, "server_name", name->server_name, sizeof(name->server_name));
		append_server_name(t, name);
	} else {
		json_word(t, "server_name", NULL);
	}
	if (asked || server)
		json_words(t, "dst_name_flags", name->flags, name_flags, COUNT(name_flags));
}

static void append_addresses(struct text *t, const struct names *names)
{
	char ip[ADDRESS_MAX];

	text_string(t, ",\"dns_addresses\":[");
	for (size_t i = 0; i < names->listed; i++)
		text_format(t, "%s\"%s\"", i ? "," : "",
			    address_text(names->list[i].family, names->list[i].addr, ip));
	text_string(t, "]");
}

static void append_dns(struct text *t, const struct agentsh_ebpf_event *event,
		       const struct names *names)
{
	const struct agentsh_ebpf_name *name = names && names->named ? &names->name : NULL;
	const bool known = names && names->has_dns;
	char word[DNS_WORD_MAX];

	append_text(t, "dns_name", name ? name->asked : "", sizeof(name->asked));
	json_word(t, "dns_type", known ? dns_type_word(names->dns.question_type, word) : NULL);
	json_words(t, "dns_flags", known ? names->dns.flags : 0, dns_flags, COUNT(dns_flags));
	if (event->kind != AGENTSH_EBPF_EVENT_DNS_ANSWER)
		return;
	json_word(t, "dns_rcode", known ? dns_rcode_word(names->dns.rcode, word) : NULL);
	append_text(t, "dns_owner", name ? name->owner : "", sizeof(name->owner));
	if (name)
		append_ttl(t, "dns_ttl_s", name);
	else
		json_word(t, "dns_ttl_s", NULL);
	if (known)
		append_addresses(t, names);
	else
		json_word(t, "dns_addresses", NULL);
}

void format_json_names(struct text *t, const struct agentsh_ebpf_event *event,
		       const struct names *names)
{
	const struct agentsh_ebpf_name *name = names && names->named ? &names->name : NULL;

	if (names_of_dns(event))
		append_dns(t, event, names);
	else if (event->kind == AGENTSH_EBPF_EVENT_SOCKET_DENIED)
		return; /* it has no destination */
	else if (event->kind == AGENTSH_EBPF_EVENT_UNIX_CONNECT)
		append_text(t, "dst_path", name ? name->asked : "", sizeof(name->asked));
	else if (names)
		append_destination(t, name);
}
