/* SPDX-License-Identifier: Apache-2.0 */
/* Names of the network interfaces in the network namespace of this process. */
#ifndef INTERFACES_H
#define INTERFACES_H

#include <net/if.h>
#include <stdint.h>

struct agentsh_ebpf_event;

struct interfaces {
	int fd;		       /* -1: no names */
	uint64_t netns_cookie; /* of the network namespace */
};

void interfaces_open(struct interfaces *interfaces);

/*
 * The name of the interface event->ifindex. NULL: unknown, for example because the event is
 * from another network namespace, where the same index stands for another interface.
 */
const char *interfaces_name(const struct interfaces *interfaces,
			    const struct agentsh_ebpf_event *event, char name[IF_NAMESIZE]);

#endif
