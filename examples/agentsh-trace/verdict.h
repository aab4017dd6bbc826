/* SPDX-License-Identifier: Apache-2.0 */
/* What the rules of the trace say of an attempt. */
#ifndef VERDICT_H
#define VERDICT_H

#include <stdbool.h>

#include <agentsh/ebpf.h>

/* The call has failed, and its socket is as it was before. */
static inline bool verdict_is_denied(const struct agentsh_ebpf_event *event)
{
	return event->verdict == AGENTSH_EBPF_VERDICT_DENIED;
}

#endif
