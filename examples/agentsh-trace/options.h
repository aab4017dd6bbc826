/* SPDX-License-Identifier: Apache-2.0 */
/* The command line and the environment. */
#ifndef OPTIONS_H
#define OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

enum ebpf_mode { EBPF_OFF, EBPF_AUTO, EBPF_REQUIRED };

struct options {
	enum ebpf_mode ebpf;
	bool ebpf_given; /* if not, AGENTSH_EBPF applies */
	bool probe;
	bool json;
	bool summary; /* no events, only the summary by destination */
	bool no_proc; /* leave out what only /proc shows */
	bool udp_no_dedup;
	bool displace;	      /* attach even if another program no longer runs then */
	uint32_t event_types; /* the set to show, see event_types.h */
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
