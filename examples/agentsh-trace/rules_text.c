/* SPDX-License-Identifier: Apache-2.0 */
#include "rules_text.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stddef.h>
#include <string.h>

#include "address.h"
#include "decimal.h"

#define LABEL_MAX 63

/* A piece of the text that is not NUL-terminated. */
struct piece {
	const char *at;
	size_t n;
};

/* Where the byte is in the piece; n: nowhere. */
static size_t find(struct piece piece, char byte)
{
	const char *at = memchr(piece.at, byte, piece.n);

	return at ? (size_t)(at - piece.at) : piece.n;
}

static struct piece behind(struct piece piece, size_t n)
{
	return (struct piece){piece.at + n, piece.n - n};
}

/* The whole piece is a number from min to max. */
static bool parse_number(struct piece piece, uint64_t min, uint64_t max, uint64_t *number)
{
	const char *end = piece.at;

	return piece.n && decimal_take(&end, number) && end == piece.at + piece.n &&
	       *number >= min && *number <= max;
}

/* "443" or "8000-8099" */
static bool parse_ports(struct piece piece, struct agentsh_ebpf_rule *rule)
{
	const size_t hyphen = find(piece, '-');
	uint64_t first, last;

	if (!parse_number((struct piece){piece.at, hyphen}, 1, UINT16_MAX, &first))
		return false;
	last = first;
	if (hyphen < piece.n && !parse_number(behind(piece, hyphen + 1), first, UINT16_MAX, &last))
		return false;
	rule->first_port = (uint16_t)first;
	rule->last_port = (uint16_t)last;
	return true;
}

static bool parse_address(struct piece piece, struct agentsh_ebpf_rule *rule)
{
	char text[ADDRESS_MAX];

	if (piece.n >= sizeof(text))
		return false;
	memcpy(text, piece.at, piece.n);
	text[piece.n] = '\0';
	rule->family = find(piece, ':') < piece.n ? AF_INET6 : AF_INET;
	return inet_pton(rule->family, text, rule->addr) == 1;
}

/* "192.0.2.1", "192.0.2.0/24", or the same with IPv6 */
static bool parse_cidr(struct piece piece, struct agentsh_ebpf_rule *rule)
{
	const size_t slash = find(piece, '/');
	uint64_t length;

	if (!parse_address((struct piece){piece.at, slash}, rule))
		return false;
	length = rule->family == AF_INET ? 32 : 128;
	if (slash < piece.n && !parse_number(behind(piece, slash + 1), 0, length, &length))
		return false;
	rule->prefix_len = (uint8_t)length;
	return true;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_host_byte(char c)
{
	return (c >= 'a' && c <= 'z') || is_digit(c) || c == '-' || c == '_';
}

/* "127" and "0x7f": resolvers take a name that ends with such a label for an address. */
static bool is_number(const char *label, size_t n)
{
	const bool hex = n >= 2 && label[0] == '0' && label[1] == 'x';

	for (size_t i = hex ? 2 : 0; i < n; i++)
		if (!is_digit(label[i]) && !(hex && label[i] >= 'a' && label[i] <= 'f'))
			return false;
	return true;
}

static bool has_valid_labels(const char *host)
{
	const char *label = host;
	size_t n;

	for (;; label += n + 1) {
		n = strcspn(label, ".");
		if (!n || n > LABEL_MAX || label[0] == '-' || label[n - 1] == '-')
			return false;
		for (size_t i = 0; i < n; i++)
			if (!is_host_byte(label[i]))
				return false;
		if (!label[n])
			return !is_number(label, n);
	}
}

static bool parse_host(struct piece piece, char host[RULES_TEXT_HOST_MAX])
{
	if (piece.n && piece.at[piece.n - 1] == '.')
		piece.n--;
	if (piece.n >= RULES_TEXT_HOST_MAX)
		return false;
	for (size_t i = 0; i < piece.n; i++) {
		char c = piece.at[i];

		host[i] = (char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
	}
	host[piece.n] = '\0';
	return has_valid_labels(host);
}

/* Cuts off "/tcp" or "/udp". */
static void take_protocol(struct piece *piece, struct agentsh_ebpf_rule *rule)
{
	const char *end = piece->at + piece->n;

	if (piece->n < 4)
		return;
	if (!memcmp(end - 4, "/tcp", 4))
		rule->protocol = IPPROTO_TCP;
	else if (!memcmp(end - 4, "/udp", 4))
		rule->protocol = IPPROTO_UDP;
	else
		return;
	piece->n -= 4;
}

/* "[2001:db8::/32]" or "[2001:db8::1]:443" */
static bool parse_brackets(struct piece piece, struct agentsh_ebpf_rule *rule)
{
	const size_t end = find(piece, ']');

	if (end == piece.n || !parse_cidr((struct piece){piece.at + 1, end - 1}, rule) ||
	    rule->family != AF_INET6)
		return false;
	piece = behind(piece, end + 1);
	return !piece.n || (*piece.at == ':' && parse_ports(behind(piece, 1), rule));
}

bool rules_text_parse(const char *text, struct agentsh_ebpf_rule *rule,
		      char host[RULES_TEXT_HOST_MAX])
{
	struct piece piece = {text, strlen(text)};
	size_t colon;

	*rule = (struct agentsh_ebpf_rule){0};
	host[0] = '\0';
	take_protocol(&piece, rule);
	if (*text == '[')
		return parse_brackets(piece, rule);
	colon = find(piece, ':');
	/* Several colons without brackets: no port */
	if (colon < piece.n && !memchr(piece.at + colon + 1, ':', piece.n - colon - 1)) {
		if (!parse_ports(behind(piece, colon + 1), rule))
			return false;
		piece.n = colon;
	}
	if (parse_cidr(piece, rule))
		return true;
	rule->family = 0;
	memset(rule->addr, 0, sizeof(rule->addr));
	rule->flags = AGENTSH_EBPF_RULE_LISTED;
	return parse_host(piece, host);
}
