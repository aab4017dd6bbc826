/* SPDX-License-Identifier: Apache-2.0 */
/* Whether a link to a cgroup would keep a program of somebody else from running. */
#ifndef AGENTSH_CHECKS_DISPLACE_H
#define AGENTSH_CHECKS_DISPLACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Programs at one attach type that are compared before and after linking. */
#define AGENTSH_EFFECTIVE_MAX 256

enum agentsh_displaces {
	AGENTSH_DISPLACES_NOTHING,
	AGENTSH_DISPLACES_PROGRAM,
	/* The programs are attached to cgroups that this process does not see. */
	AGENTSH_DISPLACES_UNKNOWN
};

/* What a link to a cgroup at one attach type displaces. */
struct agentsh_displaced {
	enum agentsh_displaces answer;
	uint32_t program_id; /* the displaced program; if the answer is unknown, one candidate */
	uint32_t count;
	uint32_t before[AGENTSH_EFFECTIVE_MAX]; /* programs in effect without the link */
};

/*
 * Writes the ids of the programs in effect for the cgroup, at most max. Returns their
 * number, which may be larger, or a negative errno value.
 */
int agentsh_effective_programs(int cgroup_fd, uint32_t attach_type, uint32_t *ids, uint32_t max);

/* Finds out before linking. Returns 0 or a negative errno value. */
int agentsh_displaced_find(int cgroup_fd, uint32_t attach_type, struct agentsh_displaced *d);

/*
 * Turns an unknown answer into a known one after linking. Returns 0 or a negative errno
 * value.
 */
int agentsh_displaced_look(int cgroup_fd, uint32_t attach_type, struct agentsh_displaced *d);

/* Writes "program 12 (name)", or "program 12" if the kernel does not tell the name. */
void agentsh_program_describe(uint32_t program_id, char *text, size_t size);

#endif
