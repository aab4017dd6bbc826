/* SPDX-License-Identifier: Apache-2.0 */
#include "format_verdict.h"

#include <inttypes.h>
#include <sys/socket.h>

#include <agentsh/ebpf.h>

#include "colour.h"
#include "options.h"
#include "socket_words.h"
#include "verdict.h"

/* What denies: an option in its words, or the number of a rule that is not an option. */
static void append_rule(struct text *t, const struct format_text_style *style,
			const struct agentsh_ebpf_event *event)
{
	const uint32_t id = event->rule_id;

	if (event->kind == AGENTSH_EBPF_EVENT_SOCKET_DENIED)
		text_string(t, "--strict-sockets");
	else if (!id && style->default_allows) /* a packet that cannot be judged */
		text_string(t, "--egress");
	else if (!id)
		text_string(t, "--default=deny");
	else if (id <= style->rules_given)
		text_format(t, "%s %s", style->rules[id - 1].option, style->rules[id - 1].text);
	else
		text_format(t, "rule %" PRIu32, id);
}

void format_verdict(struct text *t, const struct format_text_style *style,
		    const struct agentsh_ebpf_event *event)
{
	if (verdict_is_denied(event)) {
		text_string(t, "  ");
		colour(t, style, RED);
		text_string(t, "denied: ");
		append_rule(t, style, event);
		colour(t, style, PLAIN);
	} else if (event->verdict == AGENTSH_EBPF_VERDICT_WOULD_DENY) {
		colour(t, style, YELLOW);
		text_string(t, " (would deny: ");
		append_rule(t, style, event);
		text_string(t, ")");
		colour(t, style, PLAIN);
	}
}

void format_verdict_socket(struct text *t, const struct format_text_style *style,
			   const struct agentsh_ebpf_event *event)
{
	colour(t, style, verdict_is_denied(event) ? RED : BOLD);
	text_format(t, "%s socket of %s", socket_word_type(event->socket_type),
		    event->family == AF_INET6 ? "IPv6" : "IPv4");
	colour(t, style, PLAIN);
	format_verdict(t, style, event);
}
