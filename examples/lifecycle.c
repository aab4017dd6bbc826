/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shows what becomes of each connection of a cgroup: CONNECTED, CONNECT_FAILED and CLOSED,
 * with durations and bytes. At the end, PROGRESS shows the bytes of what is still open. Usage:
 * lifecycle CGROUP-DIRECTORY; SIGINT or SIGTERM ends it.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include <agentsh/ebpf.h>

static struct agentsh_ebpf_tracer *tracer;
static volatile sig_atomic_t stopped;

/* agentsh_ebpf_wake() may be called in a signal handler; it ends a blocking poll. */
static void stop(int signal)
{
	(void)signal;
	stopped = 1;
	agentsh_ebpf_wake(tracer);
}

static void show_traffic(const struct agentsh_ebpf_event *event)
{
	printf(": %llu bytes sent, %llu bytes received", (unsigned long long)event->bytes_sent,
	       (unsigned long long)event->bytes_received);
	if (event->socket_type != SOCK_STREAM)
		printf(", in %u and %u packets", event->packets_sent, event->packets_received);
	if (event->error)
		printf(", broken: %s", strerror(event->error));
}

static int on_event(void *ctx, const struct agentsh_ebpf_event *event)
{
	char ip[INET6_ADDRSTRLEN];

	(void)ctx;
	inet_ntop(event->family, event->remote_addr, ip, sizeof(ip));
	/* The cookie is the same in all events of one socket. */
	printf("socket %llu %s %s port %u", (unsigned long long)event->socket_cookie,
	       agentsh_ebpf_kind_name(event->kind), ip, event->remote_port);
	if (event->kind == AGENTSH_EBPF_EVENT_CONNECT_FAILED)
		printf(": %s", strerror(event->error));
	else if (event->kind == AGENTSH_EBPF_EVENT_CLOSED ||
		 event->kind == AGENTSH_EBPF_EVENT_PROGRESS)
		show_traffic(event);
	if (event->duration_ns)
		printf(", after %.1f ms", (double)event->duration_ns / 1e6);
	printf("\n");
	fflush(stdout);
	return 0;
}

int main(int argc, char **argv)
{
	/* With REQUIRED, open fails if the kernel cannot report the outcome of connections. */
	const struct agentsh_ebpf_tracer_options opts = {
		.size = sizeof(opts),
		.mode = AGENTSH_EBPF_MODE_REQUIRED,
		.hooks = AGENTSH_EBPF_HOOK_CONNECT | AGENTSH_EBPF_HOOK_LIFECYCLE |
			 AGENTSH_EBPF_HOOK_TRAFFIC,
		.on_event = on_event,
	};
	const struct sigaction action = {.sa_handler = stop};
	struct agentsh_ebpf_error err = {.size = sizeof(err)};
	struct agentsh_ebpf_session *session;
	int cgroup = argc == 2 ? open(argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	int ret = 0;

	if (agentsh_ebpf_tracer_open(&opts, &tracer, &err) ||
	    agentsh_ebpf_session_attach(tracer, cgroup, NULL, &session, &err)) {
		fprintf(stderr, "%s\nusage: %s CGROUP-DIRECTORY\n", err.message, argv[0]);
		agentsh_ebpf_tracer_close(tracer);
		return 1;
	}
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	while (!stopped && (ret >= 0 || ret == -EINTR))
		ret = agentsh_ebpf_poll(tracer, -1);
	agentsh_ebpf_session_detach(session);
	while (agentsh_ebpf_poll(tracer, 0) > 0) /* events recorded before the detach */
		;
	agentsh_ebpf_tracer_close(tracer);
	return stopped ? 0 : 1;
}
