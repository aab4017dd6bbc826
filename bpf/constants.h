/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Constants whose own headers cannot be compiled for the bpf target. */
#ifndef AGENTSH_CONSTANTS_H
#define AGENTSH_CONSTANTS_H

/*
 * The same values as in the system's and the public header: tests/unit/test_decode.c
 * asserts it at compile time, with a header that tests/unit/kernel_constants.sh generates.
 */
#define AF_INET 2
#define AF_INET6 10

#define AGENTSH_KIND_CONNECT 1
#define AGENTSH_KIND_UDP_SEND 2
#define AGENTSH_KIND_CONNECTED 3
#define AGENTSH_KIND_CONNECT_FAILED 4
#define AGENTSH_KIND_CLOSED 5
#define AGENTSH_KIND_ACCEPTED 6
#define AGENTSH_KIND_FIRST_DATA 8
#define AGENTSH_KIND_PROGRESS 9
#define AGENTSH_KIND_UNANNOUNCED 10
#define AGENTSH_KIND_DNS_QUERY 11
#define AGENTSH_KIND_DNS_ANSWER 12
#define AGENTSH_KIND_SERVER_NAME 13
#define AGENTSH_KIND_UNIX_CONNECT 14
#define AGENTSH_KIND_SOCKET_DENIED 15
#define AGENTSH_KIND_PACKET_DENIED 16
#define AGENTSH_FLAG_V4_MAPPED 1
#define AGENTSH_FLAG_UNATTRIBUTED 2
#define AGENTSH_FLAG_NO_ERROR 4
#define AGENTSH_FLAG_INBOUND 8
#define AGENTSH_FLAG_LOCAL_CLOSED 16
#define AGENTSH_FLAG_REMOTE_CLOSED 32
#define AGENTSH_FLAG_SOURCE_ROUTED 64
#define AGENTSH_FLAG_UNSPECIFIED 128
#define AGENTSH_FLAG_UNTRACKED 256
#define AGENTSH_VERDICT_NONE 0
#define AGENTSH_VERDICT_ALLOWED 1
#define AGENTSH_VERDICT_DENIED 2
#define AGENTSH_VERDICT_WOULD_DENY 3

/* errno(3) */
#define EEXIST 17
#define ECONNREFUSED 111

#endif
