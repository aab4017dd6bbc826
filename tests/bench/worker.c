/* SPDX-License-Identifier: Apache-2.0 */
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util.h"
#include "worker.h"

/* Shared with the worker; a worker that is a separate program gets its orders here, too. */
struct shared {
	uint64_t took_ns; /* all timed calls, pauses too */
	uint64_t cpu_ns;
	struct load load;
	char cgroup[512];
	int cpu;
	in_port_t port;
	uint32_t ns[];
};

enum { LISTEN_BACKLOG = 4096, PORT_DISCARD = 9 };

static struct sockaddr_in loopback(in_port_t port)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = port};

	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return to;
}

static inline void one(int fd, const struct sockaddr_in *to, bool tcp)
{
	if (tcp)
		fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (connect(fd, (const struct sockaddr *)to, sizeof(*to)))
		die("connect: %m");
	if (tcp)
		close(fd);
}

/* Reads the clock once per call, which adds the same time to the figures of all variants. */
static void flat_out(int fd, const struct sockaddr_in *to, bool tcp, unsigned long calls,
		     uint32_t *ns)
{
	uint64_t before = now_ns();

	for (unsigned long i = 0; i < calls; i++) {
		uint64_t after;

		one(fd, to, tcp);
		after = now_ns();
		ns[i] = (uint32_t)(after - before);
		before = after;
	}
}

/* Sleeps between the calls, as a program that waits for other things. */
static void paced(int fd, const struct sockaddr_in *to, const struct load *load, uint32_t *ns)
{
	uint64_t step = 1000000000u / load->rate, next = now_ns() + step;

	for (unsigned long i = 0; i < load->calls; i++, next += step) {
		struct timespec until = {(time_t)(next / 1000000000u), (long)(next % 1000000000u)};
		uint64_t before;

		if (!load->spin)
			clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
		do
			before = now_ns();
		while (before < next);
		one(fd, to, load->tcp);
		ns[i] = (uint32_t)(now_ns() - before);
	}
}

/* Ends with its parent, also if the parent ended before prctl(2). */
static void work(const struct cgroup *cg, struct shared *s, pid_t parent)
{
	struct sockaddr_in to = loopback(s->port);
	uint64_t begin;
	int fd;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1); /* the cgroup may be gone by now */
	prctl(PR_SET_TIMERSLACK, 1);
	pin(s->cpu);
	cgroup_enter(
		cg); /* first, because a socket belongs for ever to the cgroup it was made in */
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		die("socket: %m");
	if (!s->load.cold)
		flat_out(fd, &to, s->load.tcp, WORKER_WARM, s->ns);
	begin = now_ns();
	if (s->load.rate)
		paced(fd, &to, &s->load, s->ns);
	else
		flat_out(fd, &to, s->load.tcp, s->load.calls, s->ns);
	s->took_ns = now_ns() - begin;
	s->cpu_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
}

static size_t shared_size(const struct load *load)
{
	unsigned long room = load->calls > WORKER_WARM ? load->calls : WORKER_WARM;

	return sizeof(struct shared) + room * sizeof(uint32_t);
}

static struct shared *shared_map(int memory, size_t size)
{
	struct shared *s = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);

	if (s == MAP_FAILED)
		die("mmap: %m");
	return s;
}

/* Avoids page faults in the timed calls. */
static void touch_pages(struct shared *s, const struct load *load)
{
	memset(s->ns, 0, shared_size(load) - sizeof(*s));
}

static struct shared *prepare(int memory, const struct cgroup *cg, int cpu, const struct load *load)
{
	struct shared *s;

	if (memory < 0 || ftruncate(memory, (off_t)shared_size(load)))
		die("memory for the worker: %m");
	s = shared_map(memory, shared_size(load));
	*s = (struct shared){.load = *load, .cpu = cpu, .port = htons(PORT_DISCARD)};
	s->load.name = NULL;
	snprintf(s->cgroup, sizeof(s->cgroup), "%s", cg->path);
	touch_pages(s, load);
	return s;
}

