/* SPDX-License-Identifier: Apache-2.0 */
/* The words that stand for the numbers in DNS messages. No I/O. */
#ifndef DNS_WORDS_H
#define DNS_WORDS_H

#include <stdint.h>

#define DNS_WORD_MAX 16

/* "A", "AAAA", ...; an unknown type becomes "TYPE1234", as in RFC 3597. buf may be used. */
const char *dns_type_word(uint16_t type, char buf[DNS_WORD_MAX]);

/* "NOERROR", "NXDOMAIN", ...; an unknown code becomes "RCODE24". buf may be used. */
const char *dns_rcode_word(uint16_t rcode, char buf[DNS_WORD_MAX]);

#endif
