/* SPDX-License-Identifier: Apache-2.0 */
/* The command line and the environment. */
#ifndef OPTIONS_H
#define OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include <agentsh/ebpf.h>

#include "rules_text.h"

/* As many as the library takes. */
#define OPTIONS_DNS_PORTS_MAX 4
#define OPTIONS_RESOLVERS_MAX 4

#define OPTIONS_RULES_MAX 256

enum ebpf_mode { EBPF_OFF, EBPF_AUTO, EBPF_REQUIRED };

/* --allow or --deny */
struct options_rule {
	const char *option, *text; /* as given */
	struct agentsh_ebpf_rule rule;
	char host[RULES_TEXT_HOST_MAX]; /* "": the rule has a prefix */
};

struct options {
	enum ebpf_mode ebpf;
	bool ebpf_given; /* if not, AGENTSH_EBPF applies */
	bool probe;
	bool json;
	bool summary; /* no events, only the summary by destination */
	bool no_proc; /* leave out what only /proc shows */
	bool udp_no_dedup;
	bool displace;	      /* attach even if another program no longer runs then */
	bool names;	      /* show the names of destinations */
	uint32_t names_hooks; /* AGENTSH_EBPF_HOOK_ bits for names, which may be missing */
	uint32_t dns_ports_given, resolvers_given;
	uint16_t dns_ports[OPTIONS_DNS_PORTS_MAX];
	struct agentsh_ebpf_address resolvers[OPTIONS_RESOLVERS_MAX];
	struct options_rule rules[OPTIONS_RULES_MAX]; /* in the order given */
	uint32_t rules_given;
	uint32_t default_action; /* AGENTSH_EBPF_RULE_; 0: not given */
	uint32_t rules_flags;	 /* AGENTSH_EBPF_RULES_ bits */
	uint32_t rules_hooks;	 /* AGENTSH_EBPF_HOOK_ bits that the rules need; 0: no rules */
	uint32_t event_types;	 /* the set to show, see event_types.h */
	uint64_t session_id;
	uint64_t simulate_missing; /* AGENTSH_EBPF_CHECK_ bits */
	const char *cgroup;	   /* an existing cgroup to trace; NULL: run command */
	const char *cgroup_parent;
	const char *output; /* NULL: stderr */
	char **command;
};

/* Returns false if the program must exit with *status; the reason has been printed. */
bool options_parse(struct options *options, int argc, char **argv, int *status);

#endif
