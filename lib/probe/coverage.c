/* SPDX-License-Identifier: Apache-2.0 */
/* Which ways to the network a tracer sees, said in one place. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <agentsh/ebpf.h>

#include "base/files.h"
#include "base/result.h"
#include "base/system.h"
#include "tracer/tracer.h"

enum rule {
	UNSEEN,
	BY_CONNECT, /* with AGENTSH_EBPF_HOOK_CONNECT */
	BY_UDP,	    /* with AGENTSH_EBPF_HOOK_UDP */
	IMPLIED,    /* by an earlier connect */
	BY_PING,    /* by connect, on kernels that run its hook for ping sockets */
	BY_LIFECYCLE,
	BY_RELEASE, /* by the lifecycle hook, on kernels that say when a socket ends */
	BY_ACCEPT,
	BY_ANY /* as other sockets of its kind */
};

static const struct {
	const char *name;
	enum rule rule;
	const char *note;
} table[] = {
	[AGENTSH_EBPF_COVERAGE_TCP_CONNECT] = {"tcp_connect", BY_CONNECT,
					       "CONNECT, one an attempt"},
	[AGENTSH_EBPF_COVERAGE_TCP_FASTOPEN] =
		{"tcp_fastopen", BY_CONNECT, "CONNECT, also where the connect is part of a send"},
	[AGENTSH_EBPF_COVERAGE_MPTCP_CONNECT] = {"mptcp_connect", BY_CONNECT,
						 "CONNECT, for the first subflow"},
	[AGENTSH_EBPF_COVERAGE_UDP_CONNECT] = {"udp_connect", BY_CONNECT, "CONNECT"},
	[AGENTSH_EBPF_COVERAGE_UDP_SEND] =
		{"udp_send", BY_UDP,
		 "UDP_SEND, one for each socket and destination, or for each "
		 "datagram"},
	[AGENTSH_EBPF_COVERAGE_UDP_SEND_CONNECTED] =
		{"udp_send_connected", IMPLIED, "no event of its own; its connect() was reported"},
	[AGENTSH_EBPF_COVERAGE_UDPLITE_CONNECT] = {"udplite_connect", UNSEEN,
						   "the kernel runs no hook for it"},
	[AGENTSH_EBPF_COVERAGE_UDPLITE_SEND] = {"udplite_send", BY_UDP, "as udp_send"},
	[AGENTSH_EBPF_COVERAGE_PING_CONNECT] = {"ping_connect", BY_PING,
						"CONNECT since kernel 6.1"},
	[AGENTSH_EBPF_COVERAGE_PING_SEND] = {"ping_send", UNSEEN, "the kernel runs no hook for it"},
	[AGENTSH_EBPF_COVERAGE_SCTP] = {"sctp", UNSEEN, "the kernel runs no hook for it"},
	[AGENTSH_EBPF_COVERAGE_RAW] =
		{"raw", UNSEEN, "the kernel runs no hook for it; drop CAP_NET_RAW to close it"},
	[AGENTSH_EBPF_COVERAGE_PACKET] =
		{"packet", UNSEEN,
		 "the kernel runs no hook for it; drop CAP_NET_RAW to close "
		 "it"},
	[AGENTSH_EBPF_COVERAGE_IO_URING_CONNECT] =
		{"io_uring_connect", BY_CONNECT,
		 "as connect(); pid may be the ring's worker thread"},
	[AGENTSH_EBPF_COVERAGE_IO_URING_SEND] =
		{"io_uring_send", BY_UDP, "as sendmsg(); pid may be the ring's worker thread"},
	[AGENTSH_EBPF_COVERAGE_UNIX] = {"unix", UNSEEN,
					"not a network; keep proxies' sockets away"},
	[AGENTSH_EBPF_COVERAGE_VSOCK] = {"vsock", UNSEEN, "the kernel runs no hook for it"},
	[AGENTSH_EBPF_COVERAGE_EARLIER_SOCKET] =
		{"earlier_socket", UNSEEN, "a socket belongs to the cgroup in which it was made"},
	[AGENTSH_EBPF_COVERAGE_PASSED_SOCKET] =
		{"passed_socket", UNSEEN, "a socket belongs to the cgroup in which it was made"},
	[AGENTSH_EBPF_COVERAGE_LEFT_SOCKET] =
		{"left_socket", BY_ANY,
		 "as others of its kind: a socket belongs to the cgroup "
		 "in which it was made"},
	[AGENTSH_EBPF_COVERAGE_TCP_OUTCOME] =
		{"tcp_outcome", BY_LIFECYCLE,
		 "CONNECTED, CONNECT_FAILED and CLOSED, with the hook "
		 "LIFECYCLE"},
	[AGENTSH_EBPF_COVERAGE_DATAGRAM_CLOSE] =
		{"datagram_close", BY_RELEASE, "CLOSED, with the hook LIFECYCLE, since kernel 5.9"},
	[AGENTSH_EBPF_COVERAGE_TCP_ACCEPT] = {"tcp_accept", BY_ACCEPT,
					      "ACCEPTED, with the hook ACCEPT"},
};

