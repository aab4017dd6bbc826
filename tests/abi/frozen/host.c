/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A host that was compiled with a frozen header and runs with a newer library. Each struct that
 * the library fills lies before guard bytes, because the struct of a newer library may be larger.
 *
 * Usage: host [CGROUP]: with the directory of a cgroup v2, the host also traces a connection of
 * its own process in that cgroup, which requires root.
 */
#include <agentsh/ebpf.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHECK(what)                                                                                \
	do {                                                                                       \
		if (!(what)) {                                                                     \
			fprintf(stderr, "host: line %d: %s\n", __LINE__, #what);                   \
			return 1;                                                                  \
		}                                                                                  \
	} while (0)

enum { GUARD = 64, GUARD_BYTE = 0xa5 };

/* A struct of the library, with guard bytes behind it. */
#define GUARDED(type)                                                                              \
	struct {                                                                                   \
		struct type of;                                                                    \
		unsigned char guard[GUARD];                                                        \
	}

#define GUARDED_INIT(guarded)                                                                      \
	do {                                                                                       \
		memset(&(guarded), 0, sizeof(guarded));                                            \
		memset((guarded).guard, GUARD_BYTE, GUARD);                                        \
		(guarded).of.size = sizeof((guarded).of);                                          \
	} while (0)

static int untouched(const unsigned char *guard)
{
	for (int i = 0; i < GUARD; i++)
		if (guard[i] != GUARD_BYTE)
			return 0;
	return 1;
}

struct seen {
	struct agentsh_ebpf_event list[16];
	unsigned count;
};

static int on_event(void *ctx, const struct agentsh_ebpf_event *event)
{
	struct seen *seen = ctx;

	if (seen->count < sizeof(seen->list) / sizeof(seen->list[0]))
		seen->list[seen->count] = *event;
	seen->count++;
	return 0;
}

static const struct agentsh_ebpf_event example = {
	.kind = AGENTSH_EBPF_EVENT_CLOSED,
	.timestamp_ns = 11,
	.pid = 12,
	.tgid = 13,
	.uid = 14,
	.family = AF_INET6,
	.protocol = IPPROTO_UDP,
	.socket_type = SOCK_DGRAM,
	.remote_port = 15,
	.local_port = 16,
	.remote_addr = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16},
	.local_addr = {16, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1},
	.comm = "an old thread",
	.bytes_sent = 17,
	.bytes_received = 18,
	.packets_sent = 19,
	.packets_received = 20,
	.socket_cookie = 21,
	.process_comm = "an old process",
};

static int same_event(const struct agentsh_ebpf_event *event)
{
	struct agentsh_ebpf_event want = example;

	want.session_id = event->session_id;
	want.session_lost = event->session_lost;
	return !memcmp(event, &want, sizeof(want));
}

static int synthetic(void)
{
	struct agentsh_ebpf_tracer *tracer;
	struct agentsh_ebpf_session *session;
	GUARDED(agentsh_ebpf_tracer_options) options;
	GUARDED(agentsh_ebpf_session_options) session_options;
	GUARDED(agentsh_ebpf_error) err;
	GUARDED(agentsh_ebpf_stats) stats;
	GUARDED(agentsh_ebpf_coverage) coverage;
	struct {
		struct agentsh_ebpf_event events[2];
		unsigned char guard[GUARD];
	} batch;
	struct seen seen = {.count = 0};

	GUARDED_INIT(options);
	GUARDED_INIT(session_options);
	GUARDED_INIT(err);
	GUARDED_INIT(stats);
	GUARDED_INIT(coverage);
	memset(&batch, GUARD_BYTE, sizeof(batch));
	options.of.mode = AGENTSH_EBPF_MODE_SYNTHETIC;
	options.of.on_event = on_event;
	options.of.event_ctx = &seen;
	session_options.of.session_id = 7;

	CHECK(!agentsh_ebpf_tracer_open(&options.of, &tracer, &err.of));
	CHECK(agentsh_ebpf_session_attach(tracer, -1, &session_options.of, &session, &err.of) < 0);
	CHECK(err.of.step == AGENTSH_EBPF_STEP_CGROUP && err.of.message[0]);
	CHECK(untouched(err.guard));
	CHECK(!agentsh_ebpf_session_attach(tracer, 0, &session_options.of, &session, &err.of));
	for (int i = 0; i < 3; i++)
		CHECK(!agentsh_ebpf_inject(session, &example));
	CHECK(agentsh_ebpf_read(tracer, batch.events, 2, 0) == 2 && untouched(batch.guard));
	CHECK(same_event(&batch.events[0]) && same_event(&batch.events[1]));
	CHECK(batch.events[1].session_id == 7);
	CHECK(agentsh_ebpf_poll(tracer, 0) == 1 && seen.count == 1 && same_event(&seen.list[0]));
	CHECK(!agentsh_ebpf_session_stats(session, &stats.of) && stats.of.delivered == 3);
	CHECK(!agentsh_ebpf_tracer_stats(tracer, &stats.of) && stats.of.delivered == 3);
	CHECK(untouched(stats.guard));
	CHECK(agentsh_ebpf_coverage(tracer, &coverage.of) == -EOPNOTSUPP);
	CHECK(untouched(coverage.guard));
	CHECK(!agentsh_ebpf_session_detach(session));
	agentsh_ebpf_tracer_close(tracer);
	return 0;
}

