/* SPDX-License-Identifier: Apache-2.0 */
#include "socket_kinds.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include "live.h"

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif
#ifndef IPPROTO_SMC
#define IPPROTO_SMC 256
#endif
#define PROTOCOL_DCCP 33
#define PROTOCOL_L2TP 115

static const int families[] = {AF_INET, AF_INET6};
static const int types[] = {SOCK_STREAM, SOCK_DGRAM, SOCK_RAW, SOCK_SEQPACKET, SOCK_DCCP};
static const int protocols[] = {
	0,
	IPPROTO_TCP,
	IPPROTO_UDP,
	IPPROTO_UDPLITE,
	IPPROTO_ICMP,
	IPPROTO_ICMPV6,
	IPPROTO_SCTP,
	IPPROTO_GRE,
	IPPROTO_ESP,
	PROTOCOL_DCCP,
	PROTOCOL_L2TP,
	IPPROTO_RAW,
	IPPROTO_MPTCP,
	IPPROTO_SMC,
};
_Static_assert(KINDS == LIVE_COUNT(families) * LIVE_COUNT(types) * LIVE_COUNT(protocols),
	       "the number of combinations");

struct kind kind_of(size_t number)
{
	return (struct kind){
		.family = families[number / LIVE_COUNT(protocols) / LIVE_COUNT(types)],
		.type = types[number / LIVE_COUNT(protocols) % LIVE_COUNT(types)],
		.protocol = protocols[number % LIVE_COUNT(protocols)],
	};
}

bool kind_is_judged(const struct kind *kind)
{
	switch (kind->protocol) {
	case 0:
		return kind->type == SOCK_STREAM || kind->type == SOCK_DGRAM;
	case IPPROTO_TCP:
	case IPPROTO_MPTCP:
	case IPPROTO_SMC:
		return kind->type == SOCK_STREAM;
	case IPPROTO_UDP:
		return kind->type == SOCK_DGRAM;
	default:
		return false;
	}
}
