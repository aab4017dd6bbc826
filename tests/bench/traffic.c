/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "http.h"
#include "traffic.h"
#include "util.h"

enum { WARM = 4 }; /* batches: first use of the sockets, growth of their buffers */

/* Written by the process in the cgroup. */
struct result {
	uint64_t cpu_ns;
	uint64_t packets;
	uint32_t ns[]; /* of each batch */
};

struct ends {
	int near, far;
	struct sockaddr_in at; /* of the listener */
};

static char bytes[128 << 10];

static void bind_loopback(int fd, struct sockaddr_in *at)
{
	socklen_t size = sizeof(*at);

	*at = (struct sockaddr_in){.sin_family = AF_INET};
	at->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0 || bind(fd, (struct sockaddr *)at, sizeof(*at)) ||
	    getsockname(fd, (struct sockaddr *)at, &size))
		die("socket: %m");
}

static void connect_to(int fd, const struct sockaddr_in *to)
{
	if (fd < 0 || connect(fd, (const struct sockaddr *)to, sizeof(*to)))
		die("connect: %m");
}

static struct ends datagram_ends(void)
{
	struct ends e = {.near = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0),
			 .far = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
	struct sockaddr_in near, far;

	bind_loopback(e.near, &near);
	bind_loopback(e.far, &far);
	connect_to(e.near, &far);
	connect_to(e.far, &near);
	return e;
}

/* The far end is the listener. */
static struct ends listener_ends(void)
{
	struct ends e = {.near = -1, .far = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};

	bind_loopback(e.far, &e.at);
	if (listen(e.far, 1))
		die("listen: %m");
	return e;
}

static struct ends stream_ends(void)
{
	struct ends e = listener_ends();
	int listener = e.far, on = 1;

	e.near = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	connect_to(e.near, &e.at);
	e.far = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	if (e.far < 0 || setsockopt(e.near, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) ||
	    setsockopt(e.far, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)))
		die("accept: %m");
	close(listener);
	return e;
}

static void send_all(int fd, size_t size)
{
	if (send(fd, bytes, size, 0) != (ssize_t)size)
		die("send: %m");
}

static void receive_all(int fd, size_t size)
{
	if (recv(fd, bytes, size, MSG_WAITALL) != (ssize_t)size)
		die("recv: %m");
}

/* Runs in a process of its own until the other end is closed. */
static _Noreturn void receive_until_end(const struct ends *e, int cpu, size_t size)
{
	ssize_t got;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	pin(cpu);
	close(e->near);
	do
		got = recv(e->far, bytes, size, 0);
	while (got > 0);
	_exit(got < 0);
}

static struct ends make_ends(enum traffic_kind kind)
{
	if (kind == TRAFFIC_DATAGRAMS)
		return datagram_ends();
	return kind == TRAFFIC_CONNECTIONS ? listener_ends() : stream_ends();
}

static void one(const struct traffic *t, const struct ends *e)
{
	switch (t->kind) {
	case TRAFFIC_REQUESTS:
		http_exchange(e->near, e->far);
		return;
	case TRAFFIC_CONNECTIONS:
		http_connection(e->far, &e->at);
		return;
	case TRAFFIC_BULK:
		send_all(e->near, t->size);
		return;
	case TRAFFIC_DATAGRAMS:
		send_all(e->near, t->size);
		receive_all(e->far, t->size);
		return;
	case TRAFFIC_TURNS:
		send_all(e->near, t->size);
		receive_all(e->far, t->size);
		send_all(e->far, t->size);
		receive_all(e->near, t->size);
	}
}

static void all(const struct traffic *t, const struct ends *e, struct result *r)
{
	for (unsigned long i = 0; i < WARM + t->batches; i++) {
		uint64_t before = now_ns();

		for (unsigned n = 0; n < t->batch; n++)
			one(t, e);
		if (i >= WARM)
			r->ns[i - WARM] = (uint32_t)(now_ns() - before);
	}
}

/* Packets as the network device sees them: on loopback a segment is a whole packet. */
static uint64_t segments(int fd)
{
	struct tcp_info info;
	socklen_t size = sizeof(info);

	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size))
		die("TCP_INFO: %m");
	return info.tcpi_segs_out;
}

static uint64_t used_ns(int who)
{
	struct rusage used;

	getrusage(who, &used);
	return (uint64_t)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1000000000u +
	       (uint64_t)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) * 1000u;
}

static void work(const struct bench *b, const struct cgroup *cg, const struct traffic *t,
		 struct result *r)
{
	pid_t reader = 0;
	struct ends e;
	int status;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	pin(b->cpu_worker);
	/* first, because a socket belongs for ever to the cgroup it was made in */
	cgroup_enter(cg);
	e = make_ends(t->kind);
	if (t->kind == TRAFFIC_BULK) {
		reader = fork();
		if (reader < 0)
			die("fork: %m");
		if (!reader)
			receive_until_end(&e, b->cpu_consumer, t->size);
	}
	all(t, &e, r);
	if (reader &&
	    (shutdown(e.near, SHUT_WR) || waitpid(reader, &status, 0) != reader || status))
		die("the reader of the packets failed");
	r->packets = t->kind == TRAFFIC_BULK || t->kind == TRAFFIC_TURNS
			     ? segments(e.near) + segments(e.far)
			     : (WARM + t->batches) * t->batch;
	r->cpu_ns = used_ns(RUSAGE_SELF) + used_ns(RUSAGE_CHILDREN);
}

void traffic_run(const struct bench *b, const struct cgroup *cg, const struct traffic *t,
		 struct traffic_times *times)
{
	size_t size = sizeof(struct result) + t->batches * sizeof(uint32_t);
	struct result *r =
		mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int status;
	pid_t pid;

	if (r == MAP_FAILED || t->size > sizeof(bytes))
		die("mmap: %m");
	pid = fork();
	if (pid < 0)
		die("fork: %m");
	if (!pid) {
		memset(r->ns, 0, t->batches * sizeof(uint32_t)); /* no page faults later */
		work(b, cg, t, r);
		_exit(0);
	}
	if (waitpid(pid, &status, 0) != pid || status)
		die("the sender failed, wait status %#x", (unsigned)status);
	times->ns = percentile(r->ns, t->batches, 50) / (double)t->batch;
	times->cpu_ns = (double)r->cpu_ns / (double)r->packets;
	times->calls = (double)((WARM + t->batches) * t->batch);
	munmap(r, size);
}

struct traffic traffic_scaled(const struct bench *b, const struct traffic *full)
{
	struct traffic t = *full;

	t.batches = t.batches * b->percent / 100;
	if (!t.batches)
		t.batches = 1;
	return t;
}
