/* SPDX-License-Identifier: Apache-2.0 */
/* One operation by io_uring(7), by system calls only: no library is needed. */
#ifndef IO_URING_OPS_H
#define IO_URING_OPS_H

#include <stdint.h>
#include <sys/socket.h>

enum uring_how {
	URING_INLINE, /* by the caller, in io_uring_enter() */
	URING_WORKER, /* IOSQE_ASYNC: by a thread of the kernel */
	URING_POLLED  /* IORING_SETUP_SQPOLL: by another one, without a system call */
};

#define URING_ABSENT (-1000000) /* the kernel has no io_uring, or not this of it */

/* The operation's result, as a system call in the kernel gives it, or URING_ABSENT. */
int uring_connect(enum uring_how how, int fd, const struct sockaddr *to, socklen_t size);
int uring_sendmsg(enum uring_how how, int fd, const struct msghdr *message);

#endif
