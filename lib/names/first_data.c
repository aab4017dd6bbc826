/* SPDX-License-Identifier: Apache-2.0 */
#include "names/first_data.h"

#include <errno.h>
#include <string.h>

#include "names/client_hello.h"
#include "names/http_request.h"

int agentsh_first_data_parse(const uint8_t *data, size_t size, struct agentsh_server_name *out)
{
	int ret = 0;

	memset(out, 0, sizeof(*out));
	if (size > AGENTSH_FIRST_DATA_MAX)
		size = AGENTSH_FIRST_DATA_MAX;
	if (size && data[0] == AGENTSH_TLS_HANDSHAKE)
		ret = agentsh_client_hello_parse(data, size, out);
	else if (size)
		ret = agentsh_http_request_parse(data, size, out);
	if (ret || size < AGENTSH_FIRST_DATA_MAX)
		return ret;
	out->cut = true;
	return out->source ? 1 : -EBADMSG;
}
