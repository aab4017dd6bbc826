/* SPDX-License-Identifier: Apache-2.0 */
#ifndef OPTIONS_H
#define OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

enum ebpf_wish { EBPF_OFF, EBPF_AUTO, EBPF_REQUIRED };

struct options {
	enum ebpf_wish ebpf;
	bool ebpf_given; /* else the environment may say */
	bool probe;
	bool json;
	bool udp_no_dedup;
	uint32_t kinds; /* of events to show: kinds.h */
	uint64_t session_id;
	uint64_t simulate_missing; /* AGENTSH_EBPF_CHECK_ bits */
	const char *cgroup;	   /* an existing one to trace; NULL: run command */
	const char *cgroup_parent;
	const char *output; /* NULL: stderr */
	char **command;
};

/* True: go on. False: end with *status, what there is to say is said. */
bool options_parse(struct options *options, int argc, char **argv, int *status);

#endif
