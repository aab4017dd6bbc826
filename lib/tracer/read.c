/* SPDX-License-Identifier: Apache-2.0 */
/* Reading a tracer: the public face of ring/. */
#include <errno.h>

#include "ring/synthetic.h"
#include "tracer/tracer.h"

int agentsh_ebpf_poll(struct agentsh_ebpf_tracer *t, int timeout_ms)
{
	if (!t)
		return -EFAULT;
	if (!t->ring.on_event)
		return -EINVAL;
	if (!agentsh_owner_is_caller(&t->owner))
		return -EPERM;
	return agentsh_ring_read(&t->ring, NULL, SIZE_MAX, timeout_ms);
}

int agentsh_ebpf_read(struct agentsh_ebpf_tracer *t, struct agentsh_ebpf_event *buf, size_t n,
		      int timeout_ms)
{
	if (!t || !buf)
		return -EFAULT;
	if (!n)
		return -ERANGE;
	if (!agentsh_owner_is_caller(&t->owner))
		return -EPERM;
	return agentsh_ring_read(&t->ring, buf, n, timeout_ms);
}

int agentsh_ebpf_fd(const struct agentsh_ebpf_tracer *t)
{
	return t ? t->ring.epoll_fd : -EFAULT;
}

int agentsh_ebpf_wake(struct agentsh_ebpf_tracer *t)
{
	if (!t)
		return -EFAULT;
	agentsh_ring_wake(&t->ring);
	return 0;
}

int agentsh_ebpf_inject(struct agentsh_ebpf_session *handle, const struct agentsh_ebpf_event *event)
{
	struct agentsh_session_state state = {0};
	const struct agentsh_session *s;
	struct agentsh_ebpf_tracer *t;

	if (!handle || !event)
		return -EFAULT;
	/* if another thread detaches the session now, this is an event that came just before */
	t = agentsh_handle_tracer(handle);
	s = agentsh_handle_lock(handle);
	if (s)
		state = s->state;
	agentsh_handle_unlock(handle);
	if (!t->ring.synthetic)
		return -EOPNOTSUPP;
	if (!s)
		return -EINVAL;
	/* the event would be in the child's memory, and the parent's descriptor readable */
	if (!agentsh_owner_is_caller(&t->owner))
		return -EPERM;
	if (event->kind > UINT8_MAX || event->flags > UINT16_MAX)
		return -ERANGE;
	return agentsh_synthetic_inject(&t->ring, &state, event);
}
