/* SPDX-License-Identifier: Apache-2.0 */
#include "tracer/sockets.h"

#include <bpf/bpf.h>

#include "sock_key.h"
#include "tracer/tracer.h"

/*
 * Whether the session of a key is still attached. A program that was running during an
 * earlier detach may have added a socket after the table was searched.
 */
static bool is_attached(const struct agentsh_ebpf_tracer *t, const struct agentsh_sock_key *key,
			const struct agentsh_session *leaving)
{
	uint32_t generation = (uint32_t)key->generation;

	if (generation == leaving->state.generation)
		return false;
	for (const struct agentsh_session *s = t->sessions; s; s = s->next)
		if (s->state.generation == generation)
			return true;
	return false;
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
		if (!is_attached(t, &key, s))
			bpf_map_delete_elem(fd, &key);
	}
}
