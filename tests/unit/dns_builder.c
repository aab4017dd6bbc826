/* SPDX-License-Identifier: Apache-2.0 */
#include "dns_builder.h"

#include <stdlib.h>
#include <string.h>

void dns_put(struct dns_builder *b, const void *bytes, size_t n)
{
	if (n > sizeof(b->bytes) - b->size)
		abort();
	memcpy(b->bytes + b->size, bytes, n);
	b->size += n;
}

void dns_put16(struct dns_builder *b, uint16_t number)
{
	const uint8_t bytes[] = {(uint8_t)(number >> 8), (uint8_t)number};

	dns_put(b, bytes, sizeof(bytes));
}

void dns_put_name(struct dns_builder *b, const char *text)
{
	if (*text == '@') {
		dns_put16(b, (uint16_t)(0xc000 | atoi(text + 1)));
		return;
	}
	while (*text) {
		size_t n = strcspn(text, ".");
		uint8_t length = (uint8_t)n;

		dns_put(b, &length, 1);
		dns_put(b, text, n);
		text += n + (text[n] == '.');
	}
	dns_put(b, "", 1);
}

void dns_count(struct dns_builder *b, uint16_t questions, uint16_t answers)
{
	size_t size = b->size;

	b->size = 4;
	dns_put16(b, questions);
	dns_put16(b, answers);
	b->size = size;
}

void dns_begin(struct dns_builder *b, uint16_t id, uint16_t flags, const char *asked, uint16_t type)
{
	memset(b, 0, sizeof(*b));
	dns_put16(b, id);
	dns_put16(b, flags);
	b->size = 12;
	if (!asked)
		return;
	dns_put_name(b, asked);
	dns_put16(b, type);
	dns_put16(b, 1);
	dns_count(b, 1, 0);
}

size_t dns_record(struct dns_builder *b, const char *owner, uint16_t type, uint32_t ttl_s,
		  const void *data, uint16_t length)
{
	size_t at = b->size;

	dns_put_name(b, owner);
	dns_put16(b, type);
	dns_put16(b, 1);
	dns_put16(b, (uint16_t)(ttl_s >> 16));
	dns_put16(b, (uint16_t)ttl_s);
	dns_put16(b, length);
	dns_put(b, data, length);
	dns_count(b, 1, (uint16_t)((b->bytes[6] << 8 | b->bytes[7]) + 1));
	return at;
}

size_t dns_a(struct dns_builder *b, const char *owner, uint32_t ttl_s, uint32_t address)
{
	const uint8_t bytes[] = {(uint8_t)(address >> 24), (uint8_t)(address >> 16),
				 (uint8_t)(address >> 8), (uint8_t)address};

	return dns_record(b, owner, DNS_TYPE_A, ttl_s, bytes, sizeof(bytes));
}

size_t dns_aaaa(struct dns_builder *b, const char *owner, uint32_t ttl_s, uint8_t last)
{
	const uint8_t bytes[16] = {0x20, 1, 0xd, 0xb8, [15] = last};

	return dns_record(b, owner, DNS_TYPE_AAAA, ttl_s, bytes, sizeof(bytes));
}

size_t dns_cname(struct dns_builder *b, const char *owner, uint32_t ttl_s, const char *target)
{
	struct dns_builder data = {0};

	dns_put_name(&data, target);
	return dns_record(b, owner, DNS_TYPE_CNAME, ttl_s, data.bytes, (uint16_t)data.size);
}
