/* SPDX-License-Identifier: Apache-2.0 */
#include <agentsh/ebpf.h>
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

static int on_event(void *ctx, const struct agentsh_ebpf_event *e)
{
	char ip[INET6_ADDRSTRLEN];
	inet_ntop(e->family, e->remote_addr, ip, sizeof(ip));
	return fprintf((FILE *)ctx, "process %u: %s port %u\n", e->tgid, ip, e->remote_port) < 0;
}

int main(int argc, char **argv)
{
	struct agentsh_ebpf_tracer_options opts = {
		.size = sizeof(opts), .on_event = on_event, .event_ctx = stdout};
	struct agentsh_ebpf_error err = {.size = sizeof(err)};
	struct agentsh_ebpf_tracer *tracer;
	struct agentsh_ebpf_session *session;
	int n, cgroup = argc == 2 ? open(argv[1], O_RDONLY | O_DIRECTORY) : -1;
	if (agentsh_ebpf_tracer_open(&opts, &tracer, &err) ||
	    agentsh_ebpf_session_attach(tracer, cgroup, NULL, &session, &err))
		return fprintf(stderr, "%s\n", err.message), 1;
	while ((n = agentsh_ebpf_poll(tracer, -1)) >= 0 || n == -EINTR)
		fflush(stdout);
	agentsh_ebpf_tracer_close(tracer);
	return fprintf(stderr, "poll: error %d\n", -n), 1;
}
