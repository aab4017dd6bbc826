/* SPDX-License-Identifier: Apache-2.0 */
/* Builds DNS messages for tests. */
#ifndef DNS_BUILDER_H
#define DNS_BUILDER_H

#include <stddef.h>
#include <stdint.h>

#define DNS_TYPE_A 1
#define DNS_TYPE_CNAME 5
#define DNS_TYPE_AAAA 28
#define DNS_TYPE_OPT 41

/* Flags of the header. */
#define DNS_QUERY 0x0100
#define DNS_ANSWER 0x8180
#define DNS_TRUNCATED 0x0200

struct dns_builder {
	size_t size;
	uint8_t bytes[16384];
};

/* A header with one question, unless text is NULL. Counts are changed by dns_count(). */
void dns_begin(struct dns_builder *b, uint16_t id, uint16_t flags, const char *asked,
	       uint16_t type);
void dns_count(struct dns_builder *b, uint16_t questions, uint16_t answers);
void dns_put(struct dns_builder *b, const void *bytes, size_t n);
void dns_put16(struct dns_builder *b, uint16_t number);
/* A name without compression. A text that begins with "@" is a pointer: "@12". */
void dns_put_name(struct dns_builder *b, const char *text);

/* These add a record of class IN and count it; they return its offset. */
size_t dns_record(struct dns_builder *b, const char *owner, uint16_t type, uint32_t ttl_s,
		  const void *data, uint16_t length);
size_t dns_a(struct dns_builder *b, const char *owner, uint32_t ttl_s, uint32_t address);
size_t dns_aaaa(struct dns_builder *b, const char *owner, uint32_t ttl_s, uint8_t last);
size_t dns_cname(struct dns_builder *b, const char *owner, uint32_t ttl_s, const char *target);

#endif
