/* SPDX-License-Identifier: Apache-2.0 */
#include "text.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

void text_bytes(struct text *t, const void *bytes, size_t n)
{
	if (n > t->cap - t->len) {
		t->cut = true;
		return;
	}
	memcpy(t->buf + t->len, bytes, n);
	t->len += n;
}

void text_string(struct text *t, const char *string)
{
	text_bytes(t, string, strlen(string));
}

void text_format(struct text *t, const char *format, ...)
{
	char piece[512];
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(piece, sizeof(piece), format, args);
	va_end(args);
	if (n < 0 || (size_t)n >= sizeof(piece))
		t->cut = true;
	else
		text_bytes(t, piece, (size_t)n);
}

/* Decodes the first character into *code. Returns its length; 0 if it is not UTF-8. */
static size_t utf8_decode(const unsigned char *s, size_t n, uint32_t *code)
{
	static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
	size_t length;

	if (s[0] < 0x80) {
		*code = s[0];
		return 1;
	}
	if (s[0] < 0xc2 || s[0] > 0xf4)
		return 0;
	length = s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
	if (n < length)
		return 0;
	*code = s[0] & (0x7fU >> length);
	for (size_t i = 1; i < length; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		*code = *code << 6 | (s[i] & 0x3f);
	}
	if (*code < smallest[length] || *code > 0x10ffff || (*code >= 0xd800 && *code < 0xe000))
		return 0;
	return length;
}

static bool is_control(uint32_t code)
{
	return code < 0x20 || (code >= 0x7f && code < 0xa0);
}

/* Zero-width characters, line breaks and direction changes can make text look like other text. */
static bool is_invisible(uint32_t code)
{
	return code == 0xad || code == 0x61c || code == 0x180e ||
	       (code >= 0x200b && code < 0x2010) || (code >= 0x2028 && code < 0x202f) ||
	       (code >= 0x2060 && code < 0x2070) || code == 0xfeff ||
	       (code >= 0xfff9 && code < 0xfffc) || (code >= 0xe0000 && code < 0xe0080);
}

void text_json(struct text *t, const void *bytes, size_t n)
{
	const unsigned char *s = bytes;
	uint32_t code;

	text_string(t, "\"");
	for (size_t i = 0, length; i < n; i += length) {
		length = utf8_decode(s + i, n - i, &code);
		if (!length) {
			text_string(t, "\xef\xbf\xbd");
			length = 1;
		} else if (code == '"' || code == '\\') {
			text_format(t, "\\%c", (int)code);
		} else if (is_control(code)) {
			text_format(t, "\\u%04x", code);
		} else {
			text_bytes(t, s + i, length);
		}
	}
	text_string(t, "\"");
}

size_t text_terminal(struct text *t, const void *bytes, size_t n, bool utf8)
{
	const unsigned char *s = bytes;
	size_t characters = 0;
	uint32_t code;

	for (size_t i = 0, length; i < n; i += length) {
		length = utf8_decode(s + i, n - i, &code);
		if (length && code == '\\') {
			text_string(t, "\\\\");
			characters += 2;
		} else if (length && !is_control(code) && !is_invisible(code) &&
			   (utf8 || code < 0x80)) {
			text_bytes(t, s + i, length);
			characters++;
		} else {
			length = length ? length : 1;
			for (size_t k = 0; k < length; k++)
				text_format(t, "\\x%02X", s[i + k]);
			characters += 4 * length;
		}
	}
	return characters;
}

void text_fit(struct text *t, const struct text *line, size_t characters)
{
	size_t n = 0;

	for (size_t i = 0, length; i < line->len; i += length) {
		const char *s = line->buf + i;

		length = 1;
		if (*s == '\033') { /* a colour ends with 'm' */
			while (i + length < line->len && s[length - 1] != 'm')
				length++;
			text_bytes(t, s, length);
		} else if (*s != '\n') {
			/* Count the first byte of each character only. */
			n += ((unsigned char)*s & 0xc0) != 0x80;
			if (n <= characters)
				text_bytes(t, s, 1);
		}
	}
}
