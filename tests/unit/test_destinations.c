/* SPDX-License-Identifier: Apache-2.0 */
/* The summary by destination of agentsh-trace, driven by events. */
#include <string.h>
#include <sys/socket.h>
#include <netinet/in.h>

#include "destinations_harness.h"

static void add(uint32_t kind, uint16_t protocol, uint64_t cookie, uint16_t port)
{
	struct agentsh_ebpf_event event = summary_event(kind, protocol, cookie, port);

	destinations_add(&destinations, &event, NULL);
}

static void add_numbers(uint32_t kind, uint16_t protocol, uint64_t cookie, uint16_t port,
			uint64_t sent, uint64_t received, uint64_t ns)
{
	struct agentsh_ebpf_event event = summary_event(kind, protocol, cookie, port);

	event.bytes_sent = sent;
	event.bytes_received = received;
	event.duration_ns = ns;
	event.packets_sent = protocol == IPPROTO_UDP && sent;
	event.packets_received = protocol == IPPROTO_UDP && received;
	destinations_add(&destinations, &event, NULL);
}

START_TEST(tcp)
{
	summary_begin(SUMMARY_HOOKS);
	for (uint64_t cookie = 1; cookie <= 3; cookie++) {
		add(AGENTSH_EBPF_EVENT_CONNECT, IPPROTO_TCP, cookie, 80);
		add(AGENTSH_EBPF_EVENT_CONNECTED, IPPROTO_TCP, cookie, 80);
		add_numbers(AGENTSH_EBPF_EVENT_CLOSED, IPPROTO_TCP, cookie, 80, 10, 20,
			    cookie * 1000000);
	}
	add(AGENTSH_EBPF_EVENT_CONNECT, IPPROTO_TCP, 4, 80);
	add(AGENTSH_EBPF_EVENT_CONNECT_FAILED, IPPROTO_TCP, 4, 80);
	add(AGENTSH_EBPF_EVENT_CONNECT, IPPROTO_TCP, 5, 443); /* its result is not known yet */
	summary_end();
	ck_assert_uint_eq(summary_count, 2);
	summary_check_row(0, 80, 4, 1, 30, 60);
	summary_check_row(1, 443, 1, 0, 0, 0);
	ck_assert_str_eq(summary_rows[0]->key.process, "process");
	ck_assert_uint_eq(summary_rows[0]->durations.count, 3);
	ck_assert_uint_eq(summary_rows[0]->durations.longest_ns, 3000000);
	ck_assert_uint_eq(summary_rows[1]->durations.count, 0);
}
END_TEST

START_TEST(an_event_whose_attempt_was_lost)
{
	summary_begin(SUMMARY_HOOKS);
	add(AGENTSH_EBPF_EVENT_CONNECTED, IPPROTO_TCP, 1, 80);
	add_numbers(AGENTSH_EBPF_EVENT_CLOSED, IPPROTO_TCP, 1, 80, 5, 0, 1000000);
	add_numbers(AGENTSH_EBPF_EVENT_CLOSED, IPPROTO_TCP, 2, 80, 7, 0, 1000000);
	add(AGENTSH_EBPF_EVENT_CONNECT_FAILED, IPPROTO_TCP, 3, 80);
	summary_end();
	ck_assert_uint_eq(summary_count, 1);
	summary_check_row(0, 80, 3, 1, 12, 0);
}
END_TEST

START_TEST(progress_is_replaced)
{
	summary_begin(SUMMARY_HOOKS);
	add(AGENTSH_EBPF_EVENT_CONNECT, IPPROTO_TCP, 1, 80);
	add(AGENTSH_EBPF_EVENT_CONNECT, IPPROTO_TCP, 2, 80);
	for (uint64_t n = 1; n <= 5; n++) {
		add_numbers(AGENTSH_EBPF_EVENT_PROGRESS, IPPROTO_TCP, 1, 80, n * 100, n,
			    n * 1000000);
		add_numbers(AGENTSH_EBPF_EVENT_PROGRESS, IPPROTO_TCP, 2, 80, n, n * 10,
			    n * 1000000);
	}
	add_numbers(AGENTSH_EBPF_EVENT_CLOSED, IPPROTO_TCP, 1, 80, 700, 7, 9000000);
	summary_end();
	ck_assert_uint_eq(summary_count, 1);
	summary_check_row(0, 80, 2, 0, 705, 57);
	/* one has ended, and one is open since its latest PROGRESS */
	ck_assert_uint_eq(summary_rows[0]->durations.count, 2);
	ck_assert_uint_eq(summary_rows[0]->durations.shortest_ns, 5000000);
	ck_assert_uint_eq(summary_rows[0]->durations.longest_ns, 9000000);
}
END_TEST

