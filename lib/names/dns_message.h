/* SPDX-License-Identifier: Apache-2.0 */
/* DNS questions and answers, RFC 1035. */
#ifndef AGENTSH_NAMES_DNS_MESSAGE_H
#define AGENTSH_NAMES_DNS_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <agentsh/ebpf.h>

#include "names/name_text.h"

/* Addresses of an answer, and records that the parser looks at. */
#define AGENTSH_DNS_ADDRESSES 32

struct agentsh_dns_message {
	uint16_t id, type, class_; /* type and class of the question */
	uint16_t rcode;		   /* of the header: without the extension by EDNS */
	bool response;
	bool truncated; /* the name server has truncated the answer (TC) */
	bool cut;	/* not all records were looked at */
	bool asked_cut, owner_cut;
	char asked[AGENTSH_NAME_TEXT]; /* name of the question */
	char owner[AGENTSH_NAME_TEXT]; /* end of the chain of CNAME records; asked if there is none
					*/
	uint32_t ttl_s; /* smallest of the chain and the addresses; 0: none of both */
	uint32_t count;
	/* Of the owner, in the order of the message. */
	struct agentsh_ebpf_address addresses[AGENTSH_DNS_ADDRESSES];
};

/*
 * Parses a question or an answer. length is the size of the message, of which the first
 * captured bytes are there. Of a message that ends early, because it was captured or truncated
 * so, the records that are whole count. Returns 0; or -EBADMSG if a record is malformed, or
 * there is not exactly one question, or the message is no query (an update or a notification,
 * for example).
 */
int agentsh_dns_parse(const uint8_t *message, size_t captured, size_t length,
		      struct agentsh_dns_message *out);

#endif
