/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <sched.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "netlink.h"
#include "two_hosts.h"

static int near_fd, far_fd;

static int own_netns(void)
{
	int fd = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);

	LIVE_CHECK(fd >= 0, "/proc/self/ns/net: %s", strerror(errno));
	return fd;
}

void two_hosts_enter(bool far)
{
	LIVE_CHECK(!setns(far ? far_fd : near_fd, CLONE_NEWNET), "setns: %s", strerror(errno));
}

static void set_up(const char *link, const char *address4, const char *address6)
{
	int error = netlink_configure(link, address4, address6);

	LIVE_CHECK(!error, "%s: %s", link, strerror(error));
}

/* One datagram makes both ends know each other's link address. */
static void meet(const char *near, const char *far)
{
	struct counted unused = {.count = 0};
	struct connection_address at, from;
	int to = two_hosts_bound(&unused, "far", far, &at);
	int fd = two_hosts_bound(&unused, "near", near, &from);

	do {
		counted_send(&unused, fd, 1, &at);
	} while (!counted_receive_one(&unused, to, NULL, 200));
	counted_send(&unused, to, 1, &from);
	counted_receive(&unused, fd, 1);
	counted_close(&unused);
}

bool two_hosts(struct counted *c, const struct live_cgroup *cgroup)
{
	int error;

	live_cgroup_enter(NULL);
	live_own_netns(NULL, NULL);
	far_fd = own_netns();
	live_own_netns(NULL, NULL);
	near_fd = own_netns();
	error = netlink_add_veth_between(NEAR_LINK, FAR_LINK, far_fd);
	if (error) {
		LIVE_CHECK(error == EOPNOTSUPP, "veth: %s", strerror(error));
		counted_absent(c, "no veth", error);
		return false;
	}
	set_up(NEAR_LINK, NEAR4, NEAR6);
	two_hosts_enter(true);
	set_up(FAR_LINK, FAR4, FAR6);
	two_hosts_enter(false);
	meet(NEAR4, FAR4);
	meet(NEAR6, FAR6);
	live_cgroup_enter(cgroup);
	return true;
}

int two_hosts_bound(struct counted *c, const char *name, const char *address,
		    struct connection_address *at)
{
	bool far = !strcmp(address, FAR4) || !strcmp(address, FAR6);
	int fd;

	*at = connection_address(address, 0);
	if (far)
		two_hosts_enter(true);
	fd = counted_bound(c, name, at);
	if (far)
		two_hosts_enter(false);
	return fd;
}

void two_hosts_lose(bool far, uint32_t one_of)
{
	const struct bpf_insn code[] = {
		{.code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_get_prandom_u32},
		{.code = BPF_ALU64 | BPF_MOD | BPF_K, .dst_reg = BPF_REG_0, .imm = (int)one_of},
		{.code = BPF_JMP | BPF_JEQ | BPF_K, .dst_reg = BPF_REG_0, .off = 2, .imm = 0},
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = XDP_PASS},
		{.code = BPF_JMP | BPF_EXIT},
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = XDP_DROP},
		{.code = BPF_JMP | BPF_EXIT},
	};
	union bpf_attr attr;
	int program;

	memset(&attr, 0, sizeof(attr));
	attr.prog_type = BPF_PROG_TYPE_XDP;
	attr.insns = (uintptr_t)code;
	attr.insn_cnt = LIVE_COUNT(code);
	attr.license = (uintptr_t) "GPL";
	program = (int)syscall(SYS_bpf, BPF_PROG_LOAD, &attr, sizeof(attr));
	LIVE_CHECK(program >= 0, "BPF_PROG_LOAD: %s", strerror(errno));
	two_hosts_enter(far);
	memset(&attr, 0, sizeof(attr));
	attr.link_create.prog_fd = (uint32_t)program;
	attr.link_create.target_ifindex = if_nametoindex(far ? FAR_LINK : NEAR_LINK);
	attr.link_create.attach_type = BPF_XDP;
	attr.link_create.flags = XDP_FLAGS_SKB_MODE;
	/* the link ends with this process */
	LIVE_CHECK(syscall(SYS_bpf, BPF_LINK_CREATE, &attr, sizeof(attr)) >= 0,
		   "BPF_LINK_CREATE: %s", strerror(errno));
	two_hosts_enter(false);
	close(program);
}
