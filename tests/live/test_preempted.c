/* SPDX-License-Identifier: Apache-2.0 */
/*
 * No thread is preempted while it holds the head of the ring, where it would delay the events of
 * every session. The sender and the reader take turns on one processor, so the reader finds an
 * unfinished record only if the sender was preempted in the middle of it. On a kernel that does
 * not preempt system calls (preempt=none or voluntary) this never happens;
 * tests/vm/machines.sh has a machine with preempt=full.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "kernel.h"
#include "pace.h"

#define LOOKS 8000
#define LOOK_PAUSE_US 100

static struct pace_shared *shared;

/* The kernel functions that the programs call against preemption exist since kernel 6.10. */
static bool kernel_can_disable_preemption(void)
{
	FILE *file = fopen("/proc/kallsyms", "re");
	char line[256];
	bool found = false;

	LIVE_CHECK(file, "/proc/kallsyms: %s", strerror(errno));
	while (!found && fgets(line, sizeof(line), file))
		found = strstr(line, " bpf_preempt_disable\n");
	fclose(file);
	return found;
}

static void use_one_processor(int processor)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(processor, &set);
	LIVE_CHECK(!sched_setaffinity(0, sizeof(set), &set), "affinity: %s", strerror(errno));
}

/* Runs each program that writes records. The calls fail or not; both make events. */
static void make_events(const struct sockaddr *to, socklen_t length)
{
	int datagram = socket(to->sa_family, SOCK_DGRAM, 0);
	int stream = socket(to->sa_family, SOCK_STREAM, 0);

	LIVE_CHECK(datagram >= 0 && stream >= 0, "socket: %s", strerror(errno));
	for (int i = 0; i < 20; i++) {
		(void)!sendto(datagram, "x", 1, 0, to, length);
		(void)!connect(datagram, to, length);
	}
	(void)!connect(stream, to, length);
	close(stream);
	close(datagram);
}

/* live_fn: an idle thread is preempted by every other thread that wakes. */
static void send_until_stopped(const void *unused, void *unused_out)
{
	const struct sockaddr_in to4 = {.sin_family = AF_INET,
					.sin_port = htons(9),
					.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	const struct sockaddr_in6 to6 = {
		.sin6_family = AF_INET6, .sin6_port = htons(9), .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	const struct sched_param none = {0};

	(void)unused;
	(void)unused_out;
	LIVE_CHECK(!sched_setscheduler(0, SCHED_IDLE, &none), "scheduler: %s", strerror(errno));
	while (!atomic_load(&shared->stop)) {
		make_events((const struct sockaddr *)&to4, sizeof(to4));
		make_events((const struct sockaddr *)&to6, sizeof(to6));
	}
}

static int count_event(void *ctx, const struct agentsh_ebpf_event *event)
{
	(void)ctx;
	(void)event;
	atomic_fetch_add(&shared->seen, 1);
	return 0;
}

/* Whether the descriptor is readable although there is no whole record to read. */
static bool is_blocked(struct agentsh_ebpf_tracer *tracer)
{
	struct pollfd ready = {.fd = agentsh_ebpf_fd(tracer), .events = POLLIN};
	int ret;

	if (poll(&ready, 1, 0) != 1)
		return false;
	ret = agentsh_ebpf_poll(tracer, 0);
	LIVE_CHECK(ret >= 0, "poll: %d", ret);
	return ret == 0;
}

START_TEST(reader_finds_whole_records)
{
	/* without a timer, the descriptor is readable only if the ring holds something */
	const struct agentsh_ebpf_tracer_options options = {
		.hooks = AGENTSH_EBPF_HOOK_CONNECT | AGENTSH_EBPF_HOOK_UDP |
			 AGENTSH_EBPF_HOOK_LIFECYCLE,
		.flags = AGENTSH_EBPF_OPEN_NO_MODERATION | AGENTSH_EBPF_OPEN_UDP_NO_DEDUP,
		.on_event = count_event,
		.check_interval_ms = UINT32_MAX,
	};
	struct agentsh_ebpf_tracer *tracer = live_open(&options);
	int processor = sched_getcpu();
	struct live_cgroup cgroup;
	struct live_worker worker;
	uint32_t blocked = 0;
	cpu_set_t before;

	LIVE_CHECK(!sched_getaffinity(0, sizeof(before), &before), "affinity");
	shared = pace_share();
	live_cgroup_make(&cgroup, NULL);
	live_attach(tracer, &cgroup, 1);
	use_one_processor(processor); /* the worker inherits it */
	live_worker_start(&worker, &cgroup);
	live_worker_send(&worker, send_until_stopped, NULL, 0, 0);
	for (uint32_t looks = 0; looks < LOOKS || atomic_load(&shared->seen) < LOOKS; looks++) {
		usleep(LOOK_PAUSE_US);
		blocked += is_blocked(tracer);
	}
	atomic_store(&shared->stop, true);
	live_worker_receive(&worker, NULL, 0);
	live_worker_stop(&worker);
	sched_setaffinity(0, sizeof(before), &before);
	printf("%u events, %u looks found an unfinished record\n", atomic_load(&shared->seen),
	       blocked);
	ck_assert_uint_eq(blocked, 0);
	live_close(tracer);
	pace_unshare(shared);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("preempted");
	TCase *tcase = live_case(suite, "preempted");

	if (kernel_hides_tasks())
		return live_skip(kernel_hides_tasks());
	if (!kernel_can_disable_preemption())
		return live_skip("the kernel has no bpf_preempt_disable()");
	prctl(PR_SET_TIMERSLACK, 1);
	tcase_add_test(tcase, reader_finds_whole_records);
	return live_main(suite);
}
