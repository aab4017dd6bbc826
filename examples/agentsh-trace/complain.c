/* SPDX-License-Identifier: Apache-2.0 */
#include "complain.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

void complain(const char *format, ...)
{
	static const char name[] = "agentsh-trace: ";
	char line[2048];
	int n = (int)sizeof(name) - 1;
	va_list args;

	snprintf(line, sizeof(line), "%s", name);
	va_start(args, format);
	n += vsnprintf(line + n, sizeof(line) - (size_t)n - 1, format, args);
	va_end(args);
	if (n > (int)sizeof(line) - 2)
		n = (int)sizeof(line) - 2;
	line[n++] = '\n';
	/* one write, so that lines of several processes do not mix; who would hear of an error? */
	(void)!write(STDERR_FILENO, line, (size_t)n);
}
