/* SPDX-License-Identifier: Apache-2.0 */
#include "terminal.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

/* Without wrapping, a character that is wider than expected cannot turn one row into two. */
#define WRAP_OFF "\033[?7l"
#define WRAP_ON "\033[?7h"

bool terminal_usable(int fd)
{
	const char *term = getenv("TERM");

	return isatty(fd) && !(term && !strcmp(term, "dumb"));
}

/* TIOCGDEV resolves /dev/tty to the real device; fstat(2) does not. */
static bool same_terminal(int a, int b)
{
	unsigned device_a, device_b;

	return !ioctl(a, TIOCGDEV, &device_a) && !ioctl(b, TIOCGDEV, &device_b) &&
	       device_a == device_b;
}

bool terminal_is_shared(int fd)
{
	if (tcgetsid(fd) == getsid(0)) /* COMMAND can open it as /dev/tty, whatever its stdout is */
		return true;
	for (int other = STDOUT_FILENO; other <= STDERR_FILENO; other++)
		if (same_terminal(fd, other))
			return true;
	return false;
}

/* A terminal may move all rows when its size changes, and typed input moves the cursor. */
void terminal_refresh(struct terminal *terminal)
{
	struct winsize size = {0};
	pid_t foreground = tcgetpgrp(terminal->fd);
	int typed = 0;

	if (ioctl(terminal->fd, TIOCGWINSZ, &size))
		size.ws_row = 0;
	if (size.ws_col != terminal->width || size.ws_row != terminal->height)
		terminal_forget(terminal);
	/* In the background, another process group uses it. -1: not our controlling terminal. */
	if (foreground >= 0 && foreground != getpgrp())
		terminal_forget(terminal);
	/* FIONREAD counts complete lines only; the echoed end of a line starts a new row. */
	if (!ioctl(terminal->fd, FIONREAD, &typed) && typed != terminal->typed)
		terminal_forget(terminal);
	terminal->typed = typed;
	terminal->width = size.ws_col;
	terminal->height = size.ws_row;
}

bool terminal_open(struct terminal *terminal, int fd)
{
	*terminal = (struct terminal){.fd = fd};
	terminal_refresh(terminal);
	return terminal->width && terminal->height;
}

uint64_t terminal_add(struct terminal *terminal, struct text *t, const struct text *line)
{
	/* Do not return to column 0: text that is already in this row must stay. */
	text_string(t, WRAP_OFF);
	text_fit(t, line, terminal->width);
	text_string(t, WRAP_ON "\n");
	return terminal->rows++;
}

bool terminal_replace(struct terminal *terminal, struct text *t, uint64_t row,
		      const struct text *line)
{
	uint64_t up = terminal->rows - row;

	/* The cursor may be in the lowest row of the screen. */
	if (row < terminal->first || up >= terminal->height)
		return false;
	text_format(t, WRAP_OFF "\033[%" PRIu64 "A\r\033[2K", up);
	text_fit(t, line, terminal->width);
	text_format(t, "\033[%" PRIu64 "B\r" WRAP_ON, up);
	return true;
}

void terminal_forget(struct terminal *terminal)
{
	terminal->first = terminal->rows;
}
