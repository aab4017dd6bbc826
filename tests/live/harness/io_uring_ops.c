/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <linux/io_uring.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "live.h"
#include "io_uring_ops.h"

#ifndef SYS_io_uring_setup
#define SYS_io_uring_setup 425
#define SYS_io_uring_enter 426
#define SYS_io_uring_register 427
#endif

#define OP_SOCKET 45 /* IORING_OP_SOCKET, kernel 5.19 */
#define ENTRIES 4
#define IDLE_MS 1000

struct uring {
	int fd;
	struct io_uring_params params;
	char *rings; /* submission and completion ring, IORING_FEAT_SINGLE_MMAP */
	struct io_uring_sqe *entries;
	size_t rings_size, entries_size;
};

static bool uring_open(struct uring *r, enum uring_how how)
{
	struct io_uring_params *p = &r->params;
	size_t completions;

	memset(r, 0, sizeof(*r));
	if (how == URING_POLLED) {
		p->flags = IORING_SETUP_SQPOLL;
		p->sq_thread_idle = IDLE_MS;
	}
	r->fd = (int)syscall(SYS_io_uring_setup, ENTRIES, p);
	if (r->fd < 0)
		return false;
	r->rings_size = p->sq_off.array + p->sq_entries * sizeof(uint32_t);
	completions = p->cq_off.cqes + p->cq_entries * sizeof(struct io_uring_cqe);
	if (completions > r->rings_size)
		r->rings_size = completions;
	r->entries_size = p->sq_entries * sizeof(struct io_uring_sqe);
	LIVE_CHECK(p->features & IORING_FEAT_SINGLE_MMAP, "io_uring older than 5.4");
	r->rings = mmap(NULL, r->rings_size, PROT_READ | PROT_WRITE, MAP_SHARED, r->fd,
			IORING_OFF_SQ_RING);
	r->entries = mmap(NULL, r->entries_size, PROT_READ | PROT_WRITE, MAP_SHARED, r->fd,
			  IORING_OFF_SQES);
	LIVE_CHECK(r->rings != MAP_FAILED && (void *)r->entries != MAP_FAILED, "mmap: %s",
		   strerror(errno));
	return true;
}

static uint32_t *word(const struct uring *r, uint32_t offset)
{
	return (void *)(r->rings + offset);
}

/* The polling thread may be asleep, so wake it. */
static void submit(struct uring *r, enum uring_how how)
{
	const struct io_sqring_offsets *at = &r->params.sq_off;
	uint32_t *tail = word(r, at->tail);
	unsigned int flags = IORING_ENTER_GETEVENTS;

	word(r, at->array)[*tail & *word(r, at->ring_mask)] = 0;
	__atomic_store_n(tail, *tail + 1, __ATOMIC_RELEASE);
	if (how == URING_POLLED)
		flags |= IORING_ENTER_SQ_WAKEUP;
	while (syscall(SYS_io_uring_enter, r->fd, how == URING_POLLED ? 0 : 1, 1, flags, NULL, 0) <
	       0)
		LIVE_CHECK(errno == EINTR || errno == EAGAIN || errno == EBUSY,
			   "io_uring_enter: %s", strerror(errno));
}

static int result_of(struct uring *r)
{
	const struct io_cqring_offsets *at = &r->params.cq_off;
	const struct timespec moment = {.tv_nsec = 1000000};
	uint32_t *head = word(r, at->head), *tail = word(r, at->tail);
	const struct io_uring_cqe *done;
	int result;

	for (int i = 0; __atomic_load_n(tail, __ATOMIC_ACQUIRE) == *head; i++) {
		LIVE_CHECK(i < LIVE_DEADLINE_MS, "io_uring does not complete");
		nanosleep(&moment, NULL);
	}
	done = (const struct io_uring_cqe *)(void *)(r->rings + at->cqes) +
	       (*head & *word(r, at->ring_mask));
	result = done->res;
	__atomic_store_n(head, *head + 1, __ATOMIC_RELEASE);
	return result;
}

static int run(enum uring_how how, const struct io_uring_sqe *operation)
{
	struct uring r;
	int result;

	if (!uring_open(&r, how))
		return URING_ABSENT;
	r.entries[0] = *operation;
	if (how == URING_POLLED) { /* before 5.11 only registered files are accepted */
		LIVE_CHECK(!syscall(SYS_io_uring_register, r.fd, IORING_REGISTER_FILES,
				    &operation->fd, 1),
			   "io_uring_register: %s", strerror(errno));
		r.entries[0].fd = 0;
		r.entries[0].flags |= IOSQE_FIXED_FILE;
	}
	if (how == URING_WORKER)
		r.entries[0].flags |= IOSQE_ASYNC;
	submit(&r, how);
	result = result_of(&r);
	munmap(r.rings, r.rings_size);
	munmap(r.entries, r.entries_size);
	close(r.fd);
	return result;
}

int uring_connect(enum uring_how how, int fd, const struct sockaddr *to, socklen_t size)
{
	const struct io_uring_sqe operation = {
		.opcode = IORING_OP_CONNECT,
		.fd = fd,
		.addr = (uintptr_t)to,
		.off = size,
	};

	return run(how, &operation);
}

int uring_socket(int domain, int type, int protocol)
{
	const struct io_uring_sqe operation = {
		.opcode = OP_SOCKET,
		.fd = domain,
		.off = (uint64_t)type,
		.len = (uint32_t)protocol,
	};

	return run(URING_INLINE, &operation);
}

int uring_sendmsg(enum uring_how how, int fd, const struct msghdr *message)
{
	const struct io_uring_sqe operation = {
		.opcode = IORING_OP_SENDMSG,
		.fd = fd,
		.addr = (uintptr_t)message,
		.len = 1,
	};

	return run(how, &operation);
}
