/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hosts with fewer privileges than root: a refused open names what is missing, and the events
 * of hosts that can trace are correct. Each host is a separate process.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "calls.h"
#include "kernel.h"
#include "host_limits.h"
#include "live.h"

#define ALL_CAPS (~0ULL)
#define SESSION_ID 3

enum { NO_TASK = 1, NO_NS_PID = 2, MAYBE_NO_COMM = 4 };

struct host {
	const char *name;
	uint64_t caps; /* the capabilities that it keeps */
	int (*before)(void);
	int ret;	   /* expected result of open */
	const char *words; /* in the message of open */
	int without;	   /* what its events lack */
	const char *path;  /* hidden from the host */
};

static struct live_cgroup cgroup;
static struct call_expectations expectations;
static struct agentsh_ebpf_tracer *tracer; /* of the host */
static struct agentsh_ebpf_session *session;

/* ---- taking privileges away ---------------------------------------------- */

static int refuse_bpf(uint32_t error)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_bpf, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog filter = {.len = LIVE_COUNT(code), .filter = code};

	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	       prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter);
}

static int seccomp_eperm(void)
{
	return refuse_bpf(EPERM);
}

static int seccomp_enosys(void)
{
	return refuse_bpf(ENOSYS);
}

/* All capabilities of a new user namespace, as in a rootless container. */
static int own_userns(void)
{
	int fd, ret = unshare(CLONE_NEWUSER);

	fd = open("/proc/self/uid_map", O_WRONLY | O_CLOEXEC);
	ret = ret || fd < 0 || write(fd, "0 0 1", 5) != 5;
	close(fd);
	return ret;
}

static int unmapped_userns(void)
{
	return unshare(CLONE_NEWUSER);
}

/* Mounts an empty directory over path, for this process only. */
static int hide(const char *path)
{
	return unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	       mount("none", path, "tmpfs", 0, NULL);
}

/* ---- hosts -------------------------------------------------------------- */

static const struct host hosts[] = {
	{"nobody", 0, host_nobody, -EPERM, "CAP_BPF,CAP_NET_ADMIN,missing", 0, NULL},
	{"root without capabilities", 0, NULL, -EPERM, "CAP_BPF,CAP_NET_ADMIN,missing", 0, NULL},
	{"without CAP_NET_ADMIN", CAP(CAP_BPF) | CAP(CAP_PERFMON), NULL, -EPERM,
	 "CAP_NET_ADMIN is missing", 0, NULL},
	{"without CAP_BPF", CAP(CAP_NET_ADMIN) | CAP(CAP_PERFMON), NULL, -EPERM,
	 "CAP_BPF is missing", 0, NULL},
	{"in a user namespace", ALL_CAPS, own_userns, -EPERM, "user namespace", 0, NULL},
	{"in a user namespace without a map", ALL_CAPS, unmapped_userns, -EPERM, "user namespace",
	 0, NULL},
	{"bpf(2) gives EPERM", ALL_CAPS, seccomp_eperm, -EPERM, "bpf(2),seccomp", 0, NULL},
	{"bpf(2) gives ENOSYS", ALL_CAPS, seccomp_enosys, -ENOSYS, "bpf(2),seccomp", 0, NULL},
	{"CAP_BPF and CAP_NET_ADMIN", CAPS_BPF_AND_NET, host_nobody, 0, "", NO_TASK | MAYBE_NO_COMM,
	 NULL},
	{"and CAP_PERFMON", CAPS_BPF_AND_NET | CAP(CAP_PERFMON), host_nobody, 0, "", 0, NULL},
	{"CAP_SYS_ADMIN", CAP(CAP_SYS_ADMIN), host_nobody, 0, "", 0, NULL},
	{"no BTF", ALL_CAPS, NULL, 0, "", NO_TASK, "/sys/kernel/btf"},
	{"no /proc", ALL_CAPS, NULL, 0, "", NO_NS_PID, "/proc"},
};

struct opened {
	int ret;
	bool out_is_null;
	int omissions; /* lines of on_log that say what is left out */
	struct agentsh_ebpf_error err;
};

static void count_omissions(void *ctx, int level, const char *line)
{
	(void)level;
	*(int *)ctx += strstr(line, "without") && strstr(line, "ppid") ? 1 : 0;
}

/* Kernel 5.10 wants CAP_NET_ADMIN for this call, even of a process that has CAP_SYS_ADMIN. */
static bool query_is_refused(void)
{
	union bpf_attr attr = {
		.query = {.target_fd = (uint32_t)cgroup.fd,
			  .attach_type = BPF_CGROUP_INET4_CONNECT},
	};

	return syscall(SYS_bpf, BPF_PROG_QUERY, &attr, sizeof(attr)) < 0 && errno == EPERM;
}

/* Without the query the library cannot know what it would displace. */
static struct agentsh_ebpf_session *attach_without_query(void)
{
	struct agentsh_ebpf_session_options options = {.size = sizeof(options),
						       .session_id = SESSION_ID};
	struct agentsh_ebpf_session *s;
	struct agentsh_ebpf_error err = LIVE_ERROR;

	LIVE_CHECK(agentsh_ebpf_session_attach(tracer, cgroup.fd, &options, &s, &err) == -EPERM &&
			   strstr(err.message, "CAP_NET_ADMIN") &&
			   strstr(err.message, "AGENTSH_EBPF_ATTACH_DISPLACE"),
		   "attach: %d, %s", err.code, err.message);
	options.flags = AGENTSH_EBPF_ATTACH_DISPLACE;
	LIVE_CHECK(!agentsh_ebpf_session_attach(tracer, cgroup.fd, &options, &s, &err),
		   "attach: %s", err.message);
	return s;
}

