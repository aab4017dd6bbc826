/* SPDX-License-Identifier: Apache-2.0 */
/* Packets whose headers a process with CAP_NET_RAW has written. */
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "rules_packets_cases.h"

#define PORT 81
#define FRAGMENT 44

static struct far_sockets *const far = &packets_far;

/* A packet as it is written, piece by piece. */
struct made {
	size_t size;
	uint8_t bytes[1000];
};

static void add(struct made *m, const void *bytes, size_t size)
{
	memcpy(m->bytes + m->size, bytes, size);
	m->size += size;
}

static void add_ports(struct made *m)
{
	add(m, (uint8_t[]){0, 7, 0, PORT, 0, 8, 0, 0}, 8);
}

/* An IPv4 header with this number of words, and a fragment offset in units of 8 bytes. */
static struct made header4(uint8_t protocol, uint8_t words, uint16_t offset, bool more)
{
	struct made m = {0};

	add(&m, (uint8_t[]){(uint8_t)(0x40 | words), 0, 0, 0, 0, 9}, 6);
	add(&m, (uint8_t[]){(uint8_t)(offset >> 8 | (more ? 0x20 : 0)), (uint8_t)offset}, 2);
	add(&m, (uint8_t[]){64, protocol, 0, 0, 127, 0, 0, 1, 127, 7, 7, 7}, 12);
	for (uint8_t i = 5; i < words; i++)
		add(&m, (uint8_t[]){1, 1, 1, 1}, 4); /* options: no operation */
	return m;
}

static struct made header6(uint8_t next)
{
	struct made m = {0};

	add(&m, (uint8_t[]){0x60, 0, 0, 0, 0, 0, next, 64}, 8);
	add(&m, &in6addr_loopback, 16);
	add(&m, &in6addr_loopback, 16);
	return m;
}

/* An extension header of 8 bytes times blocks, filled with padding. */
static void add_extension(struct made *m, uint8_t next, uint8_t blocks)
{
	uint8_t padding[256] = {next, (uint8_t)(blocks - 1), 1, (uint8_t)(blocks * 8 - 4)};

	add(m, padding, (size_t)blocks * 8);
}

static void add_fragment(struct made *m, uint8_t next, uint16_t offset, bool more)
{
	add(m,
	    (uint8_t[]){next, 0, (uint8_t)(offset >> 5), (uint8_t)(offset << 3 | more), 0, 0, 0, 9},
	    8);
}

/* ---- what is read of a packet -------------------------------------------------------- */

static struct made plain4(void)
{
	struct made m = header4(IPPROTO_UDP, 5, 0, false);

	add_ports(&m);
	return m;
}

static struct made options4(void)
{
	struct made m = header4(IPPROTO_UDP, 15, 0, false);

	add_ports(&m);
	return m;
}

static struct made first_fragment4(void)
{
	struct made m = header4(IPPROTO_UDP, 5, 0, true);

	add_ports(&m);
	return m;
}

/* The ports are those of another packet, so what stands in their place means nothing. */
static struct made later_fragment4(void)
{
	struct made m = header4(IPPROTO_UDP, 5, 1, false);

	add_ports(&m);
	return m;
}

static struct made short4(void)
{
	struct made m = header4(IPPROTO_UDP, 5, 0, false);

	add(&m, (uint8_t[]){0, 7, 0}, 3);
	return m;
}

static struct made plain6(void)
{
	struct made m = header6(IPPROTO_UDP);

	add_ports(&m);
	return m;
}

static struct made extensions6(void)
{
	struct made m = header6(IPPROTO_HOPOPTS);

	add_extension(&m, IPPROTO_DSTOPTS, 1);
	add_extension(&m, IPPROTO_DSTOPTS, 30);
	add_extension(&m, FRAGMENT, 2);
	add_fragment(&m, IPPROTO_DSTOPTS, 0, true);
	add_extension(&m, IPPROTO_UDP, 1);
	add_ports(&m);
	return m;
}

static struct made eight_extensions6(void)
{
	struct made m = header6(IPPROTO_DSTOPTS);

	for (int i = 1; i < 8; i++)
		add_extension(&m, IPPROTO_DSTOPTS, 1);
	add_extension(&m, IPPROTO_UDP, 1);
	add_ports(&m);
	return m;
}

static struct made later_fragment6(void)
{
	struct made m = header6(FRAGMENT);

	add_fragment(&m, IPPROTO_UDP, 1, false);
	add_ports(&m);
	return m;
}

static struct made far_fragment6(void)
{
	struct made m = header6(IPPROTO_DSTOPTS);

	add_extension(&m, FRAGMENT, 1);
	add_fragment(&m, IPPROTO_UDP, 0x1000, true);
	add_ports(&m);
	return m;
}

/* The ports of a first fragment may be in the next one. */
static struct made empty_fragment6(void)
{
	struct made m = header6(FRAGMENT);