static int probe(void)
{
	GUARDED(agentsh_ebpf_capabilities) caps;

	GUARDED_INIT(caps);
	CHECK(!agentsh_ebpf_capability_probe(&caps.of));
	CHECK(untouched(caps.guard));
	CHECK(caps.of.count > AGENTSH_EBPF_CHECK_CONNECT6);
	CHECK(!strcmp(agentsh_ebpf_check_name(AGENTSH_EBPF_CHECK_BTF), "btf"));
	CHECK(caps.of.usable || caps.of.reason[0]);
	return 0;
}

/* Connects to a listening socket of its own and closes the connection. */
static int connect_once(struct sockaddr_in *to)
{
	socklen_t size = sizeof(*to);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	memset(to, 0, sizeof(*to));
	to->sin_family = AF_INET;
	to->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	CHECK(!bind(listener, (struct sockaddr *)to, sizeof(*to)) && !listen(listener, 1));
	CHECK(!getsockname(listener, (struct sockaddr *)to, &size));
	CHECK(!connect(fd, (struct sockaddr *)to, sizeof(*to)));
	CHECK(!close(fd) && !close(listener));
	return 0;
}

static int enter_cgroup(int cgroup)
{
	int procs = openat(cgroup, "cgroup.procs", O_WRONLY | O_CLOEXEC);

	CHECK(procs >= 0 && write(procs, "0", 1) == 1 && !close(procs));
	return 0;
}

/* The traced process, which tells its destination through the pipe. */
static int connects(int cgroup, int pipe_end)
{
	struct sockaddr_in to;

	if (enter_cgroup(cgroup) || connect_once(&to))
		return 1;
	CHECK(write(pipe_end, &to, sizeof(to)) == sizeof(to));
	return 0;
}

static int traced(const char *directory)
{
	static const uint32_t kinds[] = {AGENTSH_EBPF_EVENT_CONNECT, AGENTSH_EBPF_EVENT_CONNECTED,
					 AGENTSH_EBPF_EVENT_CLOSED};
	struct agentsh_ebpf_tracer *tracer;
	struct agentsh_ebpf_session *session;
	GUARDED(agentsh_ebpf_tracer_options) options;
	GUARDED(agentsh_ebpf_coverage) coverage;
	GUARDED(agentsh_ebpf_error) err;
	struct agentsh_ebpf_event list[16];
	struct sockaddr_in to;
	int count, ends[2], status, cgroup = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	pid_t pid;

	GUARDED_INIT(options);
	GUARDED_INIT(coverage);
	GUARDED_INIT(err);
	options.of.hooks = AGENTSH_EBPF_HOOK_CONNECT | AGENTSH_EBPF_HOOK_LIFECYCLE;
	CHECK(cgroup >= 0 && !pipe(ends));
	CHECK(!agentsh_ebpf_tracer_open(&options.of, &tracer, &err.of));
	CHECK(!agentsh_ebpf_coverage(tracer, &coverage.of) && untouched(coverage.guard));
	CHECK(coverage.of.seen & 1u << AGENTSH_EBPF_COVERAGE_TCP_CONNECT);
	CHECK(!agentsh_ebpf_session_attach(tracer, cgroup, NULL, &session, &err.of));
	pid = fork();
	if (!pid)
		_exit(connects(cgroup, ends[1]));
	CHECK(pid > 0 && waitpid(pid, &status, 0) == pid && status == 0);
	CHECK(read(ends[0], &to, sizeof(to)) == sizeof(to));

	count = agentsh_ebpf_read(tracer, list, 16, 0);
	CHECK(count == 3);
	for (int i = 0; i < count; i++) {
		CHECK(list[i].kind == kinds[i] && list[i].tgid == (uint32_t)pid);
		CHECK(list[i].remote_port == ntohs(to.sin_port));
		CHECK(!memcmp(list[i].remote_addr, &to.sin_addr, sizeof(to.sin_addr)));
		CHECK(list[i].socket_cookie == list[0].socket_cookie);
	}
	agentsh_ebpf_tracer_close(tracer);
	return 0;
}

int main(int argc, char **argv)
{
	CHECK(agentsh_ebpf_version()[0]);
	if (synthetic() || probe())
		return 1;
	if (argc == 2 && traced(argv[1]))
		return 1;
	printf("header %d.%d.%d, library %s%s\n", AGENTSH_EBPF_VERSION_MAJOR,
	       AGENTSH_EBPF_VERSION_MINOR, AGENTSH_EBPF_VERSION_PATCH, agentsh_ebpf_version(),
	       argc == 2 ? ", traced" : "");
	return 0;
}
