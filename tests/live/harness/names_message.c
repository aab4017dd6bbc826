/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "live.h"
#include "names_message.h"

#define HEADER 12
#define CLASS_IN 1

void names_put(struct names_message *m, const void *bytes, size_t size)
{
	LIVE_CHECK(m->size + size <= sizeof(m->data), "a message of more than %zu bytes",
		   sizeof(m->data));
	memcpy(m->data + m->size, bytes, size);
	m->size += size;
}

void names_put16(struct names_message *m, uint16_t value)
{
	const uint8_t bytes[2] = {(uint8_t)(value >> 8), (uint8_t)value};

	names_put(m, bytes, sizeof(bytes));
}

static void put32(struct names_message *m, uint32_t value)
{
	names_put16(m, (uint16_t)(value >> 16));
	names_put16(m, (uint16_t)value);
}

/* One byte of a label; moves the text behind it. */
static uint8_t unescaped(const char **text)
{
	const char *t = *text;

	if (*t != '\\') {
		*text = t + 1;
		return (uint8_t)*t;
	}
	if (t[1] < '0' || t[1] > '9') {
		*text = t + 2;
		return (uint8_t)t[1];
	}
	*text = t + 4;
	return (uint8_t)((t[1] - '0') * 100 + (t[2] - '0') * 10 + t[3] - '0');
}

void names_put_name(struct names_message *m, const char *text)
{
	while (*text) {
		uint8_t label[64], length = 0;

		while (*text && *text != '.') {
			LIVE_CHECK(length < 63, "a label of more than 63 bytes");
			label[1 + length++] = unescaped(&text);
		}
		if (*text == '.')
			text++;
		label[0] = length;
		names_put(m, label, (size_t)length + 1);
	}
	names_put(m, "", 1);
}

static void header(struct names_message *m, uint16_t id, uint16_t flags)
{
	m->size = 0;
	names_put16(m, id);
	names_put16(m, flags);
	names_put16(m, 1); /* questions */
	names_put(m, "\0\0\0\0\0\0", 6);
}

void names_question(struct names_message *m, uint16_t id, const char *name, uint16_t type)
{
	header(m, id, 0x0100 /* RD */);
	names_put_name(m, name);
	names_put16(m, type);
	names_put16(m, CLASS_IN);
}

static void one_more(struct names_message *m, size_t at)
{
	if (!++m->data[at + 1])
		m->data[at]++;
}

void names_edns(struct names_message *m, uint16_t size)
{
	names_put(m, "", 1);
	names_put16(m, NAMES_OPT);
	names_put16(m, size);
	put32(m, 0);
	names_put16(m, 0);
	one_more(m, 10);
}

void names_reply(struct names_message *m, const struct names_query *q, uint16_t rcode)
{
	header(m, q->id, (uint16_t)(0x8180 /* QR, RD, RA */ | rcode));
	names_put(m, q->data + HEADER, q->question);
}

void names_set_flags(struct names_message *m, uint16_t flags)
{
	m->data[2] |= (uint8_t)(flags >> 8);
	m->data[3] |= (uint8_t)flags;
}

void names_record(struct names_message *m, const char *name, uint16_t type, uint32_t ttl,
		  const void *data, size_t size)
{
	if (name)
		names_put_name(m, name);
	else
		names_put16(m, 0xc000 | HEADER);
	names_put16(m, type);
	names_put16(m, CLASS_IN);
	put32(m, ttl);
	names_put16(m, (uint16_t)size);
	names_put(m, data, size);
	one_more(m, 6);
}

void names_address(struct names_message *m, const char *name, uint32_t ttl, const char *address)
{
	uint8_t bytes[16];

	if (inet_pton(AF_INET, address, bytes) == 1) {
		names_record(m, name, NAMES_A, ttl, bytes, 4);
		return;
	}
	LIVE_CHECK(inet_pton(AF_INET6, address, bytes) == 1, "%s is no address", address);
	names_record(m, name, NAMES_AAAA, ttl, bytes, 16);
}

void names_cname(struct names_message *m, const char *name, uint32_t ttl, const char *target)
{
	struct names_message data = {.size = 0};

	names_put_name(&data, target);
	names_record(m, name, NAMES_CNAME, ttl, data.data, data.size);
}

static bool read_name(struct names_query *q, size_t *at)
{
	size_t length = 0;

	while (*at < q->size && q->data[*at]) {
		uint8_t label = q->data[(*at)++];

		if (label > 63 || *at + label >= q->size)
			return false;
		if (length)
			q->name[length++] = '.';
		for (; label; label--) {
			uint8_t byte = q->data[(*at)++];
			const char *format = byte == '.' || byte == '\\' ? "\\%c"
					     : byte > 32 && byte < 127	 ? "%c"
									 : "\\%03d";

			length += (size_t)snprintf(q->name + length, sizeof(q->name) - length,
						   format, byte);
		}
	}
	(*at)++;
	return true;
}

bool names_read_query(struct names_query *q, const uint8_t *data, size_t size, bool tcp)
{
	size_t at = HEADER;

	memset(q, 0, sizeof(*q));
	q->data = data;
	q->size = size;
	q->tcp = tcp;
	if (size < HEADER || !read_name(q, &at) || at + 4 > size)
		return false;
	q->id = (uint16_t)(data[0] << 8 | data[1]);
	q->type = (uint16_t)(data[at] << 8 | data[at + 1]);
	q->question = at + 4 - HEADER;
	return true;
}
