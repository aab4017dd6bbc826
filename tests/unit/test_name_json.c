/* SPDX-License-Identifier: Apache-2.0 */
/* The members of agentsh-trace's JSON lines about names and DNS messages. */
#include <stdio.h>
#include <string.h>

#include "name_event.h"

START_TEST(json_of_destinations)
{
	begin(AGENTSH_EBPF_EVENT_CONNECT);
	names.name.flags = AGENTSH_EBPF_NAME_FLAG_SHARED | AGENTSH_EBPF_NAME_FLAG_DIFFERS;
	names.name.others = 2;
	names.name.asker_tgid = 77;
	names.name.age_ns = 5;
	names.name.ttl_ns = 60000000000;
	names.name.resolver =
		(struct agentsh_ebpf_address){.family = AF_INET6, .port = 53, .addr = {[15] = 1}};
	names.name.server_name_source = AGENTSH_EBPF_NAME_TLS;
	strcpy(names.name.server_name, "other.example");
	ck_assert_ptr_nonnull(strstr(
		json_of(&names),
		",\"attributed\":true,\"dst_name\":\"api.example.org\",\"dst_name_source\":\"dns\","
		"\"dst_name_owner\":\"edge.example.net\",\"dst_name_shared\":2,"
		"\"dst_name_tgid\":77,\"dst_name_age_ns\":5,\"dst_name_ttl_s\":60,"
		"\"dst_name_resolver\":\"[::1]:53\",\"server_name\":\"other.example\","
		"\"server_name_source\":\"tls\",\"alpn\":null,"
		"\"dst_name_flags\":[\"shared\",\"differs\"],\"session_lost\":0"));
	names.name.ttl_ns = UINT64_MAX;
	names.name.resolver.family = 0;
	names.name.server_name_source = AGENTSH_EBPF_NAME_NONE;
	names.name.flags = 0;
	ck_assert_ptr_nonnull(strstr(json_of(&names), ",\"dst_name_ttl_s\":null,"
						      "\"dst_name_resolver\":null,"
						      "\"server_name\":null,\"dst_name_flags\":[],"
						      "\"session_lost\""));
	names.name.source = AGENTSH_EBPF_NAME_NONE;
	ck_assert_ptr_nonnull(strstr(json_of(&names), "\"attributed\":true,\"dst_name\":null,"
						      "\"server_name\":null,\"session_lost\""));
	names.named = false;
	ck_assert_ptr_nonnull(strstr(json_of(&names), "\"attributed\":true,\"dst_name\":null,"
						      "\"server_name\":null,\"session_lost\""));
	ck_assert_ptr_nonnull(
		strstr(json_of(NULL), "\"attributed\":true,\"session_lost\"")); /* off */
}
END_TEST

/* A member that is added to the struct takes reserved bytes or makes it longer. */
START_TEST(json_shows_every_byte_of_a_name)
{
	static char before[sizeof(line)];
	unsigned char *bytes = (unsigned char *)&names.name;

	for (size_t byte = 0; byte < sizeof(names.name); byte++) {
		const bool is_unused =
			byte < offsetof(struct agentsh_ebpf_name, source) ||
			(byte >= offsetof(struct agentsh_ebpf_name, resolver.ttl_s) &&
			 byte < offsetof(struct agentsh_ebpf_name, resolver.addr)) ||
			/* the last bytes end the texts */
			(byte >= offsetof(struct agentsh_ebpf_name, asked) &&
			 (byte + 1 - offsetof(struct agentsh_ebpf_name, asked)) % 256 == 0) ||
			byte == sizeof(names.name) - 1;

		if (is_unused)
			continue;
		begin(AGENTSH_EBPF_EVENT_CONNECT);
		memset(names.name.asked, 'a', sizeof(names.name.asked) - 1);
		memset(names.name.owner, 'o', sizeof(names.name.owner) - 1);
		memset(names.name.server_name, 's', sizeof(names.name.server_name) - 1);
		memset(names.name.alpn, 'h', sizeof(names.name.alpn) - 1);
		names.name.server_name_source = AGENTSH_EBPF_NAME_TLS;
		names.name.resolver.family = AF_INET6;
		/* Only some bits and values of these have a meaning; their first bytes are below.
		 */
		if (byte == offsetof(struct agentsh_ebpf_name, flags) + 1 ||
		    byte == offsetof(struct agentsh_ebpf_name, flags) + 2 ||
		    byte == offsetof(struct agentsh_ebpf_name, flags) + 3)
			continue;
		strcpy(before, json_of(&names));
		if (byte >= offsetof(struct agentsh_ebpf_name, ttl_ns) &&
		    byte < offsetof(struct agentsh_ebpf_name, ttl_ns) + 4)
			names.name.ttl_ns ^= UINT64_C(0x100000000); /* less is below a second */
		else
			bytes[byte] ^= 1;
		ck_assert_msg(strcmp(before, json_of(&names)) != 0, "byte %zu is not shown", byte);
	}
}
END_TEST

