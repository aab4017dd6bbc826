/* SPDX-License-Identifier: Apache-2.0 */
/* Formats the addresses of an event. No I/O. */
#ifndef ADDRESS_H
#define ADDRESS_H

#include <stdint.h>
#include <sys/socket.h>

#define ADDRESS_MAX 46 /* INET6_ADDRSTRLEN */

/* address is encoded as in struct agentsh_ebpf_event. Returns text; "" for any other family. */
const char *address_text(uint16_t family, const uint8_t address[16], char text[ADDRESS_MAX]);

#endif
