/* SPDX-License-Identifier: Apache-2.0 */
#include "base/low_fds.h"

#include <fcntl.h>
#include <unistd.h>

/*
 * O_PATH: reads and writes fail with EBADF, as on a closed descriptor. The host's log
 * callback and its other threads may still use a closed stream, and must not block.
 */
void agentsh_low_fds_hold(struct agentsh_low_fds *low)
{
	low->count = 0;
	while (low->count < 3) {
		int fd = open("/", O_PATH | O_CLOEXEC);

		if (fd > STDERR_FILENO)
			close(fd);
		if (fd < 0 || fd > STDERR_FILENO)
			return;
		low->held[low->count++] = fd;
	}
}

void agentsh_low_fds_release(const struct agentsh_low_fds *low)
{
	for (int i = 0; i < low->count; i++)
		close(low->held[i]);
}
