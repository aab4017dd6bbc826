/* SPDX-License-Identifier: Apache-2.0 */
#include "names/hash.h"

#include <sys/random.h>
#include <time.h>

#include "base/clock.h"

/* Early in the boot, or if seccomp forbids the call, addresses and the clock have to do. */
void agentsh_hash_key_init(struct agentsh_hash_key *key)
{
	if (getrandom(key->words, sizeof(key->words), GRND_NONBLOCK) == sizeof(key->words))
		return;
	key->words[0] = agentsh_clock_ns(CLOCK_MONOTONIC) * 0x9e3779b97f4a7c15;
	key->words[1] =
		(uint64_t)(uintptr_t)key * 0xbf58476d1ce4e5b9 ^ agentsh_clock_ns(CLOCK_REALTIME);
}

static uint64_t rotate(uint64_t word, int bits)
{
	return word << bits | word >> (64 - bits);
}

static void mix(uint64_t v[4])
{
	v[0] += v[1];
	v[1] = rotate(v[1], 13) ^ v[0];
	v[0] = rotate(v[0], 32);
	v[2] += v[3];
	v[3] = rotate(v[3], 16) ^ v[2];
	v[0] += v[3];
	v[3] = rotate(v[3], 21) ^ v[0];
	v[2] += v[1];
	v[1] = rotate(v[1], 17) ^ v[2];
	v[2] = rotate(v[2], 32);
}

uint64_t agentsh_hash(const struct agentsh_hash_key *key, const uint64_t words[2], uint32_t tag)
{
	const uint64_t input[] = {words[0], words[1], (uint64_t)20 << 56 | tag};
	uint64_t v[] = {
		key->words[0] ^ 0x736f6d6570736575,
		key->words[1] ^ 0x646f72616e646f6d,
		key->words[0] ^ 0x6c7967656e657261,
		key->words[1] ^ 0x7465646279746573,
	};

	for (int i = 0; i < 3; i++) {
		v[3] ^= input[i];
		mix(v);
		v[0] ^= input[i];
	}
	v[2] ^= 0xff;
	for (int i = 0; i < 3; i++)
		mix(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}