/* A listener outside the cgroup. Its connections wait in the backlog until it is closed. */
static int listener(struct shared *s)
{
	struct sockaddr_in at = loopback(0);
	socklen_t size = sizeof(at);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof(at)) || listen(fd, LISTEN_BACKLOG) ||
	    getsockname(fd, (struct sockaddr *)&at, &size))
		die("listener: %m");
	s->port = at.sin_port;
	return fd;
}

static void finish(struct shared *s, int memory, const struct load *load,
		   struct worker_times *times)
{
	double sum = 0;

	for (unsigned long i = 0; i < load->calls; i++)
		sum += s->ns[i];
	times->mean = sum / (double)load->calls;
	times->p50 = percentile(s->ns, load->calls, 50);
	times->p99 = percentile(s->ns, load->calls, 99);
	times->rate = (double)load->calls * 1e9 / (double)s->took_ns;
	times->made = load->calls + (load->cold ? 0 : WORKER_WARM);
	times->cpu_ns = s->cpu_ns;
	munmap(s, shared_size(load));
	close(memory);
}

void worker_run(const struct cgroup *cg, int cpu, const struct load *load,
		struct worker_times *times)
{
	int memory = memfd_create("agentsh-bench", MFD_CLOEXEC), status, accepts = -1;
	struct shared *s = prepare(memory, cg, cpu, load);
	pid_t parent = getpid(), pid;

	if (load->tcp)
		accepts = listener(s);
	pid = fork();
	if (pid < 0)
		die("fork: %m");
	if (!pid) {
		touch_pages(s, load); /* the child has its own page tables */
		work(cg, s, parent);
		_exit(0);
	}
	if (waitpid(pid, &status, 0) != pid || status)
		die("the worker failed, wait status %#x", (unsigned)status);
	if (accepts >= 0)
		close(accepts);
	finish(s, memory, load, times);
}

static void run_words(char *const *words, int cpu, int memory)
{
	char *argv[16], number[16], self[512] = "";
	int n = 0;

	if (readlink("/proc/self/exe", self, sizeof(self) - 1) < 0)
		die("/proc/self/exe: %m");

	while (*words && n < 12)
		argv[n++] = *words++;
	snprintf(number, sizeof(number), "%d", memory);
	argv[n++] = self;
	argv[n++] = "--worker";
	argv[n++] = number;
	argv[n] = NULL;
	pin(cpu);
	execvp(argv[0], argv);
	die("%s: %m", argv[0]);
}

uint64_t worker_run_under(char *const *words, const struct cgroup *cg, int cpu, int cpu_words,
			  const struct load *load, struct worker_times *times)
{
	int memory = memfd_create("agentsh-bench", 0), status;
	struct shared *s = prepare(memory, cg, cpu, load);
	struct rusage used;
	uint64_t all_ns;
	pid_t pid = fork();

	if (pid < 0)
		die("fork: %m");
	if (!pid)
		run_words(words, cpu_words, memory);
	if (wait4(pid, &status, 0, &used) != pid || status)
		die("%s failed, wait status %#x", words[0], (unsigned)status);
	all_ns = (uint64_t)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1000000000u +
		 (uint64_t)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) * 1000u;
	finish(s, memory, load, times);
	return all_ns > times->cpu_ns ? all_ns - times->cpu_ns : 0;
}

int worker_main(const char *arguments)
{
	int memory = atoi(arguments);
	struct shared *s = shared_map(memory, sizeof(*s));
	struct cgroup cg;
	size_t size = shared_size(&s->load);

	munmap(s, sizeof(*s));
	s = shared_map(memory, size);
	touch_pages(s, &s->load);
	cgroup_open(&cg, s->cgroup);
	work(&cg, s, getppid());
	return 0;
}
