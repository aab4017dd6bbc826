/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Calls on AF_UNIX sockets: one record per connect(), and one per socket and destination of
 * datagrams. A send() on a connected socket runs no hook. Kernel 6.7 has these hooks. libbpf
 * knows their sections only since 1.3, so the library sets the types of the programs.
 */
#include "sock_state.h"

AGENTSH_STATE_MAP(agentsh_state_connect_unix);
AGENTSH_STATE_MAP(agentsh_state_sendmsg_unix);

#define AF_UNIX 1
#define SUN_PATH_OFFSET 2 /* of sun_path in struct sockaddr_un, unix(7) */
#define SUN_PATH_MAX 108

/*
 * The destination of a datagram. It is the end of its record: the addresses there are zero, and
 * have the place of the other members while the program looks for the destination.
 */
struct unix_destination {
	__u64 socket_cookie;
	__u64 generation;
	__u32 path_len;
	__u32 zero;
	char path[AGENTSH_UNIX_PATH];
};

_Static_assert(sizeof(struct unix_destination) ==
		       sizeof(struct agentsh_record_unix) -
			       __builtin_offsetof(struct agentsh_record_unix, base.remote_addr),
	       "the end of the record");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1024);
	__type(key, struct unix_destination);
	__type(value, __u8);
} agentsh_unix_seen SEC(".maps");

/* Reads the path, which the context does not show. */
static __always_inline void path_fill(struct agentsh_record_unix *rec, struct bpf_sock_addr *ctx)
{
	__builtin_memset(rec->path, 0, sizeof(rec->path));
	SET_WORD(rec->path_len, 0);
#ifdef AGENTSH_TASK
	struct bpf_sock_addr_kern *kernel_ctx = (void *)ctx;
	__u32 len;

	if (!bpf_core_field_exists(kernel_ctx->uaddrlen))
		return;
	len = BPF_CORE_READ(kernel_ctx, uaddrlen);
	len = len > SUN_PATH_OFFSET ? len - SUN_PATH_OFFSET : 0;
	if (len > SUN_PATH_MAX)
		len = SUN_PATH_MAX;
	barrier_var(len);
	if (len > SUN_PATH_MAX) /* once more, for the verifier */
		return;
	if (bpf_probe_read_kernel(rec->path, len,
				  BPF_CORE_READ(kernel_ctx, uaddr) + SUN_PATH_OFFSET))
		return;
	SET_WORD(rec->path_len, word_of(len, 0));
#else
	(void)ctx;
#endif
}

static __always_inline void unix_fill(struct agentsh_record_unix *rec, struct bpf_sock_addr *ctx,
				      const struct agentsh_session_state *session)
{
	struct fields f = {
		.timestamp_ns = bpf_ktime_get_boot_ns(),
		.socket_cookie = cookie_of(ctx, ctx->sk),
		.netns_cookie = netns_cookie_of(ctx),
		.family = AF_UNIX,
		.socket_type = ctx->type,
	};

	path_fill(rec, ctx);
	record_fill(&rec->base, &f, session, AGENTSH_KIND_UNIX_CONNECT);
}

static __always_inline struct unix_destination *
destination_begin(struct agentsh_record_unix *rec, const struct agentsh_session_state *session)
{
	struct unix_destination *dst = (void *)rec->base.remote_addr;

	dst->socket_cookie = rec->base.socket_cookie;
	dst->generation = session->generation;
	return dst;
}

static __always_inline void destination_end(struct unix_destination *dst)
{
	dst->socket_cookie = 0;
	dst->generation = 0;
}

/* As first_seen() and forget() in sendmsg.bpf.c. */
static __always_inline int unix_first_seen(struct agentsh_record_unix *rec,
					   const struct agentsh_session_state *session,
					   struct agentsh_slot *slot)
{
	struct unix_destination *dst = destination_begin(rec, session);
	__u8 one = 1;
	int known = bpf_map_lookup_elem(&agentsh_unix_seen, dst) != NULL;

	if (!known)
		known = bpf_map_update_elem(&agentsh_unix_seen, dst, &one, BPF_NOEXIST) == -EEXIST;
	destination_end(dst);
	if (known)
		__sync_fetch_and_add(&slot->deduplicated, 1);
	return !known;
}

static __always_inline void unix_forget(struct agentsh_record_unix *rec,
					const struct agentsh_session_state *session)
{
	struct unix_destination *dst = destination_begin(rec, session);

	bpf_map_delete_elem(&agentsh_unix_seen, dst);
	destination_end(dst);
}

SEC("cgroup/connect_unix")
int agentsh_connect_unix(struct bpf_sock_addr *ctx)
{
	struct agentsh_session_state *session =
		bpf_get_local_storage(&agentsh_state_connect_unix, 0);
	struct agentsh_slot *slot = session_slot(session);
	struct agentsh_record_unix rec;

	if (!slot)
		return 1;
	unix_fill(&rec, ctx, session);
	task_fill(&rec.base.task);
	ringbuf_write(slot, session, &rec.base, sizeof(rec));
	return 1;
}

SEC("cgroup/sendmsg_unix")
int agentsh_sendmsg_unix(struct bpf_sock_addr *ctx)
{
	struct agentsh_session_state *session =
		bpf_get_local_storage(&agentsh_state_sendmsg_unix, 0);
	struct agentsh_slot *slot = session_slot(session);
	struct agentsh_record_unix rec;

	if (!slot)
		return 1;
	unix_fill(&rec, ctx, session);
	if (!unix_first_seen(&rec, session, slot))
		return 1;
	task_fill(&rec.base.task);
	if (!ringbuf_write(slot, session, &rec.base, sizeof(rec)))
		unix_forget(&rec, session);
	return 1;
}
