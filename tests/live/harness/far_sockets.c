/* SPDX-License-Identifier: Apache-2.0 */
#include "far_sockets.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include "outgoing.h"

enum what {
	DO_SOCKET,
	DO_BIND,
	DO_LISTEN,
	DO_ACCEPT,
	DO_CONNECT,
	DO_DISCONNECT,
	DO_OPTION,
	DO_SEND,
	DO_RECEIVE,
	DO_CLOSE,
	DO_NAME,
	DO_CALL,
};

struct step {
	enum what what;
	int n, other;
	int domain, type, protocol; /* or level, option and value */
	int wait_ms, flags;
	const struct live_cgroup *enter;
	int (*fn)(int fd);
	struct connection_address at; /* size 0: none */
	size_t size;
	uint8_t data[1500];
};

struct step_result {
	int error;
	uint64_t cookie;
	struct connection_address at;
};

static int fds[FAR_SOCKETS_MAX]; /* of the worker */

/* ---- inside -------------------------------------------------------------------- */

/* What is sent leaves at once, even if the peer has not acknowledged other data. */
static void set_nodelay(int fd)
{
	(void)!setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
}

static int make_socket(const struct step *s)
{
	const struct timeval moment = {.tv_sec = 1};

	if (s->enter)
		live_cgroup_enter(NULL);
	fds[s->n] = socket(s->domain, s->type | SOCK_CLOEXEC, s->protocol);
	if (s->enter)
		live_cgroup_enter(s->enter);
	if (fds[s->n] < 0)
		return -1;
	set_nodelay(fds[s->n]);
	return setsockopt(fds[s->n], SOL_SOCKET, SO_SNDTIMEO, &moment, sizeof(moment));
}

static int accept_one(const struct step *s)
{
	struct pollfd ready = {.fd = fds[s->other], .events = POLLIN};

	LIVE_CHECK(poll(&ready, 1, LIVE_DEADLINE_MS) == 1, "nobody has connected");
	fds[s->n] = accept4(fds[s->other], NULL, NULL, SOCK_CLOEXEC);
	if (fds[s->n] < 0)
		return -1;
	set_nodelay(fds[s->n]);
	return 0;
}

static int receive(const struct step *s)
{
	struct pollfd ready = {.fd = fds[s->n], .events = POLLIN};
	char byte;

	if (poll(&ready, 1, s->wait_ms) != 1) {
		errno = EAGAIN;
		return -1;
	}
	return recv(fds[s->n], &byte, 1, MSG_DONTWAIT) < 0 ? -1 : 0;
}

static int close_hard(int fd)
{
	const struct linger at_once = {.l_onoff = 1};

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
	return close(fd);
}

static int disconnect(int fd)
{
	return connect(fd, &(struct sockaddr){.sa_family = AF_UNSPEC}, sizeof(struct sockaddr));
}

static int act(const struct step *s, struct step_result *r)
{
	int fd = fds[s->n];
	socklen_t size = sizeof(r->cookie);

	switch (s->what) {
	case DO_SOCKET:
		return make_socket(s);
	case DO_BIND:
		return bind(fd, &s->at.sa.any, s->at.size);
	case DO_LISTEN:
		return listen(fd, 10);
	case DO_ACCEPT:
		return accept_one(s);
	case DO_CONNECT:
		return connect(fd, &s->at.sa.any, s->at.size);
	case DO_DISCONNECT:
		return disconnect(fd);
	case DO_OPTION:
		return setsockopt(fd, s->domain, s->type, &s->protocol, sizeof(s->protocol));
	case DO_SEND:
		return sendto(fd, s->data, s->size, s->flags | MSG_NOSIGNAL,
			      s->at.size ? &s->at.sa.any : NULL, s->at.size) < 0
			       ? -1
			       : 0;
	case DO_RECEIVE:
		return receive(s);
	case DO_CLOSE:
		return close_hard(fd);
	case DO_CALL:
		errno = s->fn(fd);
		return errno ? -1 : 0;
	default:
		r->at.size = sizeof(r->at.sa);
		return getsockname(fd, &r->at.sa.any, &r->at.size) ||
		       getsockopt(fd, SOL_SOCKET, SO_COOKIE, &r->cookie, &size);
	}
}

static void go(const void *arg, void *out)
{
	struct step_result *r = out;

	memset(r, 0, sizeof(*r));
	r->error = act(arg, r) ? errno : 0;
}

