/* SPDX-License-Identifier: Apache-2.0 */
#include "base/system.h"

#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

uint32_t agentsh_kernel_version(char *release, size_t size)
{
	unsigned int major = 0, minor = 0, patch = 0;
	struct utsname name;

	if (uname(&name))
		strcpy(name.release, "?");
	if (release)
		snprintf(release, size, "%.*s", (int)size - 1, name.release);
	if (sscanf(name.release, "%u.%u.%u", &major, &minor, &patch) < 2)
		return 0;
	return AGENTSH_KERNEL(major & 0xff, minor & 0xff) | (patch > 0xff ? 0xff : patch);
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
