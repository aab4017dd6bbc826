/* SPDX-License-Identifier: Apache-2.0 */
#include "hash.h"

uint64_t hash_bytes(const void *key, size_t size, uint64_t seed)
{
	const unsigned char *bytes = key;
	uint64_t hash = seed;

	for (size_t i = 0; i < size; i++) {
		hash = (hash ^ bytes[i]) * 0x9e3779b97f4a7c15U;
		hash ^= hash >> 32;
	}
	return hash;
}
