/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shows how a host tests its own event handling without privileges and without a network:
 * a synthetic tracer delivers the events that the test injects.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <agentsh/ebpf.h>

/* ---- The host: the code under test ------------------------------------------ */

struct host {
	unsigned metadata_calls; /* connections to the metadata service of a cloud */
	uint64_t lost;
};

static int host_on_event(void *ctx, const struct agentsh_ebpf_event *event)
{
	static const unsigned char metadata[4] = {169, 254, 169, 254};
	struct host *host = ctx;

	host->lost = event->session_lost;
	if (event->kind == AGENTSH_EBPF_EVENT_CONNECT && event->family == AF_INET &&
	    !memcmp(event->remote_addr, metadata, sizeof(metadata)))
		host->metadata_calls++;
	return 0;
}

/* ---- The test ----------------------------------------------------------------- */

#define CHECK(condition)                                                                           \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			fprintf(stderr, "line %d: not true: %s\n", __LINE__, #condition);          \
			exit(1);                                                                   \
		}                                                                                  \
	} while (0)

static int inject_connect(struct agentsh_ebpf_session *session, const char *ip)
{
	struct agentsh_ebpf_event event = {
		.kind = AGENTSH_EBPF_EVENT_CONNECT,
		.tgid = 4711,
		.family = AF_INET,
		.protocol = IPPROTO_TCP,
		.socket_type = SOCK_STREAM,
		.remote_port = 80,
		.comm = "curl",
	};

	CHECK(inet_pton(AF_INET, ip, event.remote_addr) == 1);
	return agentsh_ebpf_inject(session, &event);
}

int main(void)
{
	struct host host = {0};
	const struct agentsh_ebpf_tracer_options opts = {
		.size = sizeof(opts),
		.mode = AGENTSH_EBPF_MODE_SYNTHETIC,
		/* the smallest ring, to test how the host handles lost events */
		.ring_size = (uint32_t)sysconf(_SC_PAGESIZE),
		.on_event = host_on_event,
		.event_ctx = &host,
	};
	struct agentsh_ebpf_tracer *tracer;
	struct agentsh_ebpf_session *session;
	int any_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	int ret;

	CHECK(!agentsh_ebpf_tracer_open(&opts, &tracer, NULL));
	CHECK(!agentsh_ebpf_session_attach(tracer, any_fd, NULL, &session, NULL));

	CHECK(!inject_connect(session, "192.0.2.1"));
	CHECK(!inject_connect(session, "169.254.169.254"));
	CHECK(agentsh_ebpf_poll(tracer, 0) == 2);
	CHECK(host.metadata_calls == 1 && host.lost == 0);

	do /* until the ring is full and one event is lost */
		ret = inject_connect(session, "192.0.2.1");
	while (!ret);
	CHECK(ret == -ENOBUFS);
	while (agentsh_ebpf_poll(tracer, 0) > 0)
		;
	CHECK(!inject_connect(session, "192.0.2.1"));
	CHECK(agentsh_ebpf_poll(tracer, 0) == 1 && host.lost == 1);

	agentsh_ebpf_tracer_close(tracer);
	printf("passed\n");
	return 0;
}
