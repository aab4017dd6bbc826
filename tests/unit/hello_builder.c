/* SPDX-License-Identifier: Apache-2.0 */
#include "hello_builder.h"

#include <stdlib.h>
#include <string.h>

#define RECORD_HEADER 5
#define EXTENSIONS (RECORD_HEADER + 4 + 34 + 33 + 8 + 2) /* offset of their length */

static void put(struct hello *h, const void *bytes, size_t n)
{
	if (n > sizeof(h->bytes) - h->size)
		abort();
	memcpy(h->bytes + h->size, bytes, n);
	h->size += n;
}

static void put16(struct hello *h, size_t number)
{
	const uint8_t bytes[] = {(uint8_t)(number >> 8), (uint8_t)number};

	put(h, bytes, sizeof(bytes));
}

void hello_begin(struct hello *h)
{
	memset(h, 0, sizeof(*h));
	put(h, "\x16\3\1\0\0\1\0\0\0\3\3", 11);
	h->size += 32;	   /* random */
	put(h, "\x20", 1); /* session id */
	h->size += 32;
	put(h, "\0\6\x13\1\x13\2\x13\3", 8); /* ciphers */
	put(h, "\1\0", 2);		     /* compression */
	put16(h, 0);			     /* extensions */
	if (h->size != EXTENSIONS + 2)
		abort();
}

void hello_extension(struct hello *h, uint16_t type, const void *body, size_t size)
{
	put16(h, type);
	put16(h, size);
	put(h, body, size);
}

void hello_sni(struct hello *h, const char *name)
{
	struct hello body = {0};
	size_t n = strlen(name);

	put16(&body, n + 3);
	put(&body, "", 1);
	put16(&body, n);
	put(&body, name, n);
	hello_extension(h, 0, body.bytes, body.size);
}

void hello_alpn(struct hello *h, const char *list)
{
	struct hello body = {0};

	put16(&body, strlen(list));
	put(&body, list, strlen(list));
	hello_extension(h, 16, body.bytes, body.size);
}

void hello_pad(struct hello *h, size_t size)
{
	static const uint8_t zeros[8192];

	if (size < h->size + 4 || size - h->size - 4 > sizeof(zeros))
		abort();
	hello_extension(h, 21, zeros, size - h->size - 4);
}

void hello_end(struct hello *h, size_t record)
{
	struct hello from = *h;
	size_t message = h->size - RECORD_HEADER;

	from.size = RECORD_HEADER + 2;
	put16(&from, message - 4);
	from.size = EXTENSIONS;
	put16(&from, h->size - EXTENSIONS - 2);
	h->size = 0;
	for (size_t at = 0; at < message; at += record) {
		size_t n = message - at < record ? message - at : record;

		put(h, "\x16\3\1", 3);
		put16(h, n);
		put(h, from.bytes + RECORD_HEADER + at, n);
	}
}
