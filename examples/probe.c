/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reports whether this machine can trace connections, and what to do if it cannot. The
 * program runs without privileges, but then reports that privileges are missing.
 */
#include <stdio.h>

#include <agentsh/ebpf.h>

static void show_check(const struct agentsh_ebpf_check *check, uint32_t number)
{
	printf("%-15s %-10s %s\n", agentsh_ebpf_check_name(number),
	       agentsh_ebpf_status_name(check->status), check->detail);
}

static void show_hint(const struct agentsh_ebpf_check *check, uint32_t number)
{
	printf("%-15s %-10s hint: %s\n", "", check->required ? "(required)" : "(optional)",
	       agentsh_ebpf_check_hint(number));
}

static void show_hooks(uint32_t hooks)
{
	printf("hooks that work:");
	for (uint32_t hook = 1; hook; hook <<= 1)
		if (hooks & hook)
			printf(" %s", agentsh_ebpf_hook_name(hook));
	printf("\n");
}

int main(void)
{
	static struct agentsh_ebpf_capabilities caps = {.size = sizeof(caps)};

	agentsh_ebpf_capability_probe(&caps);
	for (uint32_t i = 0; i < caps.count; i++) {
		show_check(&caps.checks[i], i);
		if (caps.missing >> i & 1)
			show_hint(&caps.checks[i], i);
	}
	if (!caps.usable) {
		printf("tracing is impossible: %s\n", caps.reason);
		return 1;
	}
	show_hooks(caps.hooks);
	printf("sessions: %u with the current limit of file descriptors\n", caps.max_sessions);
	return 0;
}
