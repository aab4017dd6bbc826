/* SPDX-License-Identifier: Apache-2.0 */
#include "socket_words.h"

#include <sys/socket.h>

const char *socket_word_type(uint16_t type)
{
	switch (type) {
	case SOCK_STREAM:
		return "stream";
	case SOCK_DGRAM:
		return "dgram";
	case SOCK_RAW:
		return "raw";
	case SOCK_SEQPACKET:
		return "seqpacket";
	case SOCK_DCCP:
		return "dccp";
	default:
		return "unknown";
	}
}
