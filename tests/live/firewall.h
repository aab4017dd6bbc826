/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A program of somebody else that refuses network calls, attached to the cgroup above that of
 * a worker.
 */
#ifndef FIREWALL_H
#define FIREWALL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "live.h"

enum how { CONNECT, SEND, BIND, UNSEEN /* the return value of the program has no effect */ };

struct hook {
	uint32_t attach_type;
	uint32_t check;
	const char *name;
	enum how how;
	int domain;
};

/* Each attach type that the library uses. */
#define FIREWALL_HOOKS 8
extern const struct hook hooks[FIREWALL_HOOKS];
#define connect4 (&hooks[0])

extern struct live_cgroup above, inside;   /* inside is below above */
extern struct live_worker worker;	   /* in the cgroup inside */
extern uint32_t firewall;		   /* id of the last program attached */
extern uint32_t firewalls[FIREWALL_HOOKS]; /* the id by hook; 0: none */

/* Makes the cgroups and starts the worker. */
void firewall_begin(void);
/* Attaches the firewall with these flags of BPF_PROG_ATTACH. */
void raise_firewall(const struct live_cgroup *cgroup, const struct hook *hook, uint32_t flags);

/* Makes a call in the worker. */
void expect_refused(const struct hook *hook, bool refused, const char *when);
/* Compares the programs in effect for the cgroup inside. */
void expect_effective(const struct hook *hook, size_t count, bool has_firewall, const char *when);

/* A worker of its own that calls until the end, and fails if a call was allowed. */
void loop_start(struct live_worker *caller, const struct hook *hook);
void loop_end(struct live_worker *caller, const char *what);

/*
 * Makes the caller's cgroup the root of all that it sees: of a cgroup namespace, and of the only
 * mount of cgroup v2.
 */
void hide_above(void);
/* Does the same, and opens this root as the cgroup inside. */
void open_own_root(void);

#endif
