/* SPDX-License-Identifier: Apache-2.0 */
/* Rules beside the other features of a session, beside other sessions, and beside other programs.
 */
#include <errno.h>
#include <linux/bpf.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "host_limits.h"
#include "rules.h"

#define VERDICT(name) AGENTSH_EBPF_VERDICT_##name

static struct agentsh_ebpf_tracer *tracer;
static struct agentsh_ebpf_session *session;
static struct live_cgroup cgroup;
static struct live_worker worker;

static void set(struct agentsh_ebpf_session *of, uint32_t default_action)
{
	struct agentsh_ebpf_rules *rules = rules_create(tracer, NULL, 0, default_action, 0);

	ck_assert_int_eq(agentsh_ebpf_session_set_rules(of, rules, NULL), 0);
}

static void begin(uint32_t hooks, uint32_t flags)
{
	const struct agentsh_ebpf_tracer_options options = {
		.hooks = hooks,
		.required_hooks = hooks,
		.flags = flags,
	};

	live_cgroup_make(&cgroup, NULL);
	tracer = live_open(&options);
	session = live_attach(tracer, &cgroup, 1);
	live_worker_start(&worker, &cgroup);
	live_worker_call(&worker, live_own_netns, NULL, 0, NULL, 0);
}

/* ---- calls -------------------------------------------------------------------- */

static int kept[2] = {-1, -1}; /* sockets of the worker: TCP and UDP */

struct ask {
	int type;
	bool sends, closes;
	uint8_t last_byte;
};

static int on_socket(const struct ask *ask)
{
	const struct sockaddr_in to = {
		.sin_family = AF_INET,
		.sin_port = htons(9),
		.sin_addr.s_addr = htonl(0x7f000000U | ask->last_byte),
	};
	int *fd = &kept[ask->type == SOCK_DGRAM];
	ssize_t ret;

	if (*fd < 0)
		*fd = socket(AF_INET, ask->type | SOCK_CLOEXEC, 0);
	LIVE_CHECK(*fd >= 0, "socket: %s", strerror(errno));
	ret = ask->sends ? sendto(*fd, "x", 1, 0, (const void *)&to, sizeof(to))
			 : connect(*fd, (const void *)&to, sizeof(to));
	return ret < 0 ? errno : 0;
}

static void ask_socket(const void *arg, void *error)
{
	const struct ask *ask = arg;
	int *fd = &kept[ask->type == SOCK_DGRAM];

	*(int *)error = 0;
	if (!ask->closes) {
		*(int *)error = on_socket(ask);
		return;
	}
	close(*fd);
	*fd = -1;
}

static int ask_worker(struct ask ask)
{
	int error;

	live_worker_call(&worker, ask_socket, &ask, sizeof(ask), &error, sizeof(error));
	return error;
}

#define TCP_CONNECT(n) ask_worker((struct ask){.type = SOCK_STREAM, .last_byte = (n)})
#define UDP_CONNECT(n) ask_worker((struct ask){.type = SOCK_DGRAM, .last_byte = (n)})
#define UDP_SEND(n) ask_worker((struct ask){.type = SOCK_DGRAM, .sends = true, .last_byte = (n)})
#define TCP_CLOSE() ask_worker((struct ask){.type = SOCK_STREAM, .closes = true})
#define UDP_CLOSE() ask_worker((struct ask){.type = SOCK_DGRAM, .closes = true})

struct seen {
	uint32_t kind, verdict;
};

static void expect(const struct seen *want, size_t count)
{
	live_seen.count = 0;
	live_drain(tracer);
	for (size_t i = 0; i < live_seen.count && i < count; i++)
		LIVE_CHECK(live_seen.list[i].kind == want[i].kind &&
				   live_seen.list[i].verdict == want[i].verdict,
			   "event %zu has kind %u and verdict %u, not %u and %u", i,
			   live_seen.list[i].kind, live_seen.list[i].verdict, want[i].kind,
			   want[i].verdict);
	LIVE_CHECK(live_seen.count == count, "%zu events, not %zu", live_seen.count, count);
}

#define EXPECT(...)                                                                                \
	expect((const struct seen[]){__VA_ARGS__},                                                 \
	       sizeof((const struct seen[]){__VA_ARGS__}) / sizeof(struct seen))
#define CONNECT(verdict)                                                                           \
	{                                                                                          \
		AGENTSH_EBPF_EVENT_CONNECT, VERDICT(verdict)                                       \
	}
#define SEND(verdict)                                                                              \
	{                                                                                          \
		AGENTSH_EBPF_EVENT_UDP_SEND, VERDICT(verdict)                                      \
	}
#define KIND(name)                                                                                 \
	{                                                                                          \
		AGENTSH_EBPF_EVENT_##name, VERDICT(NONE)                                           \
	}

/* ---- other events ------------------------------------------------------------ */

