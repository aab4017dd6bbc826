/* SPDX-License-Identifier: Apache-2.0 */
/* Counts different destinations: protocol, address and port. No I/O. */
#ifndef DESTINATIONS_H
#define DESTINATIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct agentsh_ebpf_event;

#define DESTINATIONS_MAX 65536

struct destination {
	uint8_t address[16];
	uint16_t port;
	uint16_t protocol;
	uint16_t family; /* 0: a free place */
};

/* All zero is empty, but for the seed. */
struct destinations {
	uint64_t seed; /* secret: traced programs must not choose what collides */
	size_t count;
	bool more; /* than DESTINATIONS_MAX */
	struct destination table[2 * DESTINATIONS_MAX];
};

void destinations_add(struct destinations *d, const struct agentsh_ebpf_event *event);

#endif
