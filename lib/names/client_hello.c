/* SPDX-License-Identifier: Apache-2.0 */
#include "names/client_hello.h"

#include <errno.h>
#include <string.h>

#include <agentsh/ebpf.h>

#define VERSION_MAJOR 3
#define RECORD_MAX 16384
#define CLIENT_HELLO 1
#define HOST_NAME 0

/* Extensions: RFC 6066, RFC 7301, RFC 9849. */
#define SERVER_NAME 0
#define ALPN 16
#define ENCRYPTED_CLIENT_HELLO 0xfe0d

/*
 * The rest of a vector. The bytes that have not arrived yet belong to it, too, so that a
 * vector that is too long is told from one that is not whole.
 */
struct vector {
	const uint8_t *at;
	size_t left;	/* bytes until its end */
	size_t arrived; /* of these, at most left */
};

/* These functions return 1; 0 if bytes have not arrived yet; or -EBADMSG. */

static int take(struct vector *v, size_t n, const uint8_t **bytes)
{
	if (n > v->left)
		return -EBADMSG;
	if (n > v->arrived)
		return 0;
	*bytes = v->at;
	v->at += n;
	v->left -= n;
	v->arrived -= n;
	return 1;
}

/* Reads a big-endian number of n bytes. */
static int take_number(struct vector *v, size_t n, size_t *number)
{
	const uint8_t *bytes = NULL;
	int ret = take(v, n, &bytes);

	*number = 0;
	for (size_t i = 0; bytes && i < n; i++)
		*number = *number << 8 | bytes[i];
	return ret;
}

/* Reads the vector behind its length of n bytes; it may not have arrived whole. */
static int take_part(struct vector *v, size_t n, struct vector *inner)
{
	size_t size;
	int ret = take_number(v, n, &size);

	if (ret <= 0)
		return ret;
	if (size > v->left)
		return -EBADMSG;
	*inner = (struct vector){v->at, size, size < v->arrived ? size : v->arrived};
	v->at += inner->arrived;
	v->arrived -= inner->arrived;
	v->left -= size;
	return 1;
}

static int take_vector(struct vector *v, size_t n, struct vector *inner)
{
	int ret = take_part(v, n, inner);

	return ret > 0 && inner->arrived < inner->left ? 0 : ret;
}

static int read_server_name(struct vector *body, struct agentsh_server_name *out)
{
	struct vector list, name = {NULL, 0, 0};
	size_t type = SIZE_MAX;
	bool cut;
	int ret = take_vector(body, 2, &list);

	while (ret > 0 && type != HOST_NAME) {
		ret = take_number(&list, 1, &type);
		if (ret > 0)
			ret = take_vector(&list, 2, &name);
	}
	/* A second server_name extension leaves open which of them the server takes. */
	if (ret <= 0 || out->source ||
	    agentsh_name_from_packet(name.at, name.left, out->name, &cut))
		return -EBADMSG;
	out->source = AGENTSH_EBPF_NAME_TLS;
	out->cut |= cut;
	return 1;
}

/* Appends a protocol, or nothing if it does not fit. A comma only separates protocols. */
static bool append_protocol(struct agentsh_server_name *out, const struct vector *name)
{
	char text[sizeof(out->alpn) + 4]; /* the last byte may be an escape that does not fit */
	size_t len = strlen(out->alpn), n = 0;

	if (len)
		text[n++] = ',';
	for (size_t i = 0; i < name->left; i++) {
		uint8_t byte = name->at[i];

		if (byte > 0x20 && byte < 0x7f && byte != ',' && byte != '\\')
			text[n++] = (char)byte;
		else
			n += agentsh_name_escape(byte, text + n);
		if (len + n >= sizeof(out->alpn))
			return false;
	}
	memcpy(out->alpn + len, text, n);
	out->alpn[len + n] = '\0';
	return true;
}

