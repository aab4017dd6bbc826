/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Programs of another owner that rewrite the destination of a call: rules judge what the programs
 * wrote that run earlier, and EGRESS judges what the programs wrote that run later, too.
 */
#include <errno.h>
#include <linux/bpf.h>
#include <netinet/in.h>
#include <poll.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "host_limits.h"
#include "rules.h"

#define HOOKS (RULES_HOOKS | AGENTSH_EBPF_HOOK_EGRESS)
#define PORT 4000
#define RULE_ID 5
/* The last byte of the address that the process names, and of the one that comes in its place. */
#define NAMED 1
#define REWRITTEN 9

static struct agentsh_ebpf_tracer *tracer;

/* ---- the other program ------------------------------------------------------------ */

#define IP4 offsetof(struct bpf_sock_addr, user_ip4)
#define IP6 offsetof(struct bpf_sock_addr, user_ip6[3])

static const struct way {
	const char *name;
	size_t offset; /* of the last word of the address in struct bpf_sock_addr */
	uint32_t base; /* the last word of the address without its last byte */
	uint32_t attach_type;
	int family;
	bool sends; /* else connects */
} ways[] = {
	{"connect4", IP4, 0x7f000000, BPF_CGROUP_INET4_CONNECT, AF_INET, false},
	{"connect6", IP6, 0, BPF_CGROUP_INET6_CONNECT, AF_INET6, false},
	{"sendmsg4", IP4, 0x7f000000, BPF_CGROUP_UDP4_SENDMSG, AF_INET, true},
	{"sendmsg6", IP6, 0, BPF_CGROUP_UDP6_SENDMSG, AF_INET6, true},
};

/* Writes the other address in place of the named one. */
static void attach_rewriter(const struct live_cgroup *at, const struct way *way)
{
	const int16_t offset = (int16_t)way->offset;
	const struct bpf_insn code[] = {
		{.code = BPF_LDX | BPF_W | BPF_MEM,
		 .dst_reg = BPF_REG_2,
		 .src_reg = BPF_REG_1,
		 .off = offset},
		{.code = BPF_JMP | BPF_JNE | BPF_K,
		 .dst_reg = BPF_REG_2,
		 .off = 2,
		 .imm = (int32_t)htonl(way->base | NAMED)},
		{.code = BPF_ALU64 | BPF_MOV | BPF_K,
		 .dst_reg = BPF_REG_2,
		 .imm = (int32_t)htonl(way->base | REWRITTEN)},
		{.code = BPF_STX | BPF_W | BPF_MEM,
		 .dst_reg = BPF_REG_1,
		 .src_reg = BPF_REG_2,
		 .off = offset},
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = 1},
		{.code = BPF_JMP | BPF_EXIT},
	};
	int fd = host_attach_program(at->fd, way->attach_type, BPF_F_ALLOW_MULTI, code,
				     LIVE_COUNT(code));

	LIVE_CHECK(fd >= 0, "the program that rewrites: %s", strerror(errno));
	close(fd);
}

/* ---- calls ------------------------------------------------------------------------ */

struct outcome {
	int error;	   /* of connect(), or of sendto() */
	int later_error;   /* of send() after connect() */
	uint8_t last_byte; /* of the address that the datagram has reached; 0: none */
};

union address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

static socklen_t address_of(const struct way *way, uint8_t last_byte, union address *to)
{
	memset(to, 0, sizeof(*to));
	to->any.sa_family = (sa_family_t)way->family;
	if (way->family == AF_INET) {
		to->v4.sin_port = htons(PORT);
		to->v4.sin_addr.s_addr = htonl(way->base | last_byte);
		return sizeof(to->v4);
	}
	to->v6.sin6_port = htons(PORT);
	to->v6.sin6_addr.s6_addr[15] = last_byte;
	return sizeof(to->v6);
}

static int receivers[2];
static const uint8_t receiver_bytes[2] = {NAMED, REWRITTEN};

/* Adds ::9 to lo, which has all addresses of 127.0.0.0/8. */
static void add_address6(void)
{
	const struct {
		struct in6_addr addr;
		uint32_t prefix_len;
		int ifindex;
	} request = {{.s6_addr = {[15] = REWRITTEN}}, 128, 1}; /* struct in6_ifreq of ipv6(7) */
	int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	LIVE_CHECK(fd >= 0 && !ioctl(fd, SIOCSIFADDR, &request), "add ::9: %s", strerror(errno));
	close(fd);
}

