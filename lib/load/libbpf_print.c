/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libbpf has one print callback per process, without a context pointer. It is taken under a
 * lock for the duration of one call. A thread-local pointer tells the messages of this
 * call from those that other threads cause meanwhile, which still go to the previous callback.
 */
#include "load/libbpf_print.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/libbpf.h>

_Static_assert((int)LIBBPF_WARN == AGENTSH_EBPF_LOG_WARN, "levels are the same");
_Static_assert((int)LIBBPF_INFO == AGENTSH_EBPF_LOG_INFO, "levels are the same");
_Static_assert((int)LIBBPF_DEBUG == AGENTSH_EBPF_LOG_DEBUG, "levels are the same");

static pthread_mutex_t print_lock = PTHREAD_MUTEX_INITIALIZER;
static _Atomic(libbpf_print_fn_t) earlier_print;
static _Thread_local struct agentsh_print_capture *capturing;

/* Keeps the last lines of the verifier's log before its statistics: they give the reason. */
static void keep_verifier_log(struct agentsh_print_capture *capture, const char *text)
{
	const char *begin = strstr(text, "BEGIN PROG LOAD LOG --\n");
	const char *end, *from;

	if (!begin || capture->verifier[0])
		return;
	/*
	 * Keep the marker's newline, so that '\nprocessed ' also matches when it is the first
	 * line.
	 */
	begin += sizeof("BEGIN PROG LOAD LOG --") - 1;
	end = strstr(begin, "\nprocessed ");
	if (!end)
		end = strstr(begin, "-- END PROG LOAD LOG");
	if (!end)
		end = begin + strlen(begin);
	if (end > begin)
		begin++;
	while (end > begin && end[-1] == '\n')
		end--;
	from = end;
	for (int lines = 0; from > begin && (size_t)(end - from) < sizeof(capture->verifier) - 1;
	     from--)
		if (from[-1] == '\n' && from != end && ++lines == 2)
			break;
	snprintf(capture->verifier, sizeof(capture->verifier), "%.*s", (int)(end - from), from);
	for (char *c = capture->verifier; *c; c++)
		if (*c == '\n')
			*c = ';';
}

/* Passes on a message line by line, because a verifier's log is one message of many lines. */
static void keep_message(struct agentsh_print_capture *capture, int level, char *text)
{
	char *rest = NULL;

	if (level == LIBBPF_WARN)
		keep_verifier_log(capture, text);
	for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		if (level == LIBBPF_WARN && !capture->warning[0])
			snprintf(capture->warning, sizeof(capture->warning), "%s", line);
		if (capture->on_log)
			capture->on_log(capture->log_ctx, level, line);
	}
}

static int print_hook(enum libbpf_print_level level, const char *format, va_list args)
{
	struct agentsh_print_capture *capture = capturing;
	libbpf_print_fn_t earlier = atomic_load(&earlier_print);
	char line[512], *text = line;
	va_list again;
	int length;

	if (!capture)
		return earlier ? earlier(level, format, args) : 0;
	if (level != LIBBPF_WARN && !capture->on_log)
		return 0;
	va_copy(again, args);
	length = vsnprintf(line, sizeof(line), format, args);
	if (length >= (int)sizeof(line)) { /* a verifier's log may have any length */
		char *whole = malloc((size_t)length + 1);

		if (whole) {
			vsnprintf(whole, (size_t)length + 1, format, again);
			text = whole;
		}
	}
	va_end(again);
	if (length >= 0)
		keep_message(capture, level, text);
	if (text != line)
		free(text);
	return 0;
}

void agentsh_print_capture_begin(struct agentsh_print_capture *capture)
{
	pthread_mutex_lock(&print_lock);
	capturing = capture;
	/* libbpf_set_print() returns the earlier hook; it must be stored before ours can run */
	atomic_store(&earlier_print, libbpf_set_print(NULL));
	libbpf_set_print(print_hook);
}

void agentsh_print_capture_end(void)
{
	libbpf_set_print(atomic_load(&earlier_print));
	capturing = NULL;
	pthread_mutex_unlock(&print_lock);
}

void agentsh_log(const struct agentsh_print_capture *capture, int level, const char *format, ...)
{
	char text[512];
	va_list args;

	if (!capture->on_log)
		return;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	capture->on_log(capture->log_ctx, level, text);
}
