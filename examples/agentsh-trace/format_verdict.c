/* SPDX-License-Identifier: Apache-2.0 */
#include "format_verdict.h"

#include <inttypes.h>

#include <agentsh/ebpf.h>

#include "colour.h"
#include "options.h"
#include "verdict.h"

static void append_rule(struct text *t, const struct format_text_style *style, uint32_t id)
{
	if (!id)
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
		append_rule(t, style, event->rule_id);
		colour(t, style, PLAIN);
	} else if (event->verdict == AGENTSH_EBPF_VERDICT_WOULD_DENY) {
		colour(t, style, YELLOW);
		text_string(t, " (would deny: ");
		append_rule(t, style, event->rule_id);
		text_string(t, ")");
		colour(t, style, PLAIN);
	}
}
