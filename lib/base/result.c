/* SPDX-License-Identifier: Apache-2.0 */
#include "base/result.h"

#include <stdint.h>
#include <string.h>

void agentsh_copy_result(void *out, const void *from, size_t size)
{
	uint32_t have;
	size_t known;

	memcpy(&have, out, sizeof(have));
	known = have < size ? have : size;
	memcpy((char *)out + sizeof(have), (const char *)from + sizeof(have), known - sizeof(have));
	memset((char *)out + known, 0, have - known);
}
