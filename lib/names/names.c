/* SPDX-License-Identifier: Apache-2.0 */
#include "names/names.h"

#include <errno.h>
#include <stdlib.h>

#include "names/choose.h"
#include "names/questions.h"

/* An event that waits for the host's array or callback. */
struct ready {
	struct agentsh_list list;
	uint32_t slot;
	uint32_t generation;
	struct agentsh_name_view view;
	struct agentsh_ebpf_event event;
};

int agentsh_names_init(struct agentsh_names *names, const struct agentsh_ebpf_tracer_options *opts)
{
	names->max = opts->max_sessions;
	names->hooks = opts->hooks;
	names->dns_events = opts->flags & AGENTSH_EBPF_OPEN_DNS_EVENTS;
	names->timeout_ns = (uint64_t)opts->dns_timeout_ms * 1000000;
	names->views.first = 1;
	agentsh_list_init(&names->questions);
	agentsh_list_init(&names->ready);
	return -pthread_mutex_init(&names->lock, NULL);
}

static struct agentsh_names_slot *slots_of(const struct agentsh_names *names)
{
	return atomic_load_explicit(&names->slots, memory_order_acquire);
}

void agentsh_names_free(struct agentsh_names *names)
{
	struct agentsh_names_slot *slots = slots_of(names);

	/*
	 * Without max agentsh_names_init() did not run. In a forked child the lock may be that of a
	 * thread of the parent, which was changing the lists.
	 */
	if (!names->max || pthread_mutex_trylock(&names->lock))
		return;
	while (!agentsh_list_is_empty(&names->ready)) {
		struct ready *ready = AGENTSH_CONTAINER(names->ready.next, struct ready, list);

		agentsh_list_remove(&ready->list);
		agentsh_view_release(&ready->view);
		free(ready);
	}
	agentsh_views_free(&names->views);
	for (uint32_t i = 0; slots && i < names->max; i++) {
		while (slots[i].tables) {
			struct agentsh_name_table *table = slots[i].tables;

			slots[i].tables = table->next;
			agentsh_table_free(table);
		}
	}
	free(slots);
	pthread_mutex_unlock(&names->lock);
	pthread_mutex_destroy(&names->lock);
}

/* ---- sessions --------------------------------------------------------------- */

struct agentsh_name_table *agentsh_names_table(const struct agentsh_names *names, uint32_t slot,
					       uint32_t generation)
{
	const struct agentsh_names_slot *slots = slots_of(names);
	struct agentsh_name_table *table = slots && slot < names->max ? slots[slot].tables : NULL;

	while (table && table->session.generation != generation)
		table = table->next;
	return table;
}

static int make_slots(struct agentsh_names *names)
{
	struct agentsh_names_slot *slots = calloc(names->max, sizeof(*slots));

	if (!slots)
		return -ENOMEM;
	agentsh_hash_key_init(&names->hash_key);
	atomic_store_explicit(&names->slots, slots, memory_order_release);
	return 0;
}

struct agentsh_name_table *agentsh_names_make(struct agentsh_names *names,
					      const struct agentsh_names_session *session)
{
	struct agentsh_name_table *table =
		agentsh_names_table(names, session->slot, session->generation);
	struct agentsh_names_slot *slot;

	if (table || (!slots_of(names) && make_slots(names)))
		return table;
	table = agentsh_table_new(session, &names->hash_key);
	if (table) {
		slot = &slots_of(names)[session->slot];
		table->next = slot->tables;
		slot->tables = table;
	}
	return table;
}

/* A tracer whose programs copy no packets makes a table with the first seed. */
int agentsh_names_attach(struct agentsh_names *names, const struct agentsh_names_session *session)
{
	int ret = 0;

	if (!(names->hooks & (AGENTSH_EBPF_HOOK_DNS | AGENTSH_EBPF_HOOK_SERVER_NAME)))
		return 0;
	pthread_mutex_lock(&names->lock);
	if (!agentsh_names_make(names, session))
		ret = -ENOMEM;
	pthread_mutex_unlock(&names->lock);
	return ret;
}

/* Takes a table out of its slot, and frees it. */
static void remove_table(struct agentsh_names *names, struct agentsh_name_table *table)
{
	struct agentsh_name_table **at = &slots_of(names)[table->session.slot].tables;

	while (*at != table)
		at = &(*at)->next;
	*at = table->next;
	agentsh_table_free(table);
}

void agentsh_names_detach(struct agentsh_names *names, struct agentsh_names_session *session,
			  bool unread, uint64_t position)
{
	struct agentsh_name_table *table;

	pthread_mutex_lock(&names->lock);
	session->ended = true;
	table = agentsh_names_table(names, session->slot, session->generation);
	if (table && unread) {
		agentsh_questions_end(table);
		table->ended = true;
		table->ended_at = position;
		table->next_ended = names->ended;
		names->ended = table;
		atomic_store_explicit(&names->any_ended, true, memory_order_relaxed);
	} else if (table) {
		remove_table(names, table);
	}
	pthread_mutex_unlock(&names->lock);
}

