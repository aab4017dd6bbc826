/* SPDX-License-Identifier: Apache-2.0 */
/* DNS messages, RFC 1035, built and read byte by byte. */
#ifndef NAMES_MESSAGE_H
#define NAMES_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NAMES_MESSAGE_MAX 8192
#define NAMES_TEXT_MAX 1100

enum {
	NAMES_A = 1,
	NAMES_CNAME = 5,
	NAMES_TXT = 16,
	NAMES_AAAA = 28,
	NAMES_OPT = 41,
	NAMES_HTTPS = 65
};
enum { NAMES_NOERROR = 0, NAMES_SERVFAIL = 2, NAMES_NXDOMAIN = 3 };
enum { NAMES_TC = 0x0200 };

struct names_message {
	size_t size;
	uint8_t data[NAMES_MESSAGE_MAX];
};

/* A question that arrived. */
struct names_query {
	const uint8_t *data; /* the message */
	size_t size;
	size_t question;	   /* bytes of the question section */
	char name[NAMES_TEXT_MAX]; /* as in the message, with escapes of RFC 4343 */
	uint16_t id, type;
	bool tcp;
};

void names_put(struct names_message *m, const void *bytes, size_t size);
void names_put16(struct names_message *m, uint16_t value);
/* Text with "." between labels; "\." and "\000" are bytes of a label. */
void names_put_name(struct names_message *m, const char *text);

/* Starts a message with this question. */
void names_question(struct names_message *m, uint16_t id, const char *name, uint16_t type);
/* Adds an OPT record, RFC 6891. */
void names_edns(struct names_message *m, uint16_t size);
/* Starts an answer, which repeats the question byte by byte. */
void names_reply(struct names_message *m, const struct names_query *q, uint16_t rcode);
void names_set_flags(struct names_message *m, uint16_t flags);
/* Adds a record to the answer section. NULL as a name: a pointer to the question. */
void names_record(struct names_message *m, const char *name, uint16_t type, uint32_t ttl,
		  const void *data, size_t size);
/* Adds an A or AAAA record, as the address is. */
void names_address(struct names_message *m, const char *name, uint32_t ttl, const char *address);
void names_cname(struct names_message *m, const char *name, uint32_t ttl, const char *target);

/* Reads a question; false if it is malformed. */
bool names_read_query(struct names_query *q, const uint8_t *data, size_t size, bool tcp);

#endif
