/* SPDX-License-Identifier: Apache-2.0 */
/* Sets of rules, and which sessions use them. All of it is protected by the tracer's lock. */
#ifndef AGENTSH_TRACER_RULES_H
#define AGENTSH_TRACER_RULES_H

#include <agentsh/ebpf.h>

#include "rules/build.h"
#include "rules/listed.h"

struct agentsh_session;

struct agentsh_ebpf_rules {
	struct agentsh_rules_table table; /* the first member: see rules.c */
	struct agentsh_ebpf_tracer *tracer;
	struct agentsh_ebpf_rules *next;
	uint32_t first;	      /* number of the first node in the pool; in synthetic mode 0 */
	uint32_t users;	      /* sessions */
	uint32_t flags;	      /* AGENTSH_EBPF_RULES_ bits */
	bool seen;	      /* a session used it, so a program may read it */
	bool spare;	      /* the nodes belong to agentsh_ebpf_tracer.spare_rules */
	uint32_t *listed_ids; /* rules that match listed addresses only */
	size_t listed_ids_count;
	struct agentsh_rules_list list;
};

/* Whether a session of the tracer can have these rules. Returns 0 or a negative errno value. */
int agentsh_rules_fit(const struct agentsh_ebpf_tracer *tracer,
		      const struct agentsh_ebpf_rules *rules, struct agentsh_ebpf_error *err);
/* Gives the session these rules, or none if rules is NULL. */
void agentsh_rules_use(struct agentsh_session *session, struct agentsh_ebpf_rules *rules);
/* Takes all listed addresses of a set from the programs. Returns 0 or a negative errno value. */
int agentsh_rules_unlist_all(struct agentsh_ebpf_rules *rules);
/*
 * Makes the sets without rules that stand in for sets for which memory is short. Returns 0 or a
 * negative errno value.
 */
int agentsh_rules_spare_init(struct agentsh_ebpf_tracer *tracer, struct agentsh_ebpf_error *err);
/* Frees all sets of a tracer that has no session. */
void agentsh_rules_free_all(struct agentsh_ebpf_tracer *tracer);

#endif
