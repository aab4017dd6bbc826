/* SPDX-License-Identifier: Apache-2.0 */
#include "base/owner.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/error.h"

/*
 * A process id alone does not tell a child apart: in a new PID namespace parent and child
 * can both be process 1. MADV_WIPEONFORK came with kernel 4.14, madvise(2).
 */
int agentsh_owner_init(struct agentsh_owner *owner)
{
	size_t size = (size_t)sysconf(_SC_PAGESIZE);
	void *page = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	owner->pid = getpid();
	owner->is_owner = NULL;
	if (page == MAP_FAILED)
		return -errno;
	if (madvise(page, size, MADV_WIPEONFORK)) {
		munmap(page, size); /* under some emulators: the process id has to do */
		return 0;
	}
	owner->is_owner = page;
	*owner->is_owner = 1;
	return 0;
}

void agentsh_owner_free(struct agentsh_owner *owner)
{
	if (owner->is_owner)
		munmap(owner->is_owner, (size_t)sysconf(_SC_PAGESIZE));
}

bool agentsh_owner_is_caller(const struct agentsh_owner *owner)
{
	return owner->is_owner ? *owner->is_owner : owner->pid == getpid();
}

int agentsh_owner_check(const struct agentsh_owner *owner, struct agentsh_ebpf_error *err)
{
	if (agentsh_owner_is_caller(owner))
		return 0;
	return agentsh_fail(err, -EPERM, AGENTSH_EBPF_STEP_OPTIONS,
			    "the tracer belongs to the process that this one was forked from; "
			    "open a tracer after fork()");
}
