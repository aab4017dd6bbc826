/* SPDX-License-Identifier: Apache-2.0 */
#include "names/dns_message.h"

#include <arpa/nameser.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

/* Flags of the header, RFC 1035 4.1.1. */
#define RESPONSE 0x8000
#define OPCODE 0x7800
#define TRUNCATED 0x0200
#define RCODE 0x000f

struct message {
	const uint8_t *bytes;
	size_t size;
	size_t at;
};

struct record {
	uint16_t type, class_;
	uint16_t length;
	uint32_t ttl_s;
	size_t data;
	struct agentsh_wire_name owner;
};

static uint16_t get16(const uint8_t *bytes)
{
	return (uint16_t)(bytes[0] << 8 | bytes[1]);
}

/* A time to live with the highest bit set counts as 0, RFC 2181 8. */
static uint32_t get_ttl(const uint8_t *bytes)
{
	uint32_t ttl = (uint32_t)get16(bytes) << 16 | get16(bytes + 2);

	return ttl > INT32_MAX ? 0 : ttl;
}

/* These functions return 0; -ENODATA if the message ends early; or -EBADMSG. */

static int read_name(struct message *m, struct agentsh_wire_name *name)
{
	int n = agentsh_wire_name_read(m->bytes, m->size, m->at, name);

	if (n < 0)
		return n;
	m->at += (size_t)n;
	return 0;
}

static int read_question(struct message *m, struct agentsh_wire_name *asked,
			 struct agentsh_dns_message *out)
{
	int ret = read_name(m, asked);

	if (ret)
		return ret;
	if (m->size - m->at < NS_QFIXEDSZ)
		return -ENODATA;
	out->type = get16(m->bytes + m->at);
	out->class_ = get16(m->bytes + m->at + 2);
	m->at += NS_QFIXEDSZ;
	return 0;
}

static int read_record(struct message *m, struct record *record)
{
	int ret = read_name(m, &record->owner);
	const uint8_t *fixed = m->bytes + m->at;

	if (ret)
		return ret;
	if (m->size - m->at < NS_RRFIXEDSZ)
		return -ENODATA;
	record->type = get16(fixed);
	record->class_ = get16(fixed + 2);
	record->ttl_s = get_ttl(fixed + 4);
	record->length = get16(fixed + 8);
	record->data = m->at + NS_RRFIXEDSZ;
	if (m->size - record->data < record->length)
		return -ENODATA;
	m->at = record->data + record->length;
	return 0;
}

static void lower_ttl(struct agentsh_dns_message *out, uint32_t ttl_s, bool *any)
{
	if (!*any || ttl_s < out->ttl_s)
		out->ttl_s = ttl_s;
	*any = true;
}

/* Index of a CNAME record of the name that is not in the mask; count if there is none. */
static size_t find_cname(const struct record *records, size_t count,
			 const struct agentsh_wire_name *name, uint32_t followed)
{
	size_t i;

	for (i = 0; i < count; i++)
		if (records[i].type == ns_t_cname && records[i].class_ == ns_c_in &&
		    !(followed & 1U << i) && agentsh_wire_name_equal(&records[i].owner, name))
			break;
	return i;
}

/*
 * Follows the CNAME records, in whatever order they stand, from *name, which becomes the end
 * of the chain. Each record is followed once, so a loop ends.
 */
static int follow_chain(const struct message *m, const struct record *records, size_t count,
			struct agentsh_wire_name *name, struct agentsh_dns_message *out, bool *any)
{
	uint32_t followed = 0;
	size_t i;

	while ((i = find_cname(records, count, name, followed)) < count) {
		struct message rest = {m->bytes, m->size, records[i].data};
		struct agentsh_wire_name target;
		int ret = read_name(&rest, &target);

		if (ret)
			return ret;
		if (rest.at != records[i].data + records[i].length)
			return -EBADMSG;
		*name = target;
		followed |= 1U << i;
		lower_ttl(out, records[i].ttl_s, any);
	}
	return 0;
}

static void take_address(const struct message *m, const struct record *record,
			 struct agentsh_dns_message *out, bool *any)
{
	struct agentsh_ebpf_address *address = &out->addresses[out->count];

	if (record->class_ != ns_c_in)
		return;
	if (record->type == ns_t_a && record->length == NS_INADDRSZ)
		address->family = AF_INET;
	else if (record->type == ns_t_aaaa && record->length == NS_IN6ADDRSZ)
		address->family = AF_INET6;
	else
		return;
	address->ttl_s = record->ttl_s;
	memcpy(address->addr, m->bytes + record->data, record->length);
	out->count++;
	lower_ttl(out, record->ttl_s, any);
}

/* Clears the error of a record that is not whole, if the message ends early. */
static int accept_end(int ret, bool ends_early, struct agentsh_dns_message *out)
{
	if (ret != -ENODATA || !ends_early)
		return ret;
	out->cut = true;
	return 0;
}

static int read_answers(struct message *m, size_t expected, bool ends_early,
			struct agentsh_wire_name *name, struct agentsh_dns_message *out)
{
	struct record records[AGENTSH_DNS_ADDRESSES];
	size_t count = 0;
	bool any = false;
	int ret = 0;

	if (expected > AGENTSH_DNS_ADDRESSES) {
		expected = AGENTSH_DNS_ADDRESSES;
		out->cut = true;
	}
	while (count < expected && !ret) {
		ret = read_record(m, &records[count]);
		count += !ret;
	}
	ret = accept_end(ret, ends_early, out);
	if (!ret)
		ret = accept_end(follow_chain(m, records, count, name, out, &any), ends_early, out);
	for (size_t i = 0; i < count && !ret; i++)
		if (agentsh_wire_name_equal(&records[i].owner, name))
			take_address(m, &records[i], out, &any);
	return ret;
}

int agentsh_dns_parse(const uint8_t *message, size_t captured, size_t length,
		      struct agentsh_dns_message *out)
{
	struct message m = {message, captured < length ? captured : length, NS_HFIXEDSZ};
	struct agentsh_wire_name asked, owner;
	uint16_t flags;

	memset(out, 0, sizeof(*out));
	if (m.size < NS_HFIXEDSZ)
		return -EBADMSG;
	out->id = get16(message);
	flags = get16(message + 2);
	out->response = flags & RESPONSE;
	out->truncated = flags & TRUNCATED;
	out->rcode = flags & RCODE;
	out->cut = m.size < length;
	if (flags & OPCODE || get16(message + 4) != 1 || read_question(&m, &asked, out))
		return -EBADMSG;
	out->asked_cut = !agentsh_name_text(&asked, out->asked);
	owner = asked;
	if (out->response &&
	    read_answers(&m, get16(message + 6), out->cut || out->truncated, &owner, out))
		return -EBADMSG;
	if (agentsh_wire_name_equal(&owner, &asked)) {
		out->owner_cut = out->asked_cut;
		memcpy(out->owner, out->asked, sizeof(out->owner));
	} else {
		out->owner_cut = !agentsh_name_text(&owner, out->owner);
	}
	return 0;
}
