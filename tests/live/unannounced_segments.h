/* SPDX-License-Identifier: Apache-2.0 */
/* TCP segments that are made by hand and sent by a raw socket outside the session. */
#ifndef UNANNOUNCED_SEGMENTS_H
#define UNANNOUNCED_SEGMENTS_H

#include "unannounced.h"

enum { SEGMENT_FIN = 1, SEGMENT_SYN = 2, SEGMENT_RST = 4, SEGMENT_ACK = 16 };

/* Sends one IPv4 segment with these flags and a correct checksum. Both ends are on loopback. */
void segment_send(const struct connection_address *from, const struct connection_address *to,
		  uint32_t sequence, int flags);

#endif
