/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RLIMIT_MEMLOCK on kernels before 5.11, where maps count against it. libbpf asks
 * for no limit at all or leaves it, and once refused never asks again in
 * this process. With fewer rights the hard limit may still be enough.
 */
#include <sys/resource.h>

#include "internal.h"

void agentsh_memlock_raise(void)
{
	const struct rlimit none = {RLIM_INFINITY, RLIM_INFINITY};
	struct rlimit limit;

	if (!agentsh_memlock_counts() || getrlimit(RLIMIT_MEMLOCK, &limit) ||
	    limit.rlim_cur == RLIM_INFINITY || !setrlimit(RLIMIT_MEMLOCK, &none))
		return;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_MEMLOCK, &limit);
}
