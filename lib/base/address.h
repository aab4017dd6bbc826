/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AGENTSH_BASE_ADDRESS_H
#define AGENTSH_BASE_ADDRESS_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

/* The IPv4 address in an IPv4-mapped address, RFC 4291; NULL: addr is another address. */
static inline const uint8_t *agentsh_mapped_ipv4(uint16_t family, const void *addr)
{
	static const uint8_t prefix[12] = {[10] = 0xff, [11] = 0xff};

	if (family != AF_INET6 || memcmp(addr, prefix, sizeof(prefix)) != 0)
		return NULL;
	return (const uint8_t *)addr + sizeof(prefix);
}

#endif
