/* SPDX-License-Identifier: Apache-2.0 */
#include "names/unix_path.h"

#include <stdio.h>
#include <string.h>

#define TEXT_MAX 255

static bool is_plain(uint8_t byte)
{
	return byte >= ' ' && byte < 0x7f && byte != '\\';
}

bool agentsh_unix_path(const uint8_t *sun_path, size_t size, char out[256])
{
	bool abstract = size && !sun_path[0];
	size_t at = 0, length = 0;

	if (abstract) {
		out[length++] = '@';
		at = 1;
	} else {
		size = strnlen((const char *)sun_path, size);
	}
	for (; at < size; at++) {
		bool plain = is_plain(sun_path[at]) && (abstract || at || sun_path[at] != '@');

		if (length + (plain ? 1 : 4) > TEXT_MAX)
			break;
		if (plain)
			out[length++] = (char)sun_path[at];
		else
			length += (size_t)sprintf(out + length, "\\%03u", sun_path[at]);
	}
	out[length] = '\0';
	return at < size;
}
