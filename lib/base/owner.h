/* SPDX-License-Identifier: Apache-2.0 */
/* Tells the process that made an object from children that it has forked. */
#ifndef AGENTSH_BASE_OWNER_H
#define AGENTSH_BASE_OWNER_H

#include <stdbool.h>
#include <sys/types.h>

struct agentsh_ebpf_error;

struct agentsh_owner {
	unsigned char *is_owner; /* a page that the kernel clears in forked children; NULL: none */
	pid_t pid;
};

int agentsh_owner_init(struct agentsh_owner *owner);
void agentsh_owner_free(struct agentsh_owner *owner);
/* Whether the caller's memory is that of agentsh_owner_init(), and not a copy by fork(2). */
bool agentsh_owner_is_caller(const struct agentsh_owner *owner);
/* Returns 0, or -EPERM with a message in a forked child of the process that opened the tracer. */
int agentsh_owner_check(const struct agentsh_owner *owner, struct agentsh_ebpf_error *err);

#endif
