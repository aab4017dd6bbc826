/* SPDX-License-Identifier: Apache-2.0 */
/* Answers of a name server, and the name that an event of an address has afterwards. */
#ifndef NAMES_CASES_H
#define NAMES_CASES_H

#include "names.h"
#include "names_server.h"

#define LABEL63 "a23456789-b23456789-c23456789-d23456789-e23456789-f23456789-g23"
/* 255 bytes in a message: three labels of 63 bytes and one of 61. */
#define NAME255 LABEL63 "." LABEL63 "." LABEL63 "." LABEL61
#define LABEL61 "a23456789-b23456789-c23456789-d23456789-e23456789-f23456789-g"

struct names_case {
	const char *title;
	const char *name;    /* as asked */
	uint16_t type;	     /* NAMES_A or NAMES_AAAA */
	uint16_t edns;	     /* size that the question allows; 0: no OPT record */
	bool then_tcp;	     /* asks again over TCP */
	const char *address; /* to connect to */
	struct names_want want;
	uint32_t answers, unasked, malformed; /* counters of the session afterwards */
};

extern const struct names_case names_cases[];
extern const size_t names_cases_count;

/* The zone of names_cases. */
void names_cases_zone(const struct names_query *q, struct names_answer *answer);

#endif
