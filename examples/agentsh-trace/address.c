/* SPDX-License-Identifier: Apache-2.0 */
#include "address.h"

#include <arpa/inet.h>

const char *address_text(uint16_t family, const uint8_t address[16], char text[ADDRESS_MAX])
{
	if ((family != AF_INET && family != AF_INET6) ||
	    !inet_ntop(family, address, text, ADDRESS_MAX))
		text[0] = '\0';
	return text;
}
