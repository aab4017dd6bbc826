/* SPDX-License-Identifier: Apache-2.0 */
#include "base/owner.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

/*
 * A process id alone does not tell a child apart: in a new PID namespace parent and child
 * can both be process 1. MADV_WIPEONFORK came with kernel 4.14, madvise(2).
 */
int agentsh_owner_init(struct agentsh_owner *owner)
{
	size_t size = (size_t)sysconf(_SC_PAGESIZE);
	void *page = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	owner->pid = getpid();
	owner->mark = NULL;
	if (page == MAP_FAILED)
		return -errno;
	if (madvise(page, size, MADV_WIPEONFORK)) {
		munmap(page, size); /* an emulator: the process id has to do */
		return 0;
	}
	owner->mark = page;
	*owner->mark = 1;
	return 0;
}

void agentsh_owner_free(struct agentsh_owner *owner)
{
	if (owner->mark)
		munmap(owner->mark, (size_t)sysconf(_SC_PAGESIZE));
}

bool agentsh_owner_is_caller(const struct agentsh_owner *owner)
{
	return owner->mark ? *owner->mark : owner->pid == getpid();
}
