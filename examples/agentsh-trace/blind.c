/* SPDX-License-Identifier: Apache-2.0 */
#include "blind.h"

#include <errno.h>

const char *blind_reason(int error)
{
	switch (error) {
	case ENOENT:
		return "the cgroup was removed";
	case ENOLINK:
		return "a program was detached from the cgroup";
	case EBUSY:
		return "another program runs in place of a program of the trace";
	case ESTALE:
		return "the state of the trace in the kernel was overwritten";
	default:
		return "unknown reason";
	}
}
