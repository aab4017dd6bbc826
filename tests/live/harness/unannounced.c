/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "kernel.h"
#include "unannounced.h"

static struct live_cgroup own; /* of the worker */

static void enter(const void *cgroup, void *unused)
{
	(void)unused;
	memcpy(&own, cgroup, sizeof(own));
	live_own_netns(NULL, NULL);
	live_cgroup_enter(&own);
}

void unannounced_start(struct live_worker *worker, const struct live_cgroup *cgroup)
{
	live_worker_start(worker, NULL);
	live_worker_call(worker, enter, cgroup, sizeof(*cgroup), NULL, 0);
}

int unannounced_outside(int domain, int type, int protocol)
{
	int fd, error;

	live_cgroup_enter(NULL);
	fd = socket(domain, type | SOCK_CLOEXEC, protocol);
	error = errno;
	live_cgroup_enter(&own);
	LIVE_CHECK(fd >= 0, "socket: %s", strerror(error));
	return fd;
}

static void set_end(const struct connection_address *a, uint8_t addr[16], uint16_t *port)
{
	bool v6 = a->sa.any.sa_family == AF_INET6;
	bool mapped = v6 && IN6_IS_ADDR_V4MAPPED(&a->sa.v6.sin6_addr);

	memset(addr, 0, 16);
	if (v6)
		memcpy(addr, a->sa.v6.sin6_addr.s6_addr + (mapped ? 12 : 0), mapped ? 4 : 16);
	else
		memcpy(addr, &a->sa.v4.sin_addr, 4);
	*port = ntohs(a->sa.v4.sin_port); /* the same place in both */
}

void unannounced_local(struct expectation *want, const struct connection_address *at)
{
	set_end(at, want->want.local_addr, &want->want.local_port);
}

void unannounced_remote(struct expectation *want, const struct connection_address *at)
{
	bool v6 = at->sa.any.sa_family == AF_INET6;
	bool mapped = v6 && IN6_IS_ADDR_V4MAPPED(&at->sa.v6.sin6_addr);

	set_end(at, want->want.remote_addr, &want->want.remote_port);
	want->want.family = v6 && !mapped ? AF_INET6 : AF_INET;
	if (mapped)
		want->want.flags |= AGENTSH_EBPF_FLAG_V4_MAPPED;
}

struct expectation *unannounced_expect(struct unannounced_list *list, const char *name, int fd,
				       uint32_t flags)
{
	struct connection_address at = {.size = sizeof(at.sa)};
	struct expectation *w = &list->want[list->count++];

	LIVE_CHECK(list->count <= UNANNOUNCED_MAX, "too many expectations");
	memset(w, 0, sizeof(*w));
	snprintf(w->name, sizeof(w->name), "%s", name);
	expectation_socket(w, fd);
	w->want.kind = UNANNOUNCED;
	w->want.flags = flags | AGENTSH_EBPF_FLAG_UNATTRIBUTED;
	if (!getsockname(fd, &at.sa.any, &at.size))
		unannounced_local(w, &at);
	at.size = sizeof(at.sa);
	if (!getpeername(fd, &at.sa.any, &at.size))
		unannounced_remote(w, &at);
	expectation_clocks(w, 0);
	return w;
}

void unannounced_passed(struct unannounced_list *list)
{
	for (uint32_t i = 0; i < list->count; i++)
		if (!list->want[i].boot_ns[1])
			expectation_clocks(&list->want[i], 1);
}

const struct agentsh_ebpf_event *unannounced_find(uint64_t session_id, uint64_t cookie,
						  uint32_t kind, size_t n)
{
	for (size_t i = 0; i < live_seen.count; i++) {
		const struct agentsh_ebpf_event *e = &live_seen.list[i];

		if (e->session_id == session_id && e->kind == kind &&
		    (!cookie || e->socket_cookie == cookie) && !n--)
			return e;
	}
	return NULL;
}

size_t unannounced_count(uint64_t session_id, uint64_t cookie, uint32_t kind)
{
	size_t count = 0;

	while (unannounced_find(session_id, cookie, kind, count))
		count++;
	return count;
}

void unannounced_check(uint64_t session_id, const struct unannounced_list *list, uint32_t unknown)
{
	for (uint32_t i = 0; i < list->count; i++) {
		struct expectation want = list->want[i];
		uint64_t cookie = want.want.socket_cookie;
		size_t count = unannounced_count(session_id, cookie, UNANNOUNCED);
		struct agentsh_ebpf_event is;
		const char *differs;

		LIVE_CHECK(count == 1, "%s: %zu events UNANNOUNCED", want.name, count);
		is = *unannounced_find(session_id, cookie, UNANNOUNCED, 0);
		want.want.session_id = session_id;
		is.flags = (is.flags & ~unknown) | (want.want.flags & unknown);
		/* the programs read it in the kernel's structures, which have it since 5.12 */
		if (!is.netns_cookie &&
		    (connection_errors_hidden || kernel_hides_tasks() || !want.want.netns_cookie))
			is.netns_cookie = want.want.netns_cookie ? want.want.netns_cookie : 1;
		differs = expectation_differs(&want, &is);
		LIVE_CHECK(!differs, "%s", differs);
	}
	for (size_t i = 0; i < live_seen.count; i++) {
		const struct agentsh_ebpf_event *e = &live_seen.list[i];
		bool expected = e->session_id != session_id || e->kind != UNANNOUNCED;

		for (uint32_t n = 0; n < list->count; n++)
			expected |= list->want[n].want.socket_cookie == e->socket_cookie;
		LIVE_CHECK(expected, "an UNANNOUNCED too many: protocol %u, port %u to %u",
			   e->protocol, e->local_port, e->remote_port);
	}
}
