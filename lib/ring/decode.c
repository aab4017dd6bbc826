/* SPDX-License-Identifier: Apache-2.0 */
#include "ring/decode.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

/* Zeroes the members from one up to, but not including, another. */
#define ZERO(event, from, to)                                                                      \
	memset((char *)(event) + offsetof(struct agentsh_ebpf_event, from), 0,                     \
	       offsetof(struct agentsh_ebpf_event, to) -                                           \
		       offsetof(struct agentsh_ebpf_event, from))

/* The encodings of a device inside the kernel and in st_dev (new_encode_dev(), kdev_t.h). */
static uint32_t stat_device(uint32_t device)
{
	uint32_t major = device >> 20, minor = device & 0xfffff;

	return (minor & 0xff) | major << 8 | (minor & ~0xffU) << 12;
}

static uint32_t kernel_device(uint32_t device)
{
	uint32_t major = device >> 8 & 0xfff, minor = (device & 0xff) | (device >> 12 & 0xfff00);

	return major << 20 | minor;
}

/*
 * Copies each member once, straight from the ring into the event, because this is most of
 * the reader's work per event. restrict: storing to event does not change rec.
 */
static void fill(struct agentsh_ebpf_event *restrict event,
		 const struct agentsh_record *restrict rec)
{
	event->kind = rec->head.kind;
	event->flags = rec->head.flags;
	event->timestamp_ns = rec->timestamp_ns;
	event->session_id = rec->session_id;
	event->session_lost = rec->session_lost;
	event->cgroup_id = rec->task.cgroup_id;
	event->socket_cookie = rec->socket_cookie;
	event->netns_cookie = rec->netns_cookie;
	event->process_start_ns = rec->task.process_start_ns;
	event->pid = rec->task.pid;
	event->tgid = rec->task.tgid;
	event->ppid = rec->task.ppid;
	event->uid = rec->task.uid;
	event->gid = rec->task.gid;
	event->ns_pid = rec->task.ns_pid;
	event->ns_tgid = rec->task.ns_tgid;
	event->family = rec->head.family;
	event->protocol = rec->head.protocol;
	event->socket_type = rec->head.socket_type;
	event->local_port = rec->head.local_port;
	event->remote_port = rec->head.remote_port;
	event->reserved0 = 0;
	ZERO(event, error, local_addr); /* the outcome */
	memcpy(event->local_addr, rec->local_addr, sizeof(event->local_addr));
	memcpy(event->remote_addr, rec->remote_addr, sizeof(event->remote_addr));
	memcpy(event->comm, rec->task.comm, sizeof(event->comm));
	event->comm[sizeof(event->comm) - 1] = '\0';
	ZERO(event, retransmits, ifindex);
	event->ifindex = rec->head.ifindex;
	event->exe_device = stat_device(rec->task.exe_device);
	event->exe_inode = rec->task.exe_inode;
	memcpy(event->process_comm, rec->task.process_comm, sizeof(event->process_comm));
	event->process_comm[sizeof(event->process_comm) - 1] = '\0';
	event->container_pid = rec->task.container_pid;
	event->container_tgid = rec->task.container_tgid;
	event->packets_received = 0;
	event->verdict = 0;
	event->name_id = 0;
	event->rule_id = 0;
	memset(event->reserved, 0, sizeof(event->reserved));
}

static void fill_outcome(struct agentsh_ebpf_event *restrict event,
			 const struct agentsh_record_outcome *restrict full)
{
	event->error = full->error;
	event->rtt_us = full->rtt_us;
	event->duration_ns = full->duration_ns;
	event->bytes_sent = full->bytes_sent;
	event->bytes_received = full->bytes_received;
	event->retransmits = full->retransmits;
	event->packets_sent = full->packets_sent;
	event->packets_received = full->packets_received;
}

/* A judged record is the beginning of an outcome, whose first two members have other meanings. */
_Static_assert(offsetof(struct agentsh_record_judged, verdict) ==
		       offsetof(struct agentsh_record_outcome, error),
	       "same place");
_Static_assert(offsetof(struct agentsh_record_judged, rule_id) ==
		       offsetof(struct agentsh_record_outcome, rtt_us),
	       "same place");

static void fill_judged(struct agentsh_ebpf_event *event, const struct agentsh_record_outcome *full)
{
	event->verdict = (uint32_t)full->error;
	event->rule_id = full->rtt_us;
}

static void set_judged(const struct agentsh_ebpf_event *event, struct agentsh_record_outcome *full)
{
	full->error = (int32_t)event->verdict;
	full->rtt_us = event->rule_id;
}

static bool is_packet(uint32_t kind)
{
	return kind == AGENTSH_EBPF_EVENT_DNS_QUERY || kind == AGENTSH_EBPF_EVENT_DNS_ANSWER ||
	       kind == AGENTSH_EBPF_EVENT_SERVER_NAME;
}

static int decode_packet(const uint8_t *data, size_t size, struct agentsh_origin *origin)
{
	struct agentsh_record_packet record;

	memcpy(&record, data, sizeof(record));
	if (!is_packet(record.base.head.kind) || record.captured > size - sizeof(record) ||
	    record.captured > record.length)
		return -EBADMSG;
	origin->type = AGENTSH_RECORD_PACKET;
	origin->packet = (struct agentsh_packet){
		.data = data + sizeof(record),
		.captured = record.captured,
		.length = record.length,
		.sequence = record.sequence,
		.segment = record.segment,
	};
	return 0;
}

