/* SPDX-License-Identifier: Apache-2.0 */
/* Builds TLS ClientHellos for tests. */
#ifndef HELLO_BUILDER_H
#define HELLO_BUILDER_H

#include <stddef.h>
#include <stdint.h>

struct hello {
	size_t size;
	uint8_t bytes[16384];
};

/* Begins a ClientHello; until hello_end() the bytes have one record, whose lengths are open. */
void hello_begin(struct hello *h);
void hello_extension(struct hello *h, uint16_t type, const void *body, size_t size);
void hello_sni(struct hello *h, const char *name);
/* The list as in the packet: each protocol behind its length. */
void hello_alpn(struct hello *h, const char *list);
/* A padding extension, with which the ClientHello has size bytes in one record. */
void hello_pad(struct hello *h, size_t size);
/* Sets the lengths, and splits the message into records of at most this many bytes. */
void hello_end(struct hello *h, size_t record);

#endif
