/* SPDX-License-Identifier: Apache-2.0 */
#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/result.h"

/*
 * Returns the length of the character at s if it is valid UTF-8 and no control character,
 * else 0.
 */
static size_t printable_length(const unsigned char *s)
{
	uint32_t code;
	size_t length;

	if (s[0] < 0x80)
		return s[0] >= 0x20 && s[0] != 0x7f;
	if (s[0] < 0xc2 || s[0] > 0xf4)
		return 0;
	length = s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
	code = s[0] & (0x7fU >> length);
	for (size_t i = 1; i < length; i++) { /* a NUL ends the loop, too */
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | (s[i] & 0x3f);
	}
	if (code < 0xa0 || (length == 3 && code < 0x800) || (length == 4 && code < 0x10000) ||
	    (code >= 0xd800 && code < 0xe000) || code > 0x10ffff)
		return 0;
	return length;
}

/*
 * Replaces bytes that are not printable UTF-8. Messages quote text of the caller or the
 * operator, and one that is too long is cut, possibly within a character.
 */
static void make_printable(char *text)
{
	for (size_t length; *text; text += length) {
		length = printable_length((const unsigned char *)text);
		if (!length) {
			*text = '?';
			length = 1;
		}
	}
}

/*
 * Writes the error into the caller's struct. A smaller struct gets the beginning of the
 * message, with a terminating NUL.
 */
static void error_write(struct agentsh_ebpf_error *err, const struct agentsh_ebpf_error *from)
{
	size_t have = err->size;

	agentsh_copy_result(err, from, sizeof(*from));
	if (have < sizeof(*from) && have > offsetof(struct agentsh_ebpf_error, message))
		((char *)err)[have - 1] = '\0';
	if (have > offsetof(struct agentsh_ebpf_error, message))
		make_printable((char *)err + offsetof(struct agentsh_ebpf_error, message));
}

/* Messages quote names, paths and the environment, which must not forge lines in a log. */
void agentsh_sanitize_line(char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			*text = '?';
}

bool agentsh_error_begin(struct agentsh_ebpf_error *err)
{
	const struct agentsh_ebpf_error none = {0};

	if (!err)
		return true;
	if (err->size < sizeof(err->size))
		return false;
	error_write(err, &none);
	return true;
}

int agentsh_fail(struct agentsh_ebpf_error *err, int code, uint32_t step, const char *format, ...)
{
	struct agentsh_ebpf_error full = {.code = code, .step = step};
	va_list args;

	if (!err)
		return code;
	va_start(args, format);
	vsnprintf(full.message, sizeof(full.message), format, args);
	va_end(args);
	agentsh_sanitize_line(full.message);
	error_write(err, &full);
	return code;
}
