/* SPDX-License-Identifier: Apache-2.0 */
/* DNS over TCP: each message stands behind its length, RFC 1035 4.2.2. */
#ifndef AGENTSH_NAMES_DNS_STREAM_H
#define AGENTSH_NAMES_DNS_STREAM_H

#include "names/stream.h"

/*
 * Consumes the next message. *length is its size, of which *captured bytes are at *message
 * until the next call of agentsh_stream_add(). A message that the stream cannot hold is cut,
 * and its rest is skipped when it comes; what stands behind the message in the segment that
 * filled the stream is lost. Returns 1; 0 if more data is needed; or -EBADMSG if the
 * data cannot be a DNS message, so that the stream is of no use any more.
 */
int agentsh_dns_tcp_next(struct agentsh_stream *stream, const uint8_t **message, size_t *captured,
			 size_t *length);

#endif
