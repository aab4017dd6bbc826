/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "unannounced_segments.h"

static uint32_t add_words(uint32_t sum, const void *at, size_t size)
{
	for (size_t i = 0; i < size; i += 2) {
		uint16_t word;

		memcpy(&word, (const char *)at + i, sizeof(word));
		sum += word;
	}
	return sum;
}

void segment_send(const struct connection_address *from, const struct connection_address *to,
		  uint32_t sequence, int flags)
{
	static int fd = -1;
	struct connection_address at = *from;
	struct tcphdr tcp;
	uint32_t sum;

	if (fd < 0)
		fd = unannounced_outside(AF_INET, SOCK_RAW, IPPROTO_TCP);
	at.sa.v4.sin_port = 0;
	LIVE_CHECK(!bind(fd, &at.sa.any, at.size), "bind: %s", strerror(errno));
	memset(&tcp, 0, sizeof(tcp));
	tcp.source = from->sa.v4.sin_port;
	tcp.dest = to->sa.v4.sin_port;
	tcp.seq = htonl(sequence);
	tcp.doff = sizeof(tcp) / 4;
	tcp.fin = flags & SEGMENT_FIN ? 1 : 0;
	tcp.syn = flags & SEGMENT_SYN ? 1 : 0;
	tcp.rst = flags & SEGMENT_RST ? 1 : 0;
	tcp.ack = flags & SEGMENT_ACK ? 1 : 0;
	tcp.window = htons(1000);
	sum = htons(IPPROTO_TCP) + htons(sizeof(tcp));
	sum = add_words(sum, &from->sa.v4.sin_addr, 4);
	sum = add_words(sum, &to->sa.v4.sin_addr, 4);
	sum = add_words(sum, &tcp, sizeof(tcp));
	sum = (sum & 0xffff) + (sum >> 16);
	tcp.check = (uint16_t) ~(sum + (sum >> 16));
	at = *to;
	at.sa.v4.sin_port = 0;
	LIVE_CHECK(sendto(fd, &tcp, sizeof(tcp), 0, &at.sa.any, at.size) == sizeof(tcp),
		   "segment: %s", strerror(errno));
}