START_TEST(json_shows_every_flag)
{
	static char before[sizeof(line)];

	for (uint32_t flag = 1; flag <= AGENTSH_EBPF_NAME_FLAG_DIFFERS; flag <<= 1) {
		begin(AGENTSH_EBPF_EVENT_CONNECT);
		strcpy(before, json_of(&names));
		names.name.flags = flag;
		ck_assert_msg(strcmp(before, json_of(&names)) != 0, "flag %u is not shown", flag);
	}
	for (uint32_t flag = 1; flag <= AGENTSH_EBPF_DNS_FLAG_UNTRUSTED; flag <<= 1) {
		begin_dns(AGENTSH_EBPF_EVENT_DNS_ANSWER, 1, 0, 0);
		strcpy(before, json_of(&names));
		names.dns.flags = flag;
		ck_assert_msg(strcmp(before, json_of(&names)) != 0, "flag %u is not shown", flag);
	}
}
END_TEST

START_TEST(json_of_dns)
{
	begin_dns(AGENTSH_EBPF_EVENT_DNS_ANSWER, 1, 0, 2);
	names.list[1].family = AF_INET6;
	names.name.ttl_ns = 300000000000;
	names.dns.flags = AGENTSH_EBPF_DNS_FLAG_TCP | AGENTSH_EBPF_DNS_FLAG_UNASKED;
	ck_assert_ptr_nonnull(strstr(json_of(&names),
				     ",\"attributed\":true,\"dns_name\":\"api.example.org\","
				     "\"dns_type\":\"A\",\"dns_flags\":[\"tcp\",\"unasked\"],"
				     "\"dns_rcode\":\"NOERROR\",\"dns_owner\":\"edge.example.net\","
				     "\"dns_ttl_s\":300,"
				     "\"dns_addresses\":[\"192.0.2.1\",\"c000:202::\"],"
				     "\"session_lost\":0,\"duration_ns\":2100000}\n"));
	begin_dns(AGENTSH_EBPF_EVENT_DNS_ANSWER, 15, 2, 0);
	ck_assert_ptr_nonnull(strstr(json_of(&names), "\"dns_type\":\"MX\",\"dns_flags\":[],"
						      "\"dns_rcode\":\"SERVFAIL\","));
	ck_assert_ptr_nonnull(strstr(line, "\"dns_addresses\":[],"));
	ck_assert_ptr_nonnull(strstr(json_of(NULL), ",\"dns_name\":null,\"dns_type\":null,"
						    "\"dns_flags\":[],\"dns_rcode\":null,"
						    "\"dns_owner\":null,\"dns_ttl_s\":null,"
						    "\"dns_addresses\":null,\"session_lost\""));
	begin_dns(AGENTSH_EBPF_EVENT_DNS_QUERY, 16, 0, 0);
	ck_assert_ptr_nonnull(strstr(json_of(&names), ",\"dns_name\":\"api.example.org\","
						      "\"dns_type\":\"TXT\",\"dns_flags\":[],"
						      "\"session_lost\":0}\n"));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("name_json");
	TCase *tcase = unit_case(suite, "name_json");

	tcase_add_test(tcase, json_of_destinations);
	tcase_add_test(tcase, json_shows_every_byte_of_a_name);
	tcase_add_test(tcase, json_shows_every_flag);
	tcase_add_test(tcase, json_of_dns);
	return unit_main(suite);
}
