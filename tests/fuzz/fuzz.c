/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void fuzz_fail(const char *file, int line, const char *what)
{
	fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, what);
	abort();
}

uint8_t fuzz_byte(struct fuzz_input *in)
{
	uint8_t byte;

	fuzz_bytes(in, &byte, 1);
	return byte;
}

void fuzz_bytes(struct fuzz_input *in, void *to, size_t n)
{
	size_t have = n < in->left ? n : in->left;

	memset(to, 0, n);
	if (have)
		memcpy(to, in->at, have);
	in->at += have;
	in->left -= have;
}

static char *slice(struct fuzz_input *in, size_t *len, size_t extra)
{
	const uint8_t *end = in->left ? memchr(in->at, '\0', in->left) : NULL;
	size_t n = end ? (size_t)(end - in->at) : in->left, skip = n + (end ? 1 : 0);
	char *copy = malloc(n + extra ? n + extra : 1);

	FUZZ_CHECK(copy);
	if (n)
		memcpy(copy, in->at, n);
	in->at += skip;
	in->left -= skip;
	*len = n;
	return copy;
}

char *fuzz_slice(struct fuzz_input *in, size_t *len)
{
	return slice(in, len, 0);
}

char *fuzz_string(struct fuzz_input *in)
{
	size_t len;
	char *copy = slice(in, &len, 1);

	copy[len] = '\0';
	return copy;
}

/* Length of the character at s; 0 if it is invalid or a control character. */
static size_t clean_character(const unsigned char *s, size_t n)
{
	if (s[0] < 0x80)
		return s[0] >= 0x20 && s[0] != 0x7f ? 1 : 0;
	if (s[0] >= 0xc2 && s[0] <= 0xdf && n >= 2 && (s[1] & 0xc0) == 0x80)
		return s[0] == 0xc2 && s[1] < 0xa0 ? 0 : 2;
	if ((s[0] & 0xf0) == 0xe0 && n >= 3 && (s[1] & 0xc0) == 0x80 && (s[2] & 0xc0) == 0x80)
		return (s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ? 0 : 3;
	if (s[0] >= 0xf0 && s[0] <= 0xf4 && n >= 4 && (s[1] & 0xc0) == 0x80 &&
	    (s[2] & 0xc0) == 0x80 && (s[3] & 0xc0) == 0x80)
		return (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f) ? 0 : 4;
	return 0;
}

bool fuzz_is_clean(const char *text, size_t len)
{
	for (size_t i = 0, n; i < len; i += n) {
		n = clean_character((const unsigned char *)text + i, len - i);
		if (!n)
			return false;
	}
	return true;
}

/* ---- JSON --------------------------------------------------------------- */

struct json {
	const char *at;
	const char *end;
};

static bool take(struct json *j, char c)
{
	if (j->at == j->end || *j->at != c)
		return false;
	j->at++;
	return true;
}

static bool word(struct json *j, const char *text)
{
	size_t n = strlen(text);

	if ((size_t)(j->end - j->at) < n || memcmp(j->at, text, n) != 0)
		return false;
	j->at += n;
	return true;
}

static bool string(struct json *j)
{
	if (!take(j, '"'))
		return false;
	while (!take(j, '"')) {
		if (take(j, '\\')) {
			if (take(j, 'u')) {
				for (int i = 0; i < 4; i++, j->at++)
					if (j->at == j->end || !*j->at ||
					    !strchr("0123456789abcdefABCDEF", *j->at))
						return false;
				continue;
			}
			if (j->at == j->end || !*j->at || !strchr("\"\\/bfnrt", *j->at))
				return false;
			j->at++;
		} else {
			size_t n = j->at == j->end ? 0
						   : clean_character((const unsigned char *)j->at,
								     (size_t)(j->end - j->at));

			if (!n)
				return false;
			j->at += n;
		}
	}
	return true;
}

/* The writer produces only integers. */
static bool number(struct json *j)
{
	const char *start;

	take(j, '-');
	start = j->at;
	while (j->at < j->end && *j->at >= '0' && *j->at <= '9')
		j->at++;
	return j->at > start && (*start != '0' || j->at == start + 1);
}

/* The writer produces no nested objects. */
static bool scalar(struct json *j)
{
	if (j->at < j->end && *j->at == '"')
		return string(j);
	return word(j, "true") || word(j, "false") || word(j, "null") || number(j);
}

static bool scalars(struct json *j)
{
	if (!take(j, '['))
		return scalar(j);
	if (take(j, ']'))
		return true;
	do {
		if (!scalar(j))
			return false;
	} while (take(j, ','));
	return take(j, ']');
}

bool fuzz_is_json(const char *text, size_t len)
{
	struct json j = {text, text + len};

	if (!take(&j, '{'))
		return false;
	do {
		if (!string(&j) || !take(&j, ':') || !scalars(&j))
			return false;
	} while (take(&j, ','));
	return take(&j, '}') && j.at == j.end;
}
