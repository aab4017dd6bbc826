/* SPDX-License-Identifier: Apache-2.0 */
#include "tracer/sockets.h"

#include <bpf/bpf.h>

#include "tracer/tracer.h"

bool agentsh_sock_key_is_attached(const struct agentsh_ebpf_tracer *t,
				  const struct agentsh_sock_key *key)
{
	return agentsh_slots_owns(&t->ring.slots,
				  (uint32_t)(key->session >> AGENTSH_KEY_SLOT_SHIFT),
				  (uint32_t)key->session);
}

/*
 * If a key disappears between two steps, the kernel starts from the beginning, so the
 * number of steps is limited.
 */
void agentsh_sockets_walk(const struct agentsh_ebpf_tracer *t, struct agentsh_socket_walk *walk)
{
	bool any = !bpf_map_get_next_key(t->programs.sockets_fd, NULL, &walk->next);

	walk->left = any ? 2 * t->opts.max_sockets : 0;
}

bool agentsh_sockets_step(const struct agentsh_ebpf_tracer *t, struct agentsh_socket_walk *walk,
			  struct agentsh_sock_key *key)
{
	if (!walk->left)
		return false;
	*key = walk->next;
	if (bpf_map_get_next_key(t->programs.sockets_fd, key, &walk->next))
		walk->left = 0;
	else
		walk->left--;
	return true;
}

void agentsh_sockets_each(const struct agentsh_ebpf_tracer *t, const struct agentsh_session *s,
			  agentsh_socket_fn fn)
{
	struct agentsh_socket_walk walk;
	struct agentsh_sock_key key;

	agentsh_sockets_walk(t, &walk);
	while (agentsh_sockets_step(t, &walk, &key))
		fn(t, s, &key);
}

/*
 * Also removes what a program added that was running during an earlier detach, after the
 * table was searched.
 */
static void forget(const struct agentsh_ebpf_tracer *t, const struct agentsh_session *s,
		   const struct agentsh_sock_key *key)
{
	(void)s;
	if (!agentsh_sock_key_is_attached(t, key))
		bpf_map_delete_elem(t->programs.sockets_fd, key);
}

/*
 * No program sees the sockets of the session any more, so none would take them out of the
 * table.
 */
void agentsh_sockets_forget(const struct agentsh_session *s)
{
	const struct agentsh_ebpf_tracer *t = s->tracer;

	if (t->programs.sockets_fd >= 0 &&
	    agentsh_counter(&t->ring.slots.counters[s->state.slot].sockets))
		agentsh_sockets_each(t, s, forget);
}
