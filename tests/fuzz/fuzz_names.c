/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz_names.h"

#include <string.h>

#include "fuzz.h"

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Length of an escape. */
static size_t check_escape(const char *text)
{
	if (text[1] == '.' || text[1] == '\\')
		return 2;
	FUZZ_CHECK(is_digit(text[1]) && is_digit(text[2]) && is_digit(text[3]));
	FUZZ_CHECK((text[1] - '0') * 100 + (text[2] - '0') * 10 + (text[3] - '0') <= 255);
	return 4;
}

void fuzz_check_name(const char *text, bool cut, bool from_packet)
{
	size_t len = strnlen(text, 256);
	bool in_label = false;

	FUZZ_CHECK(len && len <= 255);
	FUZZ_CHECK(!cut || len > 250);
	if (!from_packet && !strcmp(text, "."))
		return;
	for (size_t i = 0, n; i < len; i += n) {
		FUZZ_CHECK(text[i] > 0x20 && text[i] < 0x7f && !(text[i] >= 'A' && text[i] <= 'Z'));
		FUZZ_CHECK(from_packet || in_label || text[i] != '.');
		in_label = text[i] != '.';
		n = text[i] == '\\' ? check_escape(text + i) : 1;
	}
	FUZZ_CHECK(from_packet || in_label);
}
