/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the rules say of a packet that a socket sends. The calls are judged by connect.bpf.c and
 * sendmsg.bpf.c; this is for packets without such a call: of raw sockets, of connections that are
 * older than the rules, and of sockets that have got a source route.
 */
#ifndef AGENTSH_RULES_EGRESS_H
#define AGENTSH_RULES_EGRESS_H

#include "accepted.h"
#include "destination.h"
#include "packet.h"
#include "rules.h"
#include "socket_of_packet.h"

#define ENDS (1ULL << 32) /* the packet ends before the word */

/*
 * The 32 bits at this offset, in host order, or ENDS. A global function, which the verifier checks
 * once, and not for each way to reach it.
 */
__noinline __u64 packet_word(struct __sk_buff *skb, __u32 offset)
{
	__u32 word = 0;

#ifdef AGENTSH_TASK
	const __u8 *at = (const __u8 *)(long)skb->data;

	at += offset & 0x3fff; /* a limit, for the verifier */
	if (offset <= 0x3fff && at + sizeof(word) <= (const __u8 *)(long)skb->data_end)
		return bpf_ntohl(*(const __u32 *)at);
#endif
	if (bpf_skb_load_bytes(skb, offset, &word, sizeof(word)))
		return ENDS;
	return bpf_ntohl(word);
}

/* Which end of the packet. */
#define SOURCE 0
#define DESTINATION 1
#define HIDDEN 0xffffffffU /* the packet ends before its ports */

static __always_inline __u32 class_and_port_of(struct __sk_buff *skb, const struct packet *p,
					       int end)
{
	__u32 protocol = p->protocol, class = AGENTSH_RULES_OTHER;
	__u64 ports = 0;

	if (protocol == PROTOCOL_TCP)
		class = AGENTSH_RULES_TCP;
	if (protocol == PROTOCOL_UDP || protocol == PROTOCOL_UDPLITE)
		class = AGENTSH_RULES_UDP;
	if (class == AGENTSH_RULES_OTHER)
		return class << AGENTSH_RULES_CLASS_SHIFT;
	/* only a raw socket sends a later fragment here, whose port is unknown: 0 */
	if (!p->later_fragment)
		ports = packet_word(skb, p->header);
	if (ports & ENDS)
		return HIDDEN;
	return class << AGENTSH_RULES_CLASS_SHIFT |
	       (end == SOURCE ? (__u32)ports >> 16 : (__u32)ports & 0xffff);
}

static __always_inline struct agentsh_rules_key key_of(struct __sk_buff *skb, int end)
{
	const __u32 offset = end == SOURCE ? 8 : 24;
	struct agentsh_rules_key key = {};

	if (is_ipv4(skb)) {
		key.low = (__u64)AGENTSH_RULES_IPV4 << 32 |
			  (__u32)packet_word(skb, end == SOURCE ? 12 : 16);
		return key;
	}
	key.high = packet_word(skb, offset) << 32 | (__u32)packet_word(skb, offset + 4);
	key.low = packet_word(skb, offset + 8) << 32 | (__u32)packet_word(skb, offset + 12);
	return key;
}

static __always_inline int is_loopback(const struct agentsh_rules_key *key)
{
	return !key->high &&
	       (key->low == 1 || key->low >> 24 == ((__u64)AGENTSH_RULES_IPV4 << 8 | 127));
}

#define LOOPBACK_INTERFACE 1 /* LOOPBACK_IFINDEX, include/net/flow.h */

/*
 * Judges the destination in the header. On an interface other than loopback a loopback address is
 * another machine. On the loopback interface the answer, also of the kernel, goes to the source,
 * which the process may have forged: IPV6_FREEBIND needs no privilege.
 */
static __always_inline __u64 judge_ends(struct __sk_buff *skb, const struct packet *p, __u64 rules)
{
	struct agentsh_rules_key to = key_of(skb, DESTINATION), from;
	__u64 judgement =
		rules_decide(rules, to.high, to.low, class_and_port_of(skb, p, DESTINATION));

	if (!is_allowed(judgement))
		return judgement;
	if (skb->ifindex != LOOPBACK_INTERFACE)
		return is_loopback(&to) ? judgement_denied(rules, 0) : judgement;
	from = key_of(skb, SOURCE);
	if (is_loopback(&from) || !((from.high ^ to.high) | (from.low ^ to.low)))
		return judgement;
	return rules_decide(rules, from.high, from.low, class_and_port_of(skb, p, SOURCE));
}

/* Whether the packet goes to the peer of its connection, and not to the first hop of a route. */
static __always_inline int is_to_peer(struct __sk_buff *skb, struct bpf_sock *sk)
{
	struct agentsh_rules_key to = key_of(skb, DESTINATION);
	__u32 peer[4];

	if (is_ipv4(skb))
		return (__u32)to.low == bpf_ntohl(sk->dst_ip4);
	COPY_ADDR6(peer, sk->dst_ip6);
	return !((to.high ^ ((__u64)bpf_ntohl(peer[0]) << 32 | bpf_ntohl(peer[1]))) |
		 (to.low ^ ((__u64)bpf_ntohl(peer[2]) << 32 | bpf_ntohl(peer[3]))));
}