START_TEST(connect_of_a_datagram_socket)
{
	summary_begin(SUMMARY_HOOKS);
	add(AGENTSH_EBPF_EVENT_CONNECT, IPPROTO_UDP, 1, 53); /* a probe */
	add_numbers(AGENTSH_EBPF_EVENT_CLOSED, IPPROTO_UDP, 1, 53, 0, 0, 1000000);
	add(AGENTSH_EBPF_EVENT_CONNECT, IPPROTO_UDP, 2, 54); /* sends after its second connect */
	add(AGENTSH_EBPF_EVENT_CONNECT, IPPROTO_UDP, 2, 55);
	add(AGENTSH_EBPF_EVENT_FIRST_DATA, IPPROTO_UDP, 2, 55);
	add(AGENTSH_EBPF_EVENT_CONNECT, IPPROTO_UDP, 2, 56);
	add_numbers(AGENTSH_EBPF_EVENT_CLOSED, IPPROTO_UDP, 2, 56, 100, 200, 1000000);
	add(AGENTSH_EBPF_EVENT_CONNECT, IPPROTO_UDP, 3, 57); /* only receives */
	add_numbers(AGENTSH_EBPF_EVENT_CLOSED, IPPROTO_UDP, 3, 57, 0, 30, 1000000);
	summary_end();
	ck_assert_uint_eq(summary_count, 2);
	summary_check_row(0, 55, 1, 0, 100, 200);
	summary_check_row(1, 57, 1, 0, 0, 30);

	summary_begin(SUMMARY_HOOKS & ~(uint32_t)AGENTSH_EBPF_HOOK_TRAFFIC);
	add(AGENTSH_EBPF_EVENT_CONNECT, IPPROTO_UDP, 1, 53);
	add_numbers(AGENTSH_EBPF_EVENT_CLOSED, IPPROTO_UDP, 1, 53, 0, 0, 1000000);
	summary_end();
	ck_assert_uint_eq(summary_count, 1);
	summary_check_row(0, 53, 1, 0, 0, 0);
}
END_TEST

START_TEST(several_destinations_of_a_datagram_socket)
{
	summary_begin(SUMMARY_HOOKS);
	add(AGENTSH_EBPF_EVENT_UDP_SEND, IPPROTO_UDP, 1, 1);
	add(AGENTSH_EBPF_EVENT_FIRST_DATA, IPPROTO_UDP, 1, 1);
	add_numbers(AGENTSH_EBPF_EVENT_PROGRESS, IPPROTO_UDP, 1, 1, 1000, 0, 1000000);
	add(AGENTSH_EBPF_EVENT_UDP_SEND, IPPROTO_UDP, 1, 2);
	add(AGENTSH_EBPF_EVENT_UDP_SEND, IPPROTO_UDP, 1, 1); /* --udp-no-dedup */
	add(AGENTSH_EBPF_EVENT_UDP_SEND, IPPROTO_UDP, 1, 2);
	add_numbers(AGENTSH_EBPF_EVENT_CLOSED, IPPROTO_UDP, 1, 1, 1500, 8, 2000000);
	summary_end();
	ck_assert_uint_eq(summary_count, 2);
	summary_check_row(0, 1, 1, 0, 1000, 0);
	summary_check_row(1, 2, 1, 0, 500, 8);
}
END_TEST

