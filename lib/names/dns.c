/* SPDX-License-Identifier: Apache-2.0 */
#include "names/dns.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "names/dns_message.h"
#include "names/dns_stream.h"
#include "names/flows.h"
#include "names/names.h"
#include "names/packet.h"
#include "names/questions.h"

#define HEADER_BYTES 12 /* of a DNS message */
/* In one packet. A socket has no more questions that are remembered. */
#define MESSAGES_MAX AGENTSH_QUESTIONS_PER_SOCKET

/* Where a message came from or went to. */
struct context {
	struct agentsh_names *names;
	struct agentsh_name_table *table;
	const struct agentsh_ebpf_event *event;
	bool tcp;
	bool whole; /* the message cannot begin in the middle of another */
};

static void count(const struct context *c, int counter)
{
	agentsh_names_count(c->names, c->table, counter, 1);
}

/* ---- questions --------------------------------------------------------------- */

static void take_question(const struct context *c, const uint8_t *data, size_t captured,
			  size_t length)
{
	struct agentsh_question *surplus;
	struct agentsh_dns_message message;

	if (!agentsh_table_may_parse(c->table, c->event->timestamp_ns, captured)) {
		count(c, AGENTSH_NAMES_SKIPPED);
		return;
	}
	if (agentsh_dns_parse(data, captured, length, &message) || message.response) {
		count(c, AGENTSH_NAMES_MALFORMED);
		return;
	}
	agentsh_questions_expire(c->table, c->event->timestamp_ns, c->names->timeout_ns,
				 c->names->dns_events);
	surplus = agentsh_question_surplus(c->table, c->event->socket_cookie);
	if (surplus) {
		if (c->names->dns_events && !surplus->answered && !c->table->ended)
			agentsh_names_put_question(c->names, surplus);
		agentsh_question_remove(surplus);
	}
	if (agentsh_question_add(c->table, &c->names->questions, c->event, &message))
		count(c, AGENTSH_NAMES_SKIPPED);
}

/* ---- answers ----------------------------------------------------------------- */

static bool is_trusted(const struct context *c)
{
	const struct agentsh_ebpf_address *trusted = c->table->session.trusted;
	bool any = false;

	for (int i = 0; i < 4; i++) {
		if (!trusted[i].family)
			continue;
		any = true;
		if (c->whole && trusted[i].family == c->event->family &&
		    (!trusted[i].port || trusted[i].port == c->event->remote_port) &&
		    !memcmp(trusted[i].addr, c->event->remote_addr,
			    c->event->family == AF_INET ? 4 : 16))
			return true;
	}
	return !any;
}

static struct agentsh_name_node *make_node(const struct context *c,
					   const struct agentsh_dns_message *message,
					   const struct agentsh_question *question)
{
	struct agentsh_ebpf_address resolver = {
		.family = c->event->family,
		.port = c->event->remote_port,
	};
	struct agentsh_name_fields fields = {
		.source = c->tcp ? AGENTSH_EBPF_NAME_DNS_TCP : AGENTSH_EBPF_NAME_DNS,
		.time_ns = c->event->timestamp_ns,
		.ttl_ns = (uint64_t)message->ttl_s * 1000000000,
		.resolver = &resolver,
		.asked = message->asked,
		.owner = message->owner,
	};

	memcpy(resolver.addr, c->event->remote_addr, sizeof(resolver.addr));
	if (message->asked_cut || message->owner_cut)
		fields.flags |= AGENTSH_EBPF_NAME_FLAG_CUT;
	if (question) {
		fields.asker_tgid = question->event.tgid;
		fields.asker_start_ns = question->event.process_start_ns;
	} else {
		fields.flags |= AGENTSH_EBPF_NAME_FLAG_UNASKED;
	}
	return agentsh_node_new(&fields);
}

static struct agentsh_name_dns *make_dns(const struct context *c,
					 const struct agentsh_dns_message *message, bool asked,
					 bool trusted)
{
	struct agentsh_name_dns *dns =
		calloc(1, sizeof(*dns) + message->count * sizeof(dns->addresses[0]));

	if (!dns)
		return NULL;
	dns->about.question_type = message->type;
	dns->about.rcode = message->rcode;
	dns->about.addresses = message->count;
	memcpy(dns->addresses, message->addresses, message->count * sizeof(dns->addresses[0]));
	if (c->tcp)
		dns->about.flags |= AGENTSH_EBPF_DNS_FLAG_TCP;
	if (message->truncated)
		dns->about.flags |= AGENTSH_EBPF_DNS_FLAG_TRUNCATED;
	if (message->cut)
		dns->about.flags |= AGENTSH_EBPF_DNS_FLAG_CUT;
	if (!asked)
		dns->about.flags |= AGENTSH_EBPF_DNS_FLAG_UNASKED;
	if (!trusted)
		dns->about.flags |= AGENTSH_EBPF_DNS_FLAG_UNTRUSTED;
	return dns;
}

static void put_event(const struct context *c, struct agentsh_name_node *node,
		      struct agentsh_name_dns *dns, const struct agentsh_question *question)
{
	struct agentsh_name_view view = {.node = agentsh_node_ref(node), .dns = dns};
	struct agentsh_ebpf_event event = *c->event;

	if (!dns) {
		agentsh_view_release(&view);
		count(c, AGENTSH_NAMES_SKIPPED);
		return;
	}
	if (question && event.timestamp_ns > question->time_ns)
		event.duration_ns = event.timestamp_ns - question->time_ns;
	agentsh_view_date(&view, event.timestamp_ns, &event);
	agentsh_names_put(c->names, c->table, &event, &view);
}

