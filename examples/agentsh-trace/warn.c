/* SPDX-License-Identifier: Apache-2.0 */
#include "warn.h"

#include <langinfo.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "text.h"

/* Paths, options and command names may contain any bytes, so escape them for the terminal. */
void warn_user(const char *format, ...)
{
	char message[PATH_MAX + 512], line[4 * sizeof(message) + 32];
	struct text t = {.buf = line, .cap = sizeof(line)};
	va_list args;

	va_start(args, format);
	vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	text_string(&t, "agentsh-trace: ");
	text_terminal(&t, message, strlen(message), !strcmp(nl_langinfo(CODESET), "UTF-8"));
	text_string(&t, "\n");
	/* One write keeps the lines of several processes apart. An error has nowhere to go. */
	(void)!write(STDERR_FILENO, line, t.len);
}
