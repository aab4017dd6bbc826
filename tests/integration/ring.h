/* SPDX-License-Identifier: Apache-2.0 */
/* One operation by io_uring(7), by system calls only: no library is needed. */
#ifndef RING_H
#define RING_H

#include <stdint.h>
#include <sys/socket.h>

enum ring_how {
	RING_INLINE, /* by the caller, in io_uring_enter() */
	RING_WORKER, /* IOSQE_ASYNC: by a thread of the kernel */
	RING_POLLED  /* IORING_SETUP_SQPOLL: by another one, without a system call */
};

#define RING_ABSENT (-1000000) /* the kernel has no io_uring, or not this of it */

/* The operation's result, as a system call in the kernel gives it, or RING_ABSENT. */
int ring_connect(enum ring_how how, int fd, const struct sockaddr *to, socklen_t size);
int ring_sendmsg(enum ring_how how, int fd, const struct msghdr *message);

#endif