static void remove_ended(struct agentsh_names *names, uint64_t position)
{
	struct agentsh_name_table **at = &names->ended;

	while (*at) {
		struct agentsh_name_table *table = *at;

		/* positions have the size of a long, and overflow */
		if ((long)((unsigned long)position - (unsigned long)table->ended_at) < 0) {
			at = &table->next_ended;
			continue;
		}
		*at = table->next_ended;
		remove_table(names, table);
	}
	atomic_store_explicit(&names->any_ended, names->ended, memory_order_relaxed);
}

/* ---- counters ---------------------------------------------------------------- */

void agentsh_names_count(struct agentsh_names *names, const struct agentsh_name_table *table,
			 int counter, uint64_t by)
{
	if (!table->ended)
		atomic_fetch_add_explicit(&slots_of(names)[table->session.slot].counters[counter],
					  by, memory_order_relaxed);
}

void agentsh_names_count_evicted(struct agentsh_names *names, struct agentsh_name_table *table)
{
	if (table->evicted)
		agentsh_names_count(names, table, AGENTSH_NAMES_EVICTED, table->evicted);
	table->evicted = 0;
}

void agentsh_names_stats(const struct agentsh_names *names, uint32_t slot,
			 struct agentsh_ebpf_stats *to)
{
	const struct agentsh_names_slot *slots = slots_of(names);
	uint64_t values[AGENTSH_NAMES_COUNTERS];

	if (!slots)
		return;
	for (int i = 0; i < AGENTSH_NAMES_COUNTERS; i++)
		values[i] = atomic_load_explicit(&slots[slot].counters[i], memory_order_relaxed);
	to->answers += values[AGENTSH_NAMES_ANSWERS];
	to->answers_unasked += values[AGENTSH_NAMES_UNASKED];
	to->answers_untrusted += values[AGENTSH_NAMES_UNTRUSTED];
	to->answers_malformed += values[AGENTSH_NAMES_MALFORMED];
	to->messages_skipped += values[AGENTSH_NAMES_SKIPPED];
	to->names_evicted += values[AGENTSH_NAMES_EVICTED];
}

/* ---- for the reader ------------------------------------------------------------ */

/* Only the reader, which is the caller, changes the views and the events in line. */
void agentsh_names_begin(struct agentsh_names *names, uint64_t position)
{
	if (!names->views.count && !atomic_load_explicit(&names->any_ended, memory_order_relaxed))
		return;
	pthread_mutex_lock(&names->lock);
	agentsh_views_clear(&names->views);
	remove_ended(names, position);
	pthread_mutex_unlock(&names->lock);
}

/* Returns the name_id of a view; 0: out of memory. table may be NULL. */
static uint64_t show(struct agentsh_names *names, const struct agentsh_name_table *table,
		     struct agentsh_name_view *view)
{
	uint64_t id = agentsh_views_add(&names->views, view);

	if (!id && table)
		agentsh_names_count(names, table, AGENTSH_NAMES_SKIPPED, 1);
	return id;
}

void agentsh_names_of_event(struct agentsh_names *names, uint32_t slot, uint32_t generation,
			    struct agentsh_ebpf_event *event)
{
	struct agentsh_name_view view = {0};
	struct agentsh_name_table *table;

	pthread_mutex_lock(&names->lock);
	table = agentsh_names_table(names, slot, generation);
	if (table && (table->addresses.count || table->sockets.count || table->flows.count)) {
		if (agentsh_choose_for_event(table, event, &view))
			event->name_id = show(names, table, &view);
		agentsh_names_count_evicted(names, table);
	}
	pthread_mutex_unlock(&names->lock);
}

void agentsh_names_put(struct agentsh_names *names, const struct agentsh_name_table *table,
		       const struct agentsh_ebpf_event *event, struct agentsh_name_view *view)
{
	struct ready *ready = malloc(sizeof(*ready));

	if (!ready) {
		agentsh_names_count(names, table, AGENTSH_NAMES_SKIPPED, 1);
		agentsh_view_release(view);
		return;
	}
	ready->slot = table->session.slot;
	ready->generation = table->session.generation;
	ready->event = *event;
	ready->view = *view;
	agentsh_list_append(&names->ready, &ready->list);
}

bool agentsh_names_has_next(struct agentsh_names *names)
{
	return !agentsh_list_is_empty(&names->ready);
}

bool agentsh_names_next(struct agentsh_names *names, struct agentsh_ebpf_event *event,
			uint32_t *slot, uint32_t *generation)
{
	struct ready *ready;

	if (!agentsh_names_has_next(names))
		return false;
	ready = AGENTSH_CONTAINER(names->ready.next, struct ready, list);
	agentsh_list_remove(&ready->list);
	*event = ready->event;
	*slot = ready->slot;
	*generation = ready->generation;
	pthread_mutex_lock(&names->lock);
	event->name_id = show(names, agentsh_names_table(names, ready->slot, ready->generation),
			      &ready->view);
	pthread_mutex_unlock(&names->lock);
	free(ready);
	return true;
}