/* Nothing follows a refused call, and what was known of the socket stays. */
START_TEST(a_denied_call_is_the_end)
{
	begin(RULES_HOOKS | AGENTSH_EBPF_HOOK_LIFECYCLE, 0);
	set(session, DENY);
	ck_assert_int_eq(TCP_CONNECT(1), EPERM);
	ck_assert_int_eq(UDP_CONNECT(1), EPERM);
	ck_assert_int_eq(UDP_SEND(2), EPERM);
	TCP_CLOSE();
	UDP_CLOSE();
	EXPECT(CONNECT(DENIED), CONNECT(DENIED), SEND(DENIED));

	set(session, ALLOW);
	ck_assert_int_eq(UDP_SEND(1), 0);
	ck_assert_int_eq(TCP_CONNECT(1), ECONNREFUSED);
	set(session, DENY);
	ck_assert_int_eq(UDP_SEND(2), EPERM);
	ck_assert_int_eq(TCP_CONNECT(2), EPERM);
	UDP_CLOSE();
	TCP_CLOSE();
	EXPECT(SEND(ALLOWED), CONNECT(ALLOWED), KIND(CONNECT_FAILED), SEND(DENIED), CONNECT(DENIED),
	       KIND(CLOSED));
	/* of the socket with an allowed datagram, and about that datagram */
	ck_assert_uint_eq(live_seen.list[5].protocol, IPPROTO_UDP);
	ck_assert_uint_eq(live_seen.list[5].remote_addr[3], 1);
	live_worker_stop(&worker);
}
END_TEST

START_TEST(each_verdict_has_an_event_per_destination)
{
	begin(RULES_HOOKS, 0);
	ck_assert_int_eq(UDP_SEND(1), 0);
	ck_assert_int_eq(UDP_SEND(1), 0);
	set(session, DENY);
	ck_assert_int_eq(UDP_SEND(1), EPERM);
	ck_assert_int_eq(UDP_SEND(1), EPERM);
	set(session, ALLOW);
	ck_assert_int_eq(UDP_SEND(1), 0);
	ck_assert_int_eq(UDP_SEND(1), 0);
	EXPECT(SEND(NONE), SEND(DENIED), SEND(ALLOWED));
	ck_assert_uint_eq(live_session_stats(session).deduplicated, 3);
	ck_assert_uint_eq(live_session_stats(session).denied, 2);
	ck_assert_uint_eq(live_session_stats(session).allowed, 2);
	live_worker_stop(&worker);
}
END_TEST

START_TEST(only_denials)
{
	struct agentsh_ebpf_rule audited = {.action = DENY, .rule_id = 3};
	const struct agentsh_ebpf_rules_options audit = {
		.size = sizeof(audit),
		.flags = AGENTSH_EBPF_RULES_AUDIT,
	};
	struct agentsh_ebpf_rules *rules;

	begin(RULES_HOOKS, AGENTSH_EBPF_OPEN_DENIALS_ONLY);
	UDP_CONNECT(1);
	UDP_SEND(1);
	set(session, ALLOW);
	UDP_CONNECT(1);
	UDP_SEND(1);
	set(session, DENY);
	ck_assert_int_eq(UDP_CONNECT(1), EPERM);
	ck_assert_int_eq(UDP_SEND(1), EPERM);
	ck_assert_int_eq(agentsh_ebpf_rules_create(tracer, &audited, 1, &audit, &rules, NULL), 0);
	ck_assert_int_eq(agentsh_ebpf_session_set_rules(session, rules, NULL), 0);
	ck_assert_int_eq(UDP_CONNECT(1), 0);
	ck_assert_int_eq(UDP_SEND(1), 0);
	EXPECT(CONNECT(DENIED), SEND(DENIED), CONNECT(WOULD_DENY), SEND(WOULD_DENY));
	ck_assert_uint_eq(live_seen.list[3].rule_id, 3);
	ck_assert_uint_eq(live_session_stats(session).allowed, 2);
	ck_assert_uint_eq(live_session_stats(session).denied, 2);
	ck_assert_uint_eq(live_session_stats(session).would_deny, 2);
	live_worker_stop(&worker);
}
END_TEST

/* ---- others ------------------------------------------------------------------- */

START_TEST(nested_sessions_both_judge)
{
	struct agentsh_ebpf_session *inner;
	struct live_cgroup child;

	begin(RULES_HOOKS, 0);
	live_cgroup_make(&child, &cgroup);
	inner = live_attach(tracer, &child, 2);
	live_worker_stop(&worker);
	live_worker_start(&worker, &child);
	live_worker_call(&worker, live_own_netns, NULL, 0, NULL, 0);
	for (int outer_denies = 0; outer_denies < 2; outer_denies++) {
		for (int inner_denies = 0; inner_denies < 2; inner_denies++) {
			set(session, outer_denies ? DENY : ALLOW);
			set(inner, inner_denies ? DENY : ALLOW);
			live_seen.count = 0;
			ck_assert_int_eq(UDP_CONNECT(1), outer_denies || inner_denies ? EPERM : 0);
			ck_assert_uint_eq(live_drain(tracer), 2);
			for (int i = 0; i < 2; i++) {
				const struct agentsh_ebpf_event *e = &live_seen.list[i];
				int denies = e->session_id == 2 ? inner_denies : outer_denies;

				ck_assert_uint_eq(e->verdict,
						  denies ? VERDICT(DENIED) : VERDICT(ALLOWED));
			}
		}
	}
	live_worker_stop(&worker);
}
END_TEST

