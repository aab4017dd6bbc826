/* SPDX-License-Identifier: Apache-2.0 */
/* Kinds of IPv4 and IPv6 sockets, also such as no kernel has. */
#ifndef SOCKET_KINDS_H
#define SOCKET_KINDS_H

#include <stdbool.h>
#include <stddef.h>

struct kind {
	int family, type, protocol;
};

#define KINDS 140

struct kind kind_of(size_t number);
/* Whether rules can judge the calls of such a socket, as the header of the library says. */
bool kind_is_judged(const struct kind *kind);

#endif
