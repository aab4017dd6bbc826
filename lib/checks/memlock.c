/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Raises RLIMIT_MEMLOCK on kernels before 5.11, which charge maps to it. libbpf either
 * requests no limit at all or leaves the limit alone, and after one refusal it does not
 * try again in this process. Without CAP_SYS_RESOURCE the hard limit may still be enough.
 */
#include "checks/memlock.h"

#include <sys/resource.h>

#include "base/system.h"

void agentsh_memlock_raise(void)
{
	const struct rlimit none = {RLIM_INFINITY, RLIM_INFINITY};
	struct rlimit limit;

	if (!agentsh_kernel_charges_memlock() || getrlimit(RLIMIT_MEMLOCK, &limit) ||
	    limit.rlim_cur == RLIM_INFINITY || !setrlimit(RLIMIT_MEMLOCK, &none))
		return;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_MEMLOCK, &limit);
}
