/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stands for fail.c in a fully static program, which cannot replace functions of the C library: no
 * call is counted, watched or made to fail, and fail_has_allocations() says so.
 */
#include "fail.h"

#include <stddef.h>

void fail_arm(unsigned int nth, int error)
{
	(void)nth;
	(void)error;
}

unsigned int fail_disarm(const char **what)
{
	*what = NULL;
	return 0;
}

bool fail_has_allocations(void)
{
	return false;
}

long fail_blocks(void)
{
	return 0;
}

void fail_watch(fail_watcher watcher)
{
	(void)watcher;
}
