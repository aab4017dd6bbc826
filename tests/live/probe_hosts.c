/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <linux/bpf.h>
#include <sched.h>
#include <string.h>
#include <sys/mount.h>

#include "probe_hosts.h"

struct live_cgroup probe_parent, probe_cgroup, probe_sibling;

/* ---- restrictions ------------------------------------------------------- */

static int bpf_eperm(void)
{
	return host_refuse_bpf(EPERM);
}

static int bpf_eacces(void)
{
	return host_refuse_bpf(EACCES);
}

static int bpf_enosys(void)
{
	return host_refuse_bpf(ENOSYS);
}

static int no_map_create(void)
{
	return host_refuse_bpf_command(BPF_MAP_CREATE, EPERM);
}

static int no_prog_load(void)
{
	return host_refuse_bpf_command(BPF_PROG_LOAD, EPERM);
}

static int no_link_create(void)
{
	return host_refuse_bpf_command(BPF_LINK_CREATE, EPERM);
}

static int old_link_create(void)
{
	return host_refuse_bpf_command(BPF_LINK_CREATE, EINVAL);
}

static int no_cgroup2(void)
{
	return host_own_mounts() || umount2(live_cgroup_root(), MNT_DETACH);
}

static int covered_cgroup2(void)
{
	return host_hide(live_cgroup_root());
}

static int readonly_cgroup2(void)
{
	return host_own_mounts() ||
	       mount(NULL, live_cgroup_root(), NULL, MS_BIND | MS_REMOUNT | MS_RDONLY, NULL);
}

/* Mounts only another part of the hierarchy, as in a container. */
static int sibling_only(void)
{
	return host_own_mounts() || mount(probe_sibling.path, "/dev", NULL, MS_BIND, NULL) ||
	       umount2(live_cgroup_root(), MNT_DETACH);
}

static int sibling_over_it(void)
{
	return host_own_mounts() ||
	       mount(probe_sibling.path, live_cgroup_root(), NULL, MS_BIND, NULL);
}

static int own_cgroup_namespace(void)
{
	return unshare(CLONE_NEWCGROUP);
}

static int no_btf(void)
{
	return host_hide("/sys/kernel/btf");
}

int probe_devnull_over_btf(void)
{
	return host_hide_file("/sys/kernel/btf/vmlinux");
}

static int no_proc(void)
{
	return host_hide("/proc");
}

static int descriptors_0(void)
{
	return host_descriptors(0);
}

static int descriptors_72(void)
{
	return host_descriptors(72);
}

static int descriptors_73(void)
{
	return host_descriptors(73);
}

static int exclusive(void)
{
	return host_attach_other(probe_cgroup.fd, BPF_CGROUP_INET4_CONNECT, 0) < 0;
}

static int exclusive_above(void)
{
	return host_attach_other(probe_parent.fd, BPF_CGROUP_INET6_CONNECT, 0) < 0;
}

static int exclusive_sendmsg(void)
{
	return host_attach_other(probe_cgroup.fd, BPF_CGROUP_UDP4_SENDMSG, 0) < 0;
}

static int overridable_above(void)
{
	return host_attach_other(probe_parent.fd, BPF_CGROUP_INET4_CONNECT, BPF_F_ALLOW_OVERRIDE) <
	       0;
}

static int shared(void)
{
	return host_attach_other(probe_cgroup.fd, BPF_CGROUP_INET4_CONNECT, BPF_F_ALLOW_MULTI) < 0;
}

static int full(void)
{
	int ret = 0;

	for (int i = 0; i < 64 && !ret; i++)
		ret = host_attach_other(probe_cgroup.fd, BPF_CGROUP_INET4_CONNECT,
					BPF_F_ALLOW_MULTI) < 0;
	return ret;
}

/* ---- hosts -------------------------------------------------------------- */

#define B CAP(CAP_BPF)
#define N CAP(CAP_NET_ADMIN)
#define P CAP(CAP_PERFMON)

