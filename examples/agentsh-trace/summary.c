/* SPDX-License-Identifier: Apache-2.0 */
#include "summary.h"

#include <string.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <agentsh/ebpf.h>

#include "hash.h"
#include "verdict.h"

#define SLOTS (2 * SUMMARY_DESTINATIONS_MAX)

_Static_assert(sizeof(struct destination) == 28, "no padding: it is hashed and compared as bytes");
_Static_assert((SLOTS & (SLOTS - 1)) == 0, "slots are counted modulo a power of two");

/* An SCTP socket may have several associations, and a datagram socket has no connection. */
static bool is_connection(const struct agentsh_ebpf_event *event)
{
	return event->socket_type == SOCK_STREAM && event->protocol != IPPROTO_SCTP;
}

void summary_add(struct summary *summary, const struct agentsh_ebpf_event *event, bool shown)
{
	if (shown)
		summary->shown++;
	else
		summary->unchosen++;
	switch (event->kind) {
	case AGENTSH_EBPF_EVENT_CONNECT: /* no CONNECT_FAILED follows */
		summary->failed += verdict_is_denied(event) && is_connection(event);
		break;
	case AGENTSH_EBPF_EVENT_CONNECTED:
		summary->opened++;
		break;
	case AGENTSH_EBPF_EVENT_ACCEPTED:
		summary->accepted++;
		break;
	case AGENTSH_EBPF_EVENT_CONNECT_FAILED:
		summary->failed++;
		break;
	case AGENTSH_EBPF_EVENT_UNANNOUNCED:
		summary->unannounced += is_connection(event);
		break;
	case AGENTSH_EBPF_EVENT_CLOSED:
		summary->closed += is_connection(event);
		break;
	default:
		break;
	}
}

void summary_add_destination(struct summary *summary, const struct agentsh_ebpf_event *event)
{
	struct destination key = {
		.ifindex = event->ifindex,
		.port = event->remote_port,
		.protocol = event->protocol,
		.family = event->family,
	};
	size_t slot;

	if (!event->family)
		return;
	memcpy(key.address, event->remote_addr, sizeof(key.address));
	slot = hash_bytes(&key, sizeof(key), summary->seed) & (SLOTS - 1);
	while (summary->table[slot].family) { /* ends: half of the table stays free */
		if (!memcmp(&summary->table[slot], &key, sizeof(key)))
			return;
		slot = (slot + 1) & (SLOTS - 1);
	}
	if (summary->destinations == SUMMARY_DESTINATIONS_MAX) {
		summary->destinations_cut = true;
		return;
	}
	summary->table[slot] = key;
	summary->destinations++;
}

uint64_t summary_open(const struct summary *summary)
{
	uint64_t begun = summary->opened + summary->accepted + summary->unannounced;

	return begun > summary->closed ? begun - summary->closed : 0;
}
