/* SPDX-License-Identifier: Apache-2.0 */
/* The probe's struct, table and simulation. Its other results depend on the machine. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "unit.h"

#define CHECKS 30
#define COVERAGE_LAST AGENTSH_EBPF_COVERAGE_QUIC_SERVER_NAME
#define BIT(check) (1ULL << (check))
#define CONNECT_HOOK AGENTSH_EBPF_HOOK_CONNECT
#define UDP_HOOK AGENTSH_EBPF_HOOK_UDP
#define LIFE_HOOK AGENTSH_EBPF_HOOK_LIFECYCLE
#define ACCEPT_HOOK AGENTSH_EBPF_HOOK_ACCEPT
#define TRAFFIC_HOOK AGENTSH_EBPF_HOOK_TRAFFIC
#define DNS_HOOK AGENTSH_EBPF_HOOK_DNS
#define NAME_HOOK AGENTSH_EBPF_HOOK_SERVER_NAME
#define UNIX_HOOK AGENTSH_EBPF_HOOK_UNIX
#define STATE_HOOKS (LIFE_HOOK | TRAFFIC_HOOK | DNS_HOOK | NAME_HOOK)
#define SOCK_CREATE_HOOK AGENTSH_EBPF_HOOK_SOCK_CREATE
#define EGRESS_HOOK AGENTSH_EBPF_HOOK_EGRESS
#define RULES_HOOKS (AGENTSH_EBPF_HOOK_RULES | SOCK_CREATE_HOOK | EGRESS_HOOK)
#define ALL_HOOKS (CONNECT_HOOK | UDP_HOOK | ACCEPT_HOOK | STATE_HOOKS | UNIX_HOOK | RULES_HOOKS)

/* Repeated here, because hosts and operators rely on each value. */
static const struct {
	uint32_t number;
	const char *name;
	uint32_t required;
	int32_t error;
	const char *lacking; /* part of the detail */
	const char *hint;    /* part of the remedy */
	uint32_t hooks;	     /* hooks that do not work without it */
} table[] = {
	{0, "kernel", 0, 0, "older than 5.8", "5.8", 0},
	{1, "bpf", 1, EPERM, "bpf(2)", "seccomp", ALL_HOOKS},
	{2, "userns", 1, EPERM, "user namespace", "initial user namespace", ALL_HOOKS},
	{3, "cap_bpf", 1, EPERM, "CAP_BPF is missing", "CAP_BPF", ALL_HOOKS},
	{4, "cap_net_admin", 1, EPERM, "CAP_NET_ADMIN is missing", "CAP_NET_ADMIN", ALL_HOOKS},
	{5, "cap_perfmon", 0, EPERM, "CAP_PERFMON is missing", "CAP_PERFMON", 0},
	{6, "lockdown", 0, EPERM, "confidentiality", "lockdown=integrity", 0},
	{7, "btf", 0, ENOENT, "/sys/kernel/btf/vmlinux", "CONFIG_DEBUG_INFO_BTF", 0},
	{8, "cgroup2", 1, ENODEV, "no cgroup v2", "mount -t cgroup2", 0},
	{9, "ringbuf", 1, EINVAL, "ring buffer", "5.8", ALL_HOOKS},
	{10, "array_mmap", 1, EINVAL, "mapped", "5.8", ALL_HOOKS},
	{11, "cgroup_storage", 1, EINVAL, "cgroup storage", "CONFIG_CGROUP_BPF", ALL_HOOKS},
	{12, "cgroup_link", 1, EINVAL, "linked", "5.8", 0},
	{13, "memlock", 1, EPERM, "RLIMIT_MEMLOCK", "ulimit -l", ALL_HOOKS},
	{14, "nofile", 1, EMFILE, "RLIMIT_NOFILE", "ulimit -n", ALL_HOOKS},
	{15, "jit", 0, 0, "interpreted", "bpf_jit_enable", 0},
	{16, "connect4", 1, EINVAL, "cgroup/connect4", "CONFIG_CGROUP_BPF",
	 CONNECT_HOOK | STATE_HOOKS | RULES_HOOKS},
	{17, "connect6", 1, EINVAL, "cgroup/connect6", "CONFIG_CGROUP_BPF",
	 CONNECT_HOOK | STATE_HOOKS | RULES_HOOKS},
	{18, "sendmsg4", 0, EINVAL, "cgroup/sendmsg4", "CONFIG_CGROUP_BPF", UDP_HOOK | RULES_HOOKS},
	{19, "sendmsg6", 0, EINVAL, "cgroup/sendmsg6", "CONFIG_CGROUP_BPF", UDP_HOOK | RULES_HOOKS},
	{20, "sock_ops", 0, EINVAL, "sock_ops", "CONFIG_CGROUP_BPF",
	 STATE_HOOKS | ACCEPT_HOOK | EGRESS_HOOK},
	{21, "sock_release", 0, EINVAL, "cgroup/sock_release", "5.10", STATE_HOOKS | ACCEPT_HOOK},
	{22, "bind4", 0, EINVAL, "cgroup/bind4", "CONFIG_CGROUP_BPF", ACCEPT_HOOK},
	{23, "bind6", 0, EINVAL, "cgroup/bind6", "CONFIG_CGROUP_BPF", ACCEPT_HOOK},
	{24, "inet_ingress", 0, EINVAL, "cgroup_skb/ingress", "CONFIG_CGROUP_BPF",
	 TRAFFIC_HOOK | DNS_HOOK},
	{25, "inet_egress", 0, EINVAL, "cgroup_skb/egress", "CONFIG_CGROUP_BPF",
	 TRAFFIC_HOOK | DNS_HOOK | NAME_HOOK | EGRESS_HOOK},
	{26, "connect_unix", 0, EINVAL, "cgroup/connect_unix", "6.7", UNIX_HOOK},
	{27, "sendmsg_unix", 0, EINVAL, "cgroup/sendmsg_unix", "6.7", UNIX_HOOK},
	{28, "sock_create", 0, EINVAL, "cgroup/sock_create", "CONFIG_CGROUP_BPF", SOCK_CREATE_HOOK},
	{29, "set_retval", 0, EINVAL, "error of a refused call", "6.1", 0},
};