static void host_opens(const void *index, void *out)
{
	const struct host *host = &hosts[*(const int *)index];
	struct opened *o = out;
	const struct agentsh_ebpf_tracer_options options = {
		.size = sizeof(options),
		.on_event = live_on_event,
		.on_log = count_omissions,
		.log_ctx = &o->omissions,
	};

	host_memlock_unlimited();
	LIVE_CHECK(!host->path || !hide(host->path), "hide %s: %s", host->path, strerror(errno));
	LIVE_CHECK(!host->before || !host->before(), "before: %s", strerror(errno));
	LIVE_CHECK(host->caps == ALL_CAPS || !host_keep_caps(host->caps), "caps: %s",
		   strerror(errno));
	o->err.size = sizeof(o->err);
	tracer = (void *)&expectations;
	o->ret = agentsh_ebpf_tracer_open(&options, &tracer, &o->err);
	o->out_is_null = !tracer;
	if (!o->ret)
		session = query_is_refused() ? attach_without_query()
					     : live_attach(tracer, &cgroup, SESSION_ID);
}

/* Returns 1 if the events have a comm, otherwise 0. */
static void host_compares(const void *arg, void *out)
{
	const char *differs;

	memcpy(&expectations, arg, sizeof(expectations));
	live_drain(tracer);
	*(int *)out = live_seen.count && live_seen.list[0].comm[0];
	if (!*(int *)out)
		for (size_t i = 0; i < expectations.count; i++)
			memset(expectations.list[i].want.comm, 0,
			       sizeof(expectations.list[i].want.comm));
	differs = expectation_all_differ(expectations.list, expectations.count);
	LIVE_CHECK(!differs, "%s", differs);
	LIVE_CHECK(!agentsh_ebpf_session_detach(session), "detach");
	agentsh_ebpf_tracer_close(tracer);
}

static void leave_out(struct expectation *t, int without)
{
	t->want.session_id = SESSION_ID;
	if (without & NO_TASK) {
		expectation_hide_task(t);
	} else if (without & NO_NS_PID) {
		t->want.ns_pid = 0;
		t->want.ns_tgid = 0;
	}
}

static void expect_events(struct live_worker *host, int without)
{
	struct live_worker worker;
	int comm = 0;

	live_worker_start(&worker, &cgroup);
	live_worker_call(&worker, calls_make_all, NULL, 0, &expectations, sizeof(expectations));
	live_worker_stop(&worker);
	for (size_t i = 0; i < expectations.count; i++)
		leave_out(&expectations.list[i], without);
	live_worker_call(host, host_compares, &expectations, sizeof(expectations), &comm,
			 sizeof(comm));
	ck_assert_msg(comm || without & MAYBE_NO_COMM, "comm is empty");
}

START_TEST(host_with)
{
	struct opened opened;
	struct live_worker host;

	if ((hosts[_i].before == own_userns || hosts[_i].before == unmapped_userns) &&
	    live_no_userns(hosts[_i].name))
		return;
	live_cgroup_make(&cgroup, NULL);
	live_worker_start(&host, NULL);
	live_worker_call(&host, host_opens, &_i, sizeof(_i), &opened, sizeof(opened));
	LIVE_CHECK(opened.ret == hosts[_i].ret, "%s: open returned %d (%s), expected %d",
		   hosts[_i].name, opened.ret, opened.err.message, hosts[_i].ret);
	live_expect_message(&opened.err, hosts[_i].words);
	ck_assert_int_eq(opened.err.code, opened.ret);
	ck_assert_int_eq(opened.out_is_null, opened.ret != 0);
	if (opened.ret) {
		ck_assert_uint_eq(opened.err.step, AGENTSH_EBPF_STEP_OBJECT_LOAD);
	} else {
		ck_assert_int_eq(opened.omissions != 0,
				 kernel_hides_tasks() || hosts[_i].without & NO_TASK);
		expect_events(&host, hosts[_i].without);
	}
	live_worker_stop(&host);
}
END_TEST

/* An open without capabilities does not affect a later one with them. */
static void open_twice(const void *unused, void *out)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2], none[2];

	(void)unused;
	LIVE_CHECK(!syscall(SYS_capget, &header, data), "capget: %s", strerror(errno));
	memcpy(none, data, sizeof(none));
	none[0].effective = none[1].effective = 0;
	LIVE_CHECK(!syscall(SYS_capset, &header, none), "capset: %s", strerror(errno));
	*(int *)out = agentsh_ebpf_tracer_open(NULL, &tracer, NULL);
	LIVE_CHECK(!syscall(SYS_capset, &header, data), "capset: %s", strerror(errno));
	live_close(live_open(NULL));
}

START_TEST(first_without_then_with)
{
	struct live_worker host;
	int first = 0;

	live_worker_start(&host, NULL);
	live_worker_call(&host, open_twice, NULL, 0, &first, sizeof(first));
	live_worker_stop(&host);
	ck_assert_int_eq(first, -EPERM);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("privilege");
	TCase *tcase = live_case(suite, "privileges");

	tcase_add_loop_test(tcase, host_with, 0, LIVE_COUNT(hosts));
	tcase_add_test(tcase, first_without_then_with);
	return live_main(suite);
}
