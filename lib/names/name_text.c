/* SPDX-License-Identifier: Apache-2.0 */
#include "names/name_text.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

static bool is_digit(uint8_t byte)
{
	return byte >= '0' && byte <= '9';
}

static bool is_hex(uint8_t byte)
{
	return is_digit(byte) || ((byte | 0x20) >= 'a' && (byte | 0x20) <= 'f');
}

size_t agentsh_name_escape(uint8_t byte, char out[4])
{
	out[0] = '\\';
	out[1] = (char)('0' + byte / 100);
	out[2] = (char)('0' + byte / 10 % 10);
	out[3] = (char)('0' + byte % 10);
	return 4;
}

/* Size of the text of one byte of a label. */
static size_t text_size(uint8_t byte)
{
	if (byte <= 0x20 || byte >= 0x7f)
		return 4;
	return byte == '.' || byte == '\\' ? 2 : 1;
}

/*
 * Appends one byte of a label, after a dot if it begins a label that is not the first.
 * Returns false if it does not fit. An escape is never cut in two.
 */
static bool append(char *out, size_t *len, bool dot, uint8_t byte)
{
	size_t n = text_size(byte);

	if (*len + dot + n >= AGENTSH_NAME_TEXT)
		return false;
	if (dot)
		out[(*len)++] = '.';
	if (n == 4)
		agentsh_name_escape(byte, out + *len);
	if (n == 2)
		out[*len] = '\\';
	if (n <= 2)
		out[*len + n - 1] = (char)agentsh_name_lower(byte);
	*len += n;
	return true;
}

bool agentsh_name_text(const struct agentsh_wire_name *name, char out[AGENTSH_NAME_TEXT])
{
	size_t len = 0, label;
	bool whole = true;

	for (size_t at = 0; whole && (label = name->labels[at++]); at += label)
		for (size_t i = 0; whole && i < label; i++)
			whole = append(out, &len, !i && at > 1, name->labels[at + i]);
	if (!len)
		out[len++] = '.';
	out[len] = '\0';
	return whole;
}

/* Whether all bytes from start on make a number as inet_aton(3) reads it. */
static bool is_number(const uint8_t *bytes, size_t start, size_t size)
{
	bool hex = size - start >= 2 && bytes[start] == '0' && (bytes[start + 1] | 0x20) == 'x';

	if (start == size)
		return false;
	for (size_t i = start + (hex ? 2 : 0); i < size; i++)
		if (!(hex ? is_hex(bytes[i]) : is_digit(bytes[i])))
			return false;
	return true;
}

/* No top-level domain is a number, so such a name is an IPv4 address, in whatever form. */
static bool is_address(const uint8_t *bytes, size_t size)
{
	char text[INET6_ADDRSTRLEN] = "";
	struct in6_addr addr;
	size_t last = size;

	while (last && bytes[last - 1] != '.')
		last--;
	if (is_number(bytes, last, size) || bytes[0] == '[')
		return true;
	if (size >= sizeof(text))
		return false;
	memcpy(text, bytes, size);
	return inet_pton(AF_INET6, text, &addr) == 1;
}

int agentsh_name_from_packet(const uint8_t *bytes, size_t size, char out[AGENTSH_NAME_TEXT],
			     bool *cut)
{
	size_t len = 0;

	if (size && bytes[size - 1] == '.')
		size--;
	if (!size || is_address(bytes, size))
		return -EINVAL;
	*cut = false;
	for (size_t i = 0; i < size && !*cut; i++) {
		if (bytes[i] != '.')
			*cut = !append(out, &len, false, bytes[i]);
		else if (len + 1 < AGENTSH_NAME_TEXT)
			out[len++] = '.';
		else
			*cut = true;
	}
	out[len] = '\0';
	return 0;
}

/* Reads one byte of a label, which may be escaped, and moves *at behind it. */
static bool unescape(const char **at, uint8_t *byte)
{
	const uint8_t *s = (const uint8_t *)*at;
	unsigned int number;

	if (*s <= 0x20 || *s >= 0x7f)
		return false;
	if (*s != '\\') {
		*byte = *s;
		*at += 1;
		return true;
	}
	if (is_digit(s[1])) {
		if (!is_digit(s[2]) || !is_digit(s[3]))
			return false;
		number = (s[1] - '0') * 100U + (s[2] - '0') * 10U + (s[3] - '0');
		*byte = (uint8_t)number;
		*at += 4;
		return number <= UINT8_MAX;
	}
	*byte = s[1];
	*at += 2;
	return *byte > 0x20 && *byte < 0x7f;
}

/* Reads one label to the end of a name, and moves *at behind its dot. */
static bool read_label(const char **at, struct agentsh_wire_name *name)
{
	size_t start = name->size++, n;

	while (**at && **at != '.') {
		/* one byte is left for the empty label at the end */
		if (name->size >= AGENTSH_WIRE_NAME_MAX - 1 ||
		    !unescape(at, &name->labels[name->size]))
			return false;
		name->size++;
	}
	*at += **at == '.';
	n = name->size - start - 1;
	name->labels[start] = (uint8_t)n;
	return n && n <= AGENTSH_LABEL_MAX;
}

int agentsh_name_from_host(const char *text, char out[AGENTSH_NAME_TEXT])
{
	struct agentsh_wire_name name = {0};
	char result[AGENTSH_NAME_TEXT];

	do {
		if (name.size >= AGENTSH_WIRE_NAME_MAX - 1 || !read_label(&text, &name))
			return -EINVAL;
	} while (*text);
	name.labels[name.size++] = 0;
	if (!agentsh_name_text(&name, result))
		return -EINVAL;
	memcpy(out, result, sizeof(result));
	return 0;
}
