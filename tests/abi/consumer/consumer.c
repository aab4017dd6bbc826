/* SPDX-License-Identifier: Apache-2.0 */
/* A host that uses only the installed header, in C99 and C++11. */
#include <agentsh/ebpf.h>

#include <stdio.h>
#include <string.h>

#define CHECK(what)                                                                                \
	do {                                                                                       \
		if (!(what)) {                                                                     \
			fprintf(stderr, "consumer: line %d: %s\n", __LINE__, #what);               \
			return 1;                                                                  \
		}                                                                                  \
	} while (0)

static int on_event(void *ctx, const struct agentsh_ebpf_event *event)
{
	memcpy(ctx, event, sizeof(*event));
	return 0;
}

static int synthetic(void)
{
	struct agentsh_ebpf_tracer_options opts;
	struct agentsh_ebpf_session_options session_opts;
	struct agentsh_ebpf_error err;
	struct agentsh_ebpf_stats stats;
	struct agentsh_ebpf_event in, out;
	struct agentsh_ebpf_tracer *tracer;
	struct agentsh_ebpf_session *session;

	memset(&opts, 0, sizeof(opts));
	memset(&session_opts, 0, sizeof(session_opts));
	memset(&err, 0, sizeof(err));
	memset(&stats, 0, sizeof(stats));
	memset(&in, 0, sizeof(in));
	opts.size = sizeof(opts);
	opts.mode = AGENTSH_EBPF_MODE_SYNTHETIC;
	opts.on_event = on_event;
	opts.event_ctx = &out;
	session_opts.size = sizeof(session_opts);
	session_opts.session_id = 7;
	err.size = sizeof(err);
	stats.size = sizeof(stats);

	CHECK(agentsh_ebpf_tracer_open(&opts, &tracer, &err) == 0);
	CHECK(agentsh_ebpf_session_attach(tracer, -1, &session_opts, &session, &err) < 0);
	CHECK(err.step == AGENTSH_EBPF_STEP_CGROUP && err.message[0]);
	CHECK(agentsh_ebpf_session_attach(tracer, 0, &session_opts, &session, &err) == 0);

	in.kind = AGENTSH_EBPF_EVENT_CONNECT;
	in.tgid = 42;
	in.remote_port = 443;
	memcpy(in.remote_addr, "\x7f\0\0\1", 4);
	CHECK(agentsh_ebpf_inject(session, &in) == 0);
	CHECK(agentsh_ebpf_inject(session, &in) == 0);
	memset(&out, 0xff, sizeof(out));
	CHECK(agentsh_ebpf_read(tracer, &out, 1, 0) == 1);
	CHECK(out.session_id == 7 && out.tgid == 42 && out.remote_port == 443);
	memset(&out, 0xff, sizeof(out));
	CHECK(agentsh_ebpf_poll(tracer, 0) == 1);
	CHECK(out.kind == AGENTSH_EBPF_EVENT_CONNECT &&
	      !memcmp(out.remote_addr, in.remote_addr, 16));
	CHECK(agentsh_ebpf_session_stats(session, &stats) == 0 && stats.delivered == 2);
	CHECK(agentsh_ebpf_session_detach(session) == 0);
	agentsh_ebpf_tracer_close(tracer);
	return 0;
}

int main(void)
{
	char version[32];

	snprintf(version, sizeof(version), "%d.%d.%d", AGENTSH_EBPF_VERSION_MAJOR,
		 AGENTSH_EBPF_VERSION_MINOR, AGENTSH_EBPF_VERSION_PATCH);
	CHECK(!strcmp(agentsh_ebpf_version(), version));
	CHECK(!strcmp(agentsh_ebpf_kind_name(AGENTSH_EBPF_EVENT_CONNECT), "connect"));
	if (synthetic())
		return 1;
	puts(version);
	return 0;
}
