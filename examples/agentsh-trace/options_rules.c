/* SPDX-License-Identifier: Apache-2.0 */
#include "options_rules.h"

#include <string.h>

#include "warn.h"

#define HOOKS (AGENTSH_EBPF_HOOK_RULES | AGENTSH_EBPF_HOOK_CONNECT | AGENTSH_EBPF_HOOK_UDP)
/* The library provides DNS only together with LIFECYCLE. */
#define HOST_HOOKS (AGENTSH_EBPF_HOOK_LIFECYCLE | AGENTSH_EBPF_HOOK_DNS)

bool options_rules_add(struct options *o, uint16_t action, const char *text)
{
	const char *option = action == AGENTSH_EBPF_RULE_ALLOW ? "--allow" : "--deny";
	struct options_rule *r = &o->rules[o->rules_given];

	if (o->rules_given == OPTIONS_RULES_MAX) {
		warn_user("--allow and --deny are given more than %u times", OPTIONS_RULES_MAX);
		return false;
	}
	if (!rules_text_parse(text, &r->rule, r->host)) {
		warn_user("%s is '%s'; it must be an address, a prefix or a host name, with or "
			  "without ports and a protocol: 192.0.2.0/24, [2001:db8::/32]:443/tcp or "
			  "example.org:8000-8099",
			  option, text);
		return false;
	}
	r->option = option;
	r->text = text;
	r->rule.action = action;
	r->rule.rule_id = ++o->rules_given;
	return true;
}

bool options_default_parse(struct options *o, const char *text)
{
	o->default_action = !strcmp(text, "allow")  ? AGENTSH_EBPF_RULE_ALLOW
			    : !strcmp(text, "deny") ? AGENTSH_EBPF_RULE_DENY
						    : 0;
	if (o->default_action)
		return true;
	warn_user("--default is '%s'; it must be allow or deny", text);
	return false;
}

/* What the options ask of the set of rules. */
static const struct {
	uint32_t flag, hook;
	const char *option;
} flag_options[] = {
	{AGENTSH_EBPF_RULES_AUDIT, 0, "--audit"},
	{AGENTSH_EBPF_RULES_EGRESS, AGENTSH_EBPF_HOOK_EGRESS, "--egress"},
	{AGENTSH_EBPF_RULES_REFUSE, 0, "--refuse"},
	{AGENTSH_EBPF_RULES_STRICT_SOCKETS, AGENTSH_EBPF_HOOK_SOCK_CREATE, "--strict-sockets"},
};
#define FLAG_OPTIONS (sizeof(flag_options) / sizeof(flag_options[0]))

static bool denies(const struct options *o)
{
	for (uint32_t i = 0; i < o->rules_given; i++)
		if (o->rules[i].rule.action == AGENTSH_EBPF_RULE_DENY)
			return true;
	/* --default=allow tells that an operator wants to refuse nothing but sockets. */
	return o->default_action == AGENTSH_EBPF_RULE_DENY ||
	       (o->default_action && o->rules_flags & AGENTSH_EBPF_RULES_STRICT_SOCKETS);
}

/* An option that has no effect unless something is denied; NULL: none is given. */
static const char *option_for_denials(const struct options *o)
{
	/* An operator who gives --allow alone expects that the rest is denied. */
	if (o->rules_given)
		return "--allow";
	for (size_t i = 0; i < FLAG_OPTIONS; i++)
		if (o->rules_flags & flag_options[i].flag)
			return flag_options[i].option;
	return NULL;
}

bool options_rules_choose(struct options *o)
{
	if (!denies(o)) {
		const char *option = option_for_denials(o);

		if (!option)
			return true;
		warn_user("%s has no effect, because nothing is denied; give --deny or "
			  "--default=deny",
			  option);
		return false;
	}
	o->rules_hooks = HOOKS;
	for (uint32_t i = 0; i < o->rules_given; i++)
		if (*o->rules[i].host)
			o->rules_hooks |= HOST_HOOKS;
	for (size_t i = 0; i < FLAG_OPTIONS; i++)
		if (o->rules_flags & flag_options[i].flag)
			o->rules_hooks |= flag_options[i].hook;
	return true;
}

bool options_rules_check(const struct options *o)
{
	if (!o->rules_hooks || o->ebpf != EBPF_OFF || o->probe)
		return true;
	warn_user("without eBPF nothing enforces the rules; --ebpf or AGENTSH_EBPF is off");
	return false;
}
