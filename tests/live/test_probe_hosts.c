/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The probe on hosts that really lack something, each a separate process. Opening and
 * attaching must then do what the probe says.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <unistd.h>

#include "host_limits.h"
#include "live.h"

#define CHECK(name) AGENTSH_EBPF_CHECK_##name
#define OK AGENTSH_EBPF_STATUS_AVAILABLE
#define MISSING AGENTSH_EBPF_STATUS_MISSING
#define FORBIDDEN AGENTSH_EBPF_STATUS_FORBIDDEN
#define DEFAULT (AGENTSH_EBPF_HOOK_CONNECT | AGENTSH_EBPF_HOOK_UDP)
#define ALL (DEFAULT | AGENTSH_EBPF_HOOK_LIFECYCLE | AGENTSH_EBPF_HOOK_ACCEPT)
#define WITHOUT_UDP (ALL & ~(uint32_t)AGENTSH_EBPF_HOOK_UDP)
#define WITHOUT_CONNECT (AGENTSH_EBPF_HOOK_UDP | AGENTSH_EBPF_HOOK_ACCEPT)

enum {
	LOAD_ONLY = 1,
	FD_FROM_ELSEWHERE = 2, /* not usable, but a cgroup descriptor from elsewhere works */
	ATTACH_FAILS = 4,      /* although open works */
	USERNS = 8,
	BEFORE_5_11 = 16, /* from 5.11 on nothing is missing */
	OR_MORE = 32	  /* further hooks may work */
};

struct host {
	const char *name;
	int (*before)(void);
	uint64_t caps;
	uint32_t check, status; /* one check, and the status expected of it */
	int error;
	uint32_t hooks;
	const char *words; /* in the reason; "": usable */
	int flags;
};

struct verdict {
	struct agentsh_ebpf_capabilities caps;
	int open, attach; /* return values */
	uint32_t hooks;
	struct agentsh_ebpf_error open_err, attach_err;
};

static struct live_cgroup parent, cgroup, sibling;

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
	return host_own_mounts() || mount(sibling.path, "/dev", NULL, MS_BIND, NULL) ||
	       umount2(live_cgroup_root(), MNT_DETACH);
}

static int sibling_over_it(void)
{
	return host_own_mounts() || mount(sibling.path, live_cgroup_root(), NULL, MS_BIND, NULL);
}

static int own_cgroup_namespace(void)
{
	return unshare(CLONE_NEWCGROUP);
}

static int no_btf(void)
{
	return host_hide("/sys/kernel/btf");
}

static int devnull_over_btf(void)
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

static int descriptors_63(void)
{
	return host_descriptors(63);
}

static int descriptors_64(void)
{
	return host_descriptors(64);
}

static int exclusive(void)
{
	return host_attach_other(cgroup.fd, BPF_CGROUP_INET4_CONNECT, 0) < 0;
}

static int exclusive_above(void)
{
	return host_attach_other(parent.fd, BPF_CGROUP_INET6_CONNECT, 0) < 0;
}

static int exclusive_sendmsg(void)
{
	return host_attach_other(cgroup.fd, BPF_CGROUP_UDP4_SENDMSG, 0) < 0;
}

static int overridable_above(void)
{
	return host_attach_other(parent.fd, BPF_CGROUP_INET4_CONNECT, BPF_F_ALLOW_OVERRIDE) < 0;
}

static int shared(void)
{
	return host_attach_other(cgroup.fd, BPF_CGROUP_INET4_CONNECT, BPF_F_ALLOW_MULTI) < 0;
}

static int full(void)
{
	int ret = 0;

	for (int i = 0; i < 64 && !ret; i++)
		ret = host_attach_other(cgroup.fd, BPF_CGROUP_INET4_CONNECT, BPF_F_ALLOW_MULTI) < 0;
	return ret;
}

/* ---- hosts -------------------------------------------------------------- */

#define B CAP(CAP_BPF)
#define N CAP(CAP_NET_ADMIN)
#define P CAP(CAP_PERFMON)

