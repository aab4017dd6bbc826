/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the rules that the host has set for a session say of a call. */
#ifndef AGENTSH_RULES_H
#define AGENTSH_RULES_H

#include "record_fill.h"
#include "rules_listed.h"
#include "rules_table.h"
#include "source_route.h"

/* The nodes of all sets of rules. Node 0 is unused: no set begins there. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1); /* the library sets the real size */
	__type(key, __u32);
	__type(value, struct agentsh_rules_node);
} agentsh_rules SEC(".maps");

/* Until when an address is listed for a rule, in ns of CLOCK_BOOTTIME. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1); /* the library sets the real size */
	__type(key, struct agentsh_rules_listed);
	__type(value, __u64);
} agentsh_listed SEC(".maps");

#define RULES_SET __u32 /* the number of its first node */

static __always_inline const void *rules_node(__u32 set, __u32 number)
{
	__u64 key = word_of(set + number, 0); /* the first half is the key: see words.h */

	return bpf_map_lookup_elem(&agentsh_rules, &key);
}

static __always_inline __u64 rules_listed(__u32 set, __u32 rule_id,
					  const struct agentsh_rules_key *key, __u64 past)
{
	struct agentsh_rules_listed listed;
	const __u64 *until_ns;

	SET_WORD(listed.set, word_of(set, rule_id));
	listed.high = key->high;
	listed.low = key->low;
	until_ns = bpf_map_lookup_elem(&agentsh_listed, &listed);
	return until_ns ? *until_ns : past;
}

/* Keeps the argument: callers would leave the register of an unused one without a value. */
static __always_inline __u64 rules_now(__u64 unused)
{
	__asm__ volatile("" : : "r"(unused));
	return bpf_ktime_get_boot_ns();
}

#include "rules_search.h"

static __always_inline __u32 class_and_port(const struct fields *f)
{
	__u32 protocol = f->protocol;

	if (protocol == PROTOCOL_TCP || protocol == PROTOCOL_MPTCP)
		return AGENTSH_RULES_TCP << AGENTSH_RULES_CLASS_SHIFT | f->remote_port;
	if (protocol == PROTOCOL_UDP || protocol == PROTOCOL_UDPLITE)
		return AGENTSH_RULES_UDP << AGENTSH_RULES_CLASS_SHIFT | f->remote_port;
	return AGENTSH_RULES_OTHER << AGENTSH_RULES_CLASS_SHIFT;
}

/* Beside the verdict. */
#define BY_DEFAULT 0x100 /* no rule matches */
#define DIRECT 0x200	 /* the socket has no source route */
#define REFUSED 0x400	 /* a denied call fails with ECONNREFUSED */
#define REFUSED_SHIFT 23 /* from AGENTSH_SLOT_REFUSE */
#define AUDIT_SHIFT 32	 /* from AGENTSH_SLOT_AUDIT to 1 */

static __always_inline __u64 judgement_of(__u64 verdict, __u32 rule_id)
{
	return verdict | (__u64)rule_id << 32;
}

/* By arithmetic: the verifier would check what follows for each verdict that it knows. */
static __always_inline __u64 judgement_denied(__u64 rules, __u32 rule_id)
{
	__u64 audit = (rules & AGENTSH_SLOT_AUDIT) >> AUDIT_SHIFT;

	_Static_assert(AGENTSH_VERDICT_DENIED + 1 == AGENTSH_VERDICT_WOULD_DENY, "one more");
	RULES_OPAQUE(audit);
	return judgement_of(AGENTSH_VERDICT_DENIED + audit, rule_id) |
	       (rules & AGENTSH_SLOT_REFUSE) >> REFUSED_SHIFT;
}

static __always_inline __u8 verdict_of(__u64 judgement)
{
	return (__u8)judgement;
}

/*
 * The verdict on a call to this address, and shifted by 32 bits the number of the rule. rules is
 * slot->rules, and not 0. A function of its own, because it is long.
 */
RULES_FUNCTION __u64 rules_decide(__u64 rules, __u64 high, __u64 low, __u32 class_and_port)
{
	struct agentsh_rules_key key = {high, low};
	struct agentsh_rules_entry entry;

	if (rules_find((__u32)rules, &key, class_and_port, 0, &entry)) {
		entry.next = AGENTSH_RULES_DENY; /* the map is damaged */
		entry.rule_id = 0;
	}
	if (!(entry.next & AGENTSH_RULES_DENY))
		return judgement_of(AGENTSH_VERDICT_ALLOWED, entry.rule_id);
	return judgement_denied(rules, entry.rule_id) |
	       (entry.next & AGENTSH_RULES_DEFAULT ? BY_DEFAULT : 0);
}

static __always_inline __u64 rules_judge(__u64 rules, const struct fields *f)
{
	if (f->family == AF_INET)
		return rules_decide(rules, 0,
				    (__u64)AGENTSH_RULES_IPV4 << 32 | bpf_ntohl(f->remote[0]),
				    class_and_port(f));
	return rules_decide(rules, (__u64)bpf_ntohl(f->remote[0]) << 32 | bpf_ntohl(f->remote[1]),
			    (__u64)bpf_ntohl(f->remote[2]) << 32 | bpf_ntohl(f->remote[3]),
			    class_and_port(f));
}

static __always_inline int is_allowed(__u64 judgement)
{
	return verdict_of(judgement) == AGENTSH_VERDICT_ALLOWED;
}

/*
 * The verdict on 0.0.0.0 or ::, whose address f has as far as it is known. The process can choose
 * an interface, or bind to an address that the kernel does not use here, so the loopback address is
 * judged, too, and rules may deny 0.0.0.0 itself.
 */
