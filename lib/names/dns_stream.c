/* SPDX-License-Identifier: Apache-2.0 */
#include "names/dns_stream.h"

#include <arpa/nameser.h>
#include <errno.h>

int agentsh_dns_tcp_next(struct agentsh_stream *stream, const uint8_t **message, size_t *captured,
			 size_t *length)
{
	size_t size, wanted;
	const uint8_t *data = agentsh_stream_data(stream, &size);

	if (size < NS_INT16SZ)
		return 0;
	*length = (size_t)data[0] << 8 | data[1];
	if (*length < NS_HFIXEDSZ)
		return -EBADMSG;
	wanted = NS_INT16SZ + *length;
	if (size < wanted && size < AGENTSH_STREAM_MAX)
		return 0;
	*message = data + NS_INT16SZ;
	*captured = (size < wanted ? size : wanted) - NS_INT16SZ;
	agentsh_stream_consume(stream, wanted);
	return 1;
}