static const struct host hosts[] = {
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
	{"CAP_SYS_ADMIN alone", NULL, CAP(CAP_SYS_ADMIN), CHECK(CAP_BPF), OK, 0, ALL, "", 0},
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
	{"/dev/null for BTF", devnull_over_btf, CAPS_ALL, CHECK(BTF), MISSING, ENOENT, ALL, "", 0},
	{"no /proc", no_proc, CAPS_ALL, CHECK(CGROUP2), AGENTSH_EBPF_STATUS_UNKNOWN, ENOENT, ALL,
	 "", LOAD_ONLY},
	{"no descriptor", descriptors_0, CAPS_ALL, CHECK(NOFILE), FORBIDDEN, EMFILE, 0,
	 "RLIMIT_NOFILE,ulimit -n", 0},
	{"63 descriptors", descriptors_63, CAPS_ALL, CHECK(NOFILE), FORBIDDEN, EMFILE, 0,
	 "RLIMIT_NOFILE,ulimit -n", 0},
	{"64 descriptors", descriptors_64, CAPS_ALL, CHECK(NOFILE), OK, 0, ALL, "", 0},
	{"another's connect4", exclusive, CAPS_ALL, CHECK(CONNECT4), FORBIDDEN, EPERM,
	 WITHOUT_CONNECT, "cgroup/connect4,another program,BPF_F_ALLOW_MULTI", ATTACH_FAILS},
	{"another's connect6 above", exclusive_above, CAPS_ALL, CHECK(CONNECT6), FORBIDDEN, EPERM,
	 WITHOUT_CONNECT, "cgroup/connect6,another program,above", ATTACH_FAILS},
	{"another's sendmsg4", exclusive_sendmsg, CAPS_ALL, CHECK(SENDMSG4), FORBIDDEN, EPERM,
	 WITHOUT_UDP, "", ATTACH_FAILS},
	{"an overridable one above", overridable_above, CAPS_ALL, CHECK(CONNECT4), OK, 0, ALL, "",
	 0},
	{"RLIMIT_MEMLOCK of a page", host_little_memlock, B | N | P, CHECK(MEMLOCK), FORBIDDEN,
	 EPERM, 0, "RLIMIT_MEMLOCK,ulimit -l", BEFORE_5_11},
	{"64 programs", full, CAPS_ALL, CHECK(CONNECT4), MISSING, E2BIG, WITHOUT_CONNECT,
	 "cgroup/connect4,64 programs", ATTACH_FAILS},
	{"another's that allows more", shared, CAPS_ALL, CHECK(CONNECT4), OK, 0, ALL, "", 0},
};

static void host_judges(const void *index, void *out)
{
	const struct host *host = &hosts[*(const int *)index];
	struct agentsh_ebpf_tracer *tracer;
	struct agentsh_ebpf_session *session;
	const struct rlimit unlimited = {RLIM_INFINITY, RLIM_INFINITY};
	struct verdict *v = out;
	int before;

	/* before 5.11 the limit counts, which only one of these hosts tests */
	setrlimit(RLIMIT_MEMLOCK, &unlimited);
	LIVE_CHECK(!host->before || !host->before(), "%s: %s", host->name, strerror(errno));
	LIVE_CHECK(host->caps == CAPS_ALL || !host_keep_caps(host->caps), "caps: %s",
		   strerror(errno));
	v->caps.size = sizeof(v->caps);
	LIVE_CHECK(!agentsh_ebpf_capability_probe(&v->caps), "probe");
	live_expect_cgroup_path(&v->caps);
	before = v->caps.usable;
	v->open_err.size = v->attach_err.size = sizeof(v->open_err);
	v->open = agentsh_ebpf_tracer_open(NULL, &tracer, &v->open_err);
	if (!v->open) {
		v->hooks = agentsh_ebpf_tracer_hooks(tracer);
		v->attach = agentsh_ebpf_session_attach(tracer, cgroup.fd, NULL, &session,
							&v->attach_err);
		agentsh_ebpf_tracer_close(tracer);
	}
	if (v->caps.usable) { /* the hooks that the probe names must work */
		const struct agentsh_ebpf_tracer_options options = {
			.size = sizeof(options),
			.mode = AGENTSH_EBPF_MODE_REQUIRED,
			.hooks = v->caps.hooks,
		};

		LIVE_CHECK(!agentsh_ebpf_tracer_open(&options, &tracer, NULL), "%s: open",
			   host->name);
		LIVE_CHECK(!agentsh_ebpf_session_attach(tracer, cgroup.fd, NULL, &session, NULL),
			   "%s: attach", host->name);
		agentsh_ebpf_tracer_close(tracer);
	}
	/* a second probe must say the same */
	LIVE_CHECK(!agentsh_ebpf_capability_probe(&v->caps) && (int)v->caps.usable == before,
		   "the second probe differs");
}