/* The call fails if either refuses it, and the event says what the rules say. */
static void beside_program(int program_allows, const struct live_cgroup *at, uint32_t flags)
{
	int fd = host_attach_firewall(at->fd, BPF_CGROUP_INET4_CONNECT, flags, program_allows);

	LIVE_CHECK(fd >= 0, "the other program: %s", strerror(errno));
	for (int denies = 0; denies < 2; denies++) {
		set(session, denies ? DENY : ALLOW);
		ck_assert_int_eq(UDP_CONNECT(1), denies || !program_allows ? EPERM : 0);
		if (denies)
			EXPECT(CONNECT(DENIED));
		else
			EXPECT(CONNECT(ALLOWED));
	}
	close(fd);
}

START_TEST(beside_other_programs)
{
	struct live_cgroup above, child;

	for (int allows = 0; allows < 2; allows++) {
		const struct agentsh_ebpf_tracer_options options = {
			.hooks = RULES_HOOKS,
			.required_hooks = RULES_HOOKS,
		};

		tracer = live_open(&options);
		live_cgroup_make(&above, NULL);
		live_cgroup_make(&cgroup, &above);
		live_cgroup_make(&child, &cgroup);
		session = live_attach(tracer, &cgroup, 1);
		live_worker_start(&worker, &child);
		beside_program(allows, &above, BPF_F_ALLOW_MULTI);
		live_worker_stop(&worker);
		live_close(tracer);

		tracer = live_open(&options);
		session = live_attach(tracer, &cgroup, 1);
		live_worker_start(&worker, &child);
		beside_program(allows, &child, BPF_F_ALLOW_MULTI);
		live_worker_stop(&worker);
		live_close(tracer);
	}
}
END_TEST

/* ---- privileges ---------------------------------------------------------------- */

static void host(const void *unused, void *refused)
{
	const struct agentsh_ebpf_tracer_options options = {
		.hooks = RULES_HOOKS | AGENTSH_EBPF_HOOK_LIFECYCLE,
		.required_hooks = RULES_HOOKS,
	};
	struct agentsh_ebpf_rule rule = {.action = ALLOW, .flags = AGENTSH_EBPF_RULE_LISTED};
	struct agentsh_ebpf_rules *rules;

	(void)unused;
	host_memlock_unlimited();
	LIVE_CHECK(!host_nobody() && !host_keep_caps(CAPS_BPF_AND_NET), "caps: %s",
		   strerror(errno));
	tracer = live_open(&options);
	session = live_attach(tracer, &cgroup, 1);
	rules = rules_create(tracer, &rule, 1, DENY, 0);
	LIVE_CHECK(!agentsh_ebpf_session_set_rules(session, rules, NULL), "set_rules");
	((int *)refused)[0] = UDP_CONNECT(1);
	LIVE_CHECK(!agentsh_ebpf_rules_address(rules, 0, AF_INET, &(uint8_t[4]){127, 0, 0, 1},
					       UINT64_MAX),
		   "rules_address");
	((int *)refused)[1] = UDP_CONNECT(1);
	LIVE_CHECK(!agentsh_ebpf_session_detach(session), "detach");
	((int *)refused)[2] = UDP_CONNECT(2);
	agentsh_ebpf_tracer_close(tracer);
}

/* CAP_BPF and CAP_NET_ADMIN are enough, and after detach nothing is refused. */
START_TEST(with_two_capabilities)
{
	int refused[3];

	live_cgroup_make(&cgroup, NULL);
	live_worker_start(&worker, &cgroup);
	live_forked(0, host, NULL, refused, sizeof(refused));
	ck_assert_int_eq(refused[0], EPERM);
	ck_assert_int_eq(refused[1], 0);
	ck_assert_int_eq(refused[2], 0);
	live_worker_stop(&worker);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("rules of a session");
	TCase *tc = live_case(s, "session");

	tcase_add_test(tc, a_denied_call_is_the_end);
	tcase_add_test(tc, each_verdict_has_an_event_per_destination);
	tcase_add_test(tc, only_denials);
	tcase_add_test(tc, nested_sessions_both_judge);
	tcase_add_test(tc, beside_other_programs);
	tcase_add_test(tc, with_two_capabilities);
	return live_main(s);
}
