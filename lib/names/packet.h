/* SPDX-License-Identifier: Apache-2.0 */
/* The data of a record that is more than an event. */
#ifndef AGENTSH_NAMES_PACKET_H
#define AGENTSH_NAMES_PACKET_H

#include <stdint.h>

struct agentsh_packet {
	const uint8_t *data;
	uint32_t captured; /* bytes of data */
	uint32_t length;   /* bytes of the payload, at least captured */
	uint32_t sequence; /* TCP: of the first byte */
	uint32_t segment;  /* UDP: size of each of several datagrams; 0: one datagram */
};

#endif
