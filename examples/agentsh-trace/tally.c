/* SPDX-License-Identifier: Apache-2.0 */
#include "tally.h"

#include <sys/socket.h>

#include <agentsh/ebpf.h>

void tally_add(struct tally *tally, const struct agentsh_ebpf_event *event, int shown)
{
	if (shown)
		tally->shown++;
	else
		tally->unchosen++;
	switch (event->kind) {
	case AGENTSH_EBPF_EVENT_CONNECTED:
		tally->opened++;
		break;
	case AGENTSH_EBPF_EVENT_ACCEPTED:
		tally->accepted++;
		break;
	case AGENTSH_EBPF_EVENT_CONNECT_FAILED:
		tally->failed++;
		break;
	case AGENTSH_EBPF_EVENT_CLOSED: /* a datagram socket is no connection */
		tally->closed += event->socket_type == SOCK_STREAM;
		break;
	default:
		break;
	}
}

uint64_t tally_open(const struct tally *tally)
{
	uint64_t begun = tally->opened + tally->accepted;

	return begun > tally->closed ? begun - tally->closed : 0;
}
