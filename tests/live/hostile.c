/* SPDX-License-Identifier: Apache-2.0 */
/* What the ways share: sockets, and the events that are expected of them. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hostile.h"
#include "kernel.h"

struct live_cgroup hostile_cgroup;
uint32_t hostile_hooks;

void hostile_absent(struct hostile_result *r, const char *what, int error)
{
	snprintf(r->absent, sizeof(r->absent), "%s%s%s", what, error ? ": " : "",
		 error ? strerror(error) : "");
}

static struct hostile_want *next_want(struct hostile_result *r)
{
	LIVE_CHECK(r->count < HOSTILE_WANTS_MAX, "too many expected events");
	return &r->want[r->count++];
}

struct hostile_want *hostile_expect(struct hostile_result *r, uint32_t kind, int fd,
				    const struct connection_address *remote)
{
	struct hostile_want *w = next_want(r);
	struct connection c;

	connection_before(&c, fd, remote, agentsh_ebpf_kind_name(kind));
	memset(w, 0, sizeof(*w));
	w->is = c.connect;
	w->is.want.kind = kind;
	expectation_clocks(&w->is, 1);
	return w;
}

struct hostile_want *hostile_expect_same(struct hostile_result *r, const struct hostile_want *as,
					 uint32_t kind, uint32_t flags)
{
	const uint32_t kept = AGENTSH_EBPF_FLAG_V4_MAPPED | AGENTSH_EBPF_FLAG_INBOUND |
			      AGENTSH_EBPF_FLAG_UNATTRIBUTED;
	struct hostile_want *w = next_want(r);

	*w = *as;
	w->is.want.kind = kind;
	w->is.want.flags = (as->is.want.flags & kept) | flags;
	snprintf(w->is.name, sizeof(w->is.name), "%s", agentsh_ebpf_kind_name(kind));
	return w;
}

struct hostile_want *hostile_expect_sent(struct hostile_result *r, const struct hostile_want *as,
					 uint32_t flags, uint32_t packets)
{
	bool counted = hostile_hooks & AGENTSH_EBPF_HOOK_TRAFFIC;
	struct hostile_want *w;

	if (counted && packets)
		hostile_expect_same(r, as, AGENTSH_EBPF_EVENT_FIRST_DATA, flags);
	w = hostile_expect_same(r, as, AGENTSH_EBPF_EVENT_CLOSED, flags);
	w->is.want.packets_sent = counted ? packets : 0;
	w->is.want.bytes_sent = counted ? packets : 0;
	return w;
}

struct hostile_want *hostile_expect_packet(struct hostile_result *r, int fd,
					   const struct connection_address *remote, uint32_t flags)
{
	struct hostile_want *w = hostile_expect(r, AGENTSH_EBPF_EVENT_UNANNOUNCED, fd, remote);

	w->is.want.flags |= flags | AGENTSH_EBPF_FLAG_UNATTRIBUTED;
	w->free = HOSTILE_PACKET;
	return w;
}

struct hostile_want *hostile_expect_accepted(struct hostile_result *r, int server)
{
	struct connection_address peer = {.size = sizeof(peer.sa)};
	struct hostile_want *w;

	LIVE_CHECK(!getpeername(server, &peer.sa.any, &peer.size), "getpeername: %s",
		   strerror(errno));
	w = hostile_expect(r, AGENTSH_EBPF_EVENT_ACCEPTED, server, &peer);
	w->is.want.flags |= AGENTSH_EBPF_FLAG_INBOUND;
	return w;
}

int hostile_socket(int domain, int type, int protocol)
{
	int fd = socket(domain, type | SOCK_CLOEXEC, protocol);

	LIVE_CHECK(fd >= 0, "socket: %s", strerror(errno));
	return fd;
}

void hostile_connect(int fd, const struct connection_address *to, int error)
{
	int is = connect(fd, &to->sa.any, to->size) ? errno : 0;

	LIVE_CHECK(is == error, "connect: %s instead of %s", strerror(is), strerror(error));
}

void hostile_be_refused(struct hostile_result *r, int fd)
{
	struct connection_address to = connection_address("127.0.0.1", 9);
	struct hostile_want *w = hostile_expect(r, AGENTSH_EBPF_EVENT_CONNECT, fd, &to);

	hostile_connect(fd, &to, ECONNREFUSED);
	w = hostile_expect_same(r, w, AGENTSH_EBPF_EVENT_CONNECT_FAILED, 0);
	w->is.want.error = ECONNREFUSED;
	close(fd);
}

void hostile_sendto(int fd, const struct connection_address *to)
{
	LIVE_CHECK(sendto(fd, "x", 1, 0, &to->sa.any, to->size) == 1, "sendto: %s",
		   strerror(errno));
}

void hostile_finish(struct hostile_result *r, const struct hostile_want *connect, int fd,
		    const struct hostile_want *accepted, int server)
{
	struct hostile_want *w;

	connection_write(fd, 3);
	connection_read(server, 3);
	connection_write(server, 4);
	connection_read(fd, 4);
	shutdown(fd, SHUT_WR);
	CONNECTION_SAME(connection_read_end(server), 0);
	close(server);
	CONNECTION_SAME(connection_read_end(fd), 0);
	close(fd);
	if (connect) {
		w = hostile_expect_same(r, connect, AGENTSH_EBPF_EVENT_CLOSED,
					AGENTSH_EBPF_FLAG_LOCAL_CLOSED);
		w->is.want.bytes_sent = 3;
		w->is.want.bytes_received = 4;
	}
	if (accepted) {
		w = hostile_expect_same(r, accepted, AGENTSH_EBPF_EVENT_CLOSED,
					AGENTSH_EBPF_FLAG_REMOTE_CLOSED);
		w->is.want.bytes_sent = 4;
		w->is.want.bytes_received = 3;
	}
}

void hostile_converse(struct hostile_result *r, int fd, int listener,
		      const struct connection_address *to, const struct connection_address *seen,
		      uint32_t flags)
{
	struct hostile_want *connect = NULL, *accepted = NULL;
	int server;

	if (hostile_hooks & AGENTSH_EBPF_HOOK_CONNECT) {
		connect = hostile_expect(r, AGENTSH_EBPF_EVENT_CONNECT, fd, seen ? seen : to);
		connect->is.want.flags |= flags;
	}
	hostile_connect(fd, to, 0);
	if (hostile_hooks & AGENTSH_EBPF_HOOK_LIFECYCLE)
		hostile_expect_same(r, connect, AGENTSH_EBPF_EVENT_CONNECTED, 0);
	else
		connect = NULL;
	server = connection_accept(listener);
	if (hostile_hooks & AGENTSH_EBPF_HOOK_ACCEPT)
		accepted = hostile_expect_accepted(r, server);
	hostile_finish(r, connect, fd, accepted, server);
}

void hostile_in_child(void (*fn)(void))
{
	pid_t pid = fork();
	int status;

	if (!pid) {
		fn();
		_exit(0);
	}
	LIVE_CHECK(pid > 0 && waitpid(pid, &status, 0) == pid && !status, "the child failed");
}

int hostile_refuse_call(long number)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)number, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {.len = LIVE_COUNT(code), .filter = code};

	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	       prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

void hostile_needs(struct hostile_result *r, const char *command, const char *absent)
{
	if (system(command)) /* NOLINT(cert-env33-c): a fixed command */
		hostile_absent(r, absent, 0);
}

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	LIVE_CHECK(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text), "%s: %s",
		   path, strerror(errno));
	close(fd);
}

