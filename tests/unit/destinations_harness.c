/* SPDX-License-Identifier: Apache-2.0 */
#include "destinations_harness.h"

#include <string.h>
#include <sys/socket.h>
#include <netinet/in.h>

struct destinations destinations;
const struct destination_row *summary_rows[DESTINATIONS_MAX + 1];
size_t summary_count;

void summary_begin(uint32_t hooks)
{
	memset(&destinations, 0, sizeof(destinations));
	destinations.hooks = hooks;
	destinations.seed = 0x1234567812345678U;
}

void summary_end(void)
{
	destinations_end(&destinations);
	summary_count = destinations_sorted(&destinations, summary_rows);
}

struct agentsh_ebpf_event summary_event(uint32_t kind, uint16_t protocol, uint64_t cookie,
					uint16_t port)
{
	return (struct agentsh_ebpf_event){
		.kind = kind,
		.family = AF_INET,
		.protocol = protocol,
		.socket_type = protocol == IPPROTO_TCP ? SOCK_STREAM : SOCK_DGRAM,
		.socket_cookie = cookie,
		.remote_addr = {192, 0, 2, 1},
		.remote_port = port,
		.comm = "thread",
		.process_comm = "process",
	};
}

void summary_check_row(size_t i, uint16_t port, uint64_t connections, uint64_t failed,
		       uint64_t sent, uint64_t received)
{
	ck_assert_uint_lt(i, summary_count);
	ck_assert_uint_eq(summary_rows[i]->key.port, port);
	ck_assert_uint_eq(summary_rows[i]->connections, connections);
	ck_assert_uint_eq(summary_rows[i]->failed, failed);
	ck_assert_uint_eq(summary_rows[i]->bytes_sent, sent);
	ck_assert_uint_eq(summary_rows[i]->bytes_received, received);
}
