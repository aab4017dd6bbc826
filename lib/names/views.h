/* SPDX-License-Identifier: Apache-2.0 */
/* The names of the events of one poll or read, which stay until the next one begins. */
#ifndef AGENTSH_NAMES_VIEWS_H
#define AGENTSH_NAMES_VIEWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <agentsh/ebpf.h>

struct agentsh_name_node;

/* What a DNS event is about. */
struct agentsh_name_dns {
	struct agentsh_ebpf_dns about;
	struct agentsh_ebpf_address addresses[]; /* about.addresses of them */
};

/* The name of one event, with what was true when it happened. */
struct agentsh_name_view {
	struct agentsh_name_node *node;	  /* or NULL */
	struct agentsh_name_node *server; /* or NULL */
	struct agentsh_name_dns *dns;	  /* or NULL */
	uint64_t age_ns;
	uint32_t flags;
	uint32_t others;
};

struct agentsh_name_views {
	uint64_t first; /* number of list[0] */
	size_t count;
	size_t room;
	struct agentsh_name_view *list;
};

/* Refers to node and server, which are set, and sets age and flags for this event. */
void agentsh_view_take(struct agentsh_name_view *view, const struct agentsh_ebpf_event *event);
/* Sets age and flags for this time and the process of the event; NULL: no process in particular. */
void agentsh_view_date(struct agentsh_name_view *view, uint64_t now_ns,
		       const struct agentsh_ebpf_event *event);
/* Lets go of what the view refers to. */
void agentsh_view_release(struct agentsh_name_view *view);
/* Fills in all but size. */
void agentsh_view_copy(const struct agentsh_name_view *view, struct agentsh_ebpf_name *out);

/*
 * Keeps a view, which now belongs to the list, and returns its number; or releases it and
 * returns 0 if memory is short.
 */
uint64_t agentsh_views_add(struct agentsh_name_views *views, struct agentsh_name_view *view);
/* NULL: not kept any more. */
const struct agentsh_name_view *agentsh_views_find(const struct agentsh_name_views *views,
						   uint64_t id);
/* Releases all views. */
void agentsh_views_clear(struct agentsh_name_views *views);
void agentsh_views_free(struct agentsh_name_views *views);

#endif
