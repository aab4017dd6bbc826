/* SPDX-License-Identifier: Apache-2.0 */
/* Whether RLIMIT_NOFILE leaves enough descriptors. */
#include "checks/process.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/programs.h"
#include "checks/checks.h"

#define DESCRIPTORS_FOR_LOAD 73 /* the most at one time: libbpf's and our copies */
#define DESCRIPTORS_KEPT 36	/* the most that a tracer with all hooks keeps open */
/* one per link, and one of the cgroup */
#define DESCRIPTORS_PER_SESSION (AGENTSH_PROGRAM_COUNT + 1)

/*
 * Opens as many descriptors as a load needs at its peak. Without enough of them libbpf is
 * not called: it would take the failure of its trial calls for a missing kernel feature
 * until the process ends, and every later open would fail.
 */
static int try_descriptors(void)
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

	/* since kernel 6.2 the size is the number of open descriptors */
	if (!stat("/proc/self/fd", &st) && st.st_size > 0)
		return (uint64_t)st.st_size;
	/* descriptors below the lowest free one are open; few are above it */
	lowest = eventfd(0, EFD_CLOEXEC);
	if (lowest < 0)
		return 0;
	close(lowest);
	return (uint64_t)lowest;
}

/*
 * Checks that a load has enough descriptors, and counts the sessions for which
 * RLIMIT_NOFILE leaves some.
 */
void agentsh_probe_descriptors(struct agentsh_ebpf_capabilities *caps)
{
	const uint32_t check = AGENTSH_EBPF_CHECK_NOFILE;
	int error = -try_descriptors();
	struct rlimit limit = {0};
	uint64_t used, sessions;

	getrlimit(RLIMIT_NOFILE, &limit);
	used = open_descriptors() + DESCRIPTORS_KEPT;
	sessions = limit.rlim_cur > used ? (limit.rlim_cur - used) / DESCRIPTORS_PER_SESSION : 0;
	if (!error)
		agentsh_check_set(caps, check, AGENTSH_EBPF_STATUS_AVAILABLE, 0,
				  "RLIMIT_NOFILE is %llu, enough for %llu sessions",
				  (unsigned long long)limit.rlim_cur, (unsigned long long)sessions);
	else
		agentsh_check_set(caps, check, AGENTSH_EBPF_STATUS_FORBIDDEN, error,
				  "RLIMIT_NOFILE (%llu) leaves too few descriptors (%s)",
				  (unsigned long long)limit.rlim_cur, strerror(error));
	caps->checks[check].value = limit.rlim_cur;
	if (!agentsh_check_missing(caps, check))
		caps->max_sessions = sessions > UINT32_MAX ? UINT32_MAX : (uint32_t)sessions;
}
