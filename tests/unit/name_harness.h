/* SPDX-License-Identifier: Apache-2.0 */
/* Delivers packet records that the test makes up, as if they had come out of the ring. */
#ifndef NAME_HARNESS_H
#define NAME_HARNESS_H

#include "dns_builder.h"
#include "ring/deliver.h"
#include "tracer/tracer.h"
#include "unit.h"

#define NAME_SECOND 1000000000ULL
#define NAME_SERVER 0x0a000035 /* 10.0.0.53 */
#define NAME_HOOKS                                                                                 \
	(AGENTSH_EBPF_HOOK_CONNECT | AGENTSH_EBPF_HOOK_LIFECYCLE | AGENTSH_EBPF_HOOK_DNS |         \
	 AGENTSH_EBPF_HOOK_SERVER_NAME)

struct name_host {
	struct agentsh_ebpf_tracer *tracer;
	struct agentsh_ebpf_session *session; /* the first one */
	uint64_t now;			      /* timestamp of the next record */
	struct agentsh_batch batch;
	struct agentsh_ebpf_event events[256];
	/* a function that calls agentsh_deliver_record(); NULL: that itself */
	int (*deliver)(void *ring, void *record, size_t size);
};

/* Opens a synthetic tracer with these flags, and attaches a session; opts may be NULL. */
void name_open(struct name_host *h, uint32_t flags,
	       const struct agentsh_ebpf_session_options *opts);
void name_close(struct name_host *h);
/* What poll or read does at its start: the names of earlier events go. */
void name_begin(struct name_host *h);

/* An event of a socket of process tgid, with an IPv4 address. */
struct agentsh_ebpf_event name_event(const struct name_host *h, uint32_t kind, uint64_t cookie,
				     uint32_t tgid, uint32_t address, uint16_t port);
/* Delivers the event's record; returns the event that came out. */
const struct agentsh_ebpf_event *name_deliver(struct name_host *h,
					      struct agentsh_ebpf_session *session,
					      const struct agentsh_ebpf_event *event);
const struct agentsh_ebpf_event *name_connect(struct name_host *h, uint64_t cookie, uint32_t tgid,
					      uint32_t address);
/* Delivers a packet record; returns the number of events that came out. */
int name_packet(struct name_host *h, struct agentsh_ebpf_session *session,
		const struct agentsh_ebpf_event *event, const struct agentsh_packet *packet);

/* A UDP question to NAME_SERVER and its answer; both have the event of the last one at hand. */
int name_ask(struct name_host *h, uint64_t cookie, uint32_t tgid, uint16_t id, const char *name);
int name_answer(struct name_host *h, uint64_t cookie, uint32_t tgid, uint16_t id, const char *name,
		uint32_t address);
/* Both, for a socket of its own. */
void name_resolve(struct name_host *h, uint32_t tgid, const char *name, uint32_t address);
/* A message of the builder as a datagram. */
int name_datagram(struct name_host *h, const struct agentsh_ebpf_event *event,
		  const struct dns_builder *b);

/* The name of an event; source is AGENTSH_EBPF_NAME_NONE if it has none. */
struct agentsh_ebpf_name name_of(const struct name_host *h, const struct agentsh_ebpf_event *event);
#define NAME_EXPECT(h, event, name) ck_assert_str_eq(name_of(h, event).asked, name)
#define NAME_STATS(h) unit_session_stats((h)->session)

#endif