bool hostile_own_namespaces(struct hostile_result *r, const char *what)
{
	if (live_no_userns(what)) {
		hostile_absent(r, "more than one thread", 0);
		return false;
	}
	if (unshare(CLONE_NEWUSER)) {
		hostile_absent(r, "CLONE_NEWUSER", errno);
		return false;
	}
	write_file("/proc/self/setgroups", "deny");
	write_file("/proc/self/uid_map", "65534 65534 1");
	write_file("/proc/self/gid_map", "65534 65534 1");
	live_own_netns(NULL, NULL);
	return true;
}

/* Makes the members that describe the task the same. */
static void copy_task(struct agentsh_ebpf_event *to, struct expectation *from)
{
	to->pid = from->want.pid;
	to->tgid = from->want.tgid;
	to->uid = from->want.uid;
	to->gid = from->want.gid;
	to->cgroup_id = from->want.cgroup_id;
	to->netns_cookie = from->want.netns_cookie ? from->want.netns_cookie : 1;
	memcpy(to->comm, from->want.comm, sizeof(to->comm));
	expectation_hide_task(from);
}

const char *hostile_differs(const struct hostile_want *w, const struct agentsh_ebpf_event *e)
{
	struct expectation want = w->is;
	struct agentsh_ebpf_event is = *e;
	const char *what;

	want.want.session_id = e->session_id;
	is.timestamp_ns = want.boot_ns[0];
	memcpy(is.local_addr, want.want.local_addr, sizeof(is.local_addr));
	is.local_port = want.want.local_port;
	is.rtt_us = 0;
	is.duration_ns = 0;
	if (kernel_hides_tasks()) {
		is.error = want.want.error;
		is.flags &= ~(uint32_t)AGENTSH_EBPF_FLAG_NO_ERROR;
	}
	if (w->free & HOSTILE_ANY_THREAD) {
		is.pid = want.want.pid;
		is.ns_pid = kernel_hides_tasks() ? 0 : want.want.ns_pid;
		is.container_pid = kernel_hides_tasks() ? 0 : want.want.container_pid;
		memcpy(is.comm, want.want.comm, sizeof(is.comm));
	}
	if (want.want.flags & AGENTSH_EBPF_FLAG_UNATTRIBUTED) {
		uint64_t netns = w->free & HOSTILE_PACKET ? is.netns_cookie : 0;

		if (expectation_has_task(&is) || is.netns_cookie != netns)
			return "a task, but UNATTRIBUTED is expected";
		copy_task(&is, &want);
		if (netns)
			is.netns_cookie = netns;
	}
	if (w->free & HOSTILE_ANY_COUNT) {
		is.bytes_sent = is.bytes_received = is.packets_sent = is.packets_received = 0;
		want.want.bytes_sent = want.want.bytes_received = 0;
		want.want.packets_sent = want.want.packets_received = 0;
	}
	what = expectation_differs(&want, &is);
	if (!what && is.packets_sent != want.want.packets_sent)
		what = "packets_sent";
	if (!what && is.packets_received != want.want.packets_received)
		what = "packets_received";
	if (!what && is.ifindex != want.want.ifindex)
		what = "ifindex";
	return what;
}
