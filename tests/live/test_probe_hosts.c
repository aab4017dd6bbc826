/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The probe on hosts that really lack something, each a separate process. Opening and
 * attaching must then do what the probe says.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "kernel.h"
#include "probe_hosts.h"

struct verdict {
	struct agentsh_ebpf_capabilities caps;
	int open, attach; /* return values */
	uint32_t hooks;
	struct agentsh_ebpf_error open_err, attach_err;
	bool hidden; /* the host may not read which programs are in effect */
};

static void host_judges(const void *index, void *out)
{
	const struct probe_host *host = &probe_hosts[*(const int *)index];
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
	v->hidden = host_reads_no_programs(probe_cgroup.fd);
	v->caps.size = sizeof(v->caps);
	LIVE_CHECK(!agentsh_ebpf_capability_probe(&v->caps), "probe");
	live_expect_cgroup_path(&v->caps);
	before = v->caps.usable;
	v->open_err.size = v->attach_err.size = sizeof(v->open_err);
	v->open = agentsh_ebpf_tracer_open(NULL, &tracer, &v->open_err);
	if (!v->open) {
		v->hooks = agentsh_ebpf_tracer_hooks(tracer);
		v->attach = agentsh_ebpf_session_attach(tracer, probe_cgroup.fd, NULL, &session,
							&v->attach_err);
		agentsh_ebpf_tracer_close(tracer);
	}
	if (v->caps.usable) { /* the hooks that the probe names must work */
		const struct agentsh_ebpf_tracer_options options = {
			.size = sizeof(options),
			.mode = AGENTSH_EBPF_MODE_REQUIRED,
			.hooks = v->caps.hooks,
		};
		const struct agentsh_ebpf_session_options displace = {
			.size = sizeof(displace),
			.flags = AGENTSH_EBPF_ATTACH_DISPLACE,
		};

		LIVE_CHECK(!agentsh_ebpf_tracer_open(&options, &tracer, NULL), "%s: open",
			   host->name);
		LIVE_CHECK(!agentsh_ebpf_session_attach(tracer, probe_cgroup.fd, &displace,
							&session, NULL),
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
	const struct probe_host *host = &probe_hosts[_i];
	const struct agentsh_ebpf_check *check;
	static struct verdict v;
	struct live_worker worker;
	static const struct probe_host well = {"well", NULL, 0, CHECK(MEMLOCK), OK, 0, ALL, "", 0};
	static const struct probe_host no_types = {"no BTF", NULL, 0,  CHECK(BTF), MISSING,
						   ENOENT,   ALL,  "", 0};
	static const struct probe_host no_query = {
		"no query",  NULL,  0, CHECK(CONNECT4),
		FORBIDDEN,   EPERM, 0, "BPF_PROG_QUERY,CAP_NET_ADMIN",
		ATTACH_FAILS};
	uint32_t hooks;
	bool usable;

	if (host->flags & USERNS && live_no_userns(host->name))
		return;
	if (host->before == probe_devnull_over_btf && access("/sys/kernel/btf/vmlinux", F_OK)) {
		printf("left out: %s: the kernel has no BTF\n", host->name);
		return;
	}
	live_cgroup_make(&probe_sibling, NULL);
	live_cgroup_make(&probe_parent, NULL);
	live_cgroup_make(&probe_cgroup, &probe_parent);
	live_worker_start(&worker, &probe_cgroup);
	live_worker_call(&worker, host_judges, &_i, sizeof(_i), &v, sizeof(v));
	live_worker_stop(&worker);
	if (host->flags & BEFORE_5_11 && v.caps.kernel_version >= (5 << 16 | 11 << 8))
		host = &well;
	if (host->check == CHECK(BTF) && access("/sys/kernel/btf/vmlinux", F_OK))
		host = &no_types;
	if (host->flags & SYS_ADMIN_ONLY && v.hidden)
		host = &no_query;
	usable = !host->words[0];
	check = &v.caps.checks[host->check];
	LIVE_CHECK(v.caps.usable == usable, "%s: usable is %u: %s", host->name, v.caps.usable,
		   v.caps.reason);
	LIVE_CHECK(check->status == host->status && check->error == host->error,
		   "%s: %s is %s, errno %d: %s", host->name, agentsh_ebpf_check_name(host->check),
		   agentsh_ebpf_status_name(check->status), check->error, check->detail);
	hooks = kernel_hooks_unix() ? host->hooks : host->hooks & ~(uint32_t)AGENTSH_EBPF_HOOK_UNIX;
	LIVE_CHECK((host->flags & OR_MORE ? v.caps.hooks & hooks : v.caps.hooks) == hooks ||
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

	tcase_add_loop_test(tcase, host_with, 0, (int)probe_host_count);
	return live_main(suite);
}
