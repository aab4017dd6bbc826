/* SPDX-License-Identifier: Apache-2.0 */
/* AF_UNIX sockets: paths, abstract names, datagrams. */
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "kernel.h"
#include "names.h"

#define HOOKS (AGENTSH_EBPF_HOOK_CONNECT | AGENTSH_EBPF_HOOK_LIFECYCLE | AGENTSH_EBPF_HOOK_UNIX)
#define UNIX_CONNECT AGENTSH_EBPF_EVENT_UNIX_CONNECT
#define PATHS 3

static char directory[] = "/tmp/agentsh-unix.XXXXXX"; /* as mkdtemp() wants it */

struct unix_seen {
	uint64_t cookie[PATHS];
	uint64_t ns[2];
	uint32_t tgid;
};

/* A path, or an abstract name if it begins with "@". */
static struct sockaddr_un unix_address(const char *path, socklen_t *size)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	size_t length = strlen(path);

	LIVE_CHECK(length < sizeof(address.sun_path), "%s is too long", path);
	memcpy(address.sun_path, path, length);
	if (*path == '@')
		*address.sun_path = '\0';
	*size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length + (*path != '@'));
	return address;
}

static int unix_socket(int type, uint64_t *cookie)
{
	socklen_t size = sizeof(*cookie);
	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);

	LIVE_CHECK(fd >= 0, "socket: %s", strerror(errno));
	if (cookie)
		LIVE_CHECK(!getsockopt(fd, SOL_SOCKET, SO_COOKIE, cookie, &size), "SO_COOKIE: %s",
			   strerror(errno));
	return fd;
}

static int unix_bound(const char *path, int type)
{
	socklen_t size;
	const struct sockaddr_un address = unix_address(path, &size);
	int fd = unix_socket(type, NULL);

	LIVE_CHECK(!bind(fd, (const struct sockaddr *)&address, size) &&
			   (type == SOCK_DGRAM || !listen(fd, 8)),
		   "%s: %s", path, strerror(errno));
	return fd;
}

static int unix_connect(int fd, const char *path)
{
	socklen_t size;
	const struct sockaddr_un address = unix_address(path, &size);

	return connect(fd, (const struct sockaddr *)&address, size) ? errno : 0;
}

static void unix_send(int fd, const char *path)
{
	socklen_t size;
	const struct sockaddr_un address = unix_address(path, &size);

	LIVE_CHECK(sendto(fd, "x", 1, 0, (const struct sockaddr *)&address, size) == 1,
		   "sendto %s: %s", path, strerror(errno));
}

static char paths[PATHS][100]; /* a stream, an abstract stream, one where nobody listens */
static char datagrams[2][100];

/* Once, and in the network namespace of the tests, to which abstract names belong. */
static void make_servers(void)
{
	static bool made;

	if (made)
		return;
	made = true;
	unix_bound(paths[0], SOCK_STREAM);
	unix_bound(paths[1], SOCK_STREAM);
	unix_bound(datagrams[0], SOCK_DGRAM);
	unix_bound(datagrams[1], SOCK_DGRAM);
}

static void connects(const void *unused, void *out)
{
	struct unix_seen *seen = out;
	int pair[2];

	(void)unused;
	seen->tgid = (uint32_t)getpid();
	seen->ns[0] = connection_now();
	for (int i = 0; i < PATHS; i++) {
		int fd = unix_socket(SOCK_STREAM, &seen->cookie[i]);

		CONNECTION_SAME(unix_connect(fd, paths[i]), i == 2 ? ENOENT : 0);
		close(fd);
	}
	seen->ns[1] = connection_now();
	/* a pair has no path, and connects nowhere */
	LIVE_CHECK(!socketpair(AF_UNIX, SOCK_STREAM, 0, pair), "socketpair: %s", strerror(errno));
	close(pair[0]);
	close(pair[1]);
}

static void sends(const void *unused, void *out)
{
	struct unix_seen *seen = out;
	int fd = unix_socket(SOCK_DGRAM, &seen->cookie[0]);

	(void)unused;
	seen->tgid = (uint32_t)getpid();
	seen->ns[0] = connection_now();
	for (int i = 0; i < 6; i++)
		unix_send(fd, datagrams[i % 2]);
	seen->ns[1] = connection_now();
	close(fd);
}