START_TEST(every_datagram_reported_without_ends)
{
	summary_begin(AGENTSH_EBPF_HOOK_UDP);
	for (int i = 0; i < 100; i++)
		add(AGENTSH_EBPF_EVENT_UDP_SEND, IPPROTO_UDP, 1, 1);
	summary_end();
	ck_assert_uint_eq(summary_count, 1);
	summary_check_row(0, 1, 1, 0, 0, 0);
	ck_assert_uint_eq(destinations.sockets.made, 0);
}
END_TEST

START_TEST(adopted_socket)
{
	struct agentsh_ebpf_event event;

	summary_begin(SUMMARY_HOOKS);
	event = summary_event(AGENTSH_EBPF_EVENT_UNANNOUNCED, IPPROTO_UDP, 1, 4000);
	event.flags = AGENTSH_EBPF_FLAG_UNATTRIBUTED | AGENTSH_EBPF_FLAG_INBOUND;
	memset(event.comm, 0, sizeof(event.comm));
	memset(event.process_comm, 0, sizeof(event.process_comm));
	destinations_add(&destinations, &event, NULL);
	event.socket_cookie = 2; /* nobody answers on this socket */
	destinations_add(&destinations, &event, NULL);
	event.socket_cookie = 1;
	event.kind = AGENTSH_EBPF_EVENT_PROGRESS;
	event.bytes_received = 50;
	event.packets_received = 1;
	destinations_add(&destinations, &event, NULL);
	event = summary_event(AGENTSH_EBPF_EVENT_UDP_SEND, IPPROTO_UDP, 1, 4001);
	event.flags = AGENTSH_EBPF_FLAG_INBOUND;
	destinations_add(&destinations, &event, NULL);
	event.kind = AGENTSH_EBPF_EVENT_CLOSED;
	event.bytes_sent = 70;
	event.bytes_received = 60;
	event.packets_sent = 1;
	destinations_add(&destinations, &event, NULL);
	summary_end();
	ck_assert_uint_eq(summary_count, 2);
	summary_check_row(0, 0, 1, 0, 70, 60);
	ck_assert_str_eq(summary_rows[0]->key.process, "process");
	ck_assert(summary_rows[0]->key.inbound && !summary_rows[0]->key.unattributed);
	summary_check_row(1, 0, 1, 0, 0, 0);
	ck_assert(summary_rows[1]->key.inbound && summary_rows[1]->key.unattributed);
}
END_TEST

START_TEST(names_of_processes)
{
	struct agentsh_ebpf_event event =
		summary_event(AGENTSH_EBPF_EVENT_CONNECT, IPPROTO_TCP, 1, 80);

	summary_begin(SUMMARY_HOOKS);
	destinations_add(&destinations, &event, NULL);
	memcpy(event.comm, "other\0garbage", 14); /* the same process */
	destinations_add(&destinations, &event, NULL);
	memset(event.process_comm, 0, sizeof(event.process_comm));
	destinations_add(&destinations, &event, NULL);
	memcpy(event.comm, "other\0rubbish", 14);
	destinations_add(&destinations, &event, NULL);
	memset(event.comm, 'x', sizeof(event.comm)); /* without NUL */
	destinations_add(&destinations, &event, NULL);
	summary_end();
	ck_assert_uint_eq(summary_count, 3);
	ck_assert_uint_eq(summary_rows[0]->connections, 2);
	ck_assert_uint_eq(summary_rows[1]->connections, 2);
	ck_assert_uint_eq(summary_rows[2]->connections, 1);
	ck_assert_int_eq(summary_rows[2]->key.process[15], 'x');
}
END_TEST

START_TEST(more_destinations_than_rows)
{
	summary_begin(SUMMARY_HOOKS);
	for (uint64_t i = 0; i < 3 * DESTINATIONS_MAX; i++) {
		uint16_t port = (uint16_t)(i + 1);

		add(AGENTSH_EBPF_EVENT_CONNECT, IPPROTO_TCP, i + 1, port);
		add_numbers(AGENTSH_EBPF_EVENT_CLOSED, IPPROTO_TCP, i + 1, port, port, 1, 1000000);
	}
	add(AGENTSH_EBPF_EVENT_CONNECT, IPPROTO_TCP, 1, 1); /* still has its row */
	summary_end();
	ck_assert_uint_eq(summary_count, DESTINATIONS_MAX + 1);
	summary_check_row(0, DESTINATIONS_MAX, 1, 0, DESTINATIONS_MAX, 1);
	summary_check_row(DESTINATIONS_MAX - 1, 1, 2, 0, 1, 1);
	ck_assert_uint_eq(summary_rows[DESTINATIONS_MAX]->key.family, 0);
	ck_assert_uint_eq(summary_rows[DESTINATIONS_MAX]->connections, 2 * DESTINATIONS_MAX);
	ck_assert_uint_eq(summary_rows[DESTINATIONS_MAX]->durations.count, 2 * DESTINATIONS_MAX);
	ck_assert_uint_eq(destinations.sockets.made, 1); /* sockets that end leave nothing behind */
}
END_TEST