static int first_error(const struct agentsh_ebpf_capabilities *caps)
{
	for (uint32_t i = 0; i < caps->count; i++)
		if (caps->checks[i].required && caps->missing >> i & 1)
			return -caps->checks[i].error;
	return 0;
}

static void expect_words(const char *text, const char *words)
{
	struct agentsh_ebpf_error err = LIVE_ERROR;

	snprintf(err.message, sizeof(err.message), "%s", text);
	live_expect_message(&err, words);
}

START_TEST(host_with)
{
	const struct host *host = &hosts[_i];
	const struct agentsh_ebpf_check *check;
	static struct verdict v;
	struct live_worker worker;
	static const struct host well = {"well", NULL, 0, CHECK(MEMLOCK), OK, 0, ALL, "", 0};
	static const struct host no_types = {"no BTF", NULL, 0,	 CHECK(BTF), MISSING,
					     ENOENT,   ALL,  "", 0};
	bool usable;

	if (host->flags & USERNS && live_no_userns(host->name))
		return;
	if (host->before == devnull_over_btf && access("/sys/kernel/btf/vmlinux", F_OK)) {
		printf("left out: %s: the kernel has no BTF\n", host->name);
		return;
	}
	live_cgroup_make(&sibling, NULL);
	live_cgroup_make(&parent, NULL);
	live_cgroup_make(&cgroup, &parent);
	live_worker_start(&worker, &cgroup);
	live_worker_call(&worker, host_judges, &_i, sizeof(_i), &v, sizeof(v));
	live_worker_stop(&worker);
	if (host->flags & BEFORE_5_11 && v.caps.kernel_version >= (5 << 16 | 11 << 8))
		host = &well;
	if (host->check == CHECK(BTF) && access("/sys/kernel/btf/vmlinux", F_OK))
		host = &no_types;
	usable = !host->words[0];
	check = &v.caps.checks[host->check];
	LIVE_CHECK(v.caps.usable == usable, "%s: usable is %u: %s", host->name, v.caps.usable,
		   v.caps.reason);
	LIVE_CHECK(check->status == host->status && check->error == host->error,
		   "%s: %s is %s, errno %d: %s", host->name, agentsh_ebpf_check_name(host->check),
		   agentsh_ebpf_status_name(check->status), check->error, check->detail);
	LIVE_CHECK((host->flags & OR_MORE ? v.caps.hooks & host->hooks : v.caps.hooks) ==
				   host->hooks ||
			   (!usable && !(host->flags & ~(USERNS | BEFORE_5_11))),
		   "%s: hooks are 0x%x: %s", host->name, v.caps.hooks,
		   v.caps.checks[CHECK(SENDMSG4)].detail);
	LIVE_CHECK(v.caps.load_only == (host->flags & LOAD_ONLY), "%s: load_only is %u", host->name,
		   v.caps.load_only);
	expect_words(v.caps.reason, host->words);

	/* open and attach do what the probe says */
	if (usable || host->flags & (FD_FROM_ELSEWHERE | ATTACH_FAILS)) {
		LIVE_CHECK(!v.open, "%s: open returned %d: %s", host->name, v.open,
			   v.open_err.message);
		LIVE_CHECK(v.hooks == DEFAULT, "%s: hooks 0x%x", host->name, v.hooks);
	} else {
		LIVE_CHECK(v.open == first_error(&v.caps),
			   "%s: open returned %d, the probe said %d", host->name, v.open,
			   first_error(&v.caps));
		LIVE_CHECK(!strcmp(v.open_err.message, v.caps.reason),
			   "%s: open says '%s', the probe '%s'", host->name, v.open_err.message,
			   v.caps.reason);
	}
	if (!(host->flags & ATTACH_FAILS))
		LIVE_CHECK(!v.attach, "%s: attach: %s", host->name, v.attach_err.message);
	else
		LIVE_CHECK(v.attach < 0, "%s: attach succeeded", host->name);
	if (v.attach == -EPERM && host->check != CHECK(CGROUP_LINK))
		LIVE_CHECK(!strncmp(v.attach_err.message, check->detail, strlen(check->detail)),
			   "%s: attach says '%s', the probe '%s'", host->name, v.attach_err.message,
			   check->detail);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("probe on hosts");
	TCase *tcase = live_case(suite, "hosts");

	tcase_add_loop_test(tcase, host_with, 0, LIVE_COUNT(hosts));
	return live_main(suite);
}