static int read_alpn(struct vector *body, struct agentsh_server_name *out)
{
	struct vector list, name;
	bool fits = true;
	int ret = take_vector(body, 2, &list);

	if (ret <= 0 || out->alpn[0])
		return -EBADMSG;
	while (list.left) {
		if (take_vector(&list, 1, &name) <= 0 || !name.left)
			return -EBADMSG;
		fits = fits && append_protocol(out, &name);
	}
	out->cut |= !fits;
	return 1;
}

static int read_extension(size_t type, struct vector *body, struct agentsh_server_name *out)
{
	switch (type) {
	case SERVER_NAME:
		return read_server_name(body, out);
	case ALPN:
		return read_alpn(body, out);
	case ENCRYPTED_CLIENT_HELLO:
		out->outer = true;
		return 1;
	default:
		return 1;
	}
}

static int read_extensions(struct vector *extensions, struct agentsh_server_name *out)
{
	struct vector body;
	size_t type;
	int ret = 1;

	while (ret > 0 && extensions->left) {
		ret = take_number(extensions, 2, &type);
		if (ret > 0)
			ret = take_vector(extensions, 2, &body);
		if (ret > 0)
			ret = read_extension(type, &body, out);
	}
	return ret;
}

static int read_hello(struct vector *hello, struct agentsh_server_name *out)
{
	struct vector session, ciphers, compressions, extensions;
	const uint8_t *start; /* version and random */
	int ret = take(hello, 2 + 32, &start);

	if (ret > 0)
		ret = take_vector(hello, 1, &session);
	if (ret > 0)
		ret = take_vector(hello, 2, &ciphers);
	if (ret > 0)
		ret = take_vector(hello, 1, &compressions);
	if (ret > 0)
		ret = take_part(hello, 2, &extensions);
	if (ret > 0 && hello->left) /* no server takes a ClientHello that goes on behind them */
		return -EBADMSG;
	if (ret > 0)
		ret = read_extensions(&extensions, out);
	return ret > 0 && !out->source ? -EBADMSG : ret;
}

/* Whether all bytes of the handshake message are there. */
static bool is_whole(const uint8_t *message, size_t have)
{
	return have >= 4 &&
	       have - 4 >= ((size_t)message[1] << 16 | (size_t)message[2] << 8 | message[3]);
}

/*
 * Copies the handshake message out of its records, over which it may be split. Other records
 * may follow it. Sets *have to the bytes that have arrived. Returns 1 or -EBADMSG.
 */
static int join_records(const uint8_t *data, size_t size, uint8_t *message, size_t *have)
{
	struct vector rest = {data, size, size};

	for (*have = 0; rest.left && !is_whole(message, *have);) {
		struct vector part;
		size_t type;

		take_number(&rest, 1, &type);
		if (type != AGENTSH_TLS_HANDSHAKE || (rest.left && rest.at[0] != VERSION_MAJOR))
			return -EBADMSG;
		if (rest.left < 4)
			break;
		take(&rest, 2, &part.at);
		take_number(&rest, 2, &part.left);
		if (!part.left || part.left > RECORD_MAX)
			return -EBADMSG;
		part.arrived = part.left < rest.left ? part.left : rest.left;
		take(&rest, part.arrived, &part.at);
		memcpy(message + *have, part.at, part.arrived);
		*have += part.arrived;
	}
	return 1;
}

int agentsh_client_hello_parse(const uint8_t *data, size_t size, struct agentsh_server_name *out)
{
	uint8_t message[AGENTSH_FIRST_DATA_MAX];
	struct vector hello = {message, SIZE_MAX, 0}, body;
	size_t type;
	int ret;

	if (join_records(data, size, message, &hello.arrived) < 0)
		return -EBADMSG;
	ret = take_number(&hello, 1, &type);
	if (ret > 0 && type != CLIENT_HELLO)
		return -EBADMSG;
	if (ret > 0)
		ret = take_part(&hello, 3, &body);
	if (ret > 0)
		ret = read_hello(&body, out);
	return ret;
}
