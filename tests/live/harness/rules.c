/* SPDX-License-Identifier: Apache-2.0 */
#include "rules.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct agentsh_ebpf_rules *rules_create(struct agentsh_ebpf_tracer *tracer,
					const struct agentsh_ebpf_rule *list, size_t count,
					uint32_t default_action, uint32_t flags)
{
	const struct agentsh_ebpf_rules_options options = {
		.size = sizeof(options),
		.flags = flags,
		.default_action = default_action,
	};
	struct agentsh_ebpf_error err = LIVE_ERROR;
	struct agentsh_ebpf_rules *rules;
	int ret = agentsh_ebpf_rules_create(tracer, list, count, &options, &rules, &err);

	LIVE_CHECK(!ret, "rules_create: %d %s", ret, err.message);
	return rules;
}

void rules_set(struct agentsh_ebpf_session *session, struct agentsh_ebpf_rules *rules)
{
	struct agentsh_ebpf_error err = LIVE_ERROR;
	int ret = agentsh_ebpf_session_set_rules(session, rules, &err);

	LIVE_CHECK(!ret, "set_rules: %d %s", ret, err.message);
}

int rules_connect_here(uint32_t ipv4)
{
	const struct sockaddr_in to = {
		.sin_family = AF_INET,
		.sin_port = htons(9),
		.sin_addr.s_addr = htonl(ipv4),
	};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int error;

	LIVE_CHECK(fd >= 0, "socket: %s", strerror(errno));
	error = connect(fd, (const void *)&to, sizeof(to)) ? errno : 0;
	close(fd);
	return error;
}

static void connect_once(const void *ipv4, void *error)
{
	*(int *)error = rules_connect_here(*(const uint32_t *)ipv4);
}

int rules_connect(struct live_worker *worker, uint32_t ipv4)
{
	int error;

	live_worker_call(worker, connect_once, &ipv4, sizeof(ipv4), &error, sizeof(error));
	return error;
}
