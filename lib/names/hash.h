/* SPDX-License-Identifier: Apache-2.0 */
/* A keyed hash, so that a watched process cannot choose keys that collide. */
#ifndef AGENTSH_NAMES_HASH_H
#define AGENTSH_NAMES_HASH_H

#include <stdint.h>

struct agentsh_hash_key {
	uint64_t words[2];
};

/* Takes a random key. */
void agentsh_hash_key_init(struct agentsh_hash_key *key);
/* SipHash-1-3 of two words and a tag. */
uint64_t agentsh_hash(const struct agentsh_hash_key *key, const uint64_t words[2], uint32_t tag);

#endif
