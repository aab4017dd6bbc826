/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DNS messages. The first byte of the input tells by how many times 16 bytes the message was
 * longer than what was captured of it.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "fuzz.h"
#include "fuzz_names.h"
#include "names/dns_message.h"

static void check_addresses(const struct agentsh_dns_message *m)
{
	static const uint8_t zero[12];

	FUZZ_CHECK(m->count <= AGENTSH_DNS_ADDRESSES);
	FUZZ_CHECK(!m->count || m->response);
	FUZZ_CHECK(m->ttl_s <= INT32_MAX);
	for (uint32_t i = 0; i < m->count; i++) {
		const struct agentsh_ebpf_address *a = &m->addresses[i];

		FUZZ_CHECK(a->family == AF_INET || a->family == AF_INET6);
		FUZZ_CHECK(a->family == AF_INET6 || !memcmp(a->addr + 4, zero, sizeof(zero)));
		FUZZ_CHECK(!a->port && a->ttl_s >= m->ttl_s && a->ttl_s <= INT32_MAX);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct agentsh_dns_message m, again;
	size_t captured = size ? size - 1 : 0, length = captured + (size ? data[0] * 16U : 0);
	uint8_t *bytes = malloc(captured ? captured : 1);
	int ret;

	FUZZ_CHECK(bytes);
	memcpy(bytes, data + !!size, captured);
	memset(&m, 0xa5, sizeof(m));
	memset(&again, 0x5a, sizeof(again));
	ret = agentsh_dns_parse(bytes, captured, length, &m);
	FUZZ_CHECK(ret == agentsh_dns_parse(bytes, captured, length, &again));
	if (!ret) {
		FUZZ_CHECK(!strcmp(m.asked, again.asked) && !strcmp(m.owner, again.owner));
		FUZZ_CHECK(m.cut == again.cut && m.count == again.count && m.ttl_s == again.ttl_s);
		FUZZ_CHECK(!memcmp(m.addresses, again.addresses, sizeof(m.addresses)));
		FUZZ_CHECK(m.rcode < 16 && (m.cut || length == captured));
		fuzz_check_name(m.asked, m.asked_cut, false);
		fuzz_check_name(m.owner, m.owner_cut, false);
		FUZZ_CHECK(m.response || !strcmp(m.asked, m.owner));
		check_addresses(&m);
		if (length == captured) /* a longer message has at least the same question */
			FUZZ_CHECK(!agentsh_dns_parse(bytes, captured, length + 1, &again) &&
				   again.cut && !strcmp(m.asked, again.asked));
	}
	free(bytes);
	return 0;
}