/* Each destination of one socket counts, also in the row that they share. */
START_TEST(one_socket_with_more_destinations_than_rows)
{
	summary_begin(SUMMARY_HOOKS);
	for (uint16_t port = 1; port <= DESTINATIONS_MAX + 100; port++) {
		add(AGENTSH_EBPF_EVENT_UDP_SEND, IPPROTO_UDP, 1, port);
		add(AGENTSH_EBPF_EVENT_FIRST_DATA, IPPROTO_UDP, 1, port);
	}
	summary_end();
	ck_assert_uint_eq(summary_count, DESTINATIONS_MAX + 1);
	ck_assert_uint_eq(summary_rows[DESTINATIONS_MAX]->connections, 100);
}
END_TEST

START_TEST(more_open_sockets_than_room)
{
	summary_begin(SUMMARY_HOOKS);
	for (uint64_t i = 0; i < OPEN_SOCKETS_MAX + 10; i++)
		add(AGENTSH_EBPF_EVENT_CONNECT, IPPROTO_TCP, i, 80);
	for (uint64_t i = 0; i < OPEN_SOCKETS_MAX + 10; i++)
		add_numbers(AGENTSH_EBPF_EVENT_CLOSED, IPPROTO_TCP, i, 80, 2, 1, 1000000);
	add(AGENTSH_EBPF_EVENT_CONNECT, IPPROTO_TCP, 1, 80);
	add_numbers(AGENTSH_EBPF_EVENT_PROGRESS, IPPROTO_TCP, 1, 80, 2, 1, 1000000);
	summary_end();
	ck_assert_uint_eq(summary_count, 1);
	ck_assert_uint_eq(summary_rows[0]->bytes_sent, 2 * (OPEN_SOCKETS_MAX + 11));
	ck_assert_uint_eq(summary_rows[0]->bytes_received, OPEN_SOCKETS_MAX + 11);
}
END_TEST

/* The median of durations, each ratio times longer than the one before. */
START_TEST(medians)
{
	struct durations durations = {0};

	ck_assert_uint_eq(durations_median(&durations), 0);
	durations_add(&durations, 123456789);
	ck_assert_uint_eq(durations_median(&durations), 123456789); /* exact */
	for (uint64_t median = 8192; median < UINT64_C(1) << 44; median += median / 7) {
		uint64_t got;

		durations = (struct durations){0};
		for (int i = 0; i < 50; i++) {
			durations_add(&durations, median / 2);
			durations_add(&durations, median * 2);
		}
		durations_add(&durations, median);
		got = durations_median(&durations);
		ck_assert_msg(
			got <= median + median * 13 / 100 && got >= median - median * 13 / 100,
			"%llu is not %llu", (unsigned long long)got, (unsigned long long)median);
		ck_assert_uint_eq(durations.longest_ns, median * 2);
	}
	durations = (struct durations){0};
	durations_add(&durations, 0);
	durations_add(&durations, UINT64_MAX);
	ck_assert_uint_le(durations_median(&durations), 10240);
	durations_add(&durations, UINT64_MAX);
	ck_assert_uint_ge(durations_median(&durations), UINT64_C(1) << 44);
	ck_assert_uint_eq(durations.longest_ns, UINT64_MAX);
}
END_TEST

static void add_denied(uint32_t kind, uint16_t protocol, uint64_t cookie, uint16_t port)
{
	struct agentsh_ebpf_event event = summary_event(kind, protocol, cookie, port);

	event.verdict = AGENTSH_EBPF_VERDICT_DENIED;
	destinations_add(&destinations, &event, NULL);
}