static int decode_unix(const uint8_t *data, struct agentsh_origin *origin)
{
	struct agentsh_record_unix record;

	memcpy(&record, data, sizeof(record));
	if (record.base.head.kind != AGENTSH_EBPF_EVENT_UNIX_CONNECT ||
	    record.path_len > sizeof(record.path))
		return -EBADMSG;
	origin->type = AGENTSH_RECORD_UNIX;
	origin->packet = (struct agentsh_packet){
		.data = data + offsetof(struct agentsh_record_unix, path),
		.captured = record.path_len,
		.length = record.path_len,
	};
	return 0;
}

/* Sets type and packet by the size of the record. */
static int decode_type(const void *data, size_t size, struct agentsh_origin *origin)
{
	switch (size) {
	case sizeof(struct agentsh_record):
	case sizeof(struct agentsh_record_judged):
	case sizeof(struct agentsh_record_outcome):
		origin->type = AGENTSH_RECORD_EVENT;
		return 0;
	case sizeof(struct agentsh_record_unix):
		return decode_unix(data, origin);
	case sizeof(struct agentsh_record_packet) + AGENTSH_PACKET_SMALL:
	case sizeof(struct agentsh_record_packet) + AGENTSH_PACKET_LARGE:
		return decode_packet(data, size, origin);
	default:
		return -EBADMSG;
	}
}

int agentsh_decode(const void *data, size_t size, struct agentsh_ebpf_event *event,
		   struct agentsh_origin *origin)
{
	struct agentsh_record_outcome aligned;
	const struct agentsh_record_outcome *full = data;
	struct agentsh_origin found;

	if (decode_type(data, size, &found))
		return -EBADMSG;
	/* records in the ring are aligned */
	if ((uintptr_t)data % _Alignof(struct agentsh_record_outcome)) {
		memcpy(&aligned, data, size < sizeof(aligned) ? size : sizeof(aligned));
		full = &aligned;
	}
	if (full->base.head.version != AGENTSH_RECORD_VERSION)
		return -EBADMSG;

	found.slot = full->base.head.slot;
	found.generation = full->base.head.generation;
	found.ring_bytes = (uint32_t)AGENTSH_RING_BYTES(size);
	*origin = found;
	fill(event, &full->base);
	if (size == sizeof(*full))
		fill_outcome(event, full);
	else if (size == sizeof(struct agentsh_record_judged))
		fill_judged(event, full);
	return 0;
}

size_t agentsh_encode(const struct agentsh_ebpf_event *event,
		      const struct agentsh_session_state *state,
		      struct agentsh_record_outcome *record)
{
	struct agentsh_record *rec = &record->base;
	bool outcome = event->error || event->rtt_us || event->duration_ns || event->bytes_sent ||
		       event->bytes_received || event->retransmits || event->packets_sent ||
		       event->packets_received;
	bool judged = event->verdict || event->rule_id;

	*record = (struct agentsh_record_outcome){
		.error = event->error,
		.rtt_us = event->rtt_us,
		.duration_ns = event->duration_ns,
		.bytes_sent = event->bytes_sent,
		.bytes_received = event->bytes_received,
		.retransmits = event->retransmits,
		.packets_sent = event->packets_sent,
		.packets_received = event->packets_received,
	};
	*rec = (struct agentsh_record){
		.head =
			{
				.version = AGENTSH_RECORD_VERSION,
				.kind = (uint8_t)event->kind,
				.flags = (uint16_t)event->flags,
				.generation = state->generation,
				.slot = (uint16_t)state->slot,
				.family = event->family,
				.protocol = event->protocol,
				.socket_type = event->socket_type,
				.local_port = event->local_port,
				.remote_port = event->remote_port,
				.ifindex = event->ifindex,
			},
		.timestamp_ns = event->timestamp_ns,
		.session_id = state->session_id,
		.session_lost = event->session_lost,
		.socket_cookie = event->socket_cookie,
		.netns_cookie = event->netns_cookie,
		.task =
			{
				.pid = event->pid,
				.tgid = event->tgid,
				.ppid = event->ppid,
				.ns_pid = event->ns_pid,
				.ns_tgid = event->ns_tgid,
				.container_pid = event->container_pid,
				.container_tgid = event->container_tgid,
				.exe_device = kernel_device(event->exe_device),
				.exe_inode = event->exe_inode,
				.uid = event->uid,
				.gid = event->gid,
				.cgroup_id = event->cgroup_id,
				.process_start_ns = event->process_start_ns,
			},
	};
	memcpy(rec->local_addr, event->local_addr, sizeof(rec->local_addr));
	memcpy(rec->remote_addr, event->remote_addr, sizeof(rec->remote_addr));
	memcpy(rec->task.comm, event->comm, sizeof(rec->task.comm));
	memcpy(rec->task.process_comm, event->process_comm, sizeof(rec->task.process_comm));
	if (!judged)
		return outcome ? sizeof(*record) : sizeof(record->base);
	set_judged(event, record);
	return outcome ? 0 : sizeof(struct agentsh_record_judged);
}
