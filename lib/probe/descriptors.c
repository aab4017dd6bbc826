/* SPDX-License-Identifier: Apache-2.0 */
/* Whether RLIMIT_NOFILE leaves enough descriptors. */
#include "probe/process.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "load/programs.h"
#include "probe/checks.h"

#define DESCRIPTORS_FOR_LOAD 64 /* at the peak: libbpf's, and our copies */
#define DESCRIPTORS_KEPT 22	/* by a tracer with all hooks, at most */

/*
 * Out of descriptors, libbpf takes its own trial calls' failure for a missing
 * kernel feature, and remembers that for the rest of the process: every later
 * open would fail. So it is not called without enough of them.
 */
static int check_descriptors(void)
{
	int fds[DESCRIPTORS_FOR_LOAD], n = 0, ret = 0;

	while (n < DESCRIPTORS_FOR_LOAD && !ret) {
		fds[n] = n ? fcntl(fds[0], F_DUPFD_CLOEXEC, 0) : eventfd(0, EFD_CLOEXEC);
		if (fds[n] < 0)
			ret = -errno;
		else
			n++;
	}
	while (n)
		close(fds[--n]);
	return ret;
}

static uint64_t open_descriptors(void)
{
	struct stat st;
	int lowest;

	if (!stat("/proc/self/fd", &st) && st.st_size > 0) /* kernel 6.2: their number */
		return (uint64_t)st.st_size;
	/* those below the lowest free one are taken; what is above it is rare */
	lowest = eventfd(0, EFD_CLOEXEC);
	if (lowest < 0)
		return 0;
	close(lowest);
	return (uint64_t)lowest;
}

/* As many as a load takes at its peak are opened; then those are counted that it leaves. */
void agentsh_probe_descriptors(struct agentsh_ebpf_capabilities *caps)
{
	const uint32_t check = AGENTSH_EBPF_CHECK_NOFILE;
	int error = -check_descriptors();
	struct rlimit limit = {0};
	uint64_t taken, sessions;

	getrlimit(RLIMIT_NOFILE, &limit);
	taken = open_descriptors() + DESCRIPTORS_KEPT;
	sessions = limit.rlim_cur > taken ? (limit.rlim_cur - taken) / AGENTSH_PROGRAM_COUNT : 0;
	if (!error)
		agentsh_check_set(caps, check, AGENTSH_EBPF_STATUS_AVAILABLE, 0,
				  "RLIMIT_NOFILE is %llu: room for %llu sessions",
				  (unsigned long long)limit.rlim_cur, (unsigned long long)sessions);
	else
		agentsh_check_set(caps, check, AGENTSH_EBPF_STATUS_FORBIDDEN, error,
				  "RLIMIT_NOFILE, %llu, leaves too few descriptors (%s)",
				  (unsigned long long)limit.rlim_cur, strerror(error));
	caps->checks[check].value = limit.rlim_cur;
	if (!agentsh_check_missing(caps, check))
		caps->max_sessions = sessions > UINT32_MAX ? UINT32_MAX : (uint32_t)sessions;
}
