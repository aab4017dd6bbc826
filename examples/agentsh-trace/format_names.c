/* SPDX-License-Identifier: Apache-2.0 */
#include "format_names.h"

#include <inttypes.h>
#include <string.h>

#include "address.h"
#include "colour.h"
#include "dns_words.h"
#include "endpoint.h"
#include "units.h"

/* Addresses of an answer that a row shows. */
#define ADDRESSES_SHOWN 4

void format_name(struct text *t, const struct format_text_style *style, const char *name)
{
	/* text_terminal() would escape the backslashes of the library again. */
	while (*name) {
		const size_t n = strcspn(name, "\\");

		text_terminal(t, name, n, style->utf8);
		name += n;
		if (*name) {
			text_string(t, "\\");
			name++;
		}
	}
}

static const char *layer_of(const struct agentsh_ebpf_name *name)
{
	return name->server_name_source == AGENTSH_EBPF_NAME_HTTP ? "HTTP" : "TLS";
}

/* Appends a note to a list of notes. */
static void append_note(struct text *t, bool *any, const char *note)
{
	text_string(t, *any ? ", " : " (");
	text_string(t, note);
	*any = true;
}

void format_names_notes(struct text *t, const struct format_text_style *style,
			const struct agentsh_ebpf_event *event,
			const struct agentsh_ebpf_name *name)
{
	const char *server = names_server(event, name);
	const bool asked = names_asked(event, name) != NULL;
	const bool shared = asked && name->flags & AGENTSH_EBPF_NAME_FLAG_SHARED && name->others;
	const bool expired =
		asked && style->addresses && name->flags & AGENTSH_EBPF_NAME_FLAG_EXPIRED;
	bool any = false;

	if (event->kind == AGENTSH_EBPF_EVENT_SERVER_NAME)
		server = NULL; /* it stands behind the destination */
	if (!shared && !expired && !server)
		return;
	colour(t, style, YELLOW);
	if (shared) {
		append_note(t, &any, "or ");
		text_format(t, "%" PRIu32 " other%s", name->others, plural(name->others));
	}
	if (expired)
		append_note(t, &any, "expired");
	if (server) {
		append_note(t, &any, layer_of(name));
		text_string(t, ": ");
		format_name(t, style, server);
		if (name->flags & AGENTSH_EBPF_NAME_FLAG_OUTER)
			text_string(t, " or encrypted");
	}
	text_string(t, ")");
	colour(t, style, PLAIN);
}

void format_names_question(struct text *t, const struct format_text_style *style,
			   const struct agentsh_ebpf_event *event, const struct names *names)
{
	char word[DNS_WORD_MAX];

	colour(t, style, BOLD);
	if (names && names->named)
		format_name(t, style, names->name.asked);
	else
		text_string(t, "-");
	colour(t, style, PLAIN);
	if (names && names->has_dns)
		text_format(t, " %s", dns_type_word(names->dns.question_type, word));
	colour(t, style, DIM);
	text_string(t, " at ");
	endpoint_remote(t, style, event);
	colour(t, style, PLAIN);
	if (!names || !names->has_dns || !(names->dns.flags & AGENTSH_EBPF_DNS_FLAG_UNTRUSTED))
		return;
	colour(t, style, YELLOW);
	text_string(t, " (untrusted)");
	colour(t, style, PLAIN);
}

void format_names_path(struct text *t, const struct format_text_style *style,
		       const struct agentsh_ebpf_name *name)
{
	if (name && *name->asked)
		format_name(t, style, name->asked);
	else
		text_string(t, "-");
}

static void append_addresses(struct text *t, const struct names *names)
{
	const size_t shown = names->listed < ADDRESSES_SHOWN ? names->listed : ADDRESSES_SHOWN;
	char ip[ADDRESS_MAX];

	for (size_t i = 0; i < shown; i++)
		text_format(t, "%s%s", i ? ", " : "",
			    address_text(names->list[i].family, names->list[i].addr, ip));
	if (names->dns.addresses > shown)
		text_format(t, "%s%" PRIu32 " more", shown ? " and " : "",
			    names->dns.addresses - (uint32_t)shown);
}

static bool is_address_type(uint16_t type)
{
	return type == 1 || type == 28; /* A, AAAA */
}

void format_names_answer(struct text *t, const struct format_text_style *style,
			 const struct agentsh_ebpf_event *event, const struct names *names)
{
	char word[DNS_WORD_MAX];

	if (event->kind == AGENTSH_EBPF_EVENT_DNS_QUERY) {
		colour(t, style, RED);
		text_string(t, "no answer");
		colour(t, style, PLAIN);
		return;
	}
	if (names && names->has_dns) {
		if (names->dns.rcode) {
			colour(t, style, RED);
			text_string(t, dns_rcode_word(names->dns.rcode, word));
			colour(t, style, PLAIN);
		} else if (names->dns.addresses) {
			append_addresses(t, names);
		} else if (names->dns.flags & AGENTSH_EBPF_DNS_FLAG_TRUNCATED) {
			text_string(t, "truncated");
		} else {
			text_string(t, is_address_type(names->dns.question_type) ? "no addresses"
										 : "answered");
		}
		text_string(t, " ");
	}
	units_duration(t, event->duration_ns);
}

void format_names_server(struct text *t, const struct format_text_style *style,
			 const struct agentsh_ebpf_name *name)
{
	if (!name || !*name->server_name)
		return;
	text_format(t, "  %s: ", layer_of(name));
	format_name(t, style, name->server_name);
	if (name->flags & AGENTSH_EBPF_NAME_FLAG_OUTER)
		text_string(t, " or encrypted");
	if (*name->alpn) {
		text_string(t, ", ");
		text_terminal(t, name->alpn, strnlen(name->alpn, sizeof(name->alpn)), style->utf8);
	}
}