static __always_inline __u64 rules_judge_unspecified(__u64 rules, struct fields *f)
{
	__u64 judgement = rules_judge(rules, f), itself;

	if (is_allowed(judgement) && f->family == AF_INET && f->remote[0] != LOOPBACK4) {
		f->remote[0] = LOOPBACK4;
		judgement = rules_judge(rules, f);
	}
	if (!is_allowed(judgement))
		return judgement;
	set_addr4(f->remote, 0);
	itself = rules_judge(rules, f);
	return is_allowed(itself) || itself & BY_DEFAULT ? judgement : itself;
}

/*
 * The verdict on the address that the process has named, and on the first hop of a source route.
 * The process may remove the route later.
 */
static __always_inline __u64 rules_judge_all(__u64 rules, struct fields *f,
					     struct bpf_sock_addr *ctx)
{
	__u64 judgement = f->flags & AGENTSH_FLAG_UNSPECIFIED ? rules_judge_unspecified(rules, f)
							      : rules_judge(rules, f);

	if (!is_allowed(judgement))
		return judgement;
	source_route_of_caller(f, ctx);
	return f->flags & AGENTSH_FLAG_SOURCE_ROUTED ? rules_judge(rules, f) : judgement | DIRECT;
}

/*
 * What the programs know of the remote end, for the rules. The programs look at it once more when
 * they report the call: in one function, the search and the record would not fit on the stack.
 */
static __always_inline void fields_for_rules(struct fields *f, struct bpf_sock_addr *ctx)
{
	f->flags = 0;
	f->protocol = ctx->protocol; /* MPTCP counts as TCP */
	f->remote_port = bpf_ntohs((__u16)ctx->user_port);
}

/* Most calls name an address, so that nothing else has to be found out. */
static __always_inline int rules_named4(struct fields *f, struct bpf_sock_addr *ctx)
{
	f->family = AF_INET;
	f->remote[0] = ctx->user_ip4;
	return f->remote[0] != 0;
}

/*
 * The rules in force; 0: none. The library replaces all of slot->rules at once, so each call is
 * judged by one whole set. A program that began before its session was detached may find that
 * another session has the slot.
 */
static __always_inline __u64 rules_of(const struct agentsh_slot *slot,
				      const struct agentsh_session_state *session)
{
	__u64 rules;

	if (!agentsh_settings.rules)
		return 0;
	/* first: the library gives the slot to another session before it writes that one's rules */
	rules = *(volatile __u64 *)&slot->rules;
	return *(volatile __u32 *)&slot->generation == session->generation ? rules : 0;
}

/* Nothing, but each number makes it another thing, which the compiler does not merge. */
#define RULES_OWN_POINTER(pointer, n) __asm__ volatile("" : "+r"(pointer) : "i"(n))

/*
 * Adds to one of three counters. Each has a pointer of its own, because the verifier refuses to add
 * a number that depends on data to a pointer, unless the library has CAP_PERFMON.
 */
static __always_inline void rules_count(struct agentsh_slot *slot, __u64 judgement)
{
	__u8 verdict = verdict_of(judgement);
	__u64 *counter;

	if (verdict == AGENTSH_VERDICT_ALLOWED) {
		counter = &slot->allowed;
		RULES_OWN_POINTER(counter, 0);
	} else if (verdict == AGENTSH_VERDICT_DENIED) {
		counter = &slot->denied;
		RULES_OWN_POINTER(counter, 1);
	} else {
		counter = &slot->would_deny;
		RULES_OWN_POINTER(counter, 2);
	}
	__sync_fetch_and_add(counter, 1);
}

static __always_inline int is_denied(__u64 judgement)
{
	return verdict_of(judgement) == AGENTSH_VERDICT_DENIED;
}

/* Whether the host does not want a record of the call. */
static __always_inline int is_silent(__u64 judgement)
{
	return agentsh_settings.denials_only && verdict_of(judgement) < AGENTSH_VERDICT_DENIED;
}

/* Writes the record of a call. Returns whether it was written. */
static __always_inline int rules_write(struct agentsh_slot *slot,
				       const struct agentsh_session_state *session,
				       const struct agentsh_record *rec, __u64 judgement)
{
	if (agentsh_settings.rules)
		return ringbuf_write_judged(slot, session, rec,
					    sizeof(struct agentsh_record_judged), judgement);
	return ringbuf_write(slot, session, rec, sizeof(*rec));
}

typedef __u64 judge_fn(struct bpf_sock_addr *ctx, __u64 rules);
typedef void report_fn(struct bpf_sock_addr *ctx, const struct agentsh_session_state *session,
		       struct agentsh_slot *slot, __u64 judgement);

/*
 * A program that judges and reports a call. Both functions have a part of the stack of their own,
 * one after the other, because together they would not fit.
 */
static __always_inline int judge_and_report(struct bpf_sock_addr *ctx,
					    const struct agentsh_session_state *session,
					    judge_fn *judge, report_fn *report)
{
	struct agentsh_slot *slot = session_slot(session);
	__u64 rules, judgement = 0;

	if (!slot)
		return 1;
	rules = rules_of(slot, session);
	/* if the verifier knew it, it would check the rest for each value in turn */
	if (agentsh_settings.rules)
		judgement = *(volatile __u64 *)&slot->unjudged;
	if (rules) {
		judgement = judge(ctx, rules);
		rules_count(slot, judgement);
	}
	if (!is_silent(judgement))
		report(ctx, session, slot, judgement);
	if (!is_denied(judgement))
		return 1;
	/* not by the flag in rules: kernel 6.1 takes rules for 0 here, and drops the branch */
	if (judgement & REFUSED)
		bpf_set_retval(-ECONNREFUSED);
	return 0;
}

#endif
