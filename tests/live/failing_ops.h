/* SPDX-License-Identifier: Apache-2.0 */
/* The public functions that test_failing.c calls, and the state that each one needs. */
#ifndef FAILING_OPS_H
#define FAILING_OPS_H

#include "live.h"

struct host {
	struct agentsh_ebpf_tracer *tracer;
	struct agentsh_ebpf_session *session;
	struct agentsh_ebpf_error err;
	struct agentsh_ebpf_event events[4];
	int socket;
	unsigned int seen;
};

struct op {
	const char *name;
	int (*run)(struct host *h);
	unsigned int opened, attached, events; /* state before the call */
	bool must_not_fail;
	bool has_error;	     /* fills err */
	uint32_t more_hooks; /* of the tracer: only where they matter, because they take time */
};

extern const struct op ops[];
extern const size_t op_count;
enum { OP_OPEN = 1, OP_ATTACH = 2 }; /* in ops */

extern struct live_cgroup op_cgroup; /* of this process */
extern bool op_synthetic;
extern bool op_without_btf;
extern uint32_t op_more_hooks;

int op_open(struct host *h);
int op_attach(struct host *h);
int op_detach(struct host *h);
int op_close(struct host *h);

#endif