_Static_assert(UNIT_COUNT(table) == CHECKS, "all are here");

#define PINNED(member, offset)                                                                     \
	_Static_assert(offsetof(struct agentsh_ebpf_capabilities, member) == (offset), #member)

PINNED(size, 0);
PINNED(usable, 4);
PINNED(simulate_missing, 8);
PINNED(available, 16);
PINNED(missing, 24);
PINNED(hooks, 32);
PINNED(count, 36);
PINNED(kernel_version, 40);
PINNED(max_sessions, 44);
PINNED(cgroup_mode, 48);
PINNED(load_only, 52);
PINNED(kernel_release, 56);
PINNED(cgroup2_path, 120);
PINNED(cgroup_path, 376);
PINNED(reason, 1400);
PINNED(checks, 1656);
_Static_assert(sizeof(struct agentsh_ebpf_capabilities) == 1656 + 32 * 128, "no hole");
_Static_assert(sizeof(struct agentsh_ebpf_check) == 128, "size");
_Static_assert(offsetof(struct agentsh_ebpf_check, error) == 4, "error");
_Static_assert(offsetof(struct agentsh_ebpf_check, required) == 8, "required");
_Static_assert(offsetof(struct agentsh_ebpf_check, value) == 16, "value");
_Static_assert(offsetof(struct agentsh_ebpf_check, detail) == 24, "detail");
_Static_assert(sizeof(struct agentsh_ebpf_coverage) == 48, "size");
_Static_assert(offsetof(struct agentsh_ebpf_coverage, seen) == 8, "seen");
_Static_assert(offsetof(struct agentsh_ebpf_coverage, implied) == 16, "implied");
_Static_assert(offsetof(struct agentsh_ebpf_coverage, unseen) == 24, "unseen");
_Static_assert(offsetof(struct agentsh_ebpf_coverage, enforced) == 32, "enforced");
_Static_assert(offsetof(struct agentsh_ebpf_coverage, rules_flags) == 40, "rules_flags");

static struct agentsh_ebpf_capabilities probe(uint64_t simulate)
{
	struct agentsh_ebpf_capabilities caps;

	/* members that are not read must not matter */
	memset(&caps, 0xa5, sizeof(caps));
	caps.size = sizeof(caps);
	caps.simulate_missing = simulate;
	ck_assert_int_eq(agentsh_ebpf_capability_probe(&caps), 0);
	return caps;
}

static void expect_text(const char *text, size_t size)
{
	size_t len = strnlen(text, size);

	ck_assert_uint_lt(len, size);
	ck_assert_msg(!strpbrk(text, "\n\r\t"), "'%s' is not one line", text);
	for (size_t i = len; i < size; i++)
		ck_assert_msg(!text[i], "behind '%s' there is more", text);
}

/* Asserts that the parts of a result agree, whatever the machine supports. */
static void expect_coherent(const struct agentsh_ebpf_capabilities *c)
{
	uint64_t stops = 0;

	ck_assert_uint_eq(c->size, sizeof(*c));
	ck_assert_uint_eq(c->count, CHECKS);
	for (uint32_t i = 0; i < AGENTSH_EBPF_CHECKS_MAX; i++) {
		const struct agentsh_ebpf_check *k = &c->checks[i];
		static const struct agentsh_ebpf_check none;

		if (i >= CHECKS) {
			ck_assert_mem_eq(k, &none, sizeof(none));
			continue;
		}
		expect_text(k->detail, sizeof(k->detail));
		ck_assert_msg(k->detail[0], "%s says nothing", table[i].name);
		ck_assert_uint_le(k->status, AGENTSH_EBPF_STATUS_SIMULATED);
		ck_assert_uint_eq(k->required, table[i].required);
		ck_assert_uint_eq(k->reserved, 0);
		ck_assert_int_ge(k->error, 0);
		ck_assert_uint_eq(c->available >> i & 1, k->status == 1);
		ck_assert_uint_eq(c->missing >> i & 1, k->status > 1);
		ck_assert_uint_eq(k->status == AGENTSH_EBPF_STATUS_SIMULATED,
				  c->simulate_missing >> i & 1);
		if (k->status == AGENTSH_EBPF_STATUS_AVAILABLE)
			ck_assert_int_eq(k->error, 0);
		if (k->required && k->status > 1)
			stops |= BIT(i);
	}
	ck_assert_uint_eq(c->available >> CHECKS, 0);
	ck_assert_uint_eq(c->missing >> CHECKS, 0);
	ck_assert_uint_eq(c->usable, !stops);
	ck_assert_int_eq(!c->reason[0], !stops);
	expect_text(c->reason, sizeof(c->reason));
	expect_text(c->kernel_release, sizeof(c->kernel_release));
	ck_assert_uint_lt(strnlen(c->cgroup2_path, sizeof(c->cgroup2_path)),
			  sizeof(c->cgroup2_path));
	for (uint32_t i = 0; i < CHECKS; i++) {
		if (!(stops & BIT(i)))
			continue;
		/* the reason begins with the first of them and ends with its remedy */
		const char *hint = agentsh_ebpf_check_hint(i);
		size_t len = strlen(c->reason);

		ck_assert_int_eq(
			strncmp(c->reason, c->checks[i].detail, strlen(c->checks[i].detail)), 0);
		ck_assert_str_eq(c->reason + (len < strlen(hint) ? 0 : len - strlen(hint)), hint);
		break;
	}
	if (c->cgroup_path[0])
		ck_assert_uint_ne(c->cgroup_mode, AGENTSH_EBPF_CGROUP_NONE);
}

START_TEST(one_simulated)
{
	const struct agentsh_ebpf_capabilities real = probe(0), c = probe(BIT(_i));
	const struct agentsh_ebpf_check *k = &c.checks[_i];

	expect_coherent(&real);
	expect_coherent(&c);
	ck_assert_uint_eq(c.simulate_missing, BIT(_i));
	ck_assert_uint_eq(k->status, AGENTSH_EBPF_STATUS_SIMULATED);
	ck_assert_int_eq(k->error, table[_i].error);
	ck_assert_ptr_nonnull(strstr(k->detail, table[_i].lacking));
	ck_assert_ptr_nonnull(strstr(k->detail, "(simulated)"));
	ck_assert_uint_eq(c.usable, real.usable && !table[_i].required);
	ck_assert_uint_eq(c.hooks, real.hooks & ~table[_i].hooks);
	if (table[_i].required && real.usable) {
		char reason[256];

		snprintf(reason, sizeof(reason), "%s; %s", k->detail,
			 agentsh_ebpf_check_hint(table[_i].number));
		ck_assert_str_eq(c.reason, reason);
	} else if (!table[_i].required) {
		ck_assert_str_eq(c.reason, real.reason);
	}
	if (_i == AGENTSH_EBPF_CHECK_CGROUP2) {
		ck_assert_str_eq(c.cgroup2_path, "");
		ck_assert_str_eq(c.cgroup_path, "");
		ck_assert_uint_eq(c.cgroup_mode, AGENTSH_EBPF_CGROUP_NONE);
	}
	if (_i == AGENTSH_EBPF_CHECK_NOFILE)
		ck_assert_uint_eq(c.max_sessions, 0);
}
END_TEST

/* Simulates pairs, and all checks: each required check is named, whatever else is missing. */
START_TEST(several_simulated)
{
	struct agentsh_ebpf_capabilities c;

	for (int k = 0; k < CHECKS; k += 3) {
		c = probe(BIT(_i) | BIT(k));
		expect_coherent(&c);
		ck_assert_uint_eq(c.missing & (BIT(_i) | BIT(k)), BIT(_i) | BIT(k));
	}
	c = probe(BIT(CHECKS) - 1);
	expect_coherent(&c);
	ck_assert_uint_eq(c.missing, BIT(CHECKS) - 1);
	ck_assert_uint_eq(c.available, 0);
	ck_assert_uint_eq(c.hooks, 0);
}
END_TEST

START_TEST(hooks_simulated_together)
{
	const uint64_t all = 0xfffULL << 16;

	for (uint64_t some = 1; some < 4096; some += some < 16 ? 1 : 61) {
		struct agentsh_ebpf_capabilities c = probe(some << 16);

		expect_coherent(&c);
		ck_assert_uint_eq(c.missing & all, some << 16);
		if (some & 3)
			ck_assert(!(c.hooks & CONNECT_HOOK));
		if (some & 12)
			ck_assert(!(c.hooks & (UDP_HOOK | RULES_HOOKS)));
		if (some & (16 | 64 | 128))
			ck_assert(!(c.hooks & ACCEPT_HOOK));
		if (some & 0x333) /* TRAFFIC requires LIFECYCLE, which requires CONNECT */
			ck_assert(!(c.hooks & (TRAFFIC_HOOK | DNS_HOOK)));
		if (some & 0x233)
			ck_assert(!(c.hooks & NAME_HOOK));
		if (some & 0xc00)
			ck_assert(!(c.hooks & UNIX_HOOK));
	}
}
END_TEST

START_TEST(unknown_bits)
{
	for (int i = 0; i < 64; i++) {
		struct agentsh_ebpf_capabilities c, before;

		memset(&c, 0x5a, sizeof(c));
		c.size = sizeof(c);
		c.simulate_missing = BIT(i) | BIT(AGENTSH_EBPF_CHECK_BPF);
		before = c;
		ck_assert_int_eq(agentsh_ebpf_capability_probe(&c), i < CHECKS ? 0 : -EINVAL);
		if (i >= CHECKS)
			ck_assert_mem_eq(&c, &before, sizeof(c));
	}
}
END_TEST

START_TEST(argument_errors)
{
	struct agentsh_ebpf_capabilities c = {.usable = 77};

	ck_assert_int_eq(agentsh_ebpf_capability_probe(NULL), -EFAULT);
	for (c.size = 0; c.size < 4; c.size++) {
		ck_assert_int_eq(agentsh_ebpf_capability_probe(&c), -EINVAL);
		ck_assert_uint_eq(c.usable, 77);
	}
}
END_TEST

/* The block ends where the caller's struct ends. */
START_TEST(older_and_newer_callers)
{
	static const uint32_t sizes[] = {4,    5,    7,	   8,	 12,   15,   16,   17,	 24,
					 33,   40,   56,   57,	 120,  376,  1400, 1401, 1656,
					 1657, 1792, 5751, 5752, 5753, 5816, 9000};
	struct agentsh_ebpf_capabilities whole = probe(BIT(AGENTSH_EBPF_CHECK_CAP_BPF));

	for (size_t i = 0; i < UNIT_COUNT(sizes); i++) {
		uint32_t size = sizes[i], known = size < sizeof(whole) ? size : sizeof(whole);
		unsigned char *p = malloc(size);
		uint64_t simulate = size < 16 ? ~0ULL : BIT(AGENTSH_EBPF_CHECK_CAP_BPF);

		ck_assert_ptr_nonnull(p);
		memset(p, 0xff, size);
		memcpy(p, &size, sizeof(size));
		if (size >= 16) /* callers whose struct lacks simulate_missing get no simulation */
			memcpy(p + 8, &simulate, sizeof(simulate));
		ck_assert_int_eq(agentsh_ebpf_capability_probe((void *)p), 0);
		whole.size = size;
		if (size >= 16)
			ck_assert_mem_eq(p, &whole, known);
		for (size_t k = known; k < size; k++)
			ck_assert_uint_eq(p[k], 0);
		free(p);
	}
}
END_TEST

START_TEST(names_and_hints)
{
	static const uint32_t beyond[] = {42, 63, 64, 255, 256, 65536, UINT32_MAX};
	static const char *const statuses[] = {"unknown", "available", "missing", "forbidden",
					       "simulated"};

	for (uint32_t i = 0; i < CHECKS; i++) {
		ck_assert_uint_eq(table[i].number, i);
		ck_assert_str_eq(agentsh_ebpf_check_name(i), table[i].name);
		ck_assert_ptr_nonnull(strstr(agentsh_ebpf_check_hint(i), table[i].hint));
		ck_assert_ptr_eq(agentsh_ebpf_check_hint(i), agentsh_ebpf_check_hint(i));
	}
	for (size_t i = 0; i < UNIT_COUNT(beyond); i++) {
		ck_assert_str_eq(agentsh_ebpf_check_name(beyond[i]), "unknown");
		ck_assert_str_eq(agentsh_ebpf_check_hint(beyond[i]), "");
		ck_assert_str_eq(agentsh_ebpf_status_name(beyond[i]), "unknown");
		ck_assert_str_eq(agentsh_ebpf_coverage_name(beyond[i]), "unknown");
		ck_assert_str_eq(agentsh_ebpf_coverage_note(beyond[i]), "");
	}
	ck_assert_str_eq(agentsh_ebpf_check_name(CHECKS), "unknown");
	ck_assert_str_eq(agentsh_ebpf_coverage_name(COVERAGE_LAST + 1), "unknown");
	for (uint32_t i = 0; i < UNIT_COUNT(statuses); i++)
		ck_assert_str_eq(agentsh_ebpf_status_name(i), statuses[i]);
	ck_assert_str_eq(agentsh_ebpf_status_name(5), "unknown");
	for (uint32_t i = 0; i <= COVERAGE_LAST; i++) {
		ck_assert_str_ne(agentsh_ebpf_coverage_name(i), "unknown");
		ck_assert_str_ne(agentsh_ebpf_coverage_note(i), "");
		for (uint32_t k = 0; k < i; k++)
			ck_assert_str_ne(agentsh_ebpf_coverage_name(i),
					 agentsh_ebpf_coverage_name(k));
	}
}
END_TEST

START_TEST(coverage_arguments)
{
	struct agentsh_ebpf_coverage out = {.size = sizeof(out), .seen = 77};
	struct agentsh_ebpf_tracer *tracer = unit_open(NULL);

	ck_assert_int_eq(agentsh_ebpf_coverage(NULL, &out), -EFAULT);
	ck_assert_int_eq(agentsh_ebpf_coverage(tracer, NULL), -EFAULT);
	ck_assert_int_eq(agentsh_ebpf_coverage(tracer, &out), -EOPNOTSUPP);
	out.size = 3;
	ck_assert_int_eq(agentsh_ebpf_coverage(tracer, &out), -EINVAL);
	ck_assert_uint_eq(out.seen, 77);
	agentsh_ebpf_tracer_close(tracer);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("probe");
	TCase *tcase = unit_case(suite, "probe");

	tcase_add_loop_test(tcase, one_simulated, 0, CHECKS);
	tcase_add_loop_test(tcase, several_simulated, 0, CHECKS);
	tcase_add_test(tcase, hooks_simulated_together);
	tcase_add_test(tcase, unknown_bits);
	tcase_add_test(tcase, argument_errors);
	tcase_add_test(tcase, older_and_newer_callers);
	tcase_add_test(tcase, names_and_hints);
	tcase_add_test(tcase, coverage_arguments);
	return unit_main(suite);
}
