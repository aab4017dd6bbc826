/* SPDX-License-Identifier: Apache-2.0 */
/* The name of the server in the first data that a client sends over TCP. */
#ifndef AGENTSH_NAMES_FIRST_DATA_H
#define AGENTSH_NAMES_FIRST_DATA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "names/name_text.h"

/* Bytes of the data that the parsers look at. */
#define AGENTSH_FIRST_DATA_MAX 4096

struct agentsh_server_name {
	uint32_t source; /* AGENTSH_EBPF_NAME_TLS or AGENTSH_EBPF_NAME_HTTP; 0: no name yet */
	bool cut;	 /* name or alpn did not fit, or the ClientHello is not whole */
	bool outer;	 /* the ClientHello has an encrypted_client_hello extension */
	char name[AGENTSH_NAME_TEXT];
	/* Separated by commas; the protocols from the first that does not fit are left out. */
	char alpn[64];
};

/*
 * Parses the data from the first byte on: a TLS ClientHello or an HTTP/1 request. Returns
 *
 *   1         The name was found.
 *   0         More data may decide; never if size is AGENTSH_FIRST_DATA_MAX or more. If
 *             source is set, the name is known already, and is the result if no more data
 *             can come.
 *   -EBADMSG  There is no name and never will be: it is another protocol, the data is
 *             malformed or names no server, or it names an IP address.
 */
int agentsh_first_data_parse(const uint8_t *data, size_t size, struct agentsh_server_name *out);

#endif
