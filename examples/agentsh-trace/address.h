/* SPDX-License-Identifier: Apache-2.0 */
/* An event's addresses as text. No I/O. */
#ifndef ADDRESS_H
#define ADDRESS_H

#include <stdint.h>
#include <sys/socket.h>

#define ADDRESS_MAX 46 /* INET6_ADDRSTRLEN */

/* address as in struct agentsh_ebpf_event; "" for a family that is neither. */
const char *address_text(uint16_t family, const uint8_t address[16], char text[ADDRESS_MAX]);

#endif
