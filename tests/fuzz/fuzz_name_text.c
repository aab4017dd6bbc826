/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names in messages, from the host, and in packets. The names in messages are compared with
 * those of the C library, if that has functions for it. The first byte of the input is the
 * place of the name in the message.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#ifdef HAVE_NS_NAME_UNPACK
#include <sys/types.h>
#include <netinet/in.h>
#include <arpa/nameser.h>
#endif

#include "fuzz.h"
#include "fuzz_names.h"
#include "names/name_text.h"

#ifdef HAVE_NS_NAME_UNPACK
static void lower(char *text, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (text[i] >= 'A' && text[i] <= 'Z')
			text[i] |= 0x20;
}

/* Whether the message has so many pointers that our code may stop where libc does not. */
static bool may_exceed_pointers(const uint8_t *message, size_t size)
{
	size_t n = 0;

	for (size_t i = 0; i < size; i++)
		n += message[i] >= 0xc0;
	return n > 100;
}

static void compare(const uint8_t *message, size_t size, size_t at, int ret,
		    const struct agentsh_wire_name *name)
{
	uint8_t wire[NS_MAXCDNAME];
	char text[NS_MAXDNAME + 1], ours[AGENTSH_NAME_TEXT];
	int theirs =
		size ? ns_name_unpack(message, message + size, message + at, wire, sizeof(wire))
		     : -1;

	/* libc also stops when it has read as many bytes as the message has */
	if (ret < 0) {
		FUZZ_CHECK(theirs < 0 || may_exceed_pointers(message, size));
		return;
	}
	if (theirs < 0)
		return;
	FUZZ_CHECK(ret == theirs);
	FUZZ_CHECK(ns_name_ntop(wire, text, sizeof(text)) >= 0);
	lower((char *)wire, sizeof(wire));
	FUZZ_CHECK(!memcmp(wire, name->labels, name->size));
	lower(text, strlen(text));
	/* libc also escapes bytes that are special in zone files */
	if (agentsh_name_text(name, ours) && !strpbrk(text, "\"();@$"))
		FUZZ_CHECK(!strcmp(ours, text));
}
#else
static void compare(const uint8_t *message, size_t size, size_t at, int ret,
		    const struct agentsh_wire_name *name)
{
	(void)message;
	(void)size;
	(void)at;
	(void)ret;
	(void)name;
}
#endif

static void check_message(const uint8_t *message, size_t size, size_t at)
{
	struct agentsh_wire_name name;
	char text[AGENTSH_NAME_TEXT], again[AGENTSH_NAME_TEXT];
	int ret = agentsh_wire_name_read(message, size, at, &name);

	FUZZ_CHECK(ret > 0 || ret == -ENODATA || ret == -EBADMSG);
	if (at < size)
		compare(message, size, at, ret, &name);
	if (ret < 0)
		return;
	FUZZ_CHECK((size_t)ret <= size - at);
	FUZZ_CHECK(name.size && !name.labels[name.size - 1]);
	FUZZ_CHECK(agentsh_wire_name_equal(&name, &name));
	if (!agentsh_name_text(&name, text)) {
		fuzz_check_name(text, true, false);
		return;
	}
	fuzz_check_name(text, false, false);
	FUZZ_CHECK(agentsh_name_from_host(text, again) == (name.size > 1 ? 0 : -EINVAL));
	FUZZ_CHECK(name.size == 1 || !strcmp(text, again));
}

static void check_host(const uint8_t *data, size_t size)
{
	struct fuzz_input in = {data, size};
	char *host = fuzz_string(&in), text[AGENTSH_NAME_TEXT], again[AGENTSH_NAME_TEXT];
	int ret = agentsh_name_from_host(host, text);

	FUZZ_CHECK(!ret || ret == -EINVAL);
	if (!ret) {
		fuzz_check_name(text, false, false);
		FUZZ_CHECK(!agentsh_name_from_host(text, again) && !strcmp(text, again));
	}
	free(host);
}

static void check_packet(const uint8_t *bytes, size_t size)
{
	char text[AGENTSH_NAME_TEXT];
	bool cut;
	int ret = agentsh_name_from_packet(bytes, size, text, &cut);

	FUZZ_CHECK(!ret || ret == -EINVAL);
	if (!ret)
		fuzz_check_name(text, cut, true);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t at = size ? data[0] : 0, n = size ? size - 1 : 0;
	uint8_t *bytes = malloc(n ? n : 1);

	FUZZ_CHECK(bytes);
	memcpy(bytes, data + !!size, n);
	check_message(bytes, n, at);
	check_host(bytes, n);
	check_packet(bytes, n);
	free(bytes);
	return 0;
}
