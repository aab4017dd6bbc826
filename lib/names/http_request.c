/* SPDX-License-Identifier: Apache-2.0 */
#include "names/http_request.h"

#include <errno.h>
#include <string.h>

#include <agentsh/ebpf.h>

/* Bytes of the longest method that is accepted. */
#define METHOD_MAX 32

/* Part of the data. */
struct slice {
	const uint8_t *at;
	size_t len;
};

/* Text before the byte; all of it if it does not contain the byte. */
static struct slice before(struct slice s, char byte)
{
	const uint8_t *end = s.len ? memchr(s.at, byte, s.len) : NULL;

	return end ? (struct slice){s.at, (size_t)(end - s.at)} : s;
}

static struct slice skip(struct slice s, size_t n)
{
	return (struct slice){s.at + n, s.len - n};
}

/* Whether both are equal in any case. Neither the locale nor a NUL byte matters. */
static bool equals(struct slice a, struct slice b)
{
	if (a.len != b.len)
		return false;
	for (size_t i = 0; i < a.len; i++)
		if (agentsh_name_lower(a.at[i]) != agentsh_name_lower(b.at[i]))
			return false;
	return true;
}

static bool is_token(uint8_t byte)
{
	return (byte >= '0' && byte <= '9') || ((byte | 0x20) >= 'a' && (byte | 0x20) <= 'z') ||
	       (byte && strchr("!#$%&'*+-.^_`|~", byte));
}

static struct slice trim(struct slice s)
{
	while (s.len && (s.at[0] == ' ' || s.at[0] == '\t'))
		s = skip(s, 1);
	while (s.len && (s.at[s.len - 1] == ' ' || s.at[s.len - 1] == '\t'))
		s.len--;
	return s;
}

/* Removes a line from the rest, which may end with LF alone; false if it is not whole. */
static bool take_line(struct slice *rest, struct slice *line)
{
	*line = before(*rest, '\n');
	if (line->len == rest->len)
		return false;
	*rest = skip(*rest, line->len + 1);
	if (line->len && line->at[line->len - 1] == '\r')
		line->len--;
	return true;
}

/* The name of an authority: without user and port. Returns 1 or -EBADMSG. */
static int take_authority(struct slice authority, struct agentsh_server_name *out)
{
	struct slice host, port;
	bool cut;

	for (size_t i = authority.len; i > 0; i--)
		if (authority.at[i - 1] == '@') {
			authority = skip(authority, i);
			break;
		}
	host = before(authority, ':');
	for (port = skip(authority, host.len); port.len > 1; port.len--)
		if (port.at[port.len - 1] < '0' || port.at[port.len - 1] > '9')
			return -EBADMSG;
	if (agentsh_name_from_packet(host.at, host.len, out->name, &cut))
		return -EBADMSG;
	out->cut = cut;
	out->source = AGENTSH_EBPF_NAME_HTTP;
	return 1;
}

/* The authority of an absolute target, such as "http://example.org:80/". */
static bool absolute(struct slice target, struct slice *authority)
{
	struct slice scheme = before(target, ':'), rest = skip(target, scheme.len);

	if (!scheme.len || rest.len < 3 || memcmp(rest.at, "://", 3) != 0)
		return false;
	for (size_t i = 0; i < scheme.len; i++)
		if (!is_token(scheme.at[i]))
			return false;
	*authority = before(before(before(skip(rest, 3), '/'), '?'), '#');
	return true;
}

/* Whether the data may be the begin of a method and a space. */
static bool may_be_request(struct slice data)
{
	for (size_t i = 0; i < data.len && i <= METHOD_MAX; i++) {
		if (data.at[i] == ' ')
			return i > 0;
		if (!is_token(data.at[i]))
			return false;
	}
	return data.len <= METHOD_MAX;
}

/* Splits "METHOD target HTTP/1.x". */
static bool split_request_line(struct slice line, struct slice *method, struct slice *target)
{
	static const char version[] = " HTTP/1.";
	const size_t tail = sizeof(version); /* with a digit in place of the NUL */
	uint8_t minor;

	*method = before(line, ' ');
	line = skip(line, method->len);
	if (line.len < tail + 2)
		return false;
	minor = line.at[line.len - 1];
	line.len -= tail;
	*target = trim(line);
	return !memcmp(line.at + line.len, version, tail - 1) && minor >= '0' && minor <= '9' &&
	       target->len;
}

/* Returns as the parser. Lines that continue a field begin with white space: no name matches. */
static int find_host(struct slice rest, struct agentsh_server_name *out)
{
	const struct slice field = {(const uint8_t *)"host", 4};
	struct slice line, host = {NULL, 0};
	bool ended = false;

	while (!ended && take_line(&rest, &line)) {
		struct slice name = before(line, ':'), value;

		ended = !line.len;
		if (name.len == line.len || !equals(name, field))
			continue;
		value = trim(skip(line, name.len + 1));
		if (host.at && !equals(host, value))
			return -EBADMSG;
		host = value;
	}
	if (host.at)
		return take_authority(host, out);
	return ended ? -EBADMSG : 0;
}

int agentsh_http_request_parse(const uint8_t *data, size_t size, struct agentsh_server_name *out)
{
	struct slice rest = {data, size}, line, method, target, authority;

	/* Servers ignore empty lines before a request. */
	while (rest.len && (rest.at[0] == '\r' || rest.at[0] == '\n'))
		rest = skip(rest, 1);
	if (!may_be_request(rest))
		return -EBADMSG;
	if (!take_line(&rest, &line))
		return 0;
	if (!split_request_line(line, &method, &target))
		return -EBADMSG;
	if (method.len == 7 && !memcmp(method.at, "CONNECT", 7))
		return take_authority(target, out);
	if (absolute(target, &authority))
		return take_authority(authority, out);
	return find_host(rest, out);
}
