/* SPDX-License-Identifier: Apache-2.0 */
#include "firewall.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <unistd.h>

#include "host_limits.h"
#include "kernel.h"

const struct hook hooks[FIREWALL_HOOKS] = {
	{BPF_CGROUP_INET4_CONNECT, AGENTSH_EBPF_CHECK_CONNECT4, "cgroup/connect4", CONNECT,
	 AF_INET},
	{BPF_CGROUP_INET6_CONNECT, AGENTSH_EBPF_CHECK_CONNECT6, "cgroup/connect6", CONNECT,
	 AF_INET6},
	{BPF_CGROUP_UDP4_SENDMSG, AGENTSH_EBPF_CHECK_SENDMSG4, "cgroup/sendmsg4", SEND, AF_INET},
	{BPF_CGROUP_UDP6_SENDMSG, AGENTSH_EBPF_CHECK_SENDMSG6, "cgroup/sendmsg6", SEND, AF_INET6},
	{BPF_CGROUP_SOCK_OPS, AGENTSH_EBPF_CHECK_SOCK_OPS, "sock_ops", UNSEEN, 0},
	{BPF_CGROUP_INET_SOCK_RELEASE, AGENTSH_EBPF_CHECK_SOCK_RELEASE, "cgroup/sock_release",
	 UNSEEN, 0},
	{BPF_CGROUP_INET4_BIND, AGENTSH_EBPF_CHECK_BIND4, "cgroup/bind4", BIND, AF_INET},
	{BPF_CGROUP_INET6_BIND, AGENTSH_EBPF_CHECK_BIND6, "cgroup/bind6", BIND, AF_INET6},
};

struct live_cgroup above, inside;
struct live_worker worker;
uint32_t firewall, firewalls[FIREWALL_HOOKS];

void firewall_begin(void)
{
	memset(firewalls, 0, sizeof(firewalls));
	live_cgroup_make(&above, NULL);
	live_cgroup_make(&inside, &above);
	live_worker_start(&worker, &inside);
}

void raise_firewall(const struct live_cgroup *cgroup, const struct hook *hook, uint32_t flags)
{
	int fd = host_attach_firewall(cgroup->fd, hook->attach_type, flags, 0);

	LIVE_CHECK(fd >= 0, "%s: %s", hook->name, strerror(errno));
	firewall = firewalls[hook - hooks] = kernel_program_id(fd);
	close(fd);
}

/* ---- what the firewall refuses ------------------------------------------- */

/* Makes a call that the hook sees; returns 0 or errno. */
static int call(const struct hook *hook)
{
	struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(9)};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(9)};
	const struct sockaddr *to = hook->domain == AF_INET ? (void *)&v4 : (void *)&v6;
	socklen_t size = hook->domain == AF_INET ? sizeof(v4) : sizeof(v6);
	int fd = socket(hook->domain, SOCK_DGRAM | SOCK_CLOEXEC, 0), ret;

	LIVE_CHECK(fd >= 0, "socket: %s", strerror(errno));
	v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	v6.sin6_addr = in6addr_loopback;
	if (hook->how == BIND)
		v4.sin_port = v6.sin6_port = 0;
	ret = hook->how == CONNECT ? connect(fd, to, size)
	      : hook->how == BIND  ? bind(fd, to, size)
				   : (int)sendto(fd, "", 0, 0, to, size);
	ret = ret < 0 ? errno : 0;
	close(fd);
	return ret;
}

static void call_once(const void *index, void *error)
{
	*(int *)error = call(&hooks[*(const int *)index]);
}

void expect_refused(const struct hook *hook, bool refused, const char *when)
{
	int index = (int)(hook - hooks), error;

	if (hook->how == UNSEEN)
		return;
	live_worker_call(&worker, call_once, &index, sizeof(index), &error, sizeof(error));
	LIVE_CHECK(error == (refused ? EPERM : 0), "%s: %s: %s", hook->name, when, strerror(error));
}

static size_t effective(const struct hook *hook, bool *has_firewall)
{
	uint32_t ids[KERNEL_IDS_MAX];
	size_t count = kernel_effective(inside.fd, hook->attach_type, ids);

	*has_firewall = false;
	for (size_t i = 0; i < count; i++)
		*has_firewall |= ids[i] == firewall;
	return count;
}

void expect_effective(const struct hook *hook, size_t count, bool has_firewall, const char *when)
{
	bool has;
	size_t found = effective(hook, &has);

	LIVE_CHECK(found == count && has == has_firewall,
		   "%s: %s: %zu programs in effect, %s the firewall", hook->name, when, found,
		   has ? "with" : "without");
}

/* Shared with a worker that calls in a loop. */
static struct loop {
	atomic_bool stop;
	atomic_ulong refused, allowed;
	int index;
} * loop;

static void call_in_loop(const void *unused, void *unused_out)
{
	(void)unused;
	(void)unused_out;
	while (!loop->stop) {
		if (call(&hooks[loop->index]) == EPERM)
			loop->refused++;
		else
			loop->allowed++;
	}
}

void loop_start(struct live_worker *caller, const struct hook *hook)
{
	loop = mmap(NULL, sizeof(*loop), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	LIVE_CHECK(loop != MAP_FAILED, "mmap: %s", strerror(errno));
	loop->index = (int)(hook - hooks);
	live_worker_start(caller, &inside);
	live_worker_send(caller, call_in_loop, NULL, 0, 0);
	while (!loop->refused && !loop->allowed)
		sched_yield();
}

void loop_end(struct live_worker *caller, const char *what)
{
	loop->stop = true;
	live_worker_receive(caller, NULL, 0);
	live_worker_stop(caller);
	printf("%s: %lu calls refused, %lu allowed meanwhile\n", what, loop->refused,
	       loop->allowed);
	LIVE_CHECK(!loop->allowed, "%s let %lu calls through", what, loop->allowed);
	munmap(loop, sizeof(*loop));
}

void hide_above(void)
{
	LIVE_CHECK(!unshare(CLONE_NEWCGROUP) && !host_own_mounts(), "unshare: %s", strerror(errno));
	LIVE_CHECK(!umount2(live_cgroup_root(), MNT_DETACH) &&
			   !mount("none", live_cgroup_root(), "cgroup2", 0, NULL),
		   "mount: %s", strerror(errno));
}

void open_own_root(void)
{
	hide_above();
	close(inside.fd);
	inside.fd = open(live_cgroup_root(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	LIVE_CHECK(inside.fd >= 0, "%s: %s", live_cgroup_root(), strerror(errno));
}
