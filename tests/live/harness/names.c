/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "names.h"
#include "netlink.h"

struct names_of *names_seen;

static struct agentsh_ebpf_tracer *reading; /* the tracer that names_open() has returned last */

static const char *const own_addresses[] = {"fd53::1", "fd53::2", "fd53::3", "fd53::4"};

static const char *own_netns(void)
{
	struct ifreq lo = {.ifr_name = "lo", .ifr_flags = IFF_UP};
	int fd, error;

	if (unshare(CLONE_NEWNET))
		return "the kernel has no network namespaces";
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &lo))
		return "the loopback interface cannot be set up";
	close(fd);
	for (size_t i = 0; i < LIVE_COUNT(own_addresses); i++) {
		error = netlink_add_address("lo", own_addresses[i], 128);
		if (error)
			return "the loopback interface takes no further IPv6 address";
	}
	return NULL;
}

int names_main(Suite *suite)
{
	const char *absent = geteuid() ? NULL : own_netns();
	int status;

	if (absent)
		return live_skip(absent);
	names_seen = calloc(LIVE_EVENTS_MAX, sizeof(*names_seen));
	if (!names_seen)
		return EXIT_FAILURE;
	status = live_main(suite);
	free(names_seen);
	return status;
}

static int on_event(void *ctx, const struct agentsh_ebpf_event *event)
{
	struct names_of *of = &names_seen[live_seen.count];

	live_on_event(ctx, event);
	memset(of, 0, sizeof(*of));
	of->name.size = sizeof(of->name);
	of->dns.size = sizeof(of->dns);
	of->name_ret = agentsh_ebpf_event_name(reading, event, &of->name);
	of->dns_ret = agentsh_ebpf_event_dns(reading, event, &of->dns);
	of->addresses_ret =
		agentsh_ebpf_event_addresses(reading, event, of->addresses, NAMES_ADDRESSES_MAX);
	return 0;
}

struct agentsh_ebpf_tracer *names_open(struct names_open how)
{
	/* With AGENTSH_TEST_NAMES_OFF each test that expects a name has to fail. */
	uint32_t wanted = how.hooks ? how.hooks : NAMES_HOOKS,
		 hooks = getenv("AGENTSH_TEST_NAMES_OFF") ? wanted & ~NAMES_ALL : wanted;
	const struct agentsh_ebpf_tracer_options options = {
		.hooks = hooks,
		.required_hooks = hooks,
		.flags = hooks == wanted ? how.flags : how.flags & ~AGENTSH_EBPF_OPEN_DNS_EVENTS,
		.ring_size = how.ring_size ? (uint32_t)how.ring_size : 1 << 22,
		.ring_quota = how.ring_quota ? how.ring_quota : 100,
		.simulate_missing = how.simulate_missing,
		.dns_ports = {hooks == wanted ? how.dns_port : 0},
		.dns_timeout_ms = hooks == wanted ? how.dns_timeout_ms : 0,
		.on_event = on_event,
	};

	reading = live_open_kept(&options);
	return reading;
}

struct agentsh_ebpf_session *names_session(struct agentsh_ebpf_tracer *tracer,
					   struct live_cgroup *cgroup, struct live_worker *worker)
{
	struct agentsh_ebpf_session *session;

	live_cgroup_make(cgroup, NULL);
	session = live_attach(tracer, cgroup, NAMES_SESSION);
	live_worker_start(worker, cgroup);
	return session;
}

/* ---- visits --------------------------------------------------------------- */

static int serving(int type)
{
	const struct connection_address any = connection_address("::", NAMES_PORT);
	int fd = socket(AF_INET6, type | SOCK_CLOEXEC, 0);

	LIVE_CHECK(fd >= 0 && !setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int)) &&
			   !setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &(int){0}, sizeof(int)) &&
			   !bind(fd, &any.sa.any, any.size) &&
			   (type == SOCK_DGRAM || !listen(fd, 128)),
		   "server: %s", strerror(errno));
	return fd;
}

/* Takes and closes connections. Datagrams stay where they are. */
static void accept_all(const void *listener, void *unused)
{
	(void)unused;
	for (int fd; (fd = accept(*(const int *)listener, NULL, NULL)) >= 0;)
		close(fd);
}

void names_serve_visits(void)
{
	struct live_worker worker;
	int tcp = serving(SOCK_STREAM), udp = serving(SOCK_DGRAM);

	live_worker_start(&worker, NULL);
	live_worker_send(&worker, accept_all, &tcp, sizeof(tcp), 0);
	close(tcp);
	close(udp); /* the worker has both */
}

static uint64_t cookie_of(int fd)
{
	uint64_t cookie = 0;
	socklen_t size = sizeof(cookie);

	LIVE_CHECK(!getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &size), "SO_COOKIE: %s",
		   strerror(errno));
	return cookie;
}

void names_visit(const struct connection_address *to, struct names_visit *visit)
{
	int family = to->sa.any.sa_family;
	int tcp = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int udp = socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	LIVE_CHECK(tcp >= 0 && udp >= 0, "socket: %s", strerror(errno));
	visit->tgid = (uint32_t)getpid();
	visit->tcp_cookie = cookie_of(tcp);
	visit->udp_cookie = cookie_of(udp);
	visit->before_ns = connection_now();
	LIVE_CHECK(!connect(tcp, &to->sa.any, to->size), "connect: %s", strerror(errno));
	connection_close_hard(tcp);
	LIVE_CHECK(sendto(udp, "x", 1, 0, &to->sa.any, to->size) == 1, "sendto: %s",
		   strerror(errno));
	close(udp);
	visit->after_ns = connection_now();
}

static void visits(const void *to, void *visit)
{
	names_visit(to, visit);
}

void names_visit_by(struct live_worker *worker, const char *address, struct names_visit *visit)
{
	const struct connection_address to = connection_address(address, NAMES_PORT);

	live_worker_call(worker, visits, &to, sizeof(to), visit, sizeof(*visit));
}
