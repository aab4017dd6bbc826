/* SPDX-License-Identifier: Apache-2.0 */
/* The names that a tracer knows, and those of the events that it has delivered. */
#ifndef AGENTSH_NAMES_NAMES_H
#define AGENTSH_NAMES_NAMES_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <agentsh/ebpf.h>

#include "names/hash.h"
#include "names/list.h"
#include "names/table.h"
#include "names/views.h"

struct agentsh_packet;
struct agentsh_question;

/* Counters of a slot, which do not decrease, even if several sessions use the slot in turn. */
enum {
	AGENTSH_NAMES_ANSWERS,
	AGENTSH_NAMES_UNASKED,
	AGENTSH_NAMES_UNTRUSTED,
	AGENTSH_NAMES_MALFORMED,
	AGENTSH_NAMES_SKIPPED,
	AGENTSH_NAMES_EVICTED,
	AGENTSH_NAMES_COUNTERS
};

struct agentsh_names_slot {
	struct agentsh_name_table *tables; /* of the session that has the slot, and earlier ones */
	_Atomic uint64_t counters[AGENTSH_NAMES_COUNTERS];
};

struct agentsh_names {
	_Atomic bool active;  /* there may be a name; else no event is looked at */
	uint32_t max;	      /* slots */
	uint32_t hooks;	      /* AGENTSH_EBPF_HOOK_ */
	bool dns_events;      /* the host wants DNS_QUERY and DNS_ANSWER */
	uint64_t timeout_ns;  /* of a question */
	pthread_mutex_t lock; /* protects all of the following; never held across a system call */
	_Atomic(struct agentsh_names_slot *) slots; /* NULL: no session had a table */
	struct agentsh_hash_key hash_key;
	struct agentsh_name_views views;
	struct agentsh_list questions; /* of all sessions, the oldest is the first */
	struct agentsh_list ready;     /* events that packets gave, see agentsh_names_next() */
	struct agentsh_name_table *ended;
	_Atomic bool any_ended;
};

int agentsh_names_init(struct agentsh_names *names, const struct agentsh_ebpf_tracer_options *opts);
void agentsh_names_free(struct agentsh_names *names);

/* ---- sessions --------------------------------------------------------------- */

/* Before the programs run. Returns 0 or -ENOMEM. */
int agentsh_names_attach(struct agentsh_names *names, const struct agentsh_names_session *session);
/*
 * After the programs have stopped. The names stay until the reader has passed position in the
 * ring, or go at once if the session has no unread records.
 */
void agentsh_names_detach(struct agentsh_names *names, struct agentsh_names_session *session,
			  bool unread, uint64_t position);
/* Adds the counters of a slot. Any thread, without a lock. */
void agentsh_names_stats(const struct agentsh_names *names, uint32_t slot,
			 struct agentsh_ebpf_stats *to);

/* ---- for the reader ------------------------------------------------------------ */

/* Begins a poll or read at a position of the ring: the names of earlier events go. */
void agentsh_names_begin(struct agentsh_names *names, uint64_t position);

/* Gives an event its name_id; it is 0 on entry. */
void agentsh_names_of_event(struct agentsh_names *names, uint32_t slot, uint32_t generation,
			    struct agentsh_ebpf_event *event);
static inline void agentsh_names_event(struct agentsh_names *names, uint32_t slot,
				       uint32_t generation, struct agentsh_ebpf_event *event)
{
	if (atomic_load_explicit(&names->active, memory_order_relaxed))
		agentsh_names_of_event(names, slot, generation, event);
}
/* Gives an event of an AF_UNIX socket its name_id. */
void agentsh_names_unix(struct agentsh_names *names, struct agentsh_ebpf_event *event,
			const struct agentsh_packet *path);
/* Takes what a packet says. event is what its record says. */
void agentsh_names_packet(struct agentsh_names *names, uint32_t slot, uint32_t generation,
			  const struct agentsh_ebpf_event *event,
			  const struct agentsh_packet *packet);

/* Takes the next event that packets gave, with its name_id. */
bool agentsh_names_next(struct agentsh_names *names, struct agentsh_ebpf_event *event,
			uint32_t *slot, uint32_t *generation);
/* Whether such an event is left. */
bool agentsh_names_has_next(struct agentsh_names *names);
/* Takes the next question that had no answer in time, as an event with its name_id. */
bool agentsh_names_unanswered(struct agentsh_names *names, uint64_t now_ns,
			      struct agentsh_ebpf_event *event,
			      struct agentsh_names_session *session);
/* CLOCK_BOOTTIME of the next question that has no answer in time; 0: there is no question. */
uint64_t agentsh_names_deadline(struct agentsh_names *names);

/* ---- for the files of this folder; the caller holds the lock --------------------------- */

struct agentsh_name_table *agentsh_names_table(const struct agentsh_names *names, uint32_t slot,
					       uint32_t generation);
/* Finds or makes the table of a session; NULL: out of memory. */
struct agentsh_name_table *agentsh_names_make(struct agentsh_names *names,
					      const struct agentsh_names_session *session);
/* Raises a counter, unless the session has ended and its slot may be another session's. */
void agentsh_names_count(struct agentsh_names *names, const struct agentsh_name_table *table,
			 int counter, uint64_t by);
/* Adds to the counter what the table had to drop. */
void agentsh_names_count_evicted(struct agentsh_names *names, struct agentsh_name_table *table);
/* Puts a question, which is about to be forgotten, in line as one without an answer. */
void agentsh_names_put_question(struct agentsh_names *names,
				const struct agentsh_question *question);
/* Puts an event with its view in line for agentsh_names_next(). */
void agentsh_names_put(struct agentsh_names *names, const struct agentsh_name_table *table,
		       const struct agentsh_ebpf_event *event, struct agentsh_name_view *view);

#endif
