/* SPDX-License-Identifier: Apache-2.0 */
/* ClientHello messages of TLS, RFC 8446, built byte by byte. */
#ifndef CLIENT_HELLO_H
#define CLIENT_HELLO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CLIENT_HELLO_MAX 8192

struct client_hello {
	const char *sni;  /* NULL: without server_name */
	const char *alpn; /* protocols, separated by commas; NULL: without ALPN */
	size_t size;	  /* of the record with its header; 0: as short as possible */
	size_t record;	  /* bytes of the message per TLS record; 0: all in one */
	bool ech;	  /* with encrypted_client_hello */
	bool late;	  /* the padding comes before the other extensions */
};

/* Writes the records; returns their size. */
size_t client_hello_build(const struct client_hello *hello, uint8_t out[CLIENT_HELLO_MAX]);

#endif
