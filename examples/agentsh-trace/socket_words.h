/* SPDX-License-Identifier: Apache-2.0 */
/* The words for kinds of sockets. No I/O. */
#ifndef SOCKET_WORDS_H
#define SOCKET_WORDS_H

#include <stdint.h>

/* "stream", "dgram" and so on; "unknown" for a type that is none of SOCK_. */
const char *socket_word_type(uint16_t type);

#endif
