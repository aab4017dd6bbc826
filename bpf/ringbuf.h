/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Reserves space in the ring buffer, counts lost records, and submits finished ones. */
#ifndef AGENTSH_RINGBUF_H
#define AGENTSH_RINGBUF_H

#include "maps.h"
#include "record.h"

/* The space of a record that is being written. */
struct reservation {
	void *rec;    /* NULL: the reservation was refused */
	__u64 before; /* bytes in the ring before this reservation */
	__u64 size;
};

/*
 * Reserves the space for one record, or counts the record as lost. A session that holds
 * its quota is refused only while the whole ring holds at least one quota; until then
 * there is space for every session.
 */
static __always_inline struct reservation ringbuf_reserve(struct agentsh_slot *slot,
							  const __u64 size)
{
	struct reservation reservation = {
		.before = bpf_ringbuf_query(&agentsh_ring, BPF_RB_AVAIL_DATA),
		.size = AGENTSH_RING_BYTES(size),
	};
	__u64 quota = agentsh_settings.quota_bytes;

	if (reservation.before >= quota) {
		__s64 held =
			*(volatile __u64 *)&slot->produced - *(volatile __u64 *)&slot->consumed;

		if (held >= (__s64)quota) {
			__sync_fetch_and_add(&slot->lost_quota, 1);
			__sync_fetch_and_add(&slot->lost, 1);
			return reservation;
		}
	}

	reservation.rec = bpf_ringbuf_reserve(&agentsh_ring, size, 0);
	if (reservation.rec)
		__sync_fetch_and_add(&slot->produced, reservation.size);
	else
		__sync_fetch_and_add(&slot->lost, 1);
	return reservation;
}

static __always_inline struct reservation record_reserve(struct agentsh_slot *slot)
{
	return ringbuf_reserve(slot, sizeof(struct agentsh_record));
}

/*
 * The flag is read after the reservation, which the reader checks for before it sleeps:
 * docs/ARCHITECTURE.md shows that no wake-up is lost. Above the watermark one record wakes
 * the reader (or a few, on several CPUs at once), and no other does until the reader has
 * drained the ring, because a wake-up costs more than the rest of the program.
 */
static __always_inline void ringbuf_submit(const struct reservation *reservation)
{
	struct agentsh_control *control;
	__u64 flags = 0;
	__u32 zero = 0;

	control = bpf_map_lookup_elem(&agentsh_control, &zero);
	if (control && *(volatile __u32 *)&control->suppress_wakeup) {
		flags = BPF_RB_NO_WAKEUP;
		if (reservation->before + reservation->size >= agentsh_settings.wakeup_watermark &&
		    !*(volatile __u32 *)&control->wakeup_sent) {
			*(volatile __u32 *)&control->wakeup_sent = 1;
			flags = BPF_RB_FORCE_WAKEUP;
		}
	}
	bpf_ringbuf_submit(reservation->rec, flags);
}

#endif
