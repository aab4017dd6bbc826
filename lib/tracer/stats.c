/* SPDX-License-Identifier: Apache-2.0 */
#include "tracer/stats.h"

#include <errno.h>

#include "base/result.h"
#include "tracer/tracer.h"

void agentsh_stats_add(struct agentsh_ebpf_stats *to, const struct agentsh_ring *ring,
		       uint32_t number)
{
	const struct agentsh_slot *slot = &ring->slots.counters[number];

	to->delivered += agentsh_counter(&slot->delivered);
	to->lost += agentsh_counter(&slot->lost);
	to->lost_quota += agentsh_counter(&slot->lost_quota);
	to->deduplicated += agentsh_counter(&slot->deduplicated);
	to->untracked += agentsh_counter(&slot->untracked);
	to->packets_lost += agentsh_counter(&slot->packets_lost);
	to->allowed += agentsh_counter(&slot->allowed);
	to->denied += agentsh_counter(&slot->denied);
	to->would_deny += agentsh_counter(&slot->would_deny);
	to->packets_denied += agentsh_counter(&slot->packets_denied);
	to->packets_would_deny += agentsh_counter(&slot->packets_would_deny);
	agentsh_names_stats(&ring->names, number, to);
}

int agentsh_ebpf_tracer_stats(const struct agentsh_ebpf_tracer *t, struct agentsh_ebpf_stats *out)
{
	struct agentsh_ebpf_stats stats = {0};
	uint32_t used;

	if (!t || !out)
		return -EFAULT;
	if (out->size < sizeof(out->size))
		return -EINVAL;
	used = t->ring.slots.used;
	for (uint32_t i = 0; i < used; i++)
		agentsh_stats_add(&stats, &t->ring, i);
	stats.sessions = t->session_count;
	/* the slots do not count an event that is delivered after its session was detached */
	stats.delivered = atomic_load_explicit(&t->ring.delivered, memory_order_relaxed);
	stats.attach_failures = atomic_load_explicit(&t->attach_failures, memory_order_relaxed);
	stats.malformed = atomic_load_explicit(&t->ring.malformed, memory_order_relaxed);
	agentsh_copy_result(out, &stats, sizeof(stats));
	return 0;
}

static void session_stats(const struct agentsh_session *s, struct agentsh_ebpf_stats *stats)
{
	agentsh_stats_add(stats, &s->tracer->ring, s->state.slot);
	stats->delivered -= s->base.delivered;
	stats->lost -= s->base.lost;
	stats->lost_quota -= s->base.lost_quota;
	stats->deduplicated -= s->base.deduplicated;
	stats->untracked -= s->base.untracked;
	stats->packets_lost -= s->base.packets_lost;
	stats->answers -= s->base.answers;
	stats->answers_unasked -= s->base.answers_unasked;
	stats->answers_untrusted -= s->base.answers_untrusted;
	stats->answers_malformed -= s->base.answers_malformed;
	stats->messages_skipped -= s->base.messages_skipped;
	stats->names_evicted -= s->base.names_evicted;
	stats->allowed -= s->base.allowed;
	stats->denied -= s->base.denied;
	stats->would_deny -= s->base.would_deny;
	stats->packets_denied -= s->base.packets_denied;
	stats->packets_would_deny -= s->base.packets_would_deny;
}

int agentsh_ebpf_session_stats(const struct agentsh_ebpf_session *handle,
			       struct agentsh_ebpf_stats *out)
{
	struct agentsh_ebpf_stats stats = {.sessions = 1};
	const struct agentsh_session *s;

	if (!handle || !out)
		return -EFAULT;
	if (out->size < sizeof(out->size))
		return -EINVAL;
	s = agentsh_handle_lock(handle);
	if (s)
		session_stats(s, &stats);
	agentsh_handle_unlock(handle);
	if (!s)
		return -EINVAL;
	agentsh_copy_result(out, &stats, sizeof(stats));
	return 0;
}
