/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Options of any size and content are read only as far as their size says, and accepted
 * only if they are valid.
 */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "checks/checks.h"
#include "tracer/options.h"

static void check_tracer(const void *options)
{
	struct agentsh_ebpf_error err = {.size = sizeof(err)};
	struct agentsh_ebpf_tracer_options to;
	int ret = agentsh_tracer_options_check(options, &to, &err);

	FUZZ_CHECK(ret <= 0 && err.code == ret);
	FUZZ_CHECK(!ret == !err.message[0]);
	FUZZ_CHECK(fuzz_is_clean(err.message, strlen(err.message)));
	if (ret)
		return;
	FUZZ_CHECK(to.mode <= AGENTSH_EBPF_MODE_SYNTHETIC);
	FUZZ_CHECK(to.hooks && !(to.hooks & ~agentsh_ebpf_hooks_built()));
	FUZZ_CHECK(!(to.required_hooks & ~to.hooks));
	FUZZ_CHECK(to.ring_size >= 4096 && !(to.ring_size & (to.ring_size - 1)));
	FUZZ_CHECK(to.ring_quota >= 1 && to.ring_quota <= 100);
	FUZZ_CHECK(to.max_sessions >= 1 && to.max_sessions <= 65536);
	FUZZ_CHECK(to.udp_dedup_entries >= 16 && to.udp_dedup_entries <= 1 << 24);
	FUZZ_CHECK(to.wakeup_delay_us >= 50 && to.wakeup_delay_us <= 1000000);
	FUZZ_CHECK(!(to.simulate_missing >> AGENTSH_CHECK_COUNT));
	FUZZ_CHECK(!to.progress_interval_ms ||
		   (to.hooks & AGENTSH_EBPF_HOOK_TRAFFIC && to.progress_interval_ms >= 100 &&
		    to.progress_interval_ms <= 86400000));
	FUZZ_CHECK(!(to.hooks & AGENTSH_EBPF_HOOK_TRAFFIC) ||
		   to.hooks & AGENTSH_EBPF_HOOK_LIFECYCLE);
	FUZZ_CHECK(to.dns_timeout_ms >= 100 && to.dns_timeout_ms <= 600000);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = {data, size};
	uint32_t length = fuzz_byte(&in);
	bool tiny_size = fuzz_byte(&in) & 1;
	size_t capacity = length > sizeof(length) ? length : sizeof(length);
	unsigned char *options = malloc(capacity);
	struct agentsh_ebpf_session_options session;
	struct agentsh_ebpf_error err = {.size = sizeof(err)};
	int ret;

	/* the size is correct, or too small to be valid */
	FUZZ_CHECK(options);
	fuzz_bytes(&in, options, capacity);
	if (tiny_size || length < sizeof(length))
		length = length % 8;
	memcpy(options, &length, sizeof(length));
	check_tracer(options);
	ret = agentsh_session_options_check((const void *)options, &session, &err);
	FUZZ_CHECK(ret <= 0 && err.code == ret && !ret == !err.message[0]);
	free(options);
	return 0;
}