	add_fragment(&m, IPPROTO_DSTOPTS, 0, true);
	add_extension(&m, IPPROTO_UDP, 1);
	return m;
}

/* The same with a header that is longer than the packet. */
static struct made cut_fragment6(void)
{
	struct made m = header6(FRAGMENT);

	add_fragment(&m, IPPROTO_DSTOPTS, 0, true);
	add(&m, (uint8_t[]){IPPROTO_UDP, 3, 1, 28, 0, 0, 0, 0}, 8);
	return m;
}

/* The first fragment of a fragment. */
static struct made double_fragment6(void)
{
	struct made m = header6(FRAGMENT);

	add_fragment(&m, FRAGMENT, 0, true);
	add_fragment(&m, IPPROTO_UDP, 0, true);
	return m;
}

static const struct packet_case {
	const char *name;
	int domain;
	struct made (*make)(void);
	uint16_t port; /* what can be known; 0: none */
	bool hides;    /* the ports are missing although they belong here */
} packets[] = {
	{"IPv4", AF_INET, plain4, PORT, false},
	{"IPv4 with options", AF_INET, options4, PORT, false},
	{"first IPv4 fragment", AF_INET, first_fragment4, PORT, false},
	{"later IPv4 fragment", AF_INET, later_fragment4, 0, false},
	{"IPv4 without a whole port", AF_INET, short4, 0, true},
	{"IPv6", AF_INET6, plain6, PORT, false},
	{"IPv6 with extensions", AF_INET6, extensions6, PORT, false},
	{"IPv6 with eight extensions", AF_INET6, eight_extensions6, PORT, false},
	{"later IPv6 fragment", AF_INET6, later_fragment6, 0, false},
	{"IPv6 fragment far behind", AF_INET6, far_fragment6, 0, false},
	{"IPv6 fragment without ports", AF_INET6, empty_fragment6, 0, true},
	{"IPv6 fragment of a header", AF_INET6, cut_fragment6, 0, true},
	{"IPv6 fragment of a fragment", AF_INET6, double_fragment6, 0, true},
};

static struct connection_address to(int domain, uint16_t port)
{
	return connection_address(domain == AF_INET ? "127.7.7.7" : "::1", port);
}

/* Sends on a new socket; returns whether the packet has left. */
static bool leaves(int domain, const struct made *m, const char *name)
{
	const struct connection_address at = to(domain, 0);
	uint32_t left;
	int error;

	LIVE_CHECK(!far_socket(far, 0, domain, SOCK_RAW, IPPROTO_RAW), "%s: socket", name);
	packets_mark();
	far_left(far, &at);
	error = far_send_to(far, 0, m->bytes, m->size, &at, 0);
	left = far_left(far, &at);
	LIVE_CHECK(error == (left ? 0 : EPERM), "%s: %s", name, strerror(error));
	LIVE_CHECK(packets_denied() == !left, "%s: %llu denied", name,
		   (unsigned long long)packets_denied());
	far_close(far, 0);
	return left;
}

static void expect(const struct packet_case *c, bool passes, const char *what)
{
	const struct made m = c->make();

	LIVE_CHECK(leaves(c->domain, &m, c->name) == passes, "%s, %s", c->name, what);
}

START_TEST(each_packet)
{
	packets_begin(packets_missing[_i]);
	for (size_t i = 0; i < LIVE_COUNT(packets); i++) {
		const struct packet_case *c = &packets[i];
		const struct connection_address at = to(c->domain, PORT), all = to(c->domain, 0);
		size_t events;

		packets_default(DENY, 0);
		expect(c, false, "everything is denied");
		packets_event(c->port ? &at : &all, &events);
		LIVE_CHECK(events == 1, "%s: %zu events", c->name, events);
		if (c->hides)
			continue;
		packets_default(ALLOW, 0);
		expect(c, true, "everything is allowed");
		packets_rule(packets_rule_for(&all, ALLOW, IPPROTO_UDP), DENY, 0);
		expect(c, true, "UDP is allowed");
		packets_rule(packets_rule_for(&all, DENY, IPPROTO_UDP), ALLOW, 0);
		expect(c, false, "UDP is denied");
		packets_rule(packets_rule_for(&all, ALLOW, IPPROTO_TCP), DENY, 0);
		expect(c, false, "TCP is allowed");
		packets_rule(packets_rule_for(&at, ALLOW, IPPROTO_UDP), DENY, 0);
		expect(c, c->port == PORT, "the port is allowed");
	}
	packets_end();
}
END_TEST

/* A port that is denied must not be reached by leaving the port out of the packet. */
START_TEST(denied_port_that_a_packet_hides)
{
	packets_begin(packets_missing[_i]);
	for (size_t i = 0; i < LIVE_COUNT(packets); i++) {
		const struct connection_address at = to(packets[i].domain, PORT);

		packets_rule(packets_rule_for(&at, DENY, IPPROTO_UDP), ALLOW, 0);
		if (packets[i].port || packets[i].hides)
			expect(&packets[i], false, "the port is denied");
	}
	packets_end();
}
END_TEST

