/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Uses the library in the event loop of a host. Usage: epoll_loop CGROUP-DIRECTORY
 * The loop waits for events and for input on stdin; the end of the input ends the program.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <agentsh/ebpf.h>

static void show(const struct agentsh_ebpf_event *event)
{
	char ip[INET6_ADDRSTRLEN];

	inet_ntop(event->family, event->remote_addr, ip, sizeof(ip));
	printf("session %llu, process %u: %s %s port %u\n", (unsigned long long)event->session_id,
	       event->tgid, agentsh_ebpf_kind_name(event->kind), ip, event->remote_port);
}

/* Reads without waiting, because epoll has waited. After a full batch there may be more events. */
static bool take_events(struct agentsh_ebpf_tracer *tracer)
{
	static struct agentsh_ebpf_event batch[256];
	int n;

	do {
		n = agentsh_ebpf_read(tracer, batch, 256, 0);
		for (int i = 0; i < n; i++)
			show(&batch[i]);
	} while (n == 256);
	fflush(stdout);
	return n >= 0;
}

/* Returns false at the end of the input. */
static bool take_input(void)
{
	char bytes[4096];

	return read(STDIN_FILENO, bytes, sizeof(bytes)) > 0;
}

static bool watch(int epoll, int fd)
{
	struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

	return !epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
}

static void run(struct agentsh_ebpf_tracer *tracer)
{
	int epoll = epoll_create1(EPOLL_CLOEXEC), events_fd = agentsh_ebpf_fd(tracer);
	bool running = epoll >= 0 && watch(epoll, events_fd) && watch(epoll, STDIN_FILENO);

	if (!running)
		perror("epoll");
	while (running) {
		struct epoll_event ready;
		int n = epoll_wait(epoll, &ready, 1, -1);

		if (n < 0)
			running = errno == EINTR;
		else if (ready.data.fd == events_fd)
			running = take_events(tracer);
		else
			running = take_input();
	}
	if (epoll >= 0)
		close(epoll);
}

int main(int argc, char **argv)
{
	const struct agentsh_ebpf_session_options options = {.size = sizeof(options),
							     .session_id = 1};
	struct agentsh_ebpf_error err = {.size = sizeof(err)};
	struct agentsh_ebpf_tracer *tracer;
	struct agentsh_ebpf_session *session;
	int cgroup, ret;

	if (argc != 2) {
		fprintf(stderr, "usage: %s CGROUP-DIRECTORY\n", argv[0]);
		return 2;
	}
	cgroup = open(argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (cgroup < 0) {
		fprintf(stderr, "%s: %s\n", argv[1], strerror(errno));
		return 1;
	}
	ret = agentsh_ebpf_tracer_open(NULL, &tracer, &err);
	if (!ret)
		ret = agentsh_ebpf_session_attach(tracer, cgroup, &options, &session, &err);
	close(cgroup); /* the session does not need it */
	if (ret) {
		fprintf(stderr, "%s: %s\n", agentsh_ebpf_step_name(err.step), err.message);
	} else {
		run(tracer);
		agentsh_ebpf_session_detach(session);
		take_events(tracer); /* events recorded before the detach */
	}
	agentsh_ebpf_tracer_close(tracer); /* NULL is allowed */
	return ret ? 1 : 0;
}