/* The call has failed, and the socket keeps the destination that it had. */
START_TEST(denied_attempts)
{
	summary_begin(SUMMARY_HOOKS);
	add_denied(AGENTSH_EBPF_EVENT_CONNECT, IPPROTO_TCP, 1, 80);
	add_denied(AGENTSH_EBPF_EVENT_CONNECT, IPPROTO_TCP, 1, 80);
	ck_assert_ptr_null(open_sockets_find(&destinations.sockets, 1));
	add(AGENTSH_EBPF_EVENT_FIRST_DATA, IPPROTO_UDP, 2, 53);
	add_denied(AGENTSH_EBPF_EVENT_CONNECT, IPPROTO_UDP, 2, 54);
	for (int i = 0; i < 3; i++)
		add_denied(AGENTSH_EBPF_EVENT_UDP_SEND, IPPROTO_UDP, 2, 55);
	add_numbers(AGENTSH_EBPF_EVENT_CLOSED, IPPROTO_UDP, 2, 53, 10, 20, 1000000);
	summary_end();
	ck_assert_uint_eq(summary_count, 4);
	summary_check_row(0, 53, 1, 0, 10, 20);
	summary_check_row(1, 80, 2, 2, 0, 0);
	summary_check_row(2, 54, 1, 1, 0, 0);
	summary_check_row(3, 55, 1, 1, 0, 0);
	ck_assert_uint_eq(summary_rows[1]->durations.count, 0);
}
END_TEST

/* A packet of a socket that is counted already is no further attempt. */
START_TEST(denied_packets)
{
	struct agentsh_ebpf_event event =
		summary_event(AGENTSH_EBPF_EVENT_PACKET_DENIED, IPPROTO_UDP, 5, 56);

	summary_begin(SUMMARY_HOOKS);
	add(AGENTSH_EBPF_EVENT_CONNECT, IPPROTO_TCP, 1, 80);
	add_denied(AGENTSH_EBPF_EVENT_PACKET_DENIED, IPPROTO_TCP, 1, 80);
	add_denied(AGENTSH_EBPF_EVENT_PACKET_DENIED, IPPROTO_TCP, 1, 81); /* another hop */
	for (int i = 0; i < 3; i++)
		add_denied(AGENTSH_EBPF_EVENT_PACKET_DENIED, IPPROTO_ICMP, 3, 0);
	add(AGENTSH_EBPF_EVENT_CONNECT_FAILED, IPPROTO_TCP, 1, 80);
	event.verdict = AGENTSH_EBPF_VERDICT_WOULD_DENY; /* other events count what it does */
	destinations_add(&destinations, &event, NULL);
	add_denied(AGENTSH_EBPF_EVENT_SOCKET_DENIED, IPPROTO_ICMP, 4, 0);
	summary_end();
	ck_assert_uint_eq(summary_count, 3);
	summary_check_row(0, 0, 1, 1, 0, 0);
	summary_check_row(1, 80, 1, 1, 0, 0);
	summary_check_row(2, 81, 1, 1, 0, 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("destinations");
	TCase *tcase = unit_case(suite, "destinations");

	tcase_add_test(tcase, tcp);
	tcase_add_test(tcase, an_event_whose_attempt_was_lost);
	tcase_add_test(tcase, progress_is_replaced);
	tcase_add_test(tcase, connect_of_a_datagram_socket);
	tcase_add_test(tcase, several_destinations_of_a_datagram_socket);
	tcase_add_test(tcase, every_datagram_reported_without_ends);
	tcase_add_test(tcase, adopted_socket);
	tcase_add_test(tcase, names_of_processes);
	tcase_add_test(tcase, more_destinations_than_rows);
	tcase_add_test(tcase, one_socket_with_more_destinations_than_rows);
	tcase_add_test(tcase, more_open_sockets_than_room);
	tcase_add_test(tcase, denied_attempts);
	tcase_add_test(tcase, medians);
	tcase_add_test(tcase, denied_packets);
	return unit_main(suite);
}
