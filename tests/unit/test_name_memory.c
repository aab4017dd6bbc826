/* SPDX-License-Identifier: Apache-2.0 */
/* Names while memory is short: what is missing is counted. */
#include <errno.h>
#include <stdio.h>

#include "fail.h"
#include "hello_builder.h"
#include "name_harness.h"
#include "names/packet.h"

#define ADDRESS 0xc0000201 /* 192.0.2.1 */
#define TGID 100

static struct name_host h;
static unsigned int nth;   /* the allocation that fails */
static const char *failed; /* what failed */

static int deliver(void *ring, void *record, size_t size)
{
	const char *what;
	int ret;

	if (failed)
		return agentsh_deliver_record(ring, record, size);
	fail_arm(nth, ENOMEM);
	ret = agentsh_deliver_record(ring, record, size);
	nth -= fail_disarm(&what);
	failed = what;
	return ret;
}

static int say_hello(uint64_t cookie)
{
	const struct agentsh_ebpf_event event =
		name_event(&h, AGENTSH_EBPF_EVENT_SERVER_NAME, cookie, TGID, ADDRESS, 443);
	static struct hello hello;

	hello_begin(&hello);
	hello_sni(&hello, "tls.example");
	hello_end(&hello, 16384);
	return name_packet(&h, h.session, &event,
			   &(struct agentsh_packet){
				   .data = hello.bytes,
				   .captured = (uint32_t)hello.size,
				   .length = (uint32_t)hello.size,
				   .segment = 1,
			   });
}

/* Returns what arrived of a query's answer, the names of a connection and of its server. */
static int use_names(void)
{
	const struct agentsh_ebpf_event *event;
	int seen = 0;

	name_ask(&h, 1, TGID, 1, "one.example");
	if (name_answer(&h, 1, TGID, 1, "one.example", ADDRESS) == 1)
		seen += name_of(&h, &h.events[h.batch.count - 1]).asked[0] != '\0';
	event = name_connect(&h, 2, TGID, ADDRESS);
	seen += name_of(&h, event).asked[0] != '\0';
	if (say_hello(2) == 1)
		seen += name_of(&h, &h.events[h.batch.count - 1]).server_name[0] != '\0';
	return seen;
}

START_TEST(each_allocation_fails)
{
	unsigned int first = 0;
	int seen;

	if (!fail_has_allocations()) {
		puts("left out: names without memory: allocations cannot be made to fail here");
		return;
	}
	do {
		nth = ++first;
		failed = NULL;
		name_open(&h, AGENTSH_EBPF_OPEN_DNS_EVENTS, NULL);
		h.deliver = deliver;
		seen = use_names();
		if (failed)
			ck_assert_msg(seen == 3 || NAME_STATS(&h).messages_skipped,
				      "allocation %u: %d of 3 seen", first, seen);
		else
			ck_assert_uint_eq(NAME_STATS(&h).messages_skipped, 0);
		name_close(&h);
	} while (failed);
	ck_assert_int_eq(seen, 3);
	ck_assert_uint_gt(first, 10);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("name_memory");
	TCase *tcase = unit_case(suite, "name_memory");

	tcase_add_test(tcase, each_allocation_fails);
	return unit_main(suite);
}
