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

/*
 * Reads until the end of the file; NULL on error. stat(2) gives size 0 for files of /proc
 * and /sys, so the buffer grows as needed.
 */
static char *read_fd(int fd, size_t *len)
{
	char *text = NULL, *more;
	size_t len_read = 0, capacity = 0;
	ssize_t n;

	do {
		if (capacity - len_read < CHUNK) {
			capacity = capacity ? 2 * capacity : CHUNK;
			more = realloc(text, capacity + 1);
			if (!more)
				break;
			text = more;
		}
		n = read(fd, text + len_read, capacity - len_read);
		if (n > 0)
			len_read += (size_t)n;
		else if (!n) {
			text[len_read] = '\0';
			*len = len_read;
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
