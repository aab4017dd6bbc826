/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A network namespace that the session has made. The kernel's own sockets there belong to the
 * session, too.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "kernel.h"
#include "netlink.h"
#include "rules_packets_cases.h"

#define NEAR_LINK "near0"
#define FAR_LINK "far0"
#define NEAR6 "fd99::1"
#define FAR6 "fd99::2"
#define NEAR4 "10.99.0.1"
#define FAR4 "10.99.0.2"
#define PORT 81

static const uint64_t missing[] = {0, 1ULL << AGENTSH_EBPF_CHECK_CAP_PERFMON,
				   1ULL << AGENTSH_EBPF_CHECK_BTF};

static struct live_worker near, far;

/* ---- in the workers -------------------------------------------------------------- */

static void set_up(const char *link, const char *address4, const char *address6)
{
	int error = netlink_configure(link, address4, address6);

	LIVE_CHECK(!error, "%s: %s", link, strerror(error));
}

/* live_fn of the near end: makes the link to the process's namespace; gives an errno value. */
static void add_link(const void *pid, void *error)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/ns/net", (int)*(const pid_t *)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	LIVE_CHECK(fd >= 0, "%s: %s", path, strerror(errno));
	*(int *)error = netlink_add_veth_between(NEAR_LINK, FAR_LINK, fd);
	close(fd);
	if (!*(int *)error)
		set_up(NEAR_LINK, NEAR4, NEAR6);
}

static int receiver;

/* live_fn of the far end */
static void far_begin(const void *unused, void *unused_out)
{
	const struct connection_address at = connection_address(FAR6, PORT);

	(void)unused;
	(void)unused_out;
	set_up(FAR_LINK, FAR4, FAR6);
	receiver = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	LIVE_CHECK(receiver >= 0 && !bind(receiver, &at.sa.any, at.size), "bind: %s",
		   strerror(errno));
}

/* live_fn of the far end: whether a datagram has arrived in the meantime. */
static void has_arrived(const void *unused, void *arrived)
{
	char byte;

	(void)unused;
	*(bool *)arrived = recv(receiver, &byte, 1, MSG_DONTWAIT) == 1;
}

/* live_fn of the near end */
static void send_one(const void *to, void *error)
{
	const struct connection_address *at = to;
	static int fd = -1;

	if (fd < 0)
		fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	*(int *)error = sendto(fd, "x", 1, 0, &at->sa.any, at->size) < 0 ? errno : 0;
}

/* live_fn of the far end: nobody listens, and the near kernel says so. */
static void connect_one(const void *to, void *error)
{
	const struct timeval moment = {.tv_usec = 300000};
	const struct connection_address *at = to;
	int fd = socket(at->sa.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	LIVE_CHECK(!setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &moment, sizeof(moment)), "timeout");
	*(int *)error = connect(fd, &at->sa.any, at->size) ? errno : 0;
	close(fd);
}

/* ---- the tests --------------------------------------------------------------------- */

static bool begin(uint64_t lacking)
{
	int error;

	packets_open(lacking, 0);
	live_worker_start(&near, &packets_cgroup);
	live_worker_start(&far, NULL);
	live_worker_call(&near, live_own_netns, NULL, 0, NULL, 0);
	live_worker_call(&far, live_own_netns, NULL, 0, NULL, 0);
	live_worker_call(&near, add_link, &far.pid, sizeof(far.pid), &error, sizeof(error));
	if (error) {
		LIVE_CHECK(error == EOPNOTSUPP, "veth: %s", strerror(error));
		printf("not tried: this kernel has no veth\n");
		return false;
	}
	live_worker_call(&far, far_begin, NULL, 0, NULL, 0);
	return true;
}

static void end(void)
{
	live_worker_stop(&near);
	live_worker_stop(&far);
	live_detach(packets_session);
}

static bool arrives(int tries)
{
	const struct connection_address at = connection_address(FAR6, PORT);
	bool arrived = false;
	int error;

	for (int i = 0; i < tries && !arrived; i++) {
		live_worker_call(&near, send_one, &at, sizeof(at), &error, sizeof(error));
		LIVE_CHECK(!error, "sendto: %s", strerror(error));
		usleep(10000);
		live_worker_call(&far, has_arrived, NULL, 0, &arrived, sizeof(arrived));
	}
	return arrived;
}

