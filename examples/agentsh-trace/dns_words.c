/* SPDX-License-Identifier: Apache-2.0 */
#include "dns_words.h"

#include <stddef.h>
#include <stdio.h>

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

/* The registry of IANA, "Domain Name System (DNS) Parameters". */
static const struct {
	uint16_t type;
	const char *word;
} types[] = {
	{1, "A"},	{2, "NS"},     {5, "CNAME"},  {6, "SOA"},    {10, "NULL"},    {12, "PTR"},
	{13, "HINFO"},	{15, "MX"},    {16, "TXT"},   {28, "AAAA"},  {29, "LOC"},     {33, "SRV"},
	{35, "NAPTR"},	{39, "DNAME"}, {43, "DS"},    {44, "SSHFP"}, {46, "RRSIG"},   {47, "NSEC"},
	{48, "DNSKEY"}, {50, "NSEC3"}, {52, "TLSA"},  {59, "CDS"},   {60, "CDNSKEY"}, {64, "SVCB"},
	{65, "HTTPS"},	{99, "SPF"},   {251, "IXFR"}, {252, "AXFR"}, {255, "ANY"},    {256, "URI"},
	{257, "CAA"},
};

static const char *const rcodes[] = {
	"NOERROR",  "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP",  "REFUSED",
	"YXDOMAIN", "YXRRSET", "NXRRSET",  "NOTAUTH",  "NOTZONE",
};

const char *dns_type_word(uint16_t type, char buf[DNS_WORD_MAX])
{
	for (size_t i = 0; i < COUNT(types); i++)
		if (types[i].type == type)
			return types[i].word;
	snprintf(buf, DNS_WORD_MAX, "TYPE%u", type);
	return buf;
}

const char *dns_rcode_word(uint16_t rcode, char buf[DNS_WORD_MAX])
{
	if (rcode < COUNT(rcodes))
		return rcodes[rcode];
	if (rcode == 16)
		return "BADVERS";
	snprintf(buf, DNS_WORD_MAX, "RCODE%u", rcode);
	return buf;
}
