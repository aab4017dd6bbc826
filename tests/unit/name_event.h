/* SPDX-License-Identifier: Apache-2.0 */
/* An event with a name, and how agentsh-trace shows it. */
#ifndef NAME_EVENT_H
#define NAME_EVENT_H

#include <string.h>
#include <sys/socket.h>
#include <netinet/in.h>

#include "unit.h"
#include "format_json.h"
#include "format_text.h"
#include "names.h"

static char line[FORMAT_JSON_EVENT_MAX + 1];
static struct agentsh_ebpf_event event;
static struct names names;

/* Begins with an event to 192.0.2.7:443 for which api.example.org was asked. */
static inline void begin(uint32_t kind)
{
	event = (struct agentsh_ebpf_event){
		.kind = kind,
		.family = AF_INET,
		.protocol = IPPROTO_TCP,
		.socket_type = SOCK_STREAM,
		.remote_addr = {192, 0, 2, 7},
		.remote_port = 443,
		.name_id = 1,
		.comm = "curl",
	};
	names = (struct names){
		.named = true,
		.name = {.source = AGENTSH_EBPF_NAME_DNS,
			 .asked = "api.example.org",
			 .owner = "edge.example.net"},
	};
}

/* Begins with an answer of 192.0.2.53:53 about the address of api.example.org. */
static inline void begin_dns(uint32_t kind, uint16_t type, uint16_t rcode, uint32_t addresses)
{
	begin(kind);
	event.protocol = IPPROTO_UDP;
	event.socket_type = SOCK_DGRAM;
	event.remote_addr[3] = 53;
	event.remote_port = 53;
	event.duration_ns = 2100000;
	names.has_dns = true;
	names.dns = (struct agentsh_ebpf_dns){
		.question_type = type, .rcode = rcode, .addresses = addresses};
	names.listed = addresses < NAMES_ADDRESSES_MAX ? addresses : NAMES_ADDRESSES_MAX;
	for (size_t i = 0; i < names.listed; i++)
		names.list[i] = (struct agentsh_ebpf_address){
			.family = AF_INET, .addr = {192, 0, 2, (uint8_t)(i + 1)}};
}

static inline const char *row_of(const struct format_text_style *style, const struct names *known)
{
	struct text t = {.buf = line, .cap = sizeof(line) - 1};

	format_text_event(&t, style, &event, known, 0);
	ck_assert(!t.cut);
	line[t.len] = '\0';
	return line;
}

static inline const char *json_of(const struct names *known)
{
	const struct format_json_details details = {.names = known};
	struct text t = {.buf = line, .cap = sizeof(line) - 1};

	format_json_event(&t, &event, 0, &details);
	ck_assert(!t.cut);
	line[t.len] = '\0';
	return line;
}

#endif
