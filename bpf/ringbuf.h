/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Copies finished records into the ring buffer, and counts lost ones. */
#ifndef AGENTSH_RINGBUF_H
#define AGENTSH_RINGBUF_H

#include "maps.h"
#include "record.h"

/*
 * Whether the session may not add a record. A session that holds its quota is refused
 * only while the whole ring holds at least one quota; until then there is space for every
 * session.
 */
static __always_inline int quota_used_up(const struct agentsh_slot *slot, __u64 in_ring)
{
	__u64 quota = agentsh_settings.quota_bytes;

	return in_ring >= quota && (__s64)(*(volatile __u64 *)&slot->produced -
					   *(volatile __u64 *)&slot->consumed) >= (__s64)quota;
}

/*
 * The flags for the submission of a record that is reserved already. The reader checks
 * for reservations before it sleeps, so the flag must be read after the reservation:
 * docs/ARCHITECTURE.md shows that no wake-up is lost. Above the watermark one record wakes
 * the reader (or a few, on several CPUs at once), and no other does until the reader has
 * drained the ring, because a wake-up costs more than the rest of the program.
 */
static __always_inline __u64 wakeup_flags(__u64 in_ring)
{
	struct agentsh_control *control;
	__u32 zero = 0;

	control = bpf_map_lookup_elem(&agentsh_control, &zero);
	if (!control || !*(volatile __u32 *)&control->suppress_wakeup)
		return 0;
	if (in_ring < agentsh_settings.wakeup_watermark || *(volatile __u32 *)&control->wakeup_sent)
		return BPF_RB_NO_WAKEUP;
	*(volatile __u32 *)&control->wakeup_sent = 1;
	return BPF_RB_FORCE_WAKEUP;
}

/*
 * Kernel 6.10 (fc7566ad0a82) added these functions, which need BTF. If the kernel lacks
 * them, their address is 0, and the verifier removes the calls.
 */
#ifdef AGENTSH_KFUNCS
extern void bpf_preempt_disable(void) __ksym __weak;
extern void bpf_preempt_enable(void) __ksym __weak;
#endif

static __always_inline void preemption_off(void)
{
#ifdef AGENTSH_KFUNCS
	if (bpf_preempt_disable)
		bpf_preempt_disable();
#endif
}

static __always_inline void preemption_on(void)
{
#ifdef AGENTSH_KFUNCS
	if (bpf_preempt_disable)
		bpf_preempt_enable();
#endif
}

/*
 * Returns whether the ring had space. A reservation that is not submitted yet blocks all
 * later records, also those of other sessions. The record is therefore filled before it
 * gets here, and where the kernel allows it, the thread keeps its CPU until it has
 * submitted the record.
 */
static __always_inline int ringbuf_copy(struct agentsh_slot *slot,
					const struct agentsh_session_state *session,
					const struct agentsh_record *rec, const __u64 size,
					__u64 in_ring, __u64 judgement)
{
	const int judged = size == sizeof(struct agentsh_record_judged);
	const __u64 bytes = AGENTSH_RING_BYTES(size);
	struct agentsh_record *to;

	preemption_off();
	to = bpf_ringbuf_reserve(&agentsh_ring, size, 0);
	if (to) {
		__builtin_memcpy(to, rec, judged ? sizeof(*rec) : size);
		if (judged)
			SET_WORD(((struct agentsh_record_judged *)to)->verdict,
				 word_of((__u8)judgement, judgement >> 32));
		to->session_lost = *(volatile __u64 *)&slot->lost - session->lost_base;
		__sync_fetch_and_add(&slot->produced, bytes);
		bpf_ringbuf_submit(to, wakeup_flags(in_ring + bytes));
	}
	preemption_on();
	return to != NULL;
}

/*
 * Writes the record to the ring, or counts it as lost. Returns whether it was written. A record of
 * the size of agentsh_record_judged gets its last word, the judgement, on the way.
 */
static __always_inline int ringbuf_write_judged(struct agentsh_slot *slot,
						const struct agentsh_session_state *session,
						const struct agentsh_record *rec, const __u64 size,
						__u64 judgement)
{
	__u64 in_ring = bpf_ringbuf_query(&agentsh_ring, BPF_RB_AVAIL_DATA);

	if (quota_used_up(slot, in_ring))
		__sync_fetch_and_add(&slot->lost_quota, 1);
	else if (ringbuf_copy(slot, session, rec, size, in_ring, judgement))
		return 1;
	__sync_fetch_and_add(&slot->lost, 1);
	return 0;
}

static __always_inline int ringbuf_write(struct agentsh_slot *slot,
					 const struct agentsh_session_state *session,
					 const struct agentsh_record *rec, const __u64 size)
{
	return ringbuf_write_judged(slot, session, rec, size, 0);
}

#endif
