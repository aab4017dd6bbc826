/* SPDX-License-Identifier: Apache-2.0 */
/* Ways to send and receive datagrams, each with the process's own counts. */
#ifndef TRAFFIC_WAYS_H
#define TRAFFIC_WAYS_H

#include "counted.h"

struct traffic_way {
	const char *name;
	void (*go)(struct counted *c); /* in a process of the session */
	bool two_hosts;		       /* in the near one of two network namespaces */
};

extern const struct traffic_way traffic_calls[], traffic_links[], traffic_failures[],
	traffic_shared[], traffic_protocols[];
extern const size_t traffic_calls_count, traffic_links_count, traffic_failures_count,
	traffic_shared_count, traffic_protocols_count;

/* The session's cgroup. */
extern struct live_cgroup traffic_cgroup;

#endif
