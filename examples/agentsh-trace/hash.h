/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HASH_H
#define HASH_H

#include <stddef.h>
#include <stdint.h>

/* The seed is secret, so that a traced program cannot choose keys that collide. */
uint64_t hash_bytes(const void *key, size_t size, uint64_t seed);

#endif
