/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Datagrams that are sent with a destination: one record per socket and destination, or
 * one per datagram if the settings say so. A send() on a connected socket runs no hook
 * and its connect() was reported, except that an IPv6 socket that is connected to a mapped address
 * runs the IPv4 hook.
 */
#include "destination.h"
#include "interface.h"
#include "rules.h"
#include "sock_state.h"
#include "source_route.h"

AGENTSH_STATE_MAP(agentsh_state_sendmsg4);
AGENTSH_STATE_MAP(agentsh_state_sendmsg6);

/* A datagram. The destination has the place of what a new state gets later: the stack is full. */
union datagram {
	struct sock_state state;
	struct {
		struct agentsh_record rec;
		struct destination dst;
	};
};

_Static_assert(sizeof(union datagram) == sizeof(struct sock_state), "the end of the state");

/*
 * A host that was named before may be the first hop to another one now. The first refused datagram
 * has a record even if earlier ones to this destination were allowed.
 */
static __always_inline __u32 seen_as(const union datagram *new, __u64 judgement)
{
	return (new->rec.head.flags &AGENTSH_FLAG_SOURCE_ROUTED) | verdict_of(judgement);
}

/*
 * Whether the datagram must be reported in spite of deduplication. Without BTF the scope of
 * its address is unknown, which counts before the interface of the socket.
 */
static __always_inline int is_unknown_interface(const struct fields *f)
{
#ifdef AGENTSH_TASK
	if (f->ifindex)
		return 0;
#endif
	return f->family == AF_INET6 && is_scoped6(f->remote[0]);
}

/*
 * Keeps the call with the socket's state, and tells its record what the state knows. Returns
 * whether the state has an owner.
 */
static __always_inline int merge_state(struct sock_state *sock, struct agentsh_record *rec)
{
	if (sock->rec.head.flags & AGENTSH_FLAG_INBOUND)
		record_flag(rec, AGENTSH_FLAG_INBOUND);
	sock_state_set_call(sock, rec);
	return !(sock->rec.head.flags & AGENTSH_FLAG_UNATTRIBUTED);
}

/* Takes the caller for the owner of a socket without a state, or without an owner. */
static __always_inline void own_state(struct sock_state *new,
				      const struct agentsh_session_state *session,
				      struct agentsh_slot *slot, const struct agentsh_sock_key *key)
{
	struct sock_state *sock = sock_state_find(key);

	if (sock)
		sock_state_adopt(sock, &new->rec);
	else
		sock_state_add(session, slot, key, new, PHASE_ATTEMPT);
}

static __always_inline void sendmsg_report(union datagram *new, const struct fields *f,
					   const struct agentsh_session_state *session,
					   struct agentsh_slot *slot, __u64 judgement)
{
	/* a refused datagram leaves the state of the socket as it was */
	int keeps_state = agentsh_settings.lifecycle && !is_denied(judgement);
	int dedup = !agentsh_settings.udp_no_dedup && !is_unknown_interface(f);
	int known, owned = !keeps_state;
	struct agentsh_sock_key key;
	struct sock_state *sock;

	record_finish(&new->rec, f, session, AGENTSH_KIND_UDP_SEND);
	key = sock_key(new->rec.socket_cookie, session);
	if (dedup)
		set_destination(&new->dst, &new->rec, session, seen_as(new, judgement));
	known = dedup && !destination_is_new(&new->dst, slot);
	if (keeps_state) {
		sock = sock_state_find(&key);
		if (sock)
			owned = merge_state(sock, &new->rec);
	}
	if (known && owned)
		return;
	task_fill(&new->rec.task); /* not from the state: another process may send */
	if (keeps_state)
		own_state(&new->state, session, slot, &key);
	if (known || rules_write(slot, session, &new->rec, judgement) || !dedup)
		return;
	set_destination(&new->dst, &new->rec, session, seen_as(new, judgement));
	destination_forget(&new->dst);
}

static __always_inline void sendmsg_set_remote4(struct fields *f, struct bpf_sock_addr *ctx)
{
	f->ifindex = interface4(ctx);
	set_ends4(f, ctx, ctx->msg_src_ip4);
}

static __always_inline void sendmsg_set_remote6(struct fields *f, struct bpf_sock_addr *ctx)
{
	f->ifindex = interface6(ctx);
	COPY_ADDR6(f->local, ctx->msg_src_ip6);
	COPY_ADDR6(f->remote, ctx->user_ip6);
	resolve_unspecified6(f);
	unmap_ends6(f);
}

static __noinline void sendmsg_report4(struct bpf_sock_addr *ctx,
				       const struct agentsh_session_state *session,
				       struct agentsh_slot *slot, __u64 judgement)
{
	union datagram new;
	struct fields f;

	fields_of(&f, ctx);
	record_begin(&new.rec,
		     &f); /* the stack has no room for the fields until the record is filled */
	sendmsg_set_remote4(&f, ctx);
	if (!(judgement & DIRECT))
		source_route_of_caller(&f, ctx);
	sendmsg_report(&new, &f, session, slot, judgement);
}

static __noinline void sendmsg_report6(struct bpf_sock_addr *ctx,
				       const struct agentsh_session_state *session,
				       struct agentsh_slot *slot, __u64 judgement)
{
	union datagram new;
	struct fields f;

	fields_of(&f, ctx);
	record_begin(&new.rec,
		     &f); /* the stack has no room for the fields until the record is filled */
	sendmsg_set_remote6(&f, ctx);
	if (!(judgement & DIRECT))
		source_route_of_caller(&f, ctx);
	sendmsg_report(&new, &f, session, slot, judgement);
}

static __noinline __u64 sendmsg_judge4(struct bpf_sock_addr *ctx, __u64 rules)
{
	struct fields f;

	fields_for_rules(&f, ctx);
	if (!rules_named4(&f, ctx))
		sendmsg_set_remote4(&f, ctx);
	return rules_judge_all(rules, &f, ctx);
}

static __noinline __u64 sendmsg_judge6(struct bpf_sock_addr *ctx, __u64 rules)
{
	struct fields f;

	fields_for_rules(&f, ctx);
	sendmsg_set_remote6(&f, ctx);
	return rules_judge_all(rules, &f, ctx);
}

/*
 * A send without a destination on a connected socket runs the hook, too, if it has ancillary data
 * of the IP layer. connect() was judged and reported. The kernel refuses the port 0 in a
 * destination.
 */
static __always_inline int is_nameless(struct bpf_sock_addr *ctx)
{
	return !ctx->user_port;
}

SEC("cgroup/sendmsg4")
int agentsh_sendmsg4(struct bpf_sock_addr *ctx)
{
	if (is_nameless(ctx))
		return 1;
	return judge_and_report(ctx, bpf_get_local_storage(&agentsh_state_sendmsg4, 0),
				sendmsg_judge4, sendmsg_report4);
}

SEC("cgroup/sendmsg6")
int agentsh_sendmsg6(struct bpf_sock_addr *ctx)
{
	if (is_nameless(ctx))
		return 1;
	return judge_and_report(ctx, bpf_get_local_storage(&agentsh_state_sendmsg6, 0),
				sendmsg_judge6, sendmsg_report6);
}
