/* SPDX-License-Identifier: Apache-2.0 */
/* Which of the names of an address is taken. */
#ifndef AGENTSH_NAMES_CHOOSE_H
#define AGENTSH_NAMES_CHOOSE_H

#include <stdbool.h>
#include <stdint.h>

#include <agentsh/ebpf.h>

struct agentsh_ebpf_event;
struct agentsh_name_address;
struct agentsh_name_node;
struct agentsh_name_table;
struct agentsh_name_view;

/*
 * The name of an address for a process: what this process asked for last, else the seed, else
 * what another process asked for last. Sets *others to the number of further names.
 */
struct agentsh_name_node *agentsh_choose(const struct agentsh_name_address *address,
					 const struct agentsh_ebpf_event *event, uint32_t *others);
/*
 * The nth name of an address for no process in particular. Returns the number of different names;
 * *node is NULL if that is not more than nth.
 */
uint32_t agentsh_choose_nth(const struct agentsh_name_address *address, uint32_t nth,
			    struct agentsh_name_node **node);
/*
 * Finds the name of an event, in ring order. Keeps the names of a connection from its connect()
 * to its end. Returns false if the event has no name. The view has no references of its own.
 */
bool agentsh_choose_for_event(struct agentsh_name_table *table,
			      const struct agentsh_ebpf_event *event,
			      struct agentsh_name_view *view);

#endif
