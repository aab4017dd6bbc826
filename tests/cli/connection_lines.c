/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs a command in a new cgroup and prints the events of its connections, one JSON
 * object per line. Ends with the status of the command, after all its connections are
 * closed. With --names each line has the names of the event, too.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "live.h"

static int open_connections;
static struct agentsh_ebpf_tracer *tracer;
static bool names;

/* Domain names as the library gives them need no escapes in JSON but that of the backslash. */
static void print_text(const char *member, const char *text)
{
	printf(", \"%s\": \"", member);
	for (; *text; text++)
		printf(*text == '"' || *text == '\\' ? "\\%c" : "%c", *text);
	printf("\"");
}

static void print_names(const struct agentsh_ebpf_event *e)
{
	struct agentsh_ebpf_name name;

	memset(&name, 0, sizeof(name));
	name.size = sizeof(name);
	if (agentsh_ebpf_event_name(tracer, e, &name)) /* the event has none */
		memset(&name, 0, sizeof(name));
	print_text("asked", name.asked);
	print_text("owner", name.owner);
	print_text("source", agentsh_ebpf_name_source_name(name.source));
	print_text("server_name", name.server_name);
	print_text("server_name_source", agentsh_ebpf_name_source_name(name.server_name_source));
	print_text("alpn", name.alpn);
	printf(", \"name_flags\": %u, \"asker\": %u", name.flags, name.asker_tgid);
}

static int on_event(void *ctx, const struct agentsh_ebpf_event *e)
{
	char ip[INET6_ADDRSTRLEN];

	(void)ctx;
	open_connections += e->kind == AGENTSH_EBPF_EVENT_CONNECTED;
	open_connections -= e->kind == AGENTSH_EBPF_EVENT_CLOSED && e->protocol == IPPROTO_TCP;
	inet_ntop(e->family, e->remote_addr, ip, sizeof(ip));
	printf("{\"kind\": \"%s\", \"cookie\": %llu, \"protocol\": \"%s\", \"tgid\": %u, "
	       "\"local_port\": %u, \"remote_addr\": \"%s\", \"remote_port\": %u, \"error\": %d, "
	       "\"flags\": %u, \"sent\": %llu, \"received\": %llu, \"duration_ns\": %llu",
	       agentsh_ebpf_kind_name(e->kind), (unsigned long long)e->socket_cookie,
	       agentsh_ebpf_protocol_name(e->protocol), e->tgid, e->local_port, ip, e->remote_port,
	       e->error, e->flags, (unsigned long long)e->bytes_sent,
	       (unsigned long long)e->bytes_received, (unsigned long long)e->duration_ns);
	if (names)
		print_names(e);
	printf("}\n");
	return 0;
}

/* Starts a child that enters the cgroup and waits for a byte before it runs the command. */
static pid_t start(char **argv, const char *procs, int *go)
{
	int pipe_fds[2];
	pid_t child;

	if (pipe(pipe_fds))
		return -1;
	child = fork();
	if (child) {
		close(pipe_fds[0]);
		*go = pipe_fds[1];
		return child;
	}
	close(pipe_fds[1]);
	int fd = open(procs, O_WRONLY | O_CLOEXEC);
	char byte;

	if (fd < 0 || write(fd, "0", 1) != 1 || read(pipe_fds[0], &byte, 1) != 1)
		_exit(126);
	close(pipe_fds[0]);
	dup2(2, 1); /* stdout is reserved for the events */
	execvp(argv[0], argv);
	perror(argv[0]);
	_exit(127);
}

static int trace(char **argv, const char *cgroup)
{
	struct agentsh_ebpf_tracer_options options = {
		.size = sizeof(options),
		.hooks = AGENTSH_EBPF_HOOK_CONNECT | AGENTSH_EBPF_HOOK_LIFECYCLE,
		.on_event = on_event,
	};
	struct agentsh_ebpf_error err = LIVE_ERROR;
	struct agentsh_ebpf_session *session;
	int fd = open(cgroup, O_RDONLY | O_DIRECTORY | O_CLOEXEC), go, status = 0;
	char procs[256];
	pid_t child;

	if (names)
		options.hooks |= AGENTSH_EBPF_HOOK_UDP | AGENTSH_EBPF_HOOK_DNS |
				 AGENTSH_EBPF_HOOK_SERVER_NAME;
	options.required_hooks = options.hooks;
	if (agentsh_ebpf_tracer_open(&options, &tracer, &err) ||
	    agentsh_ebpf_session_attach(tracer, fd, NULL, &session, &err)) {
		fprintf(stderr, "%s\n", err.message);
		return 125;
	}
	snprintf(procs, sizeof(procs), "%s/cgroup.procs", cgroup);
	child = start(argv, procs, &go);
	if (child < 0 || write(go, "!", 1) != 1)
		return 125;
	close(go);
	while (!waitpid(child, &status, WNOHANG))
		agentsh_ebpf_poll(tracer, 20);
	for (int i = 0; i < LIVE_DEADLINE_MS / 20 && open_connections; i++)
		agentsh_ebpf_poll(tracer, 20);
	agentsh_ebpf_poll(tracer, 0);
	agentsh_ebpf_tracer_close(tracer);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

int main(int argc, char **argv)
{
	char path[200];
	int status;

	names = argc > 1 && !strcmp(argv[1], "--names");
	if (argc < 2 + names || geteuid() || !live_cgroup_mounted()) {
		fprintf(stderr, "usage: %s [--names] COMMAND...; as root, with cgroup v2\n",
			argv[0]);
		return 125;
	}
	snprintf(path, sizeof(path), "%s/agentsh-lines-%d", live_cgroup_root(), (int)getpid());
	if (mkdir(path, 0755)) {
		perror(path);
		return 125;
	}
	status = trace(argv + 1 + names, path);
	if (rmdir(path)) {
		perror(path);
		return 125;
	}
	return status;
}
