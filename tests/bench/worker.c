/* SPDX-License-Identifier: Apache-2.0 */
#include <netinet/in.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util.h"
#include "worker.h"

struct shared {
	uint64_t took_ns; /* all timed calls, pauses too */
	uint32_t ns[];
};

static struct sockaddr_in target(void)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(9)};

	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return to;
}

static inline void one(int fd, const struct sockaddr_in *to)
{
	if (connect(fd, (const struct sockaddr *)to, sizeof(*to)))
		die("connect: %m");
}

/* One look at the clock a call; it is in every variant's figure alike. */
static void flat_out(int fd, const struct sockaddr_in *to, unsigned long calls, uint32_t *ns)
{
	uint64_t before = now_ns();

	for (unsigned long i = 0; i < calls; i++) {
		uint64_t after;

		one(fd, to);
		after = now_ns();
		ns[i] = (uint32_t)(after - before);
		before = after;
	}
}

/* Sleeps in between, as a program does that has something else to wait for. */
static void paced(int fd, const struct sockaddr_in *to, const struct load *load,
		  unsigned long calls, uint32_t *ns)
{
	uint64_t step = 1000000000u / load->rate, next = now_ns() + step;

	for (unsigned long i = 0; i < calls; i++, next += step) {
		struct timespec until = {(time_t)(next / 1000000000u), (long)(next % 1000000000u)};
		uint64_t before;

		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
		before = now_ns();
		one(fd, to);
		ns[i] = (uint32_t)(now_ns() - before);
	}
}

static void work(const struct cgroup *cg, int cpu, const struct load *load, struct shared *shared)
{
	struct sockaddr_in to = target();
	uint64_t begin;
	int fd;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	prctl(PR_SET_TIMERSLACK, 1);
	pin(cpu);
	cgroup_enter(cg); /* before the socket is made: it belongs here for ever */
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		die("socket: %m");
	flat_out(fd, &to, WORKER_WARM, shared->ns);
	begin = now_ns();
	if (load->rate)
		paced(fd, &to, load, load->calls, shared->ns);
	else
		flat_out(fd, &to, load->calls, shared->ns);
	shared->took_ns = now_ns() - begin;
}

void worker_run(const struct cgroup *cg, int cpu, const struct load *load,
		struct worker_times *times)
{
	unsigned long room = load->calls > WORKER_WARM ? load->calls : WORKER_WARM;
	size_t size = sizeof(struct shared) + room * sizeof(uint32_t);
	struct shared *shared;
	double sum = 0;
	int status;
	pid_t pid;

	shared = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		die("mmap: %m");
	memset(shared, 1, size); /* no page fault while it is timed */

	pid = fork();
	if (pid < 0)
		die("fork: %m");
	if (!pid) {
		memset(shared, 0, size); /* the child's own page tables too */
		work(cg, cpu, load, shared);
		_exit(0);
	}
	if (waitpid(pid, &status, 0) != pid || status)
		die("the worker failed, wait status %#x", (unsigned)status);

	for (unsigned long i = 0; i < load->calls; i++)
		sum += shared->ns[i];
	times->mean = sum / (double)load->calls;
	times->p50 = percentile(shared->ns, load->calls, 50);
	times->p99 = percentile(shared->ns, load->calls, 99);
	times->rate = (double)load->calls * 1e9 / (double)shared->took_ns;
	times->made = load->calls + WORKER_WARM;
	munmap(shared, size);
}
