/* SPDX-License-Identifier: Apache-2.0 */
/* Other sock_ops programs on the same cgroup: neither side disturbs the other. */
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "connection_one.h"

static int bpf(int command, union bpf_attr *attr)
{
	return (int)syscall(SYS_bpf, command, attr, sizeof(*attr));
}

#define INSN(c, d, s, o, i)                                                                        \
	((struct bpf_insn){.code = c, .dst_reg = d, .src_reg = s, .off = o, .imm = i})
#define FLAGS_OF_OTHERS (BPF_SOCK_OPS_RTT_CB_FLAG | BPF_SOCK_OPS_RTO_CB_FLAG)
#define RTO_JIFFIES 333

/*
 * The other program answers BPF_SOCK_OPS_TIMEOUT_INIT with a timeout, requests callbacks at
 * BPF_SOCK_OPS_TCP_CONNECT_CB, and copies the requested callbacks to a map on a state change.
 */
static int others_load(int map)
{
	const struct bpf_insn insns[] = {
		INSN(BPF_ALU64 | BPF_MOV | BPF_X, 6, 1, 0, 0),
		INSN(BPF_LDX | BPF_MEM | BPF_W, 7, 6, offsetof(struct bpf_sock_ops, op), 0),
		INSN(BPF_JMP | BPF_JNE | BPF_K, 7, 0, 2, BPF_SOCK_OPS_TIMEOUT_INIT),
		INSN(BPF_ALU64 | BPF_MOV | BPF_K, 1, 0, 0, RTO_JIFFIES),
		INSN(BPF_STX | BPF_MEM | BPF_W, 6, 1, offsetof(struct bpf_sock_ops, reply), 0),
		INSN(BPF_JMP | BPF_JNE | BPF_K, 7, 0, 3, BPF_SOCK_OPS_TCP_CONNECT_CB),
		INSN(BPF_ALU64 | BPF_MOV | BPF_X, 1, 6, 0, 0),
		INSN(BPF_ALU64 | BPF_MOV | BPF_K, 2, 0, 0, FLAGS_OF_OTHERS),
		INSN(BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_sock_ops_cb_flags_set),
		INSN(BPF_JMP | BPF_JNE | BPF_K, 7, 0, 11, BPF_SOCK_OPS_STATE_CB),
		INSN(BPF_LDX | BPF_MEM | BPF_W, 8, 6,
		     offsetof(struct bpf_sock_ops, bpf_sock_ops_cb_flags), 0),
		INSN(BPF_ST | BPF_MEM | BPF_W, 10, 0, -4, 0),
		INSN(BPF_LD | BPF_DW | BPF_IMM, 1, BPF_PSEUDO_MAP_FD, 0, map),
		INSN(0, 0, 0, 0, 0),
		INSN(BPF_ALU64 | BPF_MOV | BPF_X, 2, 10, 0, 0),
		INSN(BPF_ALU64 | BPF_ADD | BPF_K, 2, 0, 0, -4),
		INSN(BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_map_lookup_elem),
		INSN(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 3, 0),
		INSN(BPF_ALU | BPF_OR | BPF_K, 8, 0, 0, 1 << 30),
		INSN(BPF_STX | BPF_MEM | BPF_W, 0, 8, 0, 0),
		INSN(BPF_JMP | BPF_JA, 0, 0, 0, 0),
		INSN(BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, 1),
		INSN(BPF_JMP | BPF_EXIT, 0, 0, 0, 0),
	};
	union bpf_attr attr;
	static char log[8192];
	int fd;

	memset(&attr, 0, sizeof(attr));
	attr.prog_type = BPF_PROG_TYPE_SOCK_OPS;
	attr.insns = (uintptr_t)insns;
	attr.insn_cnt = LIVE_COUNT(insns);
	attr.license = (uintptr_t) "GPL";
	attr.log_buf = (uintptr_t)log;
	attr.log_size = sizeof(log);
	attr.log_level = 1;
	fd = bpf(BPF_PROG_LOAD, &attr);
	LIVE_CHECK(fd >= 0, "BPF_PROG_LOAD: %s\n%s", strerror(errno), log);
	return fd;
}