const struct probe_host probe_hosts[] = {
	{"root", NULL, CAPS_ALL, CHECK(CONNECT4), OK, 0, ALL, "", 0},
	/* all combinations of the three */
	{"B N P", NULL, B | N | P, CHECK(CAP_BPF), OK, 0, ALL, "", 0},
	{"B N -", NULL, B | N, CHECK(CAP_PERFMON), MISSING, EPERM, DEFAULT, "", OR_MORE},
	{"B - P", NULL, B | P, CHECK(CAP_NET_ADMIN), MISSING, EPERM, 0, "CAP_NET_ADMIN is missing",
	 0},
	{"B - -", NULL, B, CHECK(CAP_NET_ADMIN), MISSING, EPERM, 0, "CAP_NET_ADMIN is missing", 0},
	{"- N P", NULL, N | P, CHECK(CAP_BPF), MISSING, EPERM, 0, "CAP_BPF is missing", 0},
	{"- N -", NULL, N, CHECK(CAP_BPF), MISSING, EPERM, 0, "CAP_BPF is missing", 0},
	{"- - P", NULL, P, CHECK(CAP_BPF), MISSING, EPERM, 0,
	 "CAP_BPF is missing,CAP_NET_ADMIN is missing", 0},
	{"- - -", NULL, 0, CHECK(CAP_NET_ADMIN), MISSING, EPERM, 0,
	 "CAP_BPF is missing,CAP_NET_ADMIN is missing", 0},
	{"CAP_SYS_ADMIN alone", NULL, CAP(CAP_SYS_ADMIN), CHECK(CAP_BPF), OK, 0, ALL, "",
	 SYS_ADMIN_ONLY},
	{"nobody", host_nobody, 0, CHECK(CAP_BPF), MISSING, EPERM, 0, "CAP_BPF is missing", 0},
	{"nobody with the three", host_nobody, B | N | P, CHECK(BTF), OK, 0, ALL, "", 0},
	{"user namespace", host_userns, CAPS_ALL, CHECK(USERNS), FORBIDDEN, EPERM, 0,
	 "user namespace", USERNS},
	{"unmapped user namespace", host_userns_unmapped, CAPS_ALL, CHECK(USERNS), FORBIDDEN, EPERM,
	 0, "user namespace", USERNS},
	{"bpf(2) gives EPERM", bpf_eperm, CAPS_ALL, CHECK(BPF), FORBIDDEN, EPERM, 0,
	 "bpf(2),seccomp,EPERM", 0},
	{"bpf(2) gives EACCES", bpf_eacces, CAPS_ALL, CHECK(BPF), FORBIDDEN, EACCES, 0,
	 "bpf(2),seccomp,EACCES", 0},
	{"bpf(2) gives ENOSYS", bpf_enosys, CAPS_ALL, CHECK(BPF), FORBIDDEN, ENOSYS, 0,
	 "bpf(2),seccomp,ENOSYS", 0},
	{"no BPF_MAP_CREATE", no_map_create, CAPS_ALL, CHECK(RINGBUF), FORBIDDEN, EPERM, 0,
	 "ring buffer,not permitted", 0},
	{"no BPF_PROG_LOAD", no_prog_load, CAPS_ALL, CHECK(CONNECT4), FORBIDDEN, EPERM, 0,
	 "cgroup/connect4,loading,not permitted", 0},
	{"no BPF_LINK_CREATE", no_link_create, CAPS_ALL, CHECK(CGROUP_LINK), FORBIDDEN, EPERM, 0,
	 "BPF_LINK_CREATE,not permitted", ATTACH_FAILS},
	{"BPF_LINK_CREATE gives EINVAL", old_link_create, CAPS_ALL, CHECK(CGROUP_LINK), MISSING,
	 EINVAL, 0, "BPF_LINK_CREATE,Invalid argument", ATTACH_FAILS},
	{"cgroup v2 not mounted", no_cgroup2, CAPS_ALL, CHECK(CGROUP2), MISSING, ENODEV, ALL,
	 "no cgroup v2 is mounted,mount -t cgroup2", LOAD_ONLY | FD_FROM_ELSEWHERE},
	{"cgroup v2 covered", covered_cgroup2, CAPS_ALL, CHECK(CGROUP2), MISSING, ENODEV, ALL,
	 "no cgroup v2 is mounted,hide", LOAD_ONLY | FD_FROM_ELSEWHERE},
	{"cgroup v2 read-only", readonly_cgroup2, CAPS_ALL, CHECK(CGROUP2), OK, 0, ALL, "", 0},
	{"only a sibling mounted", sibling_only, CAPS_ALL, CHECK(CGROUP2), OK, 0, ALL, "",
	 LOAD_ONLY},
	{"a sibling mounted over it", sibling_over_it, CAPS_ALL, CHECK(CGROUP2), OK, 0, ALL, "",
	 LOAD_ONLY},
	{"cgroup namespace", own_cgroup_namespace, CAPS_ALL, CHECK(CGROUP2), OK, 0, ALL, "",
	 LOAD_ONLY},
	{"no BTF", no_btf, CAPS_ALL, CHECK(BTF), MISSING, ENOENT, ALL, "", 0},
	{"/dev/null for BTF", probe_devnull_over_btf, CAPS_ALL, CHECK(BTF), MISSING, ENOENT, ALL,
	 "", 0},
	{"no /proc", no_proc, CAPS_ALL, CHECK(CGROUP2), AGENTSH_EBPF_STATUS_UNKNOWN, ENOENT, ALL,
	 "", LOAD_ONLY},
	{"no descriptor", descriptors_0, CAPS_ALL, CHECK(NOFILE), FORBIDDEN, EMFILE, 0,
	 "RLIMIT_NOFILE,ulimit -n", 0},
	{"72 descriptors", descriptors_72, CAPS_ALL, CHECK(NOFILE), FORBIDDEN, EMFILE, 0,
	 "RLIMIT_NOFILE,ulimit -n", 0},
	{"73 descriptors", descriptors_73, CAPS_ALL, CHECK(NOFILE), OK, 0, ALL, "", 0},
	{"another's connect4", exclusive, CAPS_ALL, CHECK(CONNECT4), FORBIDDEN, EPERM,
	 WITHOUT_CONNECT, "cgroup/connect4,another program,BPF_F_ALLOW_MULTI", ATTACH_FAILS},
	{"another's connect6 above", exclusive_above, CAPS_ALL, CHECK(CONNECT6), FORBIDDEN, EPERM,
	 WITHOUT_CONNECT, "cgroup/connect6,another program,above", ATTACH_FAILS},
	{"another's sendmsg4", exclusive_sendmsg, CAPS_ALL, CHECK(SENDMSG4), FORBIDDEN, EPERM,
	 WITHOUT_UDP, "", ATTACH_FAILS},
	{"an overridable one above", overridable_above, CAPS_ALL, CHECK(CONNECT4), OK, 0, ALL, "",
	 LOAD_ONLY | ATTACH_FAILS},
	{"RLIMIT_MEMLOCK of a page", host_little_memlock, B | N | P, CHECK(MEMLOCK), FORBIDDEN,
	 EPERM, 0, "RLIMIT_MEMLOCK,ulimit -l", BEFORE_5_11},
	{"64 programs", full, CAPS_ALL, CHECK(CONNECT4), MISSING, E2BIG, WITHOUT_CONNECT,
	 "cgroup/connect4,64 programs", ATTACH_FAILS},
	{"another's that allows more", shared, CAPS_ALL, CHECK(CONNECT4), OK, 0, ALL, "", 0},
};
const size_t probe_host_count = LIVE_COUNT(probe_hosts);
