/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Prints the name of each connection of the processes in a cgroup, and each look-up that failed.
 * Usage: names CGROUP-DIRECTORY [ADDRESS PORT]
 *
 * With ADDRESS and PORT, names come only from this name server.
 */
#include <agentsh/ebpf.h>
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

/* The names of an event are there until the next poll, so the callback copies them. */
static void print_name(const struct agentsh_ebpf_tracer *tracer,
		       const struct agentsh_ebpf_event *event)
{
	struct agentsh_ebpf_name name = {.size = sizeof(name)};

	if (agentsh_ebpf_event_name(tracer, event, &name)) {
		printf(" without a name");
		return;
	}
	if (*name.asked)
		printf(" %s (%s)", name.asked, agentsh_ebpf_name_source_name(name.source));
	if (name.flags & AGENTSH_EBPF_NAME_FLAG_SHARED)
		printf(" or %u others", name.others);
	if (name.flags & AGENTSH_EBPF_NAME_FLAG_OTHER_PROCESS)
		printf(" asked by process %u", name.asker_tgid);
	if (*name.server_name)
		printf(" says %s (%s)", name.server_name,
		       agentsh_ebpf_name_source_name(name.server_name_source));
}

/* A question without an answer, and an answer without addresses, are signals, too. */
static void print_failure(const struct agentsh_ebpf_tracer *tracer,
			  const struct agentsh_ebpf_event *event)
{
	struct agentsh_ebpf_dns dns = {.size = sizeof(dns)};

	if (agentsh_ebpf_event_dns(tracer, event, &dns) || dns.addresses)
		return;
	printf("process %u:", event->tgid);
	print_name(tracer, event);
	if (event->kind == AGENTSH_EBPF_EVENT_DNS_QUERY)
		printf(": no answer\n");
	else
		printf(": no address, response code %u\n", dns.rcode);
}

static int on_event(void *ctx, const struct agentsh_ebpf_event *event)
{
	const struct agentsh_ebpf_tracer *tracer = *(struct agentsh_ebpf_tracer **)ctx;
	char ip[INET6_ADDRSTRLEN] = "";

	switch (event->kind) {
	case AGENTSH_EBPF_EVENT_DNS_QUERY:
	case AGENTSH_EBPF_EVENT_DNS_ANSWER:
		print_failure(tracer, event);
		break;
	case AGENTSH_EBPF_EVENT_CONNECT:
	case AGENTSH_EBPF_EVENT_UDP_SEND:
	case AGENTSH_EBPF_EVENT_SERVER_NAME:
		inet_ntop(event->family, event->remote_addr, ip, sizeof(ip));
		printf("process %u: %s port %u", event->tgid, ip, event->remote_port);
		print_name(tracer, event);
		printf("\n");
		break;
	}
	return 0;
}

/* Trusts only this name server, which the processes cannot be if it is outside the session. */
static int trust(struct agentsh_ebpf_session_options *session, const char *text, uint16_t port)
{
	struct agentsh_ebpf_address *server = &session->trusted_resolvers[0];

	server->port = port;
	server->family = AF_INET;
	if (inet_pton(AF_INET, text, server->addr) == 1)
		return 0;
	server->family = AF_INET6;
	return inet_pton(AF_INET6, text, server->addr) == 1 ? 0 : -EINVAL;
}

int main(int argc, char **argv)
{
	struct agentsh_ebpf_session_options session = {.size = sizeof(session)};
	struct agentsh_ebpf_tracer *tracer;
	struct agentsh_ebpf_tracer_options opts = {
		.size = sizeof(opts),
		.hooks = AGENTSH_EBPF_HOOK_CONNECT | AGENTSH_EBPF_HOOK_UDP |
			 AGENTSH_EBPF_HOOK_LIFECYCLE | AGENTSH_EBPF_HOOK_DNS |
			 AGENTSH_EBPF_HOOK_SERVER_NAME,
		.required_hooks = AGENTSH_EBPF_HOOK_CONNECT | AGENTSH_EBPF_HOOK_DNS,
		.flags = AGENTSH_EBPF_OPEN_DNS_EVENTS,
		.on_event = on_event,
		.event_ctx = &tracer,
	};
	struct agentsh_ebpf_error err = {.size = sizeof(err)};
	struct agentsh_ebpf_session *attached;
	int n, cgroup;

	if (argc != 2 && argc != 4) {
		fprintf(stderr, "usage: names CGROUP-DIRECTORY [ADDRESS PORT]\n");
		return 2;
	}
	cgroup = open(argv[1], O_RDONLY | O_DIRECTORY);
	if (argc == 4) {
		opts.dns_ports[0] = (uint16_t)atoi(argv[3]); /* port 53 is one in any case */
		if (trust(&session, argv[2], opts.dns_ports[0])) {
			fprintf(stderr, "names: %s is no address\n", argv[2]);
			return 2;
		}
	}
	if (agentsh_ebpf_tracer_open(&opts, &tracer, &err) ||
	    agentsh_ebpf_session_attach(tracer, cgroup, &session, &attached, &err)) {
		fprintf(stderr, "names: %s\n", err.message);
		return 1;
	}
	while ((n = agentsh_ebpf_poll(tracer, -1)) >= 0 || n == -EINTR)
		fflush(stdout);
	agentsh_ebpf_tracer_close(tracer);
	return 1;
}
