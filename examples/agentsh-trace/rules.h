/* SPDX-License-Identifier: Apache-2.0 */
/* The rules of the trace, and the addresses of the hosts in them. */
#ifndef RULES_H
#define RULES_H

#include <netdb.h>
#include <stdbool.h>

#include <agentsh/ebpf.h>

#include "names.h"
#include "options.h"

/* A zeroed struct has no rules. */
struct rules {
	const struct options *options;
	struct agentsh_ebpf_rules *set; /* owned by the tracer; NULL: no rules */
	bool warned;
	struct names names; /* of the answer that is being read */
	/* What the hosts had for addresses at the start, by rule; NULL: nothing */
	struct addrinfo *start[OPTIONS_RULES_MAX];
};

/* Asks the resolver of this process for the hosts, which may take seconds. */
void rules_resolve(struct rules *rules, const struct options *options);

/* Compiles the rules for this tracer. Returns a negative errno value on failure. */
int rules_create(struct rules *rules, struct agentsh_ebpf_tracer *tracer,
		 struct agentsh_ebpf_error *err);

/* Lists the addresses in a DNS answer; ignores any other event. */
void rules_answer(struct rules *rules, const struct agentsh_ebpf_tracer *tracer,
		  const struct agentsh_ebpf_event *event);

/* Releases what rules_resolve() found; the tracer frees the set. */
void rules_close(struct rules *rules);

#endif
