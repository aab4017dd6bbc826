/* SPDX-License-Identifier: Apache-2.0 */
/* The recipes of SECURITY.md that close what the library does not see. */
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "hostile.h"

#ifdef __x86_64__
#define HOSTILE_ARCH AUDIT_ARCH_X86_64
#else
#define HOSTILE_ARCH AUDIT_ARCH_AARCH64
#endif
#define X32_CALLS 0x40000000 /* no other ABI has calls from here on */
#define PORT 99

#define LOAD(member) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, member))
#define IF(how, value, yes, no) BPF_JUMP(BPF_JMP | BPF_##how | BPF_K, value, yes, no)
#define RETURN(what) BPF_STMT(BPF_RET | BPF_K, what)

/* The filter that SECURITY.md describes. Each jump skips to the next return. */
static int filter_sockets(void)
{
	enum { ALLOW = SECCOMP_RET_ALLOW, REFUSE = SECCOMP_RET_ERRNO | EPERM };
	struct sock_filter code[] = {
		/* other ABIs have other numbers, and socketcall(2) */
		LOAD(arch),
		IF(JEQ, HOSTILE_ARCH, 1, 0),
		RETURN(REFUSE),
		LOAD(nr),
		IF(JGE, X32_CALLS, 1, 0),
		/* IORING_OP_SOCKET makes sockets that no filter sees */
		IF(JEQ, SYS_io_uring_setup, 0, 1),
		RETURN(REFUSE),
		IF(JEQ, SYS_socket, 1, 0),
		RETURN(ALLOW),
		LOAD(args[0]),
		IF(JEQ, AF_UNIX, 0, 1),
		RETURN(ALLOW),
		IF(JEQ, AF_INET, 2, 0),
		IF(JEQ, AF_INET6, 1, 0),
		RETURN(REFUSE),
		LOAD(args[1]),
		BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0xf), /* without SOCK_CLOEXEC, SOCK_NONBLOCK */
		IF(JEQ, SOCK_STREAM, 2, 0),
		IF(JEQ, SOCK_DGRAM, 1, 0),
		RETURN(REFUSE),
		/* protocol 0 is TCP or UDP for these two types only */
		LOAD(args[2]),
		IF(JEQ, 0, 2, 0),
		IF(JEQ, IPPROTO_TCP, 1, 0),
		IF(JEQ, IPPROTO_UDP, 0, 1),
		RETURN(ALLOW),
		RETURN(REFUSE),
	};
	struct sock_fprog program = {.len = LIVE_COUNT(code), .filter = code};

	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	       prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

static const struct {
	int domain, type, protocol;
} refused[] = {
	{AF_INET, SOCK_SEQPACKET, 0}, /* SCTP */
	{AF_INET, SOCK_STREAM, IPPROTO_SCTP},
	{AF_INET, 6, 0}, /* DCCP */
	{AF_INET6, 6, 33},
	{AF_INET, SOCK_DGRAM, 115}, /* L2TP */
	{AF_INET, SOCK_DGRAM, IPPROTO_UDPLITE},
	{AF_INET, SOCK_DGRAM, IPPROTO_ICMP},
	{AF_INET6, SOCK_DGRAM, IPPROTO_ICMPV6},
	{AF_INET, SOCK_RAW, IPPROTO_RAW},
	{AF_INET, SOCK_STREAM, 256}, /* SMC */
	{AF_INET, SOCK_STREAM, IPPROTO_MPTCP},
	{AF_PACKET, SOCK_DGRAM, 0},
	{AF_VSOCK, SOCK_STREAM, 0},
	{AF_NETLINK, SOCK_RAW, 0},
	{21, SOCK_SEQPACKET, 0},   /* RDS */
	{30, SOCK_SEQPACKET, 0},   /* TIPC */
	{33, SOCK_DGRAM, AF_INET}, /* RXRPC */
	{38, SOCK_SEQPACKET, 0},   /* ALG */
	{43, SOCK_STREAM, 0},	   /* SMC */
	{44, SOCK_RAW, 0},	   /* XDP */
};

static void filtered_child(void)
{
	static const int families[] = {AF_INET, AF_INET6, AF_UNIX};
	char params[256] = {0};

	LIVE_CHECK(!filter_sockets(), "seccomp: %s", strerror(errno));
	for (size_t i = 0; i < LIVE_COUNT(refused); i++) {
		int fd = socket(refused[i].domain, refused[i].type, refused[i].protocol);

		LIVE_CHECK(fd < 0 && errno == EPERM, "socket %zu: %s", i, strerror(errno));
	}
	LIVE_CHECK(syscall(SYS_io_uring_setup, 1, params) < 0 && errno == EPERM, "io_uring: %s",
		   strerror(errno));
	for (size_t i = 0; i < LIVE_COUNT(families); i++) {
		hostile_socket(families[i], SOCK_STREAM, 0);
		hostile_socket(families[i], SOCK_DGRAM | SOCK_NONBLOCK, 0);
	}
}

static void filter(struct hostile_result *r)
{
	(void)r;
	hostile_in_child(filtered_child);
}

static void add_rule(struct hostile_result *r)
{
	hostile_needs(r,
		      "nft 'table inet hostile { chain out { type filter hook output priority 0; "
		      "meta l4proto != { tcp, udp, icmp, ipv6-icmp } drop; }; }' 2>/dev/null",
		      "nft cannot add a rule");
}

/* UDP-Lite, whose connect() has no event. */
static void rule(struct hostile_result *r)
{
	struct connection_address to = connection_address("127.0.0.1", PORT);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, IPPROTO_UDPLITE);

	if (fd < 0) {
		hostile_absent(r, "the kernel has no such protocol", 0);
		return;
	}
	hostile_connect(fd, &to, 0);
	LIVE_CHECK(send(fd, "x", 1, 0) < 0 && errno == EPERM, "UDP-Lite passes: %s",
		   strerror(errno));
	close(fd);
}

const struct hostile_way hostile_closed[] = {
	{.name = "a seccomp filter allows only TCP, UDP and AF_UNIX", .go = filter},
	{.name = "an nftables rule drops all protocols but TCP, UDP and ICMP",
	 .prepare = add_rule,
	 .go = rule},
};
const size_t hostile_closed_count = LIVE_COUNT(hostile_closed);
