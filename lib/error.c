/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "internal.h"

/* A caller with less room gets the message's beginning, terminated all the same. */
static void error_write(struct agentsh_ebpf_error *err, const struct agentsh_ebpf_error *from)
{
	size_t have = err->size;

	agentsh_sized_give(err, from, sizeof(*from));
	if (have < sizeof(*from) && have > offsetof(struct agentsh_ebpf_error, message))
		((char *)err)[have - 1] = '\0';
}

/* Texts quote what others chose: names, paths, the environment. A log must not be forged by it. */
void agentsh_one_line(char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			*text = '?';
}

bool agentsh_error_begin(struct agentsh_ebpf_error *err)
{
	const struct agentsh_ebpf_error none = {0};

	if (!err)
		return true;
	if (err->size < sizeof(err->size))
		return false;
	error_write(err, &none);
	return true;
}

int agentsh_fail(struct agentsh_ebpf_error *err, int code, uint32_t step, const char *format, ...)
{
	struct agentsh_ebpf_error full = {.code = code, .step = step};
	va_list args;

	if (!err)
		return code;
	va_start(args, format);
	vsnprintf(full.message, sizeof(full.message), format, args);
	va_end(args);
	agentsh_one_line(full.message);
	error_write(err, &full);
	return code;
}
