/* SPDX-License-Identifier: Apache-2.0 */
/* Text of /proc, in which anyone who may mount chooses the paths. */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "checks/mountinfo.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = {data, size};
	size_t cgroup_len, mounts_len;
	char *cgroup = fuzz_slice(&in, &cgroup_len), *mounts = fuzz_slice(&in, &mounts_len);
	struct agentsh_mounts found;

	memset(&found, 'x', sizeof(found));
	agentsh_mountinfo_parse(mounts, mounts_len, cgroup, cgroup_len, NULL, &found);
	FUZZ_CHECK(memchr(found.mount, '\0', sizeof(found.mount)));
	FUZZ_CHECK(memchr(found.own, '\0', sizeof(found.own)));
	FUZZ_CHECK(found.v2 || (!found.mount[0] && !found.own[0]));
	free(mounts);
	free(cgroup);
	return 0;
}
