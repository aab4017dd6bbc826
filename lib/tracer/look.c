/* SPDX-License-Identifier: Apache-2.0 */
#include "tracer/look.h"

#include "base/clock.h"
#include "ring/deliver.h"
#include "tracer/check.h"
#include "tracer/tracer.h"

/*
 * The most sessions per look, so that a look does not delay the events. With more sessions the
 * looks are closer together, and each session still has its turn once per interval.
 */
#define SESSIONS_PER_LOOK 32

static uint64_t delay_with(const struct agentsh_ebpf_tracer *t, uint32_t sessions)
{
	uint32_t looks = (sessions + SESSIONS_PER_LOOK - 1) / SESSIONS_PER_LOOK;

	return t->ring.look_timer.interval_ns / (looks ? looks : 1);
}

/* The number of looks per interval grows with every 32nd session. */
int agentsh_look_before_attach(struct agentsh_ebpf_tracer *t)
{
	struct agentsh_look_timer *timer = &t->ring.look_timer;
	uint64_t delay = delay_with(t, t->session_count + 1);

	if (!timer->interval_ns || t->session_count % SESSIONS_PER_LOOK)
		return 0;
	if (atomic_load_explicit(&timer->due_ns, memory_order_relaxed) <=
	    agentsh_clock_ns(CLOCK_MONOTONIC) + delay)
		return 0;
	return agentsh_look_timer_set(timer, delay);
}

void agentsh_look_before_detach(const struct agentsh_session *s)
{
	if (s->tracer->look_next == s)
		s->tracer->look_next = s->next;
}

/* Without sessions no timer wakes the host. */
void agentsh_look_end(struct agentsh_ebpf_tracer *t)
{
	if (t->ring.look_timer.interval_ns && !t->session_count)
		agentsh_look_timer_set(&t->ring.look_timer, 0);
}

/* The next session in turn; NULL: none is attached. */
static struct agentsh_session *next_session(struct agentsh_ebpf_tracer *t)
{
	struct agentsh_session *s = t->look_next ? t->look_next : t->sessions;

	t->look_next = s ? s->next : NULL;
	return s;
}

/* A look that fails has found nothing: the session has its next turn an interval later. */
static bool is_newly_blind(struct agentsh_session *s, struct agentsh_ebpf_session_check *check)
{
	if (s->blind || agentsh_session_check(s, check) || !check->error)
		return false;
	s->blind = true;
	return true;
}

static void fill_event(const struct agentsh_session *s,
		       const struct agentsh_ebpf_session_check *check,
		       struct agentsh_ebpf_event *event)
{
	const struct agentsh_slot *slot = &s->tracer->ring.slots.counters[s->state.slot];

	*event = (struct agentsh_ebpf_event){
		.kind = AGENTSH_EBPF_EVENT_SESSION_BLIND,
		.timestamp_ns = agentsh_clock_ns(CLOCK_BOOTTIME),
		.session_id = s->state.session_id,
		.session_lost = agentsh_counter(&slot->lost) - s->base.lost,
		.cgroup_id = s->cgroup_id,
		.error = check->error,
	};
}

/*
 * Looks at one session. The callback of the host runs without the lock, because it may attach and
 * detach.
 */
static void look_at_next(struct agentsh_ebpf_tracer *t)
{
	struct agentsh_ebpf_session_check check;
	struct agentsh_session_state state;
	struct agentsh_ebpf_event event;
	struct agentsh_session *s;
	bool blind;

	pthread_mutex_lock(&t->lock);
	s = next_session(t);
	blind = s && is_newly_blind(s, &check);
	if (blind) {
		fill_event(s, &check, &event);
		state = s->state;
	}
	pthread_mutex_unlock(&t->lock);
	if (blind)
		agentsh_deliver_notice(&t->ring, &state, &event);
}

void agentsh_look(void *ctx)
{
	struct agentsh_ebpf_tracer *t = ctx;
	uint32_t left = t->session_count;

	if (left > SESSIONS_PER_LOOK)
		left = SESSIONS_PER_LOOK;
	for (; left && !t->ring.batch->full; left--)
		look_at_next(t);
	pthread_mutex_lock(&t->lock);
	/* if the host wants no more events now, the rest has its turn in the next poll or read */
	if (t->session_count)
		agentsh_look_timer_set(&t->ring.look_timer,
				       left ? 1 : delay_with(t, t->session_count));
	pthread_mutex_unlock(&t->lock);
}
