/* SPDX-License-Identifier: Apache-2.0 */
#include "terminal.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

/* No row becomes two: what is wider than we think is cut at the edge. */
#define WRAP_OFF "\033[?7l"
#define WRAP_ON "\033[?7h"

bool terminal_is_one(int fd)
{
	const char *term = getenv("TERM");

	return isatty(fd) && !(term && !strcmp(term, "dumb"));
}

/* fstat() would say of /dev/tty that it is /dev/tty. */
static bool same_terminal(int a, int b)
{
	unsigned device_a, device_b;

	return !ioctl(a, TIOCGDEV, &device_a) && !ioctl(b, TIOCGDEV, &device_b) &&
	       device_a == device_b;
}

bool terminal_is_shared(int fd)
{
	if (tcgetsid(fd) == getsid(0)) /* COMMAND has it as /dev/tty, whatever its stdout is */
		return true;
	for (int other = STDOUT_FILENO; other <= STDERR_FILENO; other++)
		if (same_terminal(fd, other))
			return true;
	return false;
}

/* When its size changes a terminal may move all rows; what is typed there moves the cursor. */
void terminal_look(struct terminal *terminal)
{
	struct winsize size = {0};
	pid_t foreground = tcgetpgrp(terminal->fd);
	int typed = 0;

	if (ioctl(terminal->fd, TIOCGWINSZ, &size))
		size.ws_row = 0;
	if (size.ws_col != terminal->width || size.ws_row != terminal->height)
		terminal_forget(terminal);
	/* in the background it is another one's; it is not our session's if there is no answer */
	if (foreground >= 0 && foreground != getpgrp())
		terminal_forget(terminal);
	/* whole lines are counted, and only their ends matter: their echo is a new row */
	if (!ioctl(terminal->fd, FIONREAD, &typed) && typed != terminal->typed)
		terminal_forget(terminal);
	terminal->typed = typed;
	terminal->width = size.ws_col;
	terminal->height = size.ws_row;
}

bool terminal_open(struct terminal *terminal, int fd)
{
	*terminal = (struct terminal){.fd = fd};
	terminal_look(terminal);
	return terminal->width && terminal->height;
}

uint64_t terminal_add(struct terminal *terminal, struct text *t, const struct text *line)
{
	/* not to the row's beginning: whoever has left something there keeps it */
	text_string(t, WRAP_OFF);
	text_fit(t, line, terminal->width);
	text_string(t, WRAP_ON "\n");
	return terminal->rows++;
}

bool terminal_replace(struct terminal *terminal, struct text *t, uint64_t row,
		      const struct text *line)
{
	uint64_t up = terminal->rows - row;

	/* at worst the cursor is in the lowest row */
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
