/* SPDX-License-Identifier: Apache-2.0 */
/* Domain names as in DNS messages, RFC 1035. */
#ifndef AGENTSH_NAMES_WIRE_NAME_H
#define AGENTSH_NAMES_WIRE_NAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes of the longest name, with the empty label at its end. */
#define AGENTSH_WIRE_NAME_MAX 255
#define AGENTSH_LABEL_MAX 63

/* Only ASCII letters have a case in names, RFC 4343. */
static inline uint8_t agentsh_name_lower(uint8_t byte)
{
	return byte >= 'A' && byte <= 'Z' ? (uint8_t)(byte | 0x20) : byte;
}

/* Labels without compression, each after a byte with its length, in lower case. */
struct agentsh_wire_name {
	uint8_t size; /* bytes of labels that are set, at least 1 */
	uint8_t labels[AGENTSH_WIRE_NAME_MAX];
};

/*
 * Reads the name at an offset of a message, and follows its compression pointers. Returns
 * the number of bytes that the name takes at that offset; -ENODATA if the message ends
 * before the name does; or -EBADMSG.
 */
int agentsh_wire_name_read(const uint8_t *message, size_t size, size_t at,
			   struct agentsh_wire_name *out);

bool agentsh_wire_name_equal(const struct agentsh_wire_name *a, const struct agentsh_wire_name *b);

#endif
