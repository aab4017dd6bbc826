/* SPDX-License-Identifier: Apache-2.0 */
#include "base/system.h"

#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

/*
 * Takes a decimal number; NULL: there is none. sscanf(3) and strtoul(3) are not used: with glibc
 * 2.38 or later they become symbols that older versions lack, also in an archive.
 */
static const char *take_number(const char *at, unsigned int *number)
{
	const char *start = at;

	for (*number = 0; *at >= '0' && *at <= '9'; at++)
		if (*number <= 0xffff)
			*number = *number * 10 + (unsigned int)(*at - '0');
	return at == start ? NULL : at;
}

uint32_t agentsh_parse_kernel_version(const char *release)
{
	unsigned int major, minor, patch;
	const char *at = take_number(release, &major);

	if (!at || *at != '.')
		return 0;
	at = take_number(at + 1, &minor);
	if (!at)
		return 0;
	if (*at != '.' || !take_number(at + 1, &patch))
		patch = 0;
	return AGENTSH_KERNEL(major & 0xff, minor & 0xff) | (patch > 0xff ? 0xff : patch);
}

uint32_t agentsh_kernel_version(char *release, size_t size)
{
	struct utsname name;

	if (uname(&name))
		strcpy(name.release, "?");
	if (release)
		snprintf(release, size, "%.*s", (int)size - 1, name.release);
	return agentsh_parse_kernel_version(name.release);
}

bool agentsh_kernel_charges_memlock(void)
{
	uint32_t version = agentsh_kernel_version(NULL, 0);

	return version && version < AGENTSH_KERNEL(5, 11);
}

bool agentsh_kernel_has_unique_cookies(void)
{
	uint32_t version = agentsh_kernel_version(NULL, 0);

	return !version || version >= AGENTSH_KERNEL(5, 10);
}

uint64_t agentsh_effective_capabilities(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {{0}};

	if (syscall(SYS_capget, &header, data))
		return 0;
	return data[0].effective | (uint64_t)data[1].effective << 32;
}
