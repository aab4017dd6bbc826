/* SPDX-License-Identifier: Apache-2.0 */
#include "tracer/progress.h"

#include <stdint.h>

#include <bpf/bpf.h>

#include "record.h"
#include "sock_key.h"
#include "tracer/sockets.h"
#include "tracer/tracer.h"

/* The most sockets at once; the rest follows after the events that are in the ring. */
#define PORTION_MAX 512

/* The kernel takes the first bytes for an Ethernet header, and the program sees the rest. */
struct packet {
	uint8_t ethernet[14];
	struct agentsh_sock_key key;
} __attribute__((packed));

/*
 * The program asks the socket itself whether there was any traffic. s is NULL for the
 * sockets of all sessions.
 */
static void report(const struct agentsh_ebpf_tracer *t, const struct agentsh_session *s,
		   const struct agentsh_sock_key *key)
{
	struct packet packet = {.key = *key};
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = &packet, .data_size_in = sizeof(packet));

	if (key->session & AGENTSH_KEY_LISTENER || !agentsh_sock_key_is_attached(t, key) ||
	    (s && key->session >> AGENTSH_KEY_SLOT_SHIFT != s->state.slot))
		return;
	bpf_prog_test_run_opts(t->programs.progress_fd, &opts);
}

int agentsh_progress_before_attach(struct agentsh_ebpf_tracer *t)
{
	struct agentsh_look_timer *timer = &t->ring.progress_timer;

	return timer->interval_ns && !t->session_count
		       ? agentsh_look_timer_set(timer, timer->interval_ns)
		       : 0;
}

void agentsh_progress_end(struct agentsh_ebpf_tracer *t)
{
	if (t->ring.progress_timer.interval_ns && !t->session_count)
		agentsh_look_timer_set(&t->ring.progress_timer, 0);
}

void agentsh_progress_at_detach(const struct agentsh_session *s)
{
	const struct agentsh_ebpf_tracer *t = s->tracer;

	if (t->programs.progress_fd >= 0 &&
	    agentsh_counter(&t->ring.slots.counters[s->state.slot].sockets))
		agentsh_sockets_each(t, s, report);
}

/*
 * How many sockets may be reported at once. The reader, which would make room in the ring, is the
 * caller, and one wait of it may report two portions; so half of a session's quota is left to its
 * other events. The caller holds the lock meanwhile, too.
 */
static uint64_t portion(const struct agentsh_ebpf_tracer *t)
{
	uint64_t records =
		t->ring.quota_bytes / 4 / AGENTSH_RECORD_RING_BYTES(struct agentsh_record_outcome);

	return records > PORTION_MAX ? PORTION_MAX : records ? records : 1;
}

/* Reports the next portion. Returns whether there is more. */
static bool report_portion(struct agentsh_ebpf_tracer *t)
{
	struct agentsh_sock_key key;

	if (!t->progress.left)
		agentsh_sockets_walk(t, &t->progress);
	for (uint64_t left = portion(t); left && agentsh_sockets_step(t, &t->progress, &key);
	     left--)
		report(t, NULL, &key);
	return t->progress.left;
}

void agentsh_progress(void *ctx)
{
	struct agentsh_ebpf_tracer *t = ctx;

	pthread_mutex_lock(&t->lock);
	/* the reader takes these events out of the ring before the rest has its turn */
	if (t->session_count)
		agentsh_look_timer_set(&t->ring.progress_timer,
				       report_portion(t) ? 1 : t->ring.progress_timer.interval_ns);
	pthread_mutex_unlock(&t->lock);
}