static void others_attach(int program, const struct live_cgroup *cgroup)
{
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.target_fd = (uint32_t)cgroup->fd;
	attr.attach_bpf_fd = (uint32_t)program;
	attr.attach_type = BPF_CGROUP_SOCK_OPS;
	attr.attach_flags = BPF_F_ALLOW_MULTI;
	LIVE_CHECK(!bpf(BPF_PROG_ATTACH, &attr), "BPF_PROG_ATTACH: %s", strerror(errno));
}

static void rto_of(const void *unused, void *out)
{
	(void)unused;
	connection_own.client = connection_socket(CONNECTION_V4, 0);
	LIVE_CHECK(!fcntl(connection_own.client, F_SETFL, O_NONBLOCK), "O_NONBLOCK");
	connection_own.filler = connection_socket(CONNECTION_V4, 0);
	LIVE_CHECK(
		!connect(connection_own.filler, &connection_own.at.sa.any, connection_own.at.size),
		"filler");
	connection_wait_arrived(connection_own.listener);
	LIVE_CHECK(
		connect(connection_own.client, &connection_own.at.sa.any, connection_own.at.size) &&
			errno == EINPROGRESS,
		"connect: %s", strerror(errno));
	*(uint32_t *)out = connection_info(connection_own.client)
				   .tcpi_rto; /* in SYN_SENT still the initial value */
	close(connection_own.client);
}

static uint32_t rto_in(const struct live_cgroup *cgroup)
{
	struct live_worker worker;
	uint32_t rto;

	live_worker_start(&worker, cgroup);
	live_worker_call(&worker, connection_one_listen, &(int){0}, sizeof(int), NULL, 0);
	live_worker_call(&worker, rto_of, NULL, 0, &rto, sizeof(rto));
	live_worker_stop(&worker);
	return rto;
}

static void beside_others(bool first)
{
	struct live_cgroup session, alone;
	struct agentsh_ebpf_tracer *tracer = connection_open(CONNECTION_CONNECT);
	struct live_worker worker;
	union bpf_attr attr;
	uint32_t key = 0, flags = 0;
	int map, program;

	memset(&attr, 0, sizeof(attr));
	attr.map_type = BPF_MAP_TYPE_ARRAY;
	attr.key_size = attr.value_size = 4;
	attr.max_entries = 1;
	map = bpf(BPF_MAP_CREATE, &attr);
	LIVE_CHECK(map >= 0, "BPF_MAP_CREATE: %s", strerror(errno));
	program = others_load(map);
	live_cgroup_make(&session, NULL);
	live_cgroup_make(&alone, NULL);
	others_attach(program, &alone);
	if (first)
		others_attach(program, &session);
	live_attach(tracer, &session, 1);
	if (!first)
		others_attach(program, &session);
	connection_one_start(&worker, &session);
	connection_one_connect(&worker);
	connection_one_close(&worker);
	connection_drain(tracer, &connection_one, 1);
	connection_expect(&connection_one, 1);
	memset(&attr, 0, sizeof(attr));
	attr.map_fd = (uint32_t)map;
	attr.key = (uintptr_t)&key;
	attr.value = (uintptr_t)&flags;
	LIVE_CHECK(!bpf(BPF_MAP_LOOKUP_ELEM, &attr), "BPF_MAP_LOOKUP_ELEM: %s", strerror(errno));
	CONNECTION_SAME(flags, 1 << 30 | FLAGS_OF_OTHERS | BPF_SOCK_OPS_STATE_CB_FLAG);
	CONNECTION_SAME(rto_in(&session), rto_in(&alone));
	LIVE_CHECK(rto_in(&session) != rto_in(NULL),
		   "the answer of the other program has no effect");
	live_worker_stop(&worker);
	close(program);
	close(map);
}

START_TEST(after_programs_of_others)
{
	beside_others(true);
}
END_TEST

START_TEST(before_programs_of_others)
{
	beside_others(false);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("connection: programs of others");
	TCase *tcase = live_case(suite, "programs of others");

	tcase_add_test(tcase, after_programs_of_others);
	tcase_add_test(tcase, before_programs_of_others);
	return live_main(suite);
}
