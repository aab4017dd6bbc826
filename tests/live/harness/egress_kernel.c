/* SPDX-License-Identifier: Apache-2.0 */
#include <endian.h>
#include <errno.h>
#include <linux/rxrpc.h> /* not together with <netinet/in.h> */
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "egress_kernel.h"

#ifndef SOL_RXRPC
#define SOL_RXRPC 272
#endif

/* A thread of the kernel sends. */
static void wait_for_kernel(void)
{
	const struct timespec moment = {.tv_nsec = 50000000};

	nanosleep(&moment, NULL);
}

/* RDS chooses its transport by the address to which it is bound. */
int egress_go_rds(int fd, const struct sockaddr_in *to)
{
	struct sockaddr_in at = *to;

	at.sin_addr.s_addr = htobe32(INADDR_LOOPBACK);
	if (bind(fd, (const struct sockaddr *)&at, sizeof(at)) ||
	    sendto(fd, "rds", 3, MSG_DONTWAIT, (const struct sockaddr *)to, sizeof(*to)) < 0)
		return errno;
	wait_for_kernel();
	return 0;
}

int egress_go_rxrpc(int fd, const struct sockaddr_in *to)
{
	struct sockaddr_rxrpc peer = {
		.srx_family = AF_RXRPC,
		.srx_service = 52,
		.transport_type = SOCK_DGRAM,
		.transport_len = sizeof(*to),
	};
	const unsigned long call = 1;
	union {
		struct cmsghdr head;
		char space[CMSG_SPACE(sizeof(call))];
	} control;
	struct iovec data = {.iov_base = (char[]){"call"}, .iov_len = 4};
	const struct msghdr m = {
		.msg_name = &peer,
		.msg_namelen = sizeof(peer),
		.msg_iov = &data,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control.space),
	};

	memset(&control, 0, sizeof(control));
	control.head.cmsg_level = SOL_RXRPC;
	control.head.cmsg_type = RXRPC_USER_CALL_ID;
	control.head.cmsg_len = CMSG_LEN(sizeof(call));
	memcpy(CMSG_DATA(&control.head), &call, sizeof(call));
	memcpy(&peer.transport.sin, to, sizeof(*to));
	if (sendmsg(fd, &m, MSG_DONTWAIT) < 0)
		return errno;
	wait_for_kernel();
	return 0;
}