/* Whether the near kernel refuses a connection. */
static bool refuses(const char *address, int tries)
{
	const struct connection_address at = connection_address(address, PORT);
	int error = 0;

	for (int i = 0; i < tries && error != ECONNREFUSED; i++) {
		live_worker_call(&far, connect_one, &at, sizeof(at), &error, sizeof(error));
		LIVE_CHECK(error, "somebody listens");
	}
	return error == ECONNREFUSED;
}

/* One UDP port is allowed; to reach it, the kernel has to ask for the peer's link address. */
START_TEST(neighbour_discovery)
{
	const struct connection_address at = connection_address(FAR6, PORT);
	bool knows = !missing[_i] && !kernel_hides_tasks();

	if (!begin(missing[_i]))
		return;
	packets_rule(packets_rule_for(&at, ALLOW, IPPROTO_UDP), DENY, 0);
	packets_mark();
	ck_assert_int_eq(arrives(knows ? 1000 : 30), knows);
	ck_assert_int_eq(packets_denied() == 0, knows);
	/* the other way round, the kernel answers such a question, and refuses a connection */
	ck_assert_int_eq(refuses(NEAR6, knows ? 60 : 2), knows);
	rules_set(packets_session, NULL);
	ck_assert_int_eq(arrives(1000), 1);
	ck_assert_int_eq(refuses(NEAR6, 60), 1);
	end();
}
END_TEST

/* A raw socket of the process is no socket of the kernel. */
static void send_raw(const void *unused, void *error)
{
	const struct connection_address to = connection_address(FAR6, 0);
	/* a neighbour advertisement, and a reset */
	const uint8_t advertisement[24] = {136}, reset[20] = {[12] = 0x50, [13] = 4};
	int fd = socket(AF_INET6, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMPV6), *errors = error;

	(void)unused;
	errors[0] = sendto(fd, advertisement, sizeof(advertisement), 0, &to.sa.any, to.size) < 0
			    ? errno
			    : 0;
	close(fd);
	fd = socket(AF_INET6, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_TCP);
	errors[1] = sendto(fd, reset, sizeof(reset), 0, &to.sa.any, to.size) < 0 ? errno : 0;
	close(fd);
}

START_TEST(forged_neighbour_discovery)
{
	int errors[2];

	if (!begin(missing[_i]))
		return;
	packets_default(DENY, 0);
	live_worker_call(&near, send_raw, NULL, 0, errors, sizeof(errors));
	ck_assert_int_eq(errors[0], EPERM);
	ck_assert_int_eq(errors[1], EPERM);
	end();
}
END_TEST

/* live_fn of the near end: binding a socket to an interface needs no privilege. */
static void send_to_loopback(const void *unused, void *error)
{
	const struct connection_address to[] = {connection_address("127.0.0.1", PORT),
						connection_address("::1", PORT)};
	int *errors = error, failed;

	(void)unused;
	failed = netlink_add_address(NEAR_LINK, "::5", 64); /* a route to ::1 */
	LIVE_CHECK(!failed, "::5: %s", strerror(failed));
	for (size_t i = 0; i < LIVE_COUNT(to); i++) {
		int fd = socket(to[i].sa.any.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);

		LIVE_CHECK(
			!setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, NEAR_LINK, sizeof(NEAR_LINK)),
			"SO_BINDTODEVICE: %s", strerror(errno));
		errors[i] = sendto(fd, "x", 1, 0, &to[i].sa.any, to[i].size) < 0 ? errno : 0;
		close(fd);
	}
}

/* On another interface, 127.0.0.1 and ::1 are not this machine. */
START_TEST(loopback_on_another_interface)
{
	int errors[2];

	if (!begin(missing[_i]))
		return;
	packets_default(ALLOW, 0);
	packets_mark();
	live_worker_call(&near, send_to_loopback, NULL, 0, errors, sizeof(errors));
	ck_assert_int_eq(errors[0], EPERM);
	ck_assert_int_eq(errors[1], EPERM);
	ck_assert_uint_eq(packets_denied(), 2);
	end();
}
END_TEST

void packets_netns_tests(TCase *tc)
{
	tcase_add_loop_test(tc, loopback_on_another_interface, 0, LIVE_COUNT(missing));
	tcase_add_loop_test(tc, neighbour_discovery, 0, LIVE_COUNT(missing));
	tcase_add_loop_test(tc, forged_neighbour_discovery, 0, LIVE_COUNT(missing));
}