/* What the program cannot step over is denied, whatever the rules say. */
START_TEST(too_many_extensions)
{
	struct made m = header6(IPPROTO_DSTOPTS);

	packets_begin(packets_missing[_i]);
	for (int i = 1; i < 9; i++)
		add_extension(&m, IPPROTO_DSTOPTS, 1);
	add_extension(&m, IPPROTO_UDP, 1);
	add_ports(&m);
	packets_default(ALLOW, 0);
	ck_assert(!leaves(AF_INET6, &m, "nine extensions"));
	packets_end();
}
END_TEST

/* A header that ends outside of the packet is no way around the rules. */
START_TEST(extension_beyond_the_end)
{
	struct made m = header6(IPPROTO_HOPOPTS);

	packets_begin(packets_missing[_i]);
	add(&m, (uint8_t[]){IPPROTO_DSTOPTS, 255, 1, 4, 0, 0, 0, 0}, 8);
	packets_default(ALLOW, 0);
	ck_assert(!leaves(AF_INET6, &m, "beyond the end"));
	packets_default(DENY, 0);
	ck_assert(!leaves(AF_INET6, &m, "beyond the end"));
	packets_end();
}
END_TEST

/* The header counts, and not the address that the call names. */
START_TEST(header_with_another_destination)
{
	const struct connection_address in_header = to(AF_INET, 0);
	const struct connection_address in_call = connection_address("127.7.7.8", 0);
	const struct made m = plain4();

	packets_begin(packets_missing[_i]);
	ck_assert_int_eq(far_socket(far, 0, AF_INET, SOCK_RAW, IPPROTO_RAW), 0);
	packets_rule(packets_rule_for(&in_header, DENY, 0), ALLOW, 0);
	ck_assert_int_eq(far_send_to(far, 0, m.bytes, m.size, &in_call, 0), EPERM);
	ck_assert_uint_eq(far_left(far, &in_header), 0);
	packets_rule(packets_rule_for(&in_header, ALLOW, 0), DENY, 0);
	ck_assert_int_eq(far_send_to(far, 0, m.bytes, m.size, &in_call, 0), 0);
	ck_assert_uint_eq(far_left(far, &in_header), 1);
	packets_end();
}
END_TEST

static int small_mtu(int fd)
{
	struct ifreq lo = {.ifr_name = "lo", .ifr_mtu = 1280};

	return ioctl(fd, SIOCSIFMTU, &lo) ? errno : 0;
}

/* The kernel fragments a datagram after the rules have judged it as a whole. */
START_TEST(fragments_of_the_kernel)
{
	static const int domains[] = {AF_INET, AF_INET6};
	static const uint8_t data[1500];

	packets_begin(packets_missing[_i]);
	for (size_t i = 0; i < LIVE_COUNT(domains); i++) {
		const struct connection_address at = to(domains[i], PORT);

		far->outside = true;
		ck_assert_int_eq(far_socket(far, 1, domains[i], SOCK_DGRAM, 0), 0);
		far->outside = false;
		ck_assert_int_eq(far_bind(far, 1, &at), 0);
		ck_assert_int_eq(far_socket(far, 0, domains[i], SOCK_DGRAM, 0), 0);
		ck_assert_int_eq(far_call(far, 0, small_mtu), 0);
		ck_assert_int_eq(far_connect(far, 0, &at), 0);
		packets_rule(packets_rule_for(&at, ALLOW, IPPROTO_UDP), DENY, 0);
		packets_mark();
		ck_assert_int_eq(far_send(far, 0, data, sizeof(data)), 0);
		ck_assert_int_eq(far_receive(far, 1, LIVE_DEADLINE_MS), 0);
		ck_assert_uint_eq(packets_denied(), 0);
		packets_rule(packets_rule_for(&at, DENY, IPPROTO_UDP), ALLOW, 0);
		ck_assert_int_eq(far_send(far, 0, data, sizeof(data)), EPERM);
		ck_assert_uint_eq(packets_denied(), 1);
		far_close(far, 0);
		far_close(far, 1);
		rules_set(packets_session, NULL);
	}
	packets_end();
}
END_TEST

void packets_header_tests(TCase *tc)
{
	const int both = LIVE_COUNT(packets_missing);

	tcase_add_loop_test(tc, each_packet, 0, both);
	tcase_add_loop_test(tc, denied_port_that_a_packet_hides, 0, both);
	tcase_add_loop_test(tc, too_many_extensions, 0, both);
	tcase_add_loop_test(tc, extension_beyond_the_end, 0, both);
	tcase_add_loop_test(tc, header_with_another_destination, 0, both);
	tcase_add_loop_test(tc, fragments_of_the_kernel, 0, both);
}
