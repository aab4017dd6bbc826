/* SPDX-License-Identifier: Apache-2.0 */
#include "fail.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/vfs.h>
#include <unistd.h>

#define REPLACES __attribute__((visibility("default")))

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif

static unsigned int armed; /* number of the call that fails; 0: none */
static unsigned int counted;
static int given;
static const char *failed;
static long blocks;
static fail_watcher watching;

void fail_arm(unsigned int nth, int error)
{
	counted = 0;
	failed = NULL;
	given = error;
	armed = nth;
}

void fail_watch(fail_watcher watcher)
{
	watching = watcher;
}

static void show(const char *name, const char *path, long number, long arg)
{
	if (watching)
		watching(name, path, number, arg);
}

unsigned int fail_disarm(const char **what)
{
	armed = 0;
	*what = failed;
	return counted;
}

/* Whether this call is the one that fails; sets errno. */
static bool fails(const char *name, int error)
{
	if (!armed || ++counted != armed)
		return false;
	failed = name;
	errno = given ? given : error;
	return true;
}

static void *real(const char *name)
{
	void *at = dlsym(RTLD_NEXT, name);

	if (!at)
		abort();
	return at;
}

/* Defines next, a pointer to the C library's function. */
#define REAL(name, type, ...)                                                                      \
	static type (*next)(__VA_ARGS__);                                                          \
	if (!next)                                                                                 \
	*(void **)&next = real(#name)

/* ---- memory ------------------------------------------------------------- */

#ifndef SANITIZED
extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t);
extern void __libc_free(void *);

REPLACES void *malloc(size_t size)
{
	void *at = fails("malloc", ENOMEM) ? NULL : __libc_malloc(size);

	blocks += at != NULL;
	return at;
}

REPLACES void *calloc(size_t n, size_t size)
{
	void *at = fails("calloc", ENOMEM) ? NULL : __libc_calloc(n, size);

	blocks += at != NULL;
	return at;
}

REPLACES void *realloc(void *old, size_t size)
{
	void *at = fails("realloc", ENOMEM) ? NULL : __libc_realloc(old, size);

	if (old && !size && !at)
		blocks--; /* realloc() worked as free() */
	else if (!old && at)
		blocks++;
	return at;
}

REPLACES void *aligned_alloc(size_t alignment, size_t size)
{
	void *at = fails("aligned_alloc", ENOMEM) ? NULL : __libc_memalign(alignment, size);

	blocks += at != NULL;
	return at;
}

REPLACES void free(void *at)
{
	blocks -= at != NULL;
	__libc_free(at);
}
#endif

bool fail_has_allocations(void)
{
	/* the compiler believes that malloc() changes no variable */
	void *(*volatile allocate)(size_t) = malloc;
	long before = fail_blocks();
	void *block = allocate(1);
	bool is_counted = fail_blocks() == before + 1;

	free(block);
	return is_counted;
}

long fail_blocks(void)
{
	return blocks;
}

/* ---- system calls ------------------------------------------------------- */

/* For bpf(2), which libbpf calls, and capget(2). Neither has more arguments. */
REPLACES long syscall(long number, ...)
{
	REAL(syscall, long, long, ...);
	long a[5];
	va_list args;

	va_start(args, number);
	for (int i = 0; i < 5; i++)
		a[i] = va_arg(args, long);
	va_end(args);
	show("syscall", NULL, number, a[0]);
	return fails("syscall", EPERM) ? -1 : next(number, a[0], a[1], a[2], a[3], a[4]);
}

static int flags_to_mode(int flags, va_list args)
{
	return flags & O_CREAT ? va_arg(args, int) : 0;
}

#define OPEN(name)                                                                                 \
	REPLACES int name(const char *path, int flags, ...)                                        \
	{                                                                                          \
		REAL(name, int, const char *, int, ...);                                           \
		va_list args;                                                                      \
		int mode;                                                                          \
                                                                                                   \
		va_start(args, flags);                                                             \
		mode = flags_to_mode(flags, args);                                                 \
		va_end(args);                                                                      \
		show("open", path, 0, 0);                                                          \
		return fails("open", EMFILE) ? -1 : next(path, flags, mode);                       \
	}
