/* SPDX-License-Identifier: Apache-2.0 */
#include "errno_names.h"

#include <errno.h>
#include <stddef.h>

#define NAMED(error, words)                                                                        \
	{                                                                                          \
		error, #error, words                                                               \
	}

/* The errors that TCP, routing and packet filters set on a socket. */
static const struct {
	int error;
	const char *name;
	const char *words;
} table[] = {
	NAMED(ECONNREFUSED, "refused"),
	NAMED(ETIMEDOUT, "timed out"),
	NAMED(ECONNRESET, "reset"),
	NAMED(ENETUNREACH, "network unreachable"),
	NAMED(EHOSTUNREACH, "host unreachable"),
	NAMED(ECANCELED, "given up"),
	NAMED(ECONNABORTED, "aborted"),
	NAMED(EPIPE, "broken"),
	NAMED(EPERM, "not permitted"),
	NAMED(EACCES, "forbidden"),
	NAMED(EHOSTDOWN, "host down"),
	NAMED(ENETDOWN, "network down"),
	NAMED(ENETRESET, NULL),
	NAMED(ENONET, NULL),
	NAMED(EMSGSIZE, NULL),
	NAMED(EPROTO, NULL),
	NAMED(ENOPROTOOPT, NULL),
	NAMED(EOPNOTSUPP, NULL),
	NAMED(EADDRNOTAVAIL, NULL),
	NAMED(EINVAL, NULL),
	NAMED(EAGAIN, NULL),
	NAMED(ENOMEM, NULL),
	NAMED(ENOBUFS, NULL),
	NAMED(EKEYREJECTED, NULL),
};

#define COUNT (sizeof(table) / sizeof(*table))

const char *errno_symbol(int error)
{
	for (size_t i = 0; i < COUNT; i++)
		if (table[i].error == error)
			return table[i].name;
	return NULL;
}

void errno_phrase(struct text *t, int error)
{
	for (size_t i = 0; i < COUNT; i++) {
		if (table[i].error == error) {
			text_string(t, table[i].words ? table[i].words : table[i].name);
			return;
		}
	}
	text_format(t, "error %d", error);
}
