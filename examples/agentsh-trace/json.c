/* SPDX-License-Identifier: Apache-2.0 */
#include "json.h"

#include <inttypes.h>
#include <time.h>

void json_begin(struct text *t, const char *type, uint64_t time_ns, uint64_t session_id)
{
	time_t seconds = (time_t)(time_ns / 1000000000);
	struct tm utc;

	gmtime_r(&seconds, &utc);
	text_format(t, "{\"type\":\"%s\",\"ts\":\"%04d-%02d-%02dT%02d:%02d:%02d.%09uZ\"", type,
		    utc.tm_year + 1900, utc.tm_mon + 1, utc.tm_mday, utc.tm_hour, utc.tm_min,
		    utc.tm_sec, (unsigned)(time_ns % 1000000000));
	text_format(t, ",\"session_id\":%" PRIu64, session_id);
}

void json_number(struct text *t, const char *name, uint64_t value)
{
	text_format(t, ",\"%s\":%" PRIu64, name, value);
}

void json_if_known(struct text *t, const char *name, uint64_t value, bool known)
{
	if (known)
		json_number(t, name, value);
	else
		json_word(t, name, NULL);
}

void json_boolean(struct text *t, const char *name, bool value)
{
	text_format(t, ",\"%s\":%s", name, value ? "true" : "false");
}

void json_string(struct text *t, const char *name, const char *value, size_t n)
{
	text_format(t, ",\"%s\":", name);
	text_json(t, value, n);
}

void json_word(struct text *t, const char *name, const char *value)
{
	const char *quote = value ? "\"" : "";

	text_format(t, ",\"%s\":%s%s%s", name, quote, value ? value : "null", quote);
}

void json_words(struct text *t, const char *name, uint32_t flags, const char *const *words,
		size_t n)
{
	const char *comma = "";

	text_format(t, ",\"%s\":[", name);
	for (size_t i = 0; i < n; i++) {
		if (!(flags >> i & 1))
			continue;
		text_format(t, "%s\"%s\"", comma, words[i]);
		comma = ",";
	}
	text_string(t, "]");
}
