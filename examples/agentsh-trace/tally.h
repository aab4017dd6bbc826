/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TALLY_H
#define TALLY_H

#include <stdint.h>

struct agentsh_ebpf_event;

/* What the events so far add up to. All zero is the beginning. */
struct tally {
	uint64_t shown;
	uint64_t unchosen; /* of a kind that --events leaves out, or that is not known */
	uint64_t opened;   /* connections, by the traced */
	uint64_t accepted; /* and by their peers */
	uint64_t failed;
	uint64_t closed; /* of those opened and accepted */
};

void tally_add(struct tally *tally, const struct agentsh_ebpf_event *event, int shown);

/* Connections that have not ended; an estimate where events were lost. */
uint64_t tally_open(const struct tally *tally);

#endif
