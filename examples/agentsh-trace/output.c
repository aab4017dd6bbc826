/* SPDX-License-Identifier: Apache-2.0 */
#include "output.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "warn.h"

#define FILE_CHUNK (1024 * 1024)

bool output_open(struct output *o, const char *path)
{
	struct stat st;

	o->fd = STDERR_FILENO;
	if (path)
		o->fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY, 0666);
	if (o->fd < 0)
		return false;
	/* A pipe that poll(2) reports as writable takes PIPE_BUF bytes without blocking, pipe(7).
	 */
	o->chunk = !fstat(o->fd, &st) && S_ISREG(st.st_mode) ? FILE_CHUNK : PIPE_BUF;
	return true;
}

static void report_failure(struct output *o, int error)
{
	o->failed = true;
	o->start = o->end = 0;
	warn_user("writing the trace: %s; the rest of it is not written", strerror(error));
}

void output_close(struct output *o)
{
	if (o->fd == STDERR_FILENO)
		return;
	/* Some file systems report a full disk only at close(2). */
	if (close(o->fd) && !o->failed)
		report_failure(o, errno);
}

bool output_has_room(struct output *o, size_t bytes)
{
	if (o->start == o->end)
		o->start = o->end = 0;
	if (sizeof(o->buf) - o->end >= bytes)
		return true;
	memmove(o->buf, o->buf + o->start, o->end - o->start);
	o->end -= o->start;
	o->start = 0;
	return sizeof(o->buf) - o->end >= bytes;
}

struct text output_begin(struct output *o)
{
	return (struct text){.buf = o->buf + o->end, .cap = sizeof(o->buf) - o->end};
}

void output_end(struct output *o, const struct text *line)
{
	if (!line->cut && !o->failed)
		o->end += line->len;
}

bool output_pending(const struct output *o)
{
	return o->start < o->end;
}

void output_write(struct output *o)
{
	size_t n = o->end - o->start;
	ssize_t written;

	written = write(o->fd, o->buf + o->start, n < o->chunk ? n : o->chunk);
	if (written >= 0)
		o->start += (size_t)written;
	else if (errno != EINTR && errno != EAGAIN)
		report_failure(o, errno);
}
