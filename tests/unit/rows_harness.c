/* SPDX-License-Identifier: Apache-2.0 */
#include "rows_harness.h"

#include <arpa/inet.h>
#include <string.h>
#include <sys/socket.h>

#include "format_text.h"
#include "unit.h"

char rows_line[4096];

struct text rows_begin(void)
{
	return (struct text){.buf = rows_line, .cap = sizeof(rows_line) - 1};
}

const char *rows_end(const struct text *t)
{
	ck_assert(!t->cut);
	rows_line[t->len] = '\0';
	return rows_line;
}

struct agentsh_ebpf_event rows_event(const char *ip, uint32_t flags)
{
	struct agentsh_ebpf_event event = {
		.kind = AGENTSH_EBPF_EVENT_CONNECT,
		.family = strchr(ip, ':') ? AF_INET6 : AF_INET,
		.protocol = IPPROTO_TCP,
		.socket_type = SOCK_STREAM,
		.remote_port = 80,
		.flags = flags,
	};

	ck_assert_int_eq(inet_pton(event.family, ip, event.remote_addr), 1);
	return event;
}

const char *rows_destination(const struct agentsh_ebpf_event *event,
			     const struct interfaces *interfaces)
{
	const struct format_text_style style = {.interfaces = interfaces};
	struct text t = rows_begin();
	const char *protocol;

	format_text_event(&t, &style, event, NULL, 0);
	protocol = strstr(rows_end(&t), "tcp       ");
	ck_assert_ptr_nonnull(protocol);
	return protocol + strlen("tcp       ");
}
