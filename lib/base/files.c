/* SPDX-License-Identifier: Apache-2.0 */
#include "base/files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#define CHUNK 16384

void agentsh_read_start(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = -1;

	if (fd >= 0) {
		n = read(fd, text, size - 1);
		close(fd);
	}
	text[n > 0 ? n : 0] = '\0';
}

/* Until the end, or NULL. stat() says size 0 for these, so it grows as it reads. */
static char *read_fd(int fd, size_t *len)
{
	char *text = NULL, *more;
	size_t have = 0, room = 0;
	ssize_t n;

	do {
		if (room - have < CHUNK) {
			room = room ? 2 * room : CHUNK;
			more = realloc(text, room + 1);
			if (!more)
				break;
			text = more;
		}
		n = read(fd, text + have, room - have);
		if (n > 0)
			have += (size_t)n;
		else if (!n) {
			text[have] = '\0';
			*len = have;
			return text;
		}
	} while (n > 0 || errno == EINTR);
	free(text);
	return NULL;
}

char *agentsh_read_all(const char *path, size_t *len)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	char *text = fd < 0 ? NULL : read_fd(fd, len);

	if (fd >= 0)
		close(fd);
	return text;
}
