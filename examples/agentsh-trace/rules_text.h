/* SPDX-License-Identifier: Apache-2.0 */
/* Parses the destination of one rule, as --allow and --deny take it. No I/O. */
#ifndef RULES_TEXT_H
#define RULES_TEXT_H

#include <stdbool.h>

#include <agentsh/ebpf.h>

/* A name of RFC 1035 as text, without the final dot, and NUL. */
#define RULES_TEXT_HOST_MAX 254

/*
 * Parses "CIDR|HOST[:PORT[-PORT]][/tcp|udp]"; an IPv6 prefix is in brackets if a port follows.
 * For a CIDR, host becomes "". For a HOST, host becomes its name in lower case without a final
 * dot, and the rule matches addresses that are listed for it. rule_id and action stay 0. Returns
 * false if the text is malformed; then the rule and host are undefined.
 */
bool rules_text_parse(const char *text, struct agentsh_ebpf_rule *rule,
		      char host[RULES_TEXT_HOST_MAX]);

#endif