static void expect(size_t at, const struct unix_seen *seen, uint64_t cookie, int type,
		   const char *path)
{
	const struct agentsh_ebpf_event *e = &live_seen.list[at];
	const struct names_want want = {
		.asked = path,
		.source = AGENTSH_EBPF_NAME_UNIX,
		.no_end = true,
		.asker = path ? seen->tgid : 0,
	};

	LIVE_CHECK(at < live_seen.count, "%s: no UNIX_CONNECT, of %zu events", path,
		   live_seen.count);
	CONNECTION_SAME(e->kind, UNIX_CONNECT);
	CONNECTION_SAME(e->session_id, NAMES_SESSION);
	CONNECTION_SAME(e->socket_cookie, cookie);
	CONNECTION_SAME(e->family, AF_UNIX);
	CONNECTION_SAME(e->socket_type, type);
	CONNECTION_SAME(e->tgid, seen->tgid);
	CONNECTION_SAME(e->local_port + e->remote_port, 0);
	LIVE_CHECK(e->timestamp_ns >= seen->ns[0] && e->timestamp_ns <= seen->ns[1],
		   "timestamp_ns");
	if (!path) {
		names_expect_at("without a path", at, &(struct names_want){0});
		return;
	}
	LIVE_CHECK(!names_seen[at].name_ret, "%s: event_name: %d", path, names_seen[at].name_ret);
	names_same(path, &names_seen[at].name, &want);
}

static void try_unix(live_fn fn, struct unix_seen *seen, uint64_t missing)
{
	struct agentsh_ebpf_tracer *tracer =
		names_open((struct names_open){.hooks = HOOKS, .simulate_missing = missing});
	struct live_cgroup cgroup;
	struct live_worker worker;

	make_servers();
	names_session(tracer, &cgroup, &worker);
	live_worker_call(&worker, fn, NULL, 0, seen, sizeof(*seen));
	live_drain(tracer);
}

/* _i 1: without BTF events have no path. */
START_TEST(connecting)
{
	uint64_t missing = _i ? 1ULL << AGENTSH_EBPF_CHECK_BTF : 0;
	bool hidden = missing || kernel_hides_tasks();
	struct unix_seen seen;

	try_unix(connects, &seen, missing);
	CONNECTION_SAME(live_seen.count, PATHS);
	for (int i = 0; i < PATHS; i++)
		expect((size_t)i, &seen, seen.cookie[i], SOCK_STREAM, hidden ? NULL : paths[i]);
}
END_TEST

/* Each pair of socket and path has one event. Without a path, one per datagram or fewer. */
START_TEST(sending)
{
	uint64_t missing = _i ? 1ULL << AGENTSH_EBPF_CHECK_BTF : 0;
	bool hidden = missing || kernel_hides_tasks();
	struct unix_seen seen;

	try_unix(sends, &seen, missing);
	if (hidden) {
		LIVE_CHECK(live_seen.count && live_seen.count <= 6, "%zu events", live_seen.count);
		for (size_t i = 0; i < live_seen.count; i++)
			expect(i, &seen, seen.cookie[0], SOCK_DGRAM, NULL);
		return;
	}
	CONNECTION_SAME(live_seen.count, 2);
	for (size_t i = 0; i < 2; i++)
		expect(i, &seen, seen.cookie[0], SOCK_DGRAM, datagrams[i]);
}
END_TEST

/* Without the hook there are no such events. */
START_TEST(unix_off)
{
	struct agentsh_ebpf_tracer *tracer =
		names_open((struct names_open){.hooks = HOOKS & ~AGENTSH_EBPF_HOOK_UNIX});
	struct live_cgroup cgroup;
	struct live_worker worker;
	struct unix_seen seen;

	make_servers();
	names_session(tracer, &cgroup, &worker);
	live_worker_call(&worker, connects, NULL, 0, &seen, sizeof(seen));
	live_drain(tracer);
	CONNECTION_SAME(live_seen.count, 0);
}
END_TEST

/* Why the hook cannot be tried here; NULL: it can. */
static const char *absent(void)
{
	static struct agentsh_ebpf_capabilities caps = {.size = sizeof(caps)};

	if (geteuid() || agentsh_ebpf_capability_probe(&caps))
		return NULL;
	return caps.hooks & AGENTSH_EBPF_HOOK_UNIX
		       ? NULL
		       : "the probe says that the kernel lacks cgroup/connect_unix";
}

int main(void)
{
	Suite *suite = suite_create("names: AF_UNIX");
	TCase *tcase = live_case(suite, "AF_UNIX");
	int status;

	if (absent())
		return live_skip(absent());
	if (!mkdtemp(directory))
		return EXIT_FAILURE;
	snprintf(paths[0], sizeof(paths[0]), "%s/Stream.sock", directory);
	snprintf(paths[1], sizeof(paths[1]), "@agentsh-%d", (int)getpid());
	snprintf(paths[2], sizeof(paths[2]), "%s/absent", directory);
	snprintf(datagrams[0], sizeof(datagrams[0]), "%s/datagram", directory);
	snprintf(datagrams[1], sizeof(datagrams[1]), "@agentsh-datagram-%d", (int)getpid());
	tcase_add_loop_test(tcase, connecting, 0, 2);
	tcase_add_loop_test(tcase, sending, 0, 2);
	tcase_add_test(tcase, unix_off);
	status = names_main(suite);
	unlink(paths[0]);
	unlink(datagrams[0]);
	rmdir(directory);
	return status;
}
