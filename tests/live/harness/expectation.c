/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "kernel.h"
#include "live.h"
#include "expectation.h"
#include "own_task.h"

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif

#define PIDNS_INITIAL 0xEFFFFFFCU /* PROC_PID_INIT_INO */
#define NS_PER_SECOND 1000000000ULL
/* the library keeps one difference of the two clocks, which may be off by 0.1 ms */
#define REALTIME_SLACK_NS 1000000

int expectation_host_level;

/*
 * Events have the numbers of the initial PID namespace, so /proc shows the same numbers only
 * if it belongs to that namespace. Found out before any fork.
 */
static bool proc_is_initial;

__attribute__((constructor)) static void look_at_proc(void)
{
	struct stat st;

	proc_is_initial = !stat("/proc/self/ns/pid", &st) && st.st_ino == PIDNS_INITIAL;
}

void expectation_task(struct expectation *t)
{
	const struct own_task own = own_task_read();
	uint32_t tid = (uint32_t)syscall(SYS_gettid), pid = (uint32_t)getpid();
	int level = expectation_host_level, last = own.levels - 1;

	LIVE_CHECK(own.pid[last] == tid && own.tgid[last] == pid,
		   "/proc says %u/%u, the system calls say %u/%u", own.pid[last], own.tgid[last],
		   tid, pid);
	/* if there is no namespace in between, the process's own numbers are those of /proc */
	t->want.pid = last ? own.pid[0] : tid;
	t->want.tgid = last ? own.tgid[0] : pid;
	t->want.ppid = last ? own.ppid : (uint32_t)getppid();
	t->want.container_pid = tid;
	t->want.container_tgid = pid;
	if (level >= 0 && level <= last) {
		t->want.ns_pid = own.pid[level];
		t->want.ns_tgid = own.tgid[level];
	} else {
		t->want.ns_pid = 0;
		t->want.ns_tgid = 0;
	}
	t->want.uid = getuid();
	t->want.gid = getgid();
	t->want.cgroup_id = live_cgroup_own();
	t->start_ticks = own.start_ticks;
	t->want.exe_inode = own.exe_inode;
	t->want.exe_device = own.exe_device;
	memcpy(t->want.process_comm, own.process_comm, sizeof(t->want.process_comm));
	LIVE_CHECK(!prctl(PR_GET_NAME, t->want.comm), "PR_GET_NAME: %s", strerror(errno));
}

void expectation_hide_task(struct expectation *t)
{
	t->want.ppid = 0;
	t->want.ns_pid = 0;
	t->want.ns_tgid = 0;
	t->want.container_pid = 0;
	t->want.container_tgid = 0;
	t->want.exe_inode = 0;
	t->want.exe_device = 0;
	memset(t->want.process_comm, 0, sizeof(t->want.process_comm));
	t->start_ticks = 0;
}

static int socket_option(int fd, int option, void *value, socklen_t size)
{
	return getsockopt(fd, SOL_SOCKET, option, value, &size) ? errno : 0;
}

void expectation_socket(struct expectation *t, int fd)
{
	int protocol = -1, type = -1, failed;
	struct stat st;

	failed = socket_option(fd, SO_COOKIE, &t->want.socket_cookie, sizeof(uint64_t));
	LIVE_CHECK(!failed && t->want.socket_cookie, "SO_COOKIE: %s", strerror(failed));
	failed = socket_option(fd, SO_NETNS_COOKIE, &t->want.netns_cookie, sizeof(uint64_t));
	/* before 5.14 eBPF programs can read the cookie, but getsockopt() cannot */
	LIVE_CHECK(failed ? failed == ENOPROTOOPT : t->want.netns_cookie != 0,
		   "SO_NETNS_COOKIE: %s", strerror(failed));
	LIVE_CHECK(!stat("/proc/thread-self/ns/net", &st), "ns/net: %s", strerror(errno));
	t->netns = st.st_ino;
	failed = socket_option(fd, SO_PROTOCOL, &protocol, sizeof(protocol));
	if (!failed)
		failed = socket_option(fd, SO_TYPE, &type, sizeof(type));
	LIVE_CHECK(!failed, "SO_PROTOCOL, SO_TYPE: %s", strerror(failed));
	t->want.protocol = (uint16_t)protocol;
	t->want.socket_type = (uint16_t)type;
}

void expectation_clocks(struct expectation *t, int end)
{
	/* the wall clock is read first and last, so that its range contains the other one */
	if (end)
		t->boot_ns[end] = live_clock_ns(CLOCK_BOOTTIME);
	t->real_ns[end] = live_clock_ns(CLOCK_REALTIME);
	if (!end)
		t->boot_ns[end] = live_clock_ns(CLOCK_BOOTTIME);
}

static char text[512];

__attribute__((format(printf, 2, 3))) static const char *describe(const struct expectation *t,
								  const char *format, ...)
{
	int n = snprintf(text, sizeof(text), "%s: ", t->name);
	va_list args;

	va_start(args, format);
	vsnprintf(text + n, sizeof(text) - (size_t)n, format, args);
	va_end(args);
	return text;
}

static const char *bytes(char *to, const void *from, size_t size)
{
	for (size_t i = 0; i < size; i++)
		sprintf(to + 2 * i, "%02x", ((const unsigned char *)from)[i]);
	return to;
}

#define NUMBER(field)                                                                              \
	do {                                                                                       \
		if (e->field != w->field)                                                          \
			return describe(t, #field " is %llu, expected %llu",                       \
					(unsigned long long)e->field,                              \
					(unsigned long long)w->field);                             \
	} while (0)

