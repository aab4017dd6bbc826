/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the library knows of the names of an event. It is copied at once, because the library
 * keeps it only until the next call of agentsh_ebpf_read(). The traced processes choose the
 * texts.
 */
#ifndef NAMES_H
#define NAMES_H

#include <stdbool.h>
#include <stddef.h>

#include <agentsh/ebpf.h>

/* The library looks at no more records of an answer. */
#define NAMES_ADDRESSES_MAX 32

struct names {
	bool named;    /* name is known */
	bool has_dns;  /* dns and list are known */
	size_t listed; /* addresses in list; dns.addresses counts all */
	struct agentsh_ebpf_name name;
	struct agentsh_ebpf_dns dns;
	struct agentsh_ebpf_address list[NAMES_ADDRESSES_MAX];
};

/* Whether the event is about a DNS message, and its remote end thus a name server. */
bool names_of_dns(const struct agentsh_ebpf_event *event);

/* Whether the event is about a name, and shows it even with --names=off. */
bool names_are_subject(const struct agentsh_ebpf_event *event);

/* wanted: whether the names of destinations are wanted. */
void names_read(struct names *names, const struct agentsh_ebpf_tracer *tracer,
		const struct agentsh_ebpf_event *event, bool wanted);

/*
 * The name that a process asked for before it connected to the remote end; NULL if there is
 * none, or if the peer has opened the connection. name may be NULL.
 */
const char *names_asked(const struct agentsh_ebpf_event *event,
			const struct agentsh_ebpf_name *name);

/* The server name if it tells more than names_asked(); else NULL. name may be NULL. */
const char *names_server(const struct agentsh_ebpf_event *event,
			 const struct agentsh_ebpf_name *name);

#endif
