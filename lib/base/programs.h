/* SPDX-License-Identifier: Apache-2.0 */
/* The table of kernel programs, and the programs that a tracer has loaded. */
#ifndef AGENTSH_BASE_PROGRAMS_H
#define AGENTSH_BASE_PROGRAMS_H

#include <stdbool.h>
#include <stdint.h>

#include "rules/pool.h"

/* Number of kernel programs in the table. */
#define AGENTSH_PROGRAM_COUNT 13

struct agentsh_program_desc {
	uint32_t wanted_by;	 /* AGENTSH_EBPF_HOOK_ bits: loaded for any of these */
	uint32_t needed_by;	 /* AGENTSH_EBPF_HOOK_ bits: these do not work without it */
	uint32_t check;		 /* AGENTSH_EBPF_CHECK_ */
	uint32_t attach_type;	 /* enum bpf_attach_type */
	const char *program;	 /* name in the object */
	const char *state_map;	 /* name in the object of this program's cgroup storage */
	const char *attach_name; /* as in the kernel's documentation */
};

extern const struct agentsh_program_desc agentsh_program_descs[AGENTSH_PROGRAM_COUNT];

/* A loaded program of a tracer. */
struct agentsh_program {
	const struct agentsh_program_desc *desc;
	uint32_t id; /* of the program in the kernel */
	int fd;
	int state_fd; /* the cgroup storage that the program reads */
};

/* The programs that a tracer has loaded. */
struct agentsh_programs {
	struct agentsh_program list[AGENTSH_PROGRAM_COUNT];
	uint32_t count;
	uint32_t hooks;			   /* AGENTSH_EBPF_HOOK_ bits that work */
	int errors[AGENTSH_PROGRAM_COUNT]; /* errno by row of the table; 0: loaded, or not wanted */
	int state_fd;	 /* cgroup storage that all programs share; -1: each has its own */
	int sockets_fd;	 /* table of sockets; -1: no hook fills it */
	int progress_fd; /* program that reports the progress of one socket; -1: none */
	int listed_fd;	 /* table of the addresses that are listed for rules; -1: none */
	bool set_retval; /* a refused call can fail with ECONNREFUSED */
	struct agentsh_rules_pool rules;
};

#endif