#define BYTES(field)                                                                               \
	do {                                                                                       \
		char is[2 * sizeof(e->field) + 1], should[2 * sizeof(e->field) + 1];               \
		if (memcmp(e->field, w->field, sizeof(e->field)))                                  \
			return describe(t, #field " is %s, expected %s",                           \
					bytes(is, e->field, sizeof(e->field)),                     \
					bytes(should, w->field, sizeof(e->field)));                \
	} while (0)

static const char *task_differs(const struct expectation *t, const struct agentsh_ebpf_event *e)
{
	const struct agentsh_ebpf_event *w = &t->want;

	if (proc_is_initial) {
		NUMBER(pid);
		NUMBER(tgid);
		NUMBER(ppid);
	}
	NUMBER(ns_pid);
	NUMBER(ns_tgid);
	NUMBER(uid);
	NUMBER(gid);
	NUMBER(cgroup_id);
	NUMBER(container_pid);
	NUMBER(container_tgid);
	NUMBER(exe_inode);
	NUMBER(exe_device);
	BYTES(comm);
	BYTES(process_comm);
	return NULL;
}

static const char *socket_differs(const struct expectation *t, const struct agentsh_ebpf_event *e)
{
	const struct agentsh_ebpf_event *w = &t->want;

	NUMBER(session_id);
	NUMBER(session_lost);
	NUMBER(kind);
	NUMBER(flags);
	if (w->socket_cookie)
		NUMBER(socket_cookie);
	else if (!e->socket_cookie)
		return describe(t, "socket_cookie is 0");
	if (w->netns_cookie)
		NUMBER(netns_cookie);
	else if (!e->netns_cookie)
		return describe(t, "netns_cookie is 0");
	NUMBER(family);
	NUMBER(protocol);
	NUMBER(socket_type);
	NUMBER(remote_port);
	BYTES(remote_addr);
	NUMBER(local_port);
	BYTES(local_addr);
	NUMBER(error);
	NUMBER(rtt_us);
	NUMBER(duration_ns);
	NUMBER(bytes_sent);
	NUMBER(bytes_received);
	NUMBER(reserved0);
	BYTES(reserved);
	return NULL;
}

static const char *times_differ(const struct expectation *t, const struct agentsh_ebpf_event *e)
{
	uint64_t tick_ns = NS_PER_SECOND / (uint64_t)sysconf(_SC_CLK_TCK), real = 0;

	if (e->timestamp_ns < t->boot_ns[0] || e->timestamp_ns > t->boot_ns[1])
		return describe(t, "timestamp_ns is %llu, expected %llu to %llu",
				(unsigned long long)e->timestamp_ns,
				(unsigned long long)t->boot_ns[0],
				(unsigned long long)t->boot_ns[1]);
	if (e->process_start_ns / tick_ns != t->start_ticks)
		return describe(t, "process_start_ns is %llu, expected tick %llu",
				(unsigned long long)e->process_start_ns,
				(unsigned long long)t->start_ticks);
	real = agentsh_ebpf_event_realtime_ns(e);
	if (real + REALTIME_SLACK_NS < t->real_ns[0] || real > t->real_ns[1] + REALTIME_SLACK_NS)
		return describe(t, "realtime_ns is %llu, expected %llu to %llu",
				(unsigned long long)real, (unsigned long long)t->real_ns[0],
				(unsigned long long)t->real_ns[1]);
	return NULL;
}

/* The expectation without what eBPF programs cannot read on this kernel. */
static struct expectation visible(const struct expectation *t)
{
	struct expectation v = *t;

	if (kernel_hides_tasks()) {
		expectation_hide_task(&v);
		if (v.want.protocol == IPPROTO_MPTCP)
			v.want.protocol = IPPROTO_TCP;
	}
	return v;
}

const char *expectation_task_differs(const struct expectation *t,
				     const struct agentsh_ebpf_event *e)
{
	const struct expectation v = visible(t);

	return task_differs(&v, e);
}

bool expectation_has_task(const struct agentsh_ebpf_event *e)
{
	return e->cgroup_id || e->process_start_ns || e->pid || e->tgid || e->ppid || e->uid ||
	       e->gid || e->ns_pid || e->ns_tgid || e->container_pid || e->container_tgid ||
	       e->comm[0] || e->process_comm[0] || e->exe_inode || e->exe_device;
}

const char *expectation_differs(const struct expectation *t, const struct agentsh_ebpf_event *e)
{
	const struct expectation v = visible(t);
	const char *what = socket_differs(&v, e);

	if (!what)
		what = task_differs(&v, e);
	return what ? what : times_differ(&v, e);
}

/* Even if the cookies are not known, each namespace must have exactly one. */
static const char *netns_differs(const struct expectation *list, size_t count)
{
	for (size_t i = 1; i < count && i < live_seen.count; i++) {
		const struct agentsh_ebpf_event *e = &live_seen.list[i], *first = live_seen.list;

		if ((list[i].netns == list[0].netns) != (e->netns_cookie == first->netns_cookie))
			return describe(&list[i], "netns_cookie %llu, and %llu of %s",
					(unsigned long long)e->netns_cookie,
					(unsigned long long)first->netns_cookie, list[0].name);
	}
	return NULL;
}

const char *expectation_all_differ(const struct expectation *list, size_t count)
{
	const char *what = NULL;

	for (size_t i = 0; !what && i < count && i < live_seen.count; i++)
		what = expectation_differs(&list[i], &live_seen.list[i]);
	if (!what)
		what = netns_differs(list, count);
	if (!what && live_seen.count != count) {
		snprintf(text, sizeof(text), "%zu events, expected %zu (last call: %s)",
			 live_seen.count, count, count ? list[count - 1].name : "none");
		what = text;
	}
	return what;
}