/* The kernel takes a moment until it uses an address of IPv6 that was added. */
static int bind_in_time(int fd, const union address *at, socklen_t size)
{
	const struct timespec moment = {.tv_nsec = 1000000};
	int64_t end = live_now_ms() + LIVE_DEADLINE_MS;

	while (bind(fd, &at->any, size)) {
		if (errno != EADDRNOTAVAIL || live_now_ms() > end)
			return -1;
		nanosleep(&moment, NULL);
	}
	return 0;
}

/* live_fn: in a network namespace of its own, receives at both addresses. */
static void receive(const void *arg, void *unused)
{
	const struct way *way = &ways[*(const uint32_t *)arg];

	live_own_netns(NULL, unused);
	if (way->family == AF_INET6)
		add_address6();
	for (int i = 0; i < 2; i++) {
		union address at;
		socklen_t size = address_of(way, receiver_bytes[i], &at);

		receivers[i] = socket(way->family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
		LIVE_CHECK(receivers[i] >= 0 && !bind_in_time(receivers[i], &at, size),
			   "receiver: %s", strerror(errno));
	}
}

/* The address that has received a datagram. */
static uint8_t reached(void)
{
	struct pollfd fds[2] = {{receivers[0], POLLIN, 0}, {receivers[1], POLLIN, 0}};
	char byte;

	LIVE_CHECK(poll(fds, 2, LIVE_DEADLINE_MS) == 1, "one datagram at one of two sockets");
	for (int i = 0; i < 2; i++)
		if (recv(receivers[i], &byte, 1, MSG_DONTWAIT) == 1)
			return receiver_bytes[i];
	LIVE_FAIL("no datagram: %s", strerror(errno));
}

/* live_fn */
static void go(const void *arg, void *out)
{
	const struct way *way = &ways[*(const uint32_t *)arg];
	union address to;
	socklen_t size = address_of(way, NAMED, &to);
	int fd = socket(way->family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct outcome *outcome = out;

	LIVE_CHECK(fd >= 0, "socket: %s", strerror(errno));
	memset(outcome, 0, sizeof(*outcome));
	if (way->sends)
		outcome->error = sendto(fd, "x", 1, 0, &to.any, size) < 0 ? errno : 0;
	else if (connect(fd, &to.any, size))
		outcome->error = errno;
	else if (send(fd, "x", 1, 0) < 0)
		outcome->later_error = errno;
	close(fd);
	if (!outcome->error && !outcome->later_error)
		outcome->last_byte = reached();
}

/* ---- cases ------------------------------------------------------------------------ */

/* Where the other program is; those of a child run earlier, then those that came earlier. */
enum place { IN_CHILD, BEFORE, AFTER, ABOVE, PLACES };

static const char *const place_names[PLACES] = {
	"in a child cgroup",
	"attached earlier",
	"attached later",
	"in a cgroup above",
};

/* One rule that denies the address with this last byte; everything else is allowed. */
static struct agentsh_ebpf_rules *deny(const struct way *way, uint8_t last_byte, uint32_t flags)
{
	bool ipv4 = way->family == AF_INET;
	struct agentsh_ebpf_rule rule = {
		.family = (uint16_t)way->family,
		.addr = {ipv4 ? 127 : 0},
		.prefix_len = ipv4 ? 32 : 128,
		.action = DENY,
		.rule_id = RULE_ID,
	};

	rule.addr[ipv4 ? 3 : 15] = last_byte;
	return rules_create(tracer, &rule, 1, ALLOW, flags);
}

static void expect_event(const struct agentsh_ebpf_event *e, const char *what, uint32_t kind,
			 uint8_t last_byte, bool denied)
{
	LIVE_CHECK(e->kind == kind && e->remote_addr[e->family == AF_INET ? 3 : 15] == last_byte &&
			   e->verdict == (denied ? AGENTSH_EBPF_VERDICT_DENIED
						 : AGENTSH_EBPF_VERDICT_ALLOWED) &&
			   e->rule_id == (denied ? RULE_ID : 0),
		   "%s: kind %u, address %u or %u, verdict %u", what, e->kind, e->remote_addr[3],
		   e->remote_addr[15], e->verdict);
}

/* The rules see what the programs wrote that run earlier. */
static void without_egress(struct live_worker *worker, struct agentsh_ebpf_session *session,
			   uint32_t number, enum place place)
{
	const struct way *way = &ways[number];
	uint8_t judged = place == IN_CHILD || place == BEFORE ? REWRITTEN : NAMED;

	for (int i = 0; i < 2; i++) {
		uint8_t denied = i ? NAMED : REWRITTEN;
		struct agentsh_ebpf_rules *rules = deny(way, denied, 0);
		struct outcome outcome;

		rules_set(session, rules);
		live_seen.count = 0;
		live_worker_call(worker, go, &number, sizeof(number), &outcome, sizeof(outcome));
		ck_assert_uint_eq(live_drain(tracer), 1);
		expect_event(&live_seen.list[0], place_names[place],
			     way->sends ? AGENTSH_EBPF_EVENT_UDP_SEND : AGENTSH_EBPF_EVENT_CONNECT,
			     judged, judged == denied);
		LIVE_CHECK(outcome.error == (judged == denied ? EPERM : 0) &&
				   !outcome.later_error &&
				   outcome.last_byte == (judged == denied ? 0 : REWRITTEN),
			   "%s, %s, %u is denied: %s, %s, reached %u", way->name,
			   place_names[place], denied, strerror(outcome.error),
			   strerror(outcome.later_error), outcome.last_byte);
		rules_set(session, NULL);
		ck_assert_int_eq(agentsh_ebpf_rules_free(rules), 0);
	}
}

/* No packet reaches an address that the rules deny, whoever has written it. */
static void with_egress(struct live_worker *worker, struct agentsh_ebpf_session *session,
			uint32_t number, enum place place)
{
	const struct way *way = &ways[number];
	struct agentsh_ebpf_rules *rules = deny(way, REWRITTEN, AGENTSH_EBPF_RULES_EGRESS);
	bool later = place == AFTER || place == ABOVE;
	struct outcome outcome;
	int refused;

	rules_set(session, rules);
	live_seen.count = 0;
	live_worker_call(worker, go, &number, sizeof(number), &outcome, sizeof(outcome));
	live_drain(tracer);
	ck_assert_uint_eq(live_seen.count, later ? 2 : 1);
	if (later)
		expect_event(&live_seen.list[1], place_names[place],
			     AGENTSH_EBPF_EVENT_PACKET_DENIED, REWRITTEN, true);
	refused = later && !way->sends ? outcome.later_error : outcome.error;
	LIVE_CHECK(refused == EPERM && !outcome.last_byte, "%s, %s: %s, reached %u", way->name,
		   place_names[place], strerror(refused), outcome.last_byte);
	rules_set(session, NULL);
	ck_assert_int_eq(agentsh_ebpf_rules_free(rules), 0);
}

static void try_way(uint32_t number, enum place place)
{
	struct live_cgroup above, cgroup, child;
	struct agentsh_ebpf_session *session;
	struct live_worker worker;

	live_cgroup_make(&above, NULL);
	live_cgroup_make(&cgroup, &above);
	live_cgroup_make(&child, &cgroup);
	if (place == BEFORE)
		attach_rewriter(&cgroup, &ways[number]);
	session = live_attach(tracer, &cgroup, 1);
	if (place != BEFORE)
		attach_rewriter(place == IN_CHILD ? &child
				: place == AFTER  ? &cgroup
						  : &above,
				&ways[number]);
	live_worker_start(&worker, &child);
	live_worker_call(&worker, receive, &number, sizeof(number), NULL, 0);
	without_egress(&worker, session, number, place);
	with_egress(&worker, session, number, place);
	live_worker_stop(&worker);
	live_detach(session);
}

START_TEST(rewritten_destinations)
{
	const struct agentsh_ebpf_tracer_options options = {
		.hooks = HOOKS,
		.required_hooks = HOOKS,
		.flags = AGENTSH_EBPF_OPEN_UDP_NO_DEDUP,
	};

	tracer = live_open(&options);
	for (uint32_t number = 0; number < LIVE_COUNT(ways); number++)
		try_way(number, (enum place)_i);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("rules and rewritten destinations");
	TCase *tc = live_case(s, "rewritten");

	tcase_add_loop_test(tc, rewritten_destinations, 0, PLACES);
	return live_main(s);
}
