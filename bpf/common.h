/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Maps of all programs, and the way from a hook to a record in the ring. */
#ifndef AGENTSH_COMMON_H
#define AGENTSH_COMMON_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include "record.h"

#define AF_INET 2
#define AF_INET6 10

/* Values of the public header; the library asserts that they are the same. */
#define AGENTSH_KIND_CONNECT 1
#define AGENTSH_KIND_UDP_SEND 2
#define AGENTSH_KIND_CONNECTED 3
#define AGENTSH_KIND_CONNECT_FAILED 4
#define AGENTSH_KIND_CLOSED 5
#define AGENTSH_KIND_ACCEPTED 6
#define AGENTSH_FLAG_V4_MAPPED 1
#define AGENTSH_FLAG_UNATTRIBUTED 2
#define AGENTSH_FLAG_NO_ERROR 4
#define AGENTSH_FLAG_INBOUND 8
#define AGENTSH_FLAG_LOCAL_CLOSED 16
#define AGENTSH_FLAG_REMOTE_CLOSED 32

/* Each file that is linked into the object declares these; they become one. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 20); /* the library sets the real size */
} agentsh_ring __weak SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1); /* the library sets the real size */
	__type(key, __u32);
	__type(value, struct agentsh_slot);
} agentsh_slots __weak SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct agentsh_control);
} agentsh_control __weak SEC(".maps");

const volatile struct agentsh_settings agentsh_settings __weak SEC(".rodata.settings") = {};

#include "task.h" /* reads the settings */

/*
 * A map for each program: before 5.9 (7d9c3427894f) a cgroup storage map
 * belongs to one program. Where it need not, the library replaces all by one.
 */
#define AGENTSH_TAG_MAP(name)                                                                      \
	struct {                                                                                   \
		__uint(type, BPF_MAP_TYPE_CGROUP_STORAGE);                                         \
		__type(key, struct bpf_cgroup_storage_key);                                        \
		__type(value, struct agentsh_tag);                                                 \
	} name SEC(".maps")

/* NULL until attach has finished: nothing is reported of half a session. */
static __always_inline struct agentsh_slot *session_slot(const struct agentsh_tag *tag)
{
	__u32 slot = tag->slot;

	return tag->serial ? bpf_map_lookup_elem(&agentsh_slots, &slot) : NULL;
}

/* A record that is being written. */
struct room {
	void *rec; /* NULL: there is no room */
	__u64 before; /* bytes that were in the ring */
	__u64 size;
};

/*
 * Room for one record, or the loss counted. A session over its share is refused
 * only while the ring as a whole holds more than one share: until then there is
 * room for everybody.
 */
static __always_inline struct room room_reserve(struct agentsh_slot *slot, const __u64 size)
{
	struct room room = {
		.before = bpf_ringbuf_query(&agentsh_ring, BPF_RB_AVAIL_DATA),
		.size = AGENTSH_ROOM(size),
	};
	__u64 share = agentsh_settings.share_bytes;

	if (room.before >= share) {
		__s64 held =
			*(volatile __u64 *)&slot->produced - *(volatile __u64 *)&slot->consumed;

		if (held >= (__s64)share) {
			__sync_fetch_and_add(&slot->lost_share, 1);
			__sync_fetch_and_add(&slot->lost, 1);
			return room;
		}
	}

	room.rec = bpf_ringbuf_reserve(&agentsh_ring, size, 0);
	if (room.rec)
		__sync_fetch_and_add(&slot->produced, room.size);
	else
		__sync_fetch_and_add(&slot->lost, 1);
	return room;
}

static __always_inline struct room record_reserve(struct agentsh_slot *slot)
{
	return room_reserve(slot, sizeof(struct agentsh_record));
}

/*
 * The flag is read after the reservation, which the reader looks for before it
 * sleeps: docs/ARCHITECTURE.md says why no wake-up is lost. Above the mark one
 * record wakes (or a few, on several processors at once) until the reader has
 * looked, because each wake-up costs more than all the rest.
 */
static __always_inline void room_submit(const struct room *room)
{
	struct agentsh_control *control;
	__u64 flags = 0;
	__u32 zero = 0;

	control = bpf_map_lookup_elem(&agentsh_control, &zero);
	if (control && *(volatile __u32 *)&control->quiet) {
		flags = BPF_RB_NO_WAKEUP;
		if (room->before + room->size >= agentsh_settings.mark_bytes &&
		    !*(volatile __u32 *)&control->rung) {
			*(volatile __u32 *)&control->rung = 1;
			flags = BPF_RB_FORCE_WAKEUP;
		}
	}
	bpf_ringbuf_submit(room->rec, flags);
}

static __always_inline void who_fill(struct agentsh_who *who)
{
	__u64 pid_tgid = bpf_get_current_pid_tgid();
	__u64 uid_gid = bpf_get_current_uid_gid();

	who->pid = (__u32)pid_tgid;
	who->tgid = pid_tgid >> 32;
	who->uid = (__u32)uid_gid;
	who->gid = uid_gid >> 32;
	who->zero = 0;
	who->cgroup_id = bpf_get_current_cgroup_id();
	if (agentsh_settings.comm)
		bpf_get_current_comm(who->comm, sizeof(who->comm));
	else
		__builtin_memset(who->comm, 0, sizeof(who->comm));
	who_task(who);
}

/* Everything that depends on neither hook nor task. */
static __always_inline void record_begin(struct agentsh_record *rec, const struct agentsh_tag *tag,
					 const struct agentsh_slot *slot, __u8 kind)
{
	rec->version = AGENTSH_RECORD_VERSION;
	rec->kind = kind;
	rec->flags = 0;
	rec->slot = tag->slot;
	rec->serial = tag->serial;
	rec->zero = 0;
	rec->timestamp_ns = bpf_ktime_get_boot_ns();
	rec->session_id = tag->session_id;
	rec->session_lost = *(volatile __u64 *)&slot->lost - tag->lost_base;
}

#endif
