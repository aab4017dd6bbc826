/* SPDX-License-Identifier: Apache-2.0 */
#include "destinations.h"

#include <string.h>

#include <agentsh/ebpf.h>

#define PLACES (2 * DESTINATIONS_MAX)

_Static_assert(sizeof(struct destination) == 22, "no holes: it is hashed and compared as bytes");
_Static_assert((PLACES & (PLACES - 1)) == 0, "places are counted modulo a power of two");

static size_t place_of(const struct destination *key, uint64_t seed)
{
	const unsigned char *bytes = (const unsigned char *)key;
	uint64_t hash = seed;

	for (size_t i = 0; i < sizeof(*key); i++) {
		hash = (hash ^ bytes[i]) * 0x9e3779b97f4a7c15U;
		hash ^= hash >> 32;
	}
	return hash & (PLACES - 1);
}

void destinations_add(struct destinations *d, const struct agentsh_ebpf_event *event)
{
	struct destination key = {
		.port = event->remote_port,
		.protocol = event->protocol,
		.family = event->family,
	};
	size_t place;

	if (!event->family)
		return;
	memcpy(key.address, event->remote_addr, sizeof(key.address));
	place = place_of(&key, d->seed);
	while (d->table[place].family) { /* half of the table stays free, so this ends */
		if (!memcmp(&d->table[place], &key, sizeof(key)))
			return;
		place = (place + 1) & (PLACES - 1);
	}
	if (d->count == DESTINATIONS_MAX) {
		d->more = true;
		return;
	}
	d->table[place] = key;
	d->count++;
}
