/* SPDX-License-Identifier: Apache-2.0 */
#include "complain.h"

#include <langinfo.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "text.h"

/* Paths, options and names of commands come from who knows where: safe on a terminal. */
void complain(const char *format, ...)
{
	char said[PATH_MAX + 512], line[4 * sizeof(said) + 32];
	struct text t = {.buf = line, .cap = sizeof(line)};
	va_list args;

	va_start(args, format);
	vsnprintf(said, sizeof(said), format, args);
	va_end(args);
	text_string(&t, "agentsh-trace: ");
	text_terminal(&t, said, strlen(said), !strcmp(nl_langinfo(CODESET), "UTF-8"));
	text_string(&t, "\n");
	/* one write, so that lines of several processes do not mix; who would hear of an error? */
	(void)!write(STDERR_FILENO, line, t.len);
}
