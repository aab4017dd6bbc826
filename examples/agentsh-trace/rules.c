/* SPDX-License-Identifier: Apache-2.0 */
#include "rules.h"

#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "warn.h"

#define NS_PER_S UINT64_C(1000000000)
/* Programs use an answer for longer than a short time to live says. */
#define LISTED_NS_MIN (60 * NS_PER_S)

/* Answers of these kinds are forged, or from before the trace. */
#define REFUSED (AGENTSH_EBPF_DNS_FLAG_UNASKED | AGENTSH_EBPF_DNS_FLAG_UNTRUSTED)

void rules_resolve(struct rules *rules, const struct options *options)
{
	const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};

	rules->options = options;
	for (uint32_t i = 0; i < options->rules_given; i++)
		if (*options->rules[i].host &&
		    getaddrinfo(options->rules[i].host, NULL, &hints, &rules->start[i]))
			rules->start[i] = NULL; /* the answers that COMMAND gets may know more */
}

static const void *address_of(const struct addrinfo *found)
{
	if (found->ai_family == AF_INET)
		return &((const struct sockaddr_in *)(const void *)found->ai_addr)->sin_addr;
	if (found->ai_family == AF_INET6)
		return &((const struct sockaddr_in6 *)(const void *)found->ai_addr)->sin6_addr;
	return NULL;
}

/* Lists the addresses that the hosts had at the start, whose time to live is not known. */
static int list_start(struct rules *rules)
{
	for (uint32_t i = 0; i < rules->options->rules_given; i++) {
		for (const struct addrinfo *at = rules->start[i]; at; at = at->ai_next) {
			const void *address = address_of(at);
			int ret =
				address ? agentsh_ebpf_rules_address(
						  rules->set, rules->options->rules[i].rule.rule_id,
						  (uint16_t)at->ai_family, address, UINT64_MAX)
					: 0;

			if (ret)
				return ret;
		}
	}
	return 0;
}

int rules_create(struct rules *rules, struct agentsh_ebpf_tracer *tracer,
		 struct agentsh_ebpf_error *err)
{
	const struct options *options = rules->options;
	struct agentsh_ebpf_rules_options opts = {
		.size = sizeof(opts),
		.flags = options->rules_flags,
		.default_action = options->default_action,
	};
	struct agentsh_ebpf_rule list[OPTIONS_RULES_MAX];
	int ret;

	for (uint32_t i = 0; i < options->rules_given; i++)
		list[i] = options->rules[i].rule;
	ret = agentsh_ebpf_rules_create(tracer, list, options->rules_given, &opts, &rules->set,
					err);
	if (ret)
		return ret;
	ret = list_start(rules);
	if (ret) {
		err->code = ret;
		err->step = AGENTSH_EBPF_STEP_RULES;
		strcpy(err->message, "cannot list the addresses of the hosts in the rules");
	}
	return ret;
}

/* An address from the start must not get an end. */
static bool known_at_start(const struct rules *rules, uint32_t rule,
			   const struct agentsh_ebpf_address *address)
{
	const size_t n = address->family == AF_INET ? 4 : 16;

	for (const struct addrinfo *at = rules->start[rule]; at; at = at->ai_next)
		if (at->ai_family == address->family && address_of(at) &&
		    !memcmp(address_of(at), address->addr, n))
			return true;
	return false;
}

static void list_answer(struct rules *rules, uint32_t rule, uint64_t expires_ns)
{
	const struct names *names = &rules->names;

	for (size_t i = 0; i < names->listed; i++) {
		if (known_at_start(rules, rule, &names->list[i]) ||
		    !agentsh_ebpf_rules_address(
			    rules->set, rules->options->rules[rule].rule.rule_id,
			    names->list[i].family, names->list[i].addr, expires_ns))
			continue;
		if (!rules->warned)
			warn_user("cannot list all addresses of %s for the rules",
				  rules->options->rules[rule].host);
		rules->warned = true;
	}
}

void rules_answer(struct rules *rules, const struct agentsh_ebpf_tracer *tracer,
		  const struct agentsh_ebpf_event *event)
{
	const struct options *options = rules->options;
	const struct names *names = &rules->names;
	uint64_t ttl_ns;

	if (!rules->set || event->kind != AGENTSH_EBPF_EVENT_DNS_ANSWER)
		return;
	names_read(&rules->names, tracer, event, true);
	if (!names->named || !names->has_dns || names->dns.flags & REFUSED)
		return;
	ttl_ns = names->name.ttl_ns > LISTED_NS_MIN ? names->name.ttl_ns : LISTED_NS_MIN;
	if (ttl_ns > UINT64_MAX - event->timestamp_ns) /* without end */
		ttl_ns = UINT64_MAX - event->timestamp_ns;
	for (uint32_t i = 0; i < options->rules_given; i++)
		if (*options->rules[i].host && !strcmp(options->rules[i].host, names->name.asked))
			list_answer(rules, i, event->timestamp_ns + ttl_ns);
}

void rules_close(struct rules *rules)
{
	for (uint32_t i = 0; i < OPTIONS_RULES_MAX; i++) {
		if (rules->start[i])
			freeaddrinfo(rules->start[i]);
		rules->start[i] = NULL;
	}
	rules->set = NULL;
}
