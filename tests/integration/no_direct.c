/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Linked into a test, this answers for libbpf that the kernel has no
 * bpf_get_current_task_btf for these programs, as those before 5.11 have not:
 * the library has to take the programs that copy out of the task.
 */
#include <stdio.h>
#include <unistd.h>

__attribute__((visibility("default"))) int libbpf_probe_bpf_helper(int program_type, int helper,
								   const void *options);

static int asked;

int libbpf_probe_bpf_helper(int program_type, int helper, const void *options)
{
	(void)program_type;
	(void)helper;
	(void)options;
	asked++;
	return 0;
}

/* A library that no longer asks would make a test of something else. */
__attribute__((destructor)) static void expect_asked(void)
{
	if (asked || geteuid() != 0)
		return;
	fprintf(stderr, "the library did not ask libbpf_probe_bpf_helper()\n");
	_exit(1);
}
