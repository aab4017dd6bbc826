/* SPDX-License-Identifier: Apache-2.0 */
/* A value of --allow or --deny is rejected, or becomes a rule that the library accepts. */
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "rules_text.h"

static void check_host(const char *host)
{
	const size_t n = strnlen(host, RULES_TEXT_HOST_MAX);

	FUZZ_CHECK(n && n < RULES_TEXT_HOST_MAX);
	FUZZ_CHECK(strspn(host, "abcdefghijklmnopqrstuvwxyz0123456789-_.") == n);
	FUZZ_CHECK(host[0] != '.' && host[n - 1] != '.' && !strstr(host, ".."));
}

static void check_rule(const struct agentsh_ebpf_rule *rule, const char *host)
{
	FUZZ_CHECK(!rule->rule_id && !rule->action && !rule->expires_boottime_ns &&
		   !rule->reserved);
	FUZZ_CHECK(rule->first_port <= rule->last_port);
	FUZZ_CHECK(!rule->first_port == !rule->last_port);
	FUZZ_CHECK(!rule->protocol || rule->protocol == IPPROTO_TCP ||
		   rule->protocol == IPPROTO_UDP);
	if (rule->family) {
		FUZZ_CHECK(rule->family == AF_INET || rule->family == AF_INET6);
		FUZZ_CHECK(rule->prefix_len <= (rule->family == AF_INET ? 32 : 128));
		FUZZ_CHECK(!rule->flags && !*host);
	} else {
		FUZZ_CHECK(!rule->prefix_len && rule->flags == AGENTSH_EBPF_RULE_LISTED);
		for (size_t i = 0; i < sizeof(rule->addr); i++)
			FUZZ_CHECK(!rule->addr[i]);
		check_host(host);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = {data, size};
	char *text = fuzz_string(&in), again[RULES_TEXT_HOST_MAX], host[RULES_TEXT_HOST_MAX];
	struct agentsh_ebpf_rule rule, same;

	if (rules_text_parse(text, &rule, host)) {
		check_rule(&rule, host);
		/* The name of a host stands for itself. */
		if (*host) {
			FUZZ_CHECK(rules_text_parse(host, &same, again));
			FUZZ_CHECK(!strcmp(host, again) && !same.family);
		}
	}
	free(text);
	return 0;
}
