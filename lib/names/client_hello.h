/* SPDX-License-Identifier: Apache-2.0 */
/* The ClientHello of TLS, RFC 8446. */
#ifndef AGENTSH_NAMES_CLIENT_HELLO_H
#define AGENTSH_NAMES_CLIENT_HELLO_H

#include "names/first_data.h"

/* Type of a TLS record, and so the first byte of a connection. */
#define AGENTSH_TLS_HANDSHAKE 22

/*
 * Parses at most AGENTSH_FIRST_DATA_MAX bytes, of which the first is AGENTSH_TLS_HANDSHAKE,
 * into *out, which is zero. Returns as agentsh_first_data_parse(), but may return 0 for any
 * size.
 */
int agentsh_client_hello_parse(const uint8_t *data, size_t size, struct agentsh_server_name *out);

#endif
