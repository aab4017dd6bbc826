/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A process whose arguments nobody can read: it holds the lock of its address space, because
 * its file system does not answer. In a mount namespace of its own.
 *
 * hold_memory DIRECTORY READY GO: mounts a file system at DIRECTORY. A child maps a file of
 * it, takes the lock, and calls connect() to UDP port 9. The file system then calls connect()
 * to port 10, creates READY and waits for GO. The lock is released, and the child calls
 * connect() to port 11. Until then every reader of the child's arguments hangs, ps(1) too.
 */
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#define FILE_NODE 2
#define FILE_SIZE 4096
#define DEADLINE_S 30 /* then the server is killed, and with it the file system ends */

static void connect_to(uint16_t port)
{
	struct sockaddr_in to = {
		.sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof(to)))
		err(1, "connect");
	close(fd);
}

/* ---- The process ---------------------------------------------------------- */

/* Unmapping the changed page waits until the file system has written it. */
static void *take_lock(void *page)
{
	if (mmap(page, FILE_SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) !=
	    page)
		err(1, "mmap");
	return NULL;
}

static void hold(const char *file, int locked, int told)
{
	pthread_t thread;
	char *page;
	char byte = 0;
	int fd = open(file, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		err(1, "opening %s", file);
	page = mmap(NULL, FILE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (page == MAP_FAILED)
		err(1, "mapping %s", file);
	*(volatile char *)page = 'x';
	/* Without the lock no page can be mapped, and this thread must continue. */
	if (mlockall(MCL_CURRENT))
		err(1, "mlockall");
	if (pthread_create(&thread, NULL, take_lock, page))
		errx(1, "no thread");
	if (read(locked, &byte, 1) != 1)
		err(1, "read");
	connect_to(9);
	if (write(told, &byte, 1) != 1)
		err(1, "write");
	pthread_join(thread, NULL);
	connect_to(11);
}

/* ---- Its file system ------------------------------------------------------ */

struct server {
	int fuse;
	int locked; /* tells the process that it holds its lock */
	int told;
	const char *ready;
	const char *go;
};

static void answer(int fuse, uint64_t unique, int error, const void *body, size_t size)
{
	struct fuse_out_header head = {
		.len = (uint32_t)(sizeof(head) + size), .error = error, .unique = unique};
	struct iovec parts[] = {{&head, sizeof(head)}, {(void *)(uintptr_t)body, size}};

	if (writev(fuse, parts, 2) < 0 && errno != ENOENT)
		err(1, "answering");
}

static struct fuse_attr attributes(uint64_t node)
{
	return (struct fuse_attr){
		.ino = node,
		.size = FILE_SIZE,
		.mode = node == FILE_NODE ? S_IFREG | 0600 : S_IFDIR | 0700,
		.nlink = 1,
		.blksize = FILE_SIZE,
	};
}

/* The lock is held while this does not return. */
static void meet(const struct server *s)
{
	char byte;
	int fd;

	if (write(s->locked, "", 1) != 1 || read(s->told, &byte, 1) != 1)
		err(1, "the process");
	connect_to(10);
	fd = open(s->ready, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		err(1, "creating %s", s->ready);
	close(fd);
	while (access(s->go, F_OK))
		usleep(10000);
}

static void serve_one(const struct server *s, const struct fuse_in_header *in, const void *body)
{
	static const char zeroes[FILE_SIZE];
	struct fuse_init_out init = {.major = FUSE_KERNEL_VERSION, .minor = 31, .max_write = 65536};
	struct fuse_entry_out entry = {.nodeid = FILE_NODE, .attr = attributes(FILE_NODE)};
	struct fuse_attr_out attr = {.attr = attributes(in->nodeid)};
	struct fuse_open_out opened = {.fh = 1};
	struct fuse_write_out written = {0};

	switch (in->opcode) {
	case FUSE_INIT:
		answer(s->fuse, in->unique, 0, &init, sizeof(init));
		break;
	case FUSE_LOOKUP:
		answer(s->fuse, in->unique, 0, &entry, sizeof(entry));
		break;
	case FUSE_GETATTR:
	case FUSE_SETATTR:
		answer(s->fuse, in->unique, 0, &attr, sizeof(attr));
		break;
	case FUSE_OPEN:
		answer(s->fuse, in->unique, 0, &opened, sizeof(opened));
		break;
	case FUSE_READ:
		answer(s->fuse, in->unique, 0, zeroes, sizeof(zeroes));
		break;
	case FUSE_WRITE:
		meet(s);
		written.size = ((const struct fuse_write_in *)body)->size;
		answer(s->fuse, in->unique, 0, &written, sizeof(written));
		break;
	case FUSE_FORGET:
	case FUSE_BATCH_FORGET:
	case FUSE_INTERRUPT:
		break;
	case FUSE_FLUSH:
	case FUSE_RELEASE:
		answer(s->fuse, in->unique, 0, NULL, 0);
		break;
	default:
		answer(s->fuse, in->unique, -ENOSYS, NULL, 0);
	}
}

int main(int argc, char **argv)
{
	static char request[256 * 1024] __attribute__((aligned(8)));
	char options[128], file[4096];
	struct server s = {.fuse = open("/dev/fuse", O_RDWR | O_CLOEXEC)};
	int locked[2], told[2];
	pid_t child;
	ssize_t n;

	if (argc != 4)
		errx(1, "usage: hold_memory DIRECTORY READY GO");
	s.ready = argv[2];
	s.go = argv[3];
	if (s.fuse < 0 || pipe2(locked, O_CLOEXEC) || pipe2(told, O_CLOEXEC))
		err(1, "/dev/fuse");
	snprintf(options, sizeof(options), "fd=%d,rootmode=40000,user_id=0,group_id=0", s.fuse);
	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("hold_memory", argv[1], "fuse", MS_NOSUID | MS_NODEV, options))
		err(1, "mounting at %s", argv[1]);
	snprintf(file, sizeof(file), "%s/file", argv[1]);
	s.locked = locked[1];
	s.told = told[0];
	child = fork();
	if (!child) {
		close(s.fuse); /* so that the file system ends with its server */
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		hold(file, locked[0], told[1]);
		return 0;
	}
	alarm(DEADLINE_S);
	while (!waitpid(child, NULL, WNOHANG)) {
		struct fuse_in_header *in = (struct fuse_in_header *)request;

		n = read(s.fuse, request, sizeof(request));
		if (n >= (ssize_t)sizeof(*in))
			serve_one(&s, in, request + sizeof(*in));
		if (n > 0 && in->opcode == FUSE_RELEASE)
			break;
	}
	waitpid(child, NULL, 0);
	return 0;
}