static void begin(const void *cgroup, void *unused_out)
{
	(void)unused_out;
	connection_sysctl("net/ipv4/ping_group_range", "0 2147483647");
	outgoing_begin(NULL, NULL);
	live_cgroup_enter(cgroup);
}

/* ---- outside ------------------------------------------------------------------- */

void far_start_in(struct far_sockets *far, struct live_cgroup *cgroup, live_fn setup)
{
	memset(far, 0, sizeof(*far));
	far->cgroup = cgroup;
	live_worker_start(&far->worker, NULL);
	/* outside: the kernel itself makes sockets in a new namespace */
	live_worker_call(&far->worker, setup, NULL, 0, NULL, 0);
	live_worker_call(&far->worker, begin, cgroup, sizeof(*cgroup), NULL, 0);
}

void far_start(struct far_sockets *far, struct live_cgroup *cgroup)
{
	far_start_in(far, cgroup, live_own_netns);
}

void far_stop(struct far_sockets *far)
{
	live_worker_stop(&far->worker);
}

static struct step_result call(struct far_sockets *far, const struct step *s)
{
	struct step_result r;

	live_worker_call(&far->worker, go, s, sizeof(*s), &r, sizeof(r));
	return r;
}

#define STEP(...) call(far, &(struct step){__VA_ARGS__}).error

int far_socket(struct far_sockets *far, int n, int domain, int type, int protocol)
{
	return STEP(.what = DO_SOCKET, .n = n, .domain = domain, .type = type, .protocol = protocol,
		    .enter = far->outside ? far->cgroup : NULL);
}

int far_bind(struct far_sockets *far, int n, const struct connection_address *at)
{
	return STEP(.what = DO_BIND, .n = n, .at = *at);
}

int far_listen(struct far_sockets *far, int n)
{
	return STEP(.what = DO_LISTEN, .n = n);
}

int far_accept(struct far_sockets *far, int listener, int n)
{
	return STEP(.what = DO_ACCEPT, .n = n, .other = listener);
}

int far_connect(struct far_sockets *far, int n, const struct connection_address *to)
{
	return STEP(.what = DO_CONNECT, .n = n, .at = *to);
}

int far_disconnect(struct far_sockets *far, int n)
{
	return STEP(.what = DO_DISCONNECT, .n = n);
}

int far_option(struct far_sockets *far, int n, int level, int option, int value)
{
	return STEP(.what = DO_OPTION, .n = n, .domain = level, .type = option, .protocol = value);
}

int far_send(struct far_sockets *far, int n, const void *data, size_t size)
{
	return far_send_to(far, n, data, size, NULL, 0);
}

int far_send_to(struct far_sockets *far, int n, const void *data, size_t size,
		const struct connection_address *to, int flags)
{
	struct step s = {.what = DO_SEND, .n = n, .size = size, .flags = flags};

	LIVE_CHECK(size <= sizeof(s.data), "%zu bytes are too many", size);
	memcpy(s.data, data, size);
	if (to)
		s.at = *to;
	return call(far, &s).error;
}

int far_receive(struct far_sockets *far, int n, int wait_ms)
{
	return STEP(.what = DO_RECEIVE, .n = n, .wait_ms = wait_ms);
}

int far_close(struct far_sockets *far, int n)
{
	return STEP(.what = DO_CLOSE, .n = n);
}

int far_call(struct far_sockets *far, int n, int (*fn)(int fd))
{
	return STEP(.what = DO_CALL, .n = n, .fn = fn);
}

static struct step_result named(struct far_sockets *far, int n)
{
	struct step_result r = call(far, &(struct step){.what = DO_NAME, .n = n});

	LIVE_CHECK(!r.error, "getsockname: %s", strerror(r.error));
	return r;
}

struct connection_address far_name(struct far_sockets *far, int n)
{
	return named(far, n).at;
}

uint64_t far_cookie(struct far_sockets *far, int n)
{
	return named(far, n).cookie;
}

struct agentsh_ebpf_address far_remote(const struct connection_address *a)
{
	struct agentsh_ebpf_address remote = {.family = a->sa.any.sa_family};

	connection_end(a, remote.addr, &remote.port);
	if (remote.family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&a->sa.v6.sin6_addr))
		remote.family = AF_INET;
	return remote;
}

uint32_t far_left(struct far_sockets *far, const struct connection_address *to)
{
	const struct agentsh_ebpf_address remote = far_remote(to);
	uint32_t count;

	live_worker_call(&far->worker, outgoing_count_call, &remote, sizeof(remote), &count,
			 sizeof(count));
	return count;
}
