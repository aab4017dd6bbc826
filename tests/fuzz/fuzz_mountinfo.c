/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /proc's texts, whose paths whoever may mount chooses: the library's reading of
 * them, the command's, and that the two agree.
 */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "internal.h"
#include "mountinfo.h"

/* The command's buffer, of a size that the input chooses, in a block of that size. */
static void command(const char *mounts, size_t mounts_len, const char *cgroup, size_t cgroup_len,
		    size_t size, const struct agentsh_mounts *found)
{
	char *path = malloc(size);

	FUZZ_CHECK(path);
	memset(path, 'x', size);
	if (mountinfo_own_cgroup(mounts, mounts_len, cgroup, cgroup_len, path, size)) {
		FUZZ_CHECK(memchr(path, '\0', size));
		FUZZ_CHECK(found->v2);
		if (path[0] && found->own[0])
			FUZZ_CHECK(!strcmp(path, found->own));
	}
	free(path);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = {data, size};
	size_t room = 1 + (size_t)16 * fuzz_byte(&in), cgroup_len, mounts_len;
	char *cgroup = fuzz_slice(&in, &cgroup_len), *mounts = fuzz_slice(&in, &mounts_len);
	struct agentsh_mounts found;

	memset(&found, 'x', sizeof(found));
	agentsh_mountinfo_parse(mounts, mounts_len, cgroup, cgroup_len, NULL, &found);
	FUZZ_CHECK(memchr(found.mount, '\0', sizeof(found.mount)));
	FUZZ_CHECK(memchr(found.own, '\0', sizeof(found.own)));
	FUZZ_CHECK(found.v2 || (!found.mount[0] && !found.own[0]));
	command(mounts, mounts_len, cgroup, cgroup_len, room, &found);
	free(mounts);
	free(cgroup);
	return 0;
}