OPEN(open)
OPEN(open64)

#define FCNTL(name)                                                                                \
	REPLACES int name(int fd, int command, ...)                                                \
	{                                                                                          \
		REAL(name, int, int, int, ...);                                                    \
		va_list args;                                                                      \
		long arg;                                                                          \
                                                                                                   \
		va_start(args, command);                                                           \
		arg = va_arg(args, long);                                                          \
		va_end(args);                                                                      \
		show("fcntl", NULL, command, arg);                                                 \
		return fails("fcntl", EMFILE) ? -1 : next(fd, command, arg);                       \
	}
FCNTL(fcntl)
FCNTL(fcntl64)

#define MMAP(name, offset)                                                                         \
	REPLACES void *name(void *at, size_t size, int prot, int flags, int fd, offset from)       \
	{                                                                                          \
		REAL(name, void *, void *, size_t, int, int, int, offset);                         \
                                                                                                   \
		return fails("mmap", ENOMEM) ? MAP_FAILED : next(at, size, prot, flags, fd, from); \
	}
MMAP(mmap, off_t)
MMAP(mmap64, off64_t)

REPLACES ssize_t read(int fd, void *to, size_t n)
{
	REAL(read, ssize_t, int, void *, size_t);
	return fails("read", EIO) ? -1 : next(fd, to, n);
}

REPLACES int access(const char *path, int how)
{
	REAL(access, int, const char *, int);
	show("access", path, 0, 0);
	return fails("access", EACCES) ? -1 : next(path, how);
}

REPLACES int stat(const char *path, struct stat *st)
{
	REAL(stat, int, const char *, struct stat *);
	show("stat", path, 0, 0);
	return fails("stat", EACCES) ? -1 : next(path, st);
}

REPLACES int fstat(int fd, struct stat *st)
{
	REAL(fstat, int, int, struct stat *);
	return fails("fstat", EBADF) ? -1 : next(fd, st);
}

REPLACES int fstatfs(int fd, struct statfs *fs)
{
	REAL(fstatfs, int, int, struct statfs *);
	return fails("fstatfs", EIO) ? -1 : next(fd, fs);
}

REPLACES int eventfd(unsigned int value, int flags)
{
	REAL(eventfd, int, unsigned int, int);
	return fails("eventfd", EMFILE) ? -1 : next(value, flags);
}

REPLACES int epoll_create1(int flags)
{
	REAL(epoll_create1, int, int);
	return fails("epoll_create1", EMFILE) ? -1 : next(flags);
}

REPLACES int epoll_ctl(int epoll, int op, int fd, struct epoll_event *event)
{
	REAL(epoll_ctl, int, int, int, int, struct epoll_event *);
	return fails("epoll_ctl", ENOMEM) ? -1 : next(epoll, op, fd, event);
}

REPLACES int epoll_wait(int epoll, struct epoll_event *events, int n, int timeout)
{
	REAL(epoll_wait, int, int, struct epoll_event *, int, int);
	return fails("epoll_wait", EINTR) ? -1 : next(epoll, events, n, timeout);
}

REPLACES int timerfd_create(int clock, int flags)
{
	REAL(timerfd_create, int, int, int);
	return fails("timerfd_create", EMFILE) ? -1 : next(clock, flags);
}

REPLACES int timerfd_settime(int fd, int flags, const struct itimerspec *when,
			     struct itimerspec *old)
{
	REAL(timerfd_settime, int, int, int, const struct itimerspec *, struct itimerspec *);
	return fails("timerfd_settime", EINVAL) ? -1 : next(fd, flags, when, old);
}

/* ---- resources ----------------------------------------------------------  */

int fail_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int count = 0;

	while (dir && readdir(dir))
		count++;
	if (dir)
		closedir(dir);
	return count;
}

int fail_bpf_mappings(void)
{
	FILE *file = fopen("/proc/self/maps", "re");
	char line[512];
	int count = 0;

	while (file && fgets(line, sizeof(line), file))
		count += strstr(line, "anon_inode:bpf") != NULL;
	if (file)
		fclose(file);
	return count;
}
