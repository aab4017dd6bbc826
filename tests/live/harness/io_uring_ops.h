/* SPDX-License-Identifier: Apache-2.0 */
/* Runs one operation through io_uring(7), with plain system calls instead of a library. */
#ifndef IO_URING_OPS_H
#define IO_URING_OPS_H

#include <stdint.h>
#include <sys/socket.h>

enum uring_how {
	URING_INLINE, /* by the caller, in io_uring_enter() */
	URING_WORKER, /* IOSQE_ASYNC: by a kernel worker thread */
	URING_POLLED  /* IORING_SETUP_SQPOLL: by a polling kernel thread, without a system call */
};

#define URING_ABSENT (-1000000) /* the kernel lacks io_uring or this mode */

/* Return the result of the operation (negative: an errno value), or URING_ABSENT. */
int uring_connect(enum uring_how how, int fd, const struct sockaddr *to, socklen_t size);
/* Returns a new socket; -EINVAL before kernel 5.19. */
int uring_socket(int domain, int type, int protocol);
int uring_sendmsg(enum uring_how how, int fd, const struct msghdr *message);

#endif
