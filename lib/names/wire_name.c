/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The C library has no function for this that serves: musl has no ns_name_unpack(), its
 * dn_expand() does not escape special bytes, and both C libraries follow as many pointers as
 * fit into the message. In glibc before 2.34 the functions are in another library, too.
 */
#include "names/wire_name.h"

#include <errno.h>
#include <string.h>

/* The first two bits of a length: a pointer, or with other values a label. */
#define POINTER 0xc0

/* A name has at most 127 labels; more pointers than that would point to pointers. */
#define POINTERS_MAX 127

int agentsh_wire_name_read(const uint8_t *message, size_t size, size_t at,
			   struct agentsh_wire_name *out)
{
	size_t start = at, taken = 0, n = 0;
	unsigned int pointers = 0;

	while (at < size) {
		size_t label = message[at];

		if ((label & POINTER) == POINTER) {
			if (size - at < 2)
				return -ENODATA;
			if (!taken)
				taken = at + 2 - start;
			if (++pointers > POINTERS_MAX)
				return -EBADMSG;
			at = (label & ~(size_t)POINTER) << 8 | message[at + 1];
			continue;
		}
		if (label > AGENTSH_LABEL_MAX)
			return -EBADMSG;
		/* Only the empty label, which ends the name, may take the last byte. */
		if (n + label + 1 > AGENTSH_WIRE_NAME_MAX - (label ? 1 : 0))
			return -EBADMSG;
		if (size - at < label + 1)
			return -ENODATA;
		out->labels[n++] = (uint8_t)label;
		at++;
		for (size_t i = 0; i < label; i++)
			out->labels[n++] = agentsh_name_lower(message[at++]);
		if (!label) {
			out->size = (uint8_t)n;
			return (int)(taken ? taken : at - start);
		}
	}
	return -ENODATA;
}

bool agentsh_wire_name_equal(const struct agentsh_wire_name *a, const struct agentsh_wire_name *b)
{
	return a->size == b->size && !memcmp(a->labels, b->labels, a->size);
}
