/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "client_hello.h"
#include "live.h"

#define HANDSHAKE 22
#define CLIENT_HELLO 1
#define EXT_SERVER_NAME 0
#define EXT_ALPN 16
#define EXT_PADDING 21
#define EXT_ECH 0xfe0d

struct bytes {
	size_t size;
	uint8_t data[CLIENT_HELLO_MAX];
};

static void put(struct bytes *b, const void *from, size_t size)
{
	LIVE_CHECK(b->size + size <= sizeof(b->data), "a ClientHello of more than %zu bytes",
		   sizeof(b->data));
	memcpy(b->data + b->size, from, size);
	b->size += size;
}

static void put_number(struct bytes *b, size_t value, int bytes)
{
	for (int i = bytes - 1; i >= 0; i--)
		put(b, &(uint8_t){(uint8_t)(value >> (8 * i))}, 1);
}

static void put_extension(struct bytes *b, unsigned int type, const void *data, size_t size)
{
	put_number(b, type, 2);
	put_number(b, size, 2);
	put(b, data, size);
}

static void put_sni(struct bytes *b, const char *name)
{
	struct bytes data = {.size = 0};

	put_number(&data, strlen(name) + 3, 2);
	put_number(&data, 0, 1); /* host_name */
	put_number(&data, strlen(name), 2);
	put(&data, name, strlen(name));
	put_extension(b, EXT_SERVER_NAME, data.data, data.size);
}

static void put_alpn(struct bytes *b, const char *list)
{
	struct bytes protocols = {.size = 0}, data = {.size = 0};

	while (*list) {
		size_t length = strcspn(list, ",");

		put_number(&protocols, length, 1);
		put(&protocols, list, length);
		list += length + (list[length] == ',');
	}
	put_number(&data, protocols.size, 2);
	put(&data, protocols.data, protocols.size);
	put_extension(b, EXT_ALPN, data.data, data.size);
}

static void put_extensions(struct bytes *b, const struct client_hello *hello, size_t padding)
{
	static const uint8_t zeros[CLIENT_HELLO_MAX], ech[64] = {0, 0, 1, 0, 1, 9};

	if (padding && hello->late)
		put_extension(b, EXT_PADDING, zeros, padding - 4);
	if (hello->sni)
		put_sni(b, hello->sni);
	if (hello->ech)
		put_extension(b, EXT_ECH, ech, sizeof(ech));
	if (hello->alpn)
		put_alpn(b, hello->alpn);
	if (padding && !hello->late)
		put_extension(b, EXT_PADDING, zeros, padding - 4);
}

static void put_message(struct bytes *b, const struct client_hello *hello, size_t padding)
{
	struct bytes body = {.size = 0}, extensions = {.size = 0};
	static const uint8_t random[32] = {7}, session[32] = {9};

	put_extensions(&extensions, hello, padding);
	put_number(&body, 0x0303, 2);
	put(&body, random, sizeof(random));
	put_number(&body, sizeof(session), 1);
	put(&body, session, sizeof(session));
	put_number(&body, 4, 2); /* bytes of cipher suites */
	put_number(&body, 0x13011302, 4);
	put_number(&body, 0x0100, 2); /* one compression method: none */
	put_number(&body, extensions.size, 2);
	put(&body, extensions.data, extensions.size);
	put_number(b, CLIENT_HELLO, 1);
	put_number(b, body.size, 3);
	put(b, body.data, body.size);
}

size_t client_hello_build(const struct client_hello *hello, uint8_t out[CLIENT_HELLO_MAX])
{
	struct bytes message = {.size = 0}, records = {.size = 0};
	size_t padding;

	put_message(&message, hello, 0);
	if (hello->size) {
		LIVE_CHECK(hello->size >= message.size + 5 + 4, "a ClientHello has %zu bytes",
			   message.size + 5);
		padding = hello->size - message.size - 5;
		message.size = 0;
		put_message(&message, hello, padding);
	}
	for (size_t at = 0; at < message.size;) {
		size_t part = message.size - at;

		if (hello->record && part > hello->record)
			part = hello->record;
		put_number(&records, HANDSHAKE, 1);
		put_number(&records, 0x0301, 2);
		put_number(&records, part, 2);
		put(&records, message.data + at, part);
		at += part;
	}
	memcpy(out, records.data, records.size);
	return records.size;
}
