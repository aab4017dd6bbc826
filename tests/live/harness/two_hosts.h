/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two network namespaces with a link between them, whose MTU is 1500. The caller is in the near
 * one, and can make sockets in the far one.
 */
#ifndef TWO_HOSTS_H
#define TWO_HOSTS_H

#include "counted.h"

#define NEAR4 "10.99.0.1"
#define FAR4 "10.99.0.2"
#define BROADCAST4 "10.99.0.255"
#define NEAR6 "fd99::1"
#define FAR6 "fd99::2"
#define NEAR_LINK "near0"
#define FAR_LINK "far0"

/*
 * Makes both namespaces, outside the caller's cgroup: the kernel itself makes sockets in a new
 * one. Returns false and gives the reason if the kernel has no such links.
 */
bool two_hosts(struct counted *c, const struct live_cgroup *cgroup);
void two_hosts_enter(bool far);

/* Makes the link lose packets at random that arrive here, 1 of this many. */
void two_hosts_lose(bool far, uint32_t one_of);
/* A UDP socket in either namespace that is bound to this address, and whose address *at is. */
int two_hosts_bound(struct counted *c, const char *name, const char *address,
		    struct connection_address *at);

#endif
