/* SPDX-License-Identifier: Apache-2.0 */
#include "tracer/sockets.h"

#include <bpf/bpf.h>

#include "sock_key.h"
#include "tracer/tracer.h"

/*
 * Whether the session of a key is still attached. A program that was running during an
 * earlier detach may have added a socket after the table was searched.
 */
static bool is_attached(const struct agentsh_ring *ring, const struct agentsh_sock_key *key)
{
	return agentsh_slots_owns(&ring->slots, (uint32_t)(key->session >> AGENTSH_KEY_SLOT_SHIFT),
				  (uint32_t)key->session);
}

/*
 * No program sees the sockets of the session any more, so none would take them out of the
 * table. If a key disappears between two steps, the kernel starts from the beginning,
 * so the number of steps is limited.
 */
void agentsh_sockets_forget(const struct agentsh_session *s)
{
	const struct agentsh_ebpf_tracer *t = s->tracer;
	struct agentsh_sock_key key, next;
	int fd = t->programs.sockets_fd;
	bool any;

	if (fd < 0 || !agentsh_counter(&t->ring.slots.counters[s->state.slot].sockets))
		return;
	any = !bpf_map_get_next_key(fd, NULL, &next);
	for (uint32_t i = 0; any && i < 2 * t->opts.max_sockets; i++) {
		key = next;
		any = !bpf_map_get_next_key(fd, &key, &next);
		if (!is_attached(&t->ring, &key))
			bpf_map_delete_elem(fd, &key);
	}
}