static void take_names(const struct context *c, const struct agentsh_dns_message *message,
		       struct agentsh_name_node *node)
{
	bool added = true;

	for (uint32_t i = 0; i < message->count; i++)
		added &= !agentsh_table_add(c->table, message->addresses[i].family,
					    message->addresses[i].addr, node);
	if (!added)
		count(c, AGENTSH_NAMES_SKIPPED);
	agentsh_names_count_evicted(c->names, c->table);
	if (message->count)
		atomic_store_explicit(&c->names->active, true, memory_order_relaxed);
}

static void accept_answer(const struct context *c, const struct agentsh_dns_message *message,
			  const struct agentsh_question *question)
{
	bool trusted = is_trusted(c);
	struct agentsh_name_node *node = make_node(c, message, question);

	if (!node) {
		count(c, AGENTSH_NAMES_SKIPPED);
		return;
	}
	count(c, trusted ? AGENTSH_NAMES_ANSWERS : AGENTSH_NAMES_UNTRUSTED);
	if (trusted)
		take_names(c, message, node);
	if (c->names->dns_events)
		put_event(c, node, make_dns(c, message, question, trusted), question);
	agentsh_node_unref(node);
}

/* Whether an answer may be to a question from before the session, on a socket without a state. */
static bool is_early(const struct context *c)
{
	return c->event->flags & AGENTSH_EBPF_FLAG_UNATTRIBUTED &&
	       c->event->timestamp_ns <= c->table->session.attached_ns + c->names->timeout_ns;
}

/*
 * The id is compared before the message is parsed, so that forged answers cost little, and do not
 * use up what the session may have parsed.
 */
static void take_answer(const struct context *c, const uint8_t *data, size_t captured,
			size_t length)
{
	uint16_t id = (uint16_t)(data[0] << 8 | data[1]);
	const uint64_t timeout_ns = c->names->timeout_ns;
	/* a socket whose question was seen has no excuse */
	bool must_match =
		!is_early(c) || agentsh_question_of_socket(c->table, c->event, timeout_ns);
	const struct agentsh_question *question;
	struct agentsh_dns_message message;

	if (must_match && !agentsh_question_has_id(c->table, c->event, id, timeout_ns)) {
		count(c, AGENTSH_NAMES_UNASKED);
		return;
	}
	if (!agentsh_table_may_parse(c->table, c->event->timestamp_ns, captured)) {
		count(c, AGENTSH_NAMES_SKIPPED);
		return;
	}
	if (agentsh_dns_parse(data, captured, length, &message) || !message.response) {
		count(c, AGENTSH_NAMES_MALFORMED);
		return;
	}
	question = agentsh_question_find(c->table, c->event, &message, timeout_ns);
	if (!question && must_match) {
		count(c, AGENTSH_NAMES_UNASKED);
		return;
	}
	accept_answer(c, &message, question);
	agentsh_question_answered(c->table, c->event, &message, timeout_ns, is_early(c));
}

/* ---- packets ------------------------------------------------------------------ */

static void take_message(const struct context *c, const uint8_t *data, size_t captured,
			 size_t length)
{
	if (captured < HEADER_BYTES)
		count(c, AGENTSH_NAMES_MALFORMED);
	else if (c->event->kind == AGENTSH_EBPF_EVENT_DNS_QUERY)
		take_question(c, data, captured, length);
	else
		take_answer(c, data, captured, length);
}

static void take_datagrams(const struct context *c, const struct agentsh_packet *packet)
{
	uint32_t size = packet->segment ? packet->segment : packet->length, at = 0;
	int i;

	for (i = 0; i < MESSAGES_MAX && (at < packet->captured || !i); i++) {
		uint32_t length = packet->length - at, captured = packet->captured - at;

		if (length > size)
			length = size;
		if (captured > length)
			captured = length;
		take_message(c, packet->data + at, captured, length);
		at += length;
	}
	if (at < packet->captured)
		count(c, AGENTSH_NAMES_SKIPPED);
}

static void take_segment(struct context *c, const struct agentsh_packet *packet)
{
	struct agentsh_flow *flow =
		agentsh_flow_get(c->table, c->event->socket_cookie, c->event->kind);
	const uint8_t *data;
	size_t captured, length;
	int ret, i;

	if (!flow) {
		count(c, AGENTSH_NAMES_SKIPPED);
		return;
	}
	ret = agentsh_stream_add(flow->stream, packet->sequence, packet->data, packet->captured);
	if (!flow->packets++)
		flow->whole = packet->segment == 1;
	c->whole = flow->whole;
	for (i = 0; !ret && i < MESSAGES_MAX; i++) {
		ret = agentsh_dns_tcp_next(flow->stream, &data, &captured, &length);
		if (!ret)
			return;
		if (ret < 0) {
			count(c, AGENTSH_NAMES_MALFORMED);
		} else {
			take_message(c, data, captured, length);
			ret = 0;
		}
	}
	if (i == MESSAGES_MAX)
		count(c, AGENTSH_NAMES_SKIPPED);
	/* a next message is likely to begin with the next packet */
	agentsh_flow_restart(flow);
}

void agentsh_dns_packet(struct agentsh_names *names, struct agentsh_name_table *table,
			const struct agentsh_ebpf_event *event, const struct agentsh_packet *packet)
{
	struct context c = {
		.names = names,
		.table = table,
		.event = event,
		.tcp = event->protocol == IPPROTO_TCP,
		.whole = true,
	};

	if (c.tcp)
		take_segment(&c, packet);
	else
		take_datagrams(&c, packet);
}
