/* SPDX-License-Identifier: Apache-2.0 */
/* Requests of HTTP/1, RFC 9112. */
#ifndef AGENTSH_NAMES_HTTP_REQUEST_H
#define AGENTSH_NAMES_HTTP_REQUEST_H

#include "names/first_data.h"

/*
 * Parses a request into *out, which is zero. The name is that of CONNECT's target, of an
 * absolute target, or else of the field Host, even if the header does not end in the data.
 * Two different fields Host give no name, because servers must refuse such a request. Returns
 * as agentsh_first_data_parse(), but may return 0 for any size.
 */
int agentsh_http_request_parse(const uint8_t *data, size_t size, struct agentsh_server_name *out);

#endif