#define ROWS (sizeof(table) / sizeof(table[0]))

/*
 * Whether the kernel has this function, by its type information: a hook's name
 * says more than a version, which distributions outrun. 0, 1, or -1: can't tell.
 */
static int kernel_has(const char *function)
{
	size_t len = 0;
	char *btf = agentsh_read_all(AGENTSH_BTF_PATH, &len);
	int has = btf ? memmem(btf, len, function, strlen(function) + 1) != NULL : -1;

	free(btf);
	return has;
}

static bool ping_hooked(void)
{
	int has = kernel_has("ping_pre_connect");

	return has < 0 ? agentsh_kernel_version(NULL, 0) >= AGENTSH_KERNEL(6, 1) : has;
}

static bool has_check(const struct agentsh_ebpf_tracer *t, uint32_t check)
{
	for (uint32_t i = 0; i < t->program_count; i++)
		if (t->programs[i].desc->check == check)
			return true;
	return false;
}

static bool seen(const struct agentsh_ebpf_tracer *t, enum rule rule)
{
	switch (rule) {
	case BY_CONNECT:
		return t->hooks & AGENTSH_EBPF_HOOK_CONNECT;
	case BY_UDP:
		return t->hooks & AGENTSH_EBPF_HOOK_UDP;
	case BY_PING:
		return t->hooks & AGENTSH_EBPF_HOOK_CONNECT && ping_hooked();
	case BY_ANY:
		return t->hooks & (AGENTSH_EBPF_HOOK_CONNECT | AGENTSH_EBPF_HOOK_UDP);
	case BY_LIFECYCLE:
		return t->hooks & AGENTSH_EBPF_HOOK_LIFECYCLE;
	case BY_RELEASE:
		return has_check(t, AGENTSH_EBPF_CHECK_SOCK_RELEASE);
	case BY_ACCEPT:
		return t->hooks & AGENTSH_EBPF_HOOK_ACCEPT;
	default:
		return false;
	}
}

int agentsh_ebpf_coverage(const struct agentsh_ebpf_tracer *t, struct agentsh_ebpf_coverage *out)
{
	struct agentsh_ebpf_coverage c = {.count = ROWS};

	if (!t || !out)
		return -EFAULT;
	if (out->size < sizeof(out->size))
		return -EINVAL;
	if (t->synth)
		return -EOPNOTSUPP;
	for (size_t i = 0; i < ROWS; i++) {
		if (seen(t, table[i].rule))
			c.seen |= 1ULL << i;
		else if (table[i].rule == IMPLIED && t->hooks & AGENTSH_EBPF_HOOK_CONNECT)
			c.implied |= 1ULL << i;
		else
			c.unseen |= 1ULL << i;
	}
	agentsh_copy_result(out, &c, sizeof(c));
	return 0;
}

const char *agentsh_ebpf_coverage_name(uint32_t coverage)
{
	return coverage < ROWS ? table[coverage].name : "unknown";
}

const char *agentsh_ebpf_coverage_note(uint32_t coverage)
{
	return coverage < ROWS ? table[coverage].note : "";
}