/* The answer to a SYN, unless the listening socket has a route for it. */
static __always_inline int is_answer(struct __sk_buff *skb, struct bpf_sock *sk,
				     const struct packet *p)
{
	return sk->state == BPF_TCP_LISTEN && p->tcp &&
	       p->header == (is_ipv4(skb) ? IPV4_HEADER : IPV6_HEADER);
}

/*
 * The kernel itself sends neighbour discovery and resets through raw sockets, which belong to the
 * cgroup that has made the network namespace.
 */
static __always_inline int is_of_kernel(struct __sk_buff *skb, struct bpf_sock *sk)
{
#ifdef AGENTSH_TASK
	return sk->type == SOCK_RAW &&
	       BPF_CORE_READ_BITFIELD_PROBED(kernel_socket_of(skb), sk_kern_sock);
#else
	(void)skb;
	(void)sk;
	return 0;
#endif
}

/* Whether the rules do not concern the packet, although its destination is denied. */
static __always_inline int is_exempt(struct __sk_buff *skb, const struct packet *p,
				     const struct agentsh_session_state *session)
{
	struct bpf_sock *sk = skb->sk;

	if (!sk || is_answer(skb, sk, p))
		return 1;
	sk = bpf_sk_fullsock(sk);
	return !sk || (is_accepted(sk, session) && is_to_peer(skb, sk)) || is_of_kernel(skb, sk);
}

static __noinline __u64 egress_judge(struct __sk_buff *skb, struct packet *p,
				     const struct agentsh_session_state *session, __u64 rules)
{
	__u64 judgement;

	packet_read(skb, p);
	/*
	 * A raw socket may write another version, which a reader of a tunnel device believes, or
	 * more headers than the program steps over.
	 */
	if (packet_word(skb, 0) >> 28 != (is_ipv4(skb) ? 4 : 6) ||
	    (!is_ipv4(skb) && extension_mask(p->protocol)))
		return judgement_denied(rules, 0);
	judgement = judge_ends(skb, p, rules);
	if (is_allowed(judgement) || is_exempt(skb, p, session))
		return AGENTSH_VERDICT_ALLOWED;
	return judgement;
}

static __always_inline void destination_of_packet(struct destination *dst, struct __sk_buff *skb,
						  const struct packet *p,
						  const struct agentsh_session_state *session,
						  __u64 judgement)
{
	dst->socket_cookie = bpf_get_socket_cookie(skb);
	dst->netns_cookie = 0;
#ifdef AGENTSH_TASK
	dst->netns_cookie = netns_cookie_of_socket(kernel_socket_of(skb));
#endif
	dst->addr[0] = 0;
	dst->addr[1] = 0;
	if (is_ipv4(skb))
		bpf_skb_load_bytes(skb, 16, dst->addr, 4);
	else
		bpf_skb_load_bytes(skb, 24, dst->addr, 16);
	dst->generation_port_family =
		word_of(session->generation, half_of(packet_port(p, skb, 2), p->family));
	dst->ifindex_as = word_of(0, SEEN_AS_PACKET | verdict_of(judgement));
}

/* These three are functions of their own, because together they would not fit on the stack. */
static __noinline int egress_is_new(struct __sk_buff *skb, const struct packet *p,
				    const struct agentsh_session_state *session,
				    struct agentsh_slot *slot, __u64 judgement)
{
	struct destination dst;

	destination_of_packet(&dst, skb, p, session, judgement);
	return destination_is_new(&dst, slot);
}

static __noinline int egress_forget(struct __sk_buff *skb, const struct packet *p,
				    const struct agentsh_session_state *session, __u64 judgement)
{
	struct destination dst;

	destination_of_packet(&dst, skb, p, session, judgement);
	destination_forget(&dst);
	return 0;
}

/* Returns whether the record was written. */
static __noinline int egress_report(struct __sk_buff *skb, struct packet *p,
				    const struct agentsh_session_state *session,
				    struct agentsh_slot *slot, __u64 judgement)
{
	struct agentsh_record rec;

	return record_of_packet(&rec, skb, p, session, AGENTSH_KIND_PACKET_DENIED) &&
	       rules_write(slot, session, &rec, judgement);
}

static __always_inline void count_denied(struct agentsh_slot *slot, __u64 judgement)
{
	__u64 *counter;

	if (is_denied(judgement)) {
		counter = &slot->packets_denied;
		RULES_OWN_POINTER(counter, 3);
	} else {
		counter = &slot->packets_would_deny;
		RULES_OWN_POINTER(counter, 4);
	}
	__sync_fetch_and_add(counter, 1);
}

/* Whether the packet may be sent. */
static __always_inline int egress_may_pass(struct __sk_buff *skb, struct packet *p,
					   const struct agentsh_session_state *session)
{
	struct agentsh_slot *slot = session_slot(session);
	__u64 rules, judgement;

	if (!slot)
		return 1;
	rules = rules_of(slot, session);
	if (!(rules & AGENTSH_SLOT_EGRESS))
		return 1;
	judgement = egress_judge(skb, p, session, rules);
	if (is_allowed(judgement))
		return 1;
	count_denied(slot, judgement);
	if (egress_is_new(skb, p, session, slot, judgement) &&
	    !egress_report(skb, p, session, slot, judgement))
		egress_forget(skb, p, session, judgement);
	return !is_denied(judgement);
}

#endif
