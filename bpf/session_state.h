/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the kernel programs and the library share about a session: its state, in the cgroup
 * storage, and its slot, in a memory-mapped array of counters.
 */
#ifndef AGENTSH_SESSION_STATE_H
#define AGENTSH_SESSION_STATE_H

#include <linux/types.h>

/*
 * The value of a link's cgroup storage. The kernel replaces the whole value at once, so a
 * program sees all of it or none; generation 0 means that the session is not attached yet.
 */
struct agentsh_session_state {
	__u64 session_id;
	__u64 lost_base;
	__u32 slot;
	__u32 generation;
	__u32 max_sockets; /* of this session in the table of sockets */
	__u32 zero;
};

/*
 * The counters of one session in the memory-mapped array. They never decrease, even if
 * several sessions use the slot one after another. The programs and the library write to
 * different cache lines.
 */
struct agentsh_slot {
	/* written by the programs */
	__u64 lost;
	__u64 lost_quota;
	__u64 deduplicated;
	__u64 produced;
	__u64 sockets;		/* of this session in the table of sockets now */
	__u64 untracked;	/* how often a socket found no room there */
	__u64 packets_produced; /* bytes of packet records, which are part of produced */
	__u64 packets_lost;
	/* written by the library */
	__u64 consumed;
	__u64 delivered;
	__u32 generation;	/* generation of the session that has the slot; 0: none */
	__u32 seen_generation;	/* generation in the last record that was delivered */
	__u64 seen_lost;	/* highest session_lost among that generation's records */
	__u64 packets_consumed; /* bytes of packet records, which are part of consumed */
	/* the first node of the rules in force, and flags; 0: none. Always written at once */
	__u64 rules;
	__u64 unjudged; /* 0, which the verifier shall not know */
	__u64 pad_user;
	/* written by the programs: calls by their verdict */
	__u64 allowed;
	__u64 denied;
	__u64 would_deny;
	__u64 packets_denied;
	__u64 packets_would_deny;
	__u64 pad_programs[3];
};

/* Flags in rules. */
#define AGENTSH_SLOT_AUDIT (1ULL << 32)	 /* nothing is refused */
#define AGENTSH_SLOT_REFUSE (1ULL << 33) /* a denied call fails with ECONNREFUSED */
#define AGENTSH_SLOT_STRICT (1ULL << 34) /* only sockets that the rules can judge */
#define AGENTSH_SLOT_EGRESS (1ULL << 35) /* packets are judged, too */

_Static_assert(sizeof(struct agentsh_slot) == 192, "three cache lines");

#endif
