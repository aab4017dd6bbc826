/* SPDX-License-Identifier: Apache-2.0 */
/* Between the ring's record and the host's event; no I/O, no allocation. */
#include <errno.h>
#include <string.h>

#include "internal.h"

int agentsh_decode(const void *data, size_t size, struct agentsh_ebpf_event *event,
		   struct agentsh_origin *origin)
{
	struct agentsh_record_outcome full;
	const struct agentsh_record *rec = &full.base;

	if (size != sizeof(full) && size != sizeof(full.base))
		return -EBADMSG;
	memset(&full, 0, sizeof(full));
	memcpy(&full, data, size);
	if (rec->version != AGENTSH_RECORD_VERSION)
		return -EBADMSG;

	*origin = (struct agentsh_origin){
		.slot = rec->slot,
		.serial = rec->serial,
		.room = (uint32_t)((size + AGENTSH_RECORD_HEADER + 7) & ~(size_t)7),
	};
	*event = (struct agentsh_ebpf_event){
		.kind = rec->kind,
		.flags = rec->flags,
		.timestamp_ns = rec->timestamp_ns,
		.session_id = rec->session_id,
		.session_lost = rec->session_lost,
		.cgroup_id = rec->who.cgroup_id,
		.socket_cookie = rec->socket_cookie,
		.netns_cookie = rec->netns_cookie,
		.process_start_ns = rec->who.process_start_ns,
		.pid = rec->who.pid,
		.tgid = rec->who.tgid,
		.ppid = rec->who.ppid,
		.uid = rec->who.uid,
		.gid = rec->who.gid,
		.ns_pid = rec->who.ns_pid,
		.ns_tgid = rec->who.ns_tgid,
		.family = rec->family,
		.protocol = rec->protocol,
		.socket_type = rec->socket_type,
		.local_port = rec->local_port,
		.remote_port = rec->remote_port,
		.error = full.error,
		.rtt_us = full.rtt_us,
		.duration_ns = full.duration_ns,
		.bytes_sent = full.bytes_sent,
		.bytes_received = full.bytes_received,
		.retransmits = full.retransmits,
		.datagrams = full.datagrams,
	};
	memcpy(event->local_addr, rec->local_addr, sizeof(event->local_addr));
	memcpy(event->remote_addr, rec->remote_addr, sizeof(event->remote_addr));
	memcpy(event->comm, rec->who.comm, sizeof(event->comm) - 1); /* always ends with NUL */
	return 0;
}

size_t agentsh_encode(const struct agentsh_ebpf_event *event, const struct agentsh_tag *tag,
		      struct agentsh_record_outcome *record)
{
	struct agentsh_record *rec = &record->base;
	bool outcome = event->error || event->rtt_us || event->duration_ns || event->bytes_sent ||
		       event->bytes_received || event->retransmits || event->datagrams;

	*record = (struct agentsh_record_outcome){
		.error = event->error,
		.rtt_us = event->rtt_us,
		.duration_ns = event->duration_ns,
		.bytes_sent = event->bytes_sent,
		.bytes_received = event->bytes_received,
		.retransmits = event->retransmits,
		.datagrams = event->datagrams,
	};
	*rec = (struct agentsh_record){
		.version = AGENTSH_RECORD_VERSION,
		.kind = (uint8_t)event->kind,
		.flags = (uint16_t)event->flags,
		.slot = tag->slot,
		.serial = tag->serial,
		.timestamp_ns = event->timestamp_ns,
		.session_id = tag->session_id,
		.session_lost = event->session_lost,
		.socket_cookie = event->socket_cookie,
		.netns_cookie = event->netns_cookie,
		.family = event->family,
		.protocol = event->protocol,
		.socket_type = event->socket_type,
		.local_port = event->local_port,
		.remote_port = event->remote_port,
		.who = {
			.pid = event->pid,
			.tgid = event->tgid,
			.ppid = event->ppid,
			.ns_pid = event->ns_pid,
			.ns_tgid = event->ns_tgid,
			.uid = event->uid,
			.gid = event->gid,
			.cgroup_id = event->cgroup_id,
			.process_start_ns = event->process_start_ns,
		},
	};
	memcpy(rec->local_addr, event->local_addr, sizeof(rec->local_addr));
	memcpy(rec->remote_addr, event->remote_addr, sizeof(rec->remote_addr));
	memcpy(rec->who.comm, event->comm, sizeof(rec->who.comm));
	return outcome ? sizeof(*record) : sizeof(record->base);
}
