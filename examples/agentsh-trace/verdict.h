/* SPDX-License-Identifier: Apache-2.0 */
/* What the rules of the trace say of an attempt. */
#ifndef VERDICT_H
#define VERDICT_H

#include <stdbool.h>

#include <agentsh/ebpf.h>

/* The call has failed, or the packet was dropped, and the socket is as it was before. */
static inline bool verdict_is_denied(const struct agentsh_ebpf_event *event)
{
	return event->verdict == AGENTSH_EBPF_VERDICT_DENIED;
}

/* The event changes nothing of what others have said of its socket. */
static inline bool verdict_is_final(const struct agentsh_ebpf_event *event)
{
	return verdict_is_denied(event) || event->kind == AGENTSH_EBPF_EVENT_SOCKET_DENIED ||
	       event->kind == AGENTSH_EBPF_EVENT_PACKET_DENIED;
}

#endif
