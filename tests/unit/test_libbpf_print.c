/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libbpf's print callback: which callback gets which message, and what is kept of a verifier
 * log. An invalid ELF image makes libbpf warn.
 */
#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/libbpf.h>

#include "load/libbpf_print.h"
#include "unit.h"

static _Atomic int earlier_calls;

static int earlier(enum libbpf_print_level level, const char *format, va_list args)
{
	(void)level;
	(void)format;
	(void)args;
	earlier_calls++;
	return 0;
}

static void make_libbpf_warn(void)
{
	static const char garbage[64] = "this is not an ELF image";

	ck_assert_ptr_null(bpf_object__open_mem(garbage, sizeof(garbage), NULL));
}

/* Prints a line like libbpf, through the current hook. */
__attribute__((format(printf, 2, 3))) static void say(enum libbpf_print_level level,
						      const char *format, ...)
{
	libbpf_print_fn_t hook = libbpf_set_print(NULL);
	va_list args;

	libbpf_set_print(hook);
	va_start(args, format);
	hook(level, format, args);
	va_end(args);
}

/* ---- a log callback ----------------------------------------------------- */

struct lines {
	int count[3];
	bool newline;
	char last[70000];
};

static void take(void *ctx, int level, const char *text)
{
	struct lines *lines = ctx;

	lines->count[level]++;
	lines->newline |= strchr(text, '\n') != NULL;
	snprintf(lines->last, sizeof(lines->last), "%s", text);
}

static struct lines lines;

static struct agentsh_print_capture capture_with_lines(void)
{
	memset(&lines, 0, sizeof(lines));
	return (struct agentsh_print_capture){.on_log = take, .log_ctx = &lines};
}

/* ---- which callback -------------------------------------------------------  */

START_TEST(own_messages)
{
	struct agentsh_print_capture capture = capture_with_lines();

	libbpf_set_print(earlier);
	agentsh_print_capture_begin(&capture);
	make_libbpf_warn();
	agentsh_print_capture_end();
	ck_assert_int_gt(lines.count[AGENTSH_EBPF_LOG_WARN], 0);
	ck_assert_str_ne(capture.warning, "");
	ck_assert(!lines.newline);
	ck_assert_int_eq(earlier_calls, 0);
	/* the earlier hook is restored */
	make_libbpf_warn();
	ck_assert_int_gt(earlier_calls, 0);
	ck_assert_ptr_eq(libbpf_set_print(earlier), earlier);
}
END_TEST

START_TEST(no_earlier_hook)
{
	struct agentsh_print_capture capture = {0};

	libbpf_set_print(NULL);
	agentsh_print_capture_begin(&capture);
	make_libbpf_warn();
	agentsh_print_capture_end();
	ck_assert_str_ne(capture.warning, "");
	ck_assert_ptr_null(libbpf_set_print(NULL));
}
END_TEST

static void *other_thread(void *unused)
{
	(void)unused;
	make_libbpf_warn();
	return NULL;
}

static void in_other_thread(void)
{
	pthread_t thread;

	ck_assert_int_eq(pthread_create(&thread, NULL, other_thread, NULL), 0);
	pthread_join(thread, NULL);
}

START_TEST(others_messages)
{
	struct agentsh_print_capture capture = capture_with_lines();

	libbpf_set_print(earlier);
	agentsh_print_capture_begin(&capture);
	in_other_thread();
	ck_assert_int_gt(earlier_calls, 0);
	ck_assert_int_eq(lines.count[AGENTSH_EBPF_LOG_WARN], 0);
	ck_assert_str_eq(capture.warning, "");
	agentsh_print_capture_end();

	libbpf_set_print(NULL);
	agentsh_print_capture_begin(&capture);
	in_other_thread(); /* no callback, and no effect */
	agentsh_print_capture_end();
	ck_assert_int_eq(lines.count[AGENTSH_EBPF_LOG_WARN], 0);
}
END_TEST

/* One tracer is opened at a time; the earlier hook survives any number of opens. */
static void *captures(void *unused)
{
	(void)unused;
	for (int i = 0; i < 500; i++) {
		struct agentsh_print_capture capture = {0};

		agentsh_print_capture_begin(&capture);
		make_libbpf_warn();
		agentsh_print_capture_end();
		if (!capture.warning[0])
			return "a capture without its message";
	}
	return NULL;
}

START_TEST(several_threads)
{
	pthread_t threads[3];
	void *what;

	libbpf_set_print(earlier);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, captures, NULL), 0);
	for (int i = 0; i < 3; i++) {
		pthread_join(threads[i], &what);
		ck_assert_msg(!what, "%s", (char *)what);
	}
	ck_assert_int_eq(earlier_calls, 0);
	ck_assert_ptr_eq(libbpf_set_print(NULL), earlier);
}
END_TEST

/* ---- what is kept ------------------------------------------------------- */

START_TEST(levels)
{
	struct agentsh_print_capture capture = capture_with_lines();

	agentsh_print_capture_begin(&capture);
	say(LIBBPF_DEBUG, "debug %d\n", 1);
	say(LIBBPF_INFO, "info %s\n", "two");
	ck_assert_str_eq(capture.warning, "");
	ck_assert_str_eq(lines.last, "info two");
	say(LIBBPF_WARN, "first 100%%\n");
	ck_assert_str_eq(lines.last, "first 100%");
	say(LIBBPF_WARN, "second\n");
	agentsh_log(&capture, AGENTSH_EBPF_LOG_INFO, "own %u", 3U);
	ck_assert_str_eq(lines.last, "own 3");
	agentsh_print_capture_end();
	ck_assert_str_eq(capture.warning, "first 100%");
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(lines.count[i], i == AGENTSH_EBPF_LOG_DEBUG ? 1 : 2);
}
END_TEST

/* Without a callback the warnings are still kept for the error message. */
START_TEST(no_callback)
{
	struct agentsh_print_capture capture = {0};

	agentsh_print_capture_begin(&capture);
	say(LIBBPF_DEBUG, "debug\n");
	say(LIBBPF_INFO, "info\n");
	ck_assert_str_eq(capture.warning, "");
	say(LIBBPF_WARN, "warning\n");
	agentsh_log(&capture, AGENTSH_EBPF_LOG_WARN, "nobody listens");
	agentsh_print_capture_end();
	ck_assert_str_eq(capture.warning, "warning");
}
END_TEST

START_TEST(long_lines)
{
	static const size_t lengths[] = {100, 159, 160, 511, 512, 513, 65000};
	struct agentsh_print_capture capture = capture_with_lines();
	char *text = calloc(1, lengths[_i] + 1);

	ck_assert_ptr_nonnull(text);
	memset(text, 'x', lengths[_i]);
	agentsh_print_capture_begin(&capture);
	say(LIBBPF_WARN, "%s\n", text);
	agentsh_print_capture_end();
	/* complete for the host, its beginning for the error */
	ck_assert_str_eq(lines.last, text);
	ck_assert_uint_eq(strlen(capture.warning), lengths[_i] < sizeof(capture.warning)
							   ? lengths[_i]
							   : sizeof(capture.warning) - 1);
	free(text);
}
END_TEST

#define BEGIN "prog 'p': -- BEGIN PROG LOAD LOG --\n"
#define END "-- END PROG LOAD LOG --\n"
#define COUNTED "processed 3 insns (limit 1000000) max_states_per_insn 0\n"

static const struct {
	const char *log;
	const char *kept;
} verifier_logs[] = {
	{BEGIN "0: (b7) r0 = 1\n1: (79) r1 = *(u64 *)(r1 +0)\n"
	       "invalid bpf_context access off=0 size=8\n" COUNTED END,
	 "1: (79) r1 = *(u64 *)(r1 +0);invalid bpf_context access off=0 size=8"},
	{BEGIN "one\ntwo\nthree\n" END, "two;three"},
	{BEGIN "only\n" COUNTED END, "only"},
	{BEGIN "only\n" END, "only"},
	{BEGIN "no end\n", "no end"},
	{BEGIN COUNTED END, ""},
	{BEGIN, ""},
	{"prog 'p': BPF program load failed: Permission denied\n", ""},
};

START_TEST(verifier_log)
{
	struct agentsh_print_capture capture = {0};

	agentsh_print_capture_begin(&capture);
	say(LIBBPF_WARN, "%s", verifier_logs[_i].log);
	agentsh_print_capture_end();
	ck_assert_str_eq(capture.verifier, verifier_logs[_i].kept);
}
END_TEST

START_TEST(verifier_log_long)
{
	struct agentsh_print_capture capture = {0};
	char *text = calloc(1, 100000);
	size_t at = 0;

	ck_assert_ptr_nonnull(text);
	at += (size_t)sprintf(text + at, BEGIN);
	for (int i = 0; i < 2000; i++)
		at += (size_t)sprintf(text + at, "%d: (b7) r0 = %d\n", i, i);
	sprintf(text + at, "R1 invalid mem access 'scalar'\n" COUNTED END);
	agentsh_print_capture_begin(&capture);
	say(LIBBPF_WARN, "%s", text);
	/* the first program that fails matters */
	say(LIBBPF_WARN, "%s", verifier_logs[0].log);
	agentsh_print_capture_end();
	ck_assert_str_eq(capture.verifier, "1999: (b7) r0 = 1999;R1 invalid mem access 'scalar'");

	/* of one line that is longer than the buffer, the end is kept */
	memset(&capture, 0, sizeof(capture));
	at = (size_t)sprintf(text, BEGIN);
	memset(text + at, 'x', 1000);
	sprintf(text + at + 1000, "the end\n" COUNTED END);
	agentsh_print_capture_begin(&capture);
	say(LIBBPF_WARN, "%s", text);
	agentsh_print_capture_end();
	ck_assert_uint_le(strlen(capture.verifier), sizeof(capture.verifier) - 1);
	ck_assert_uint_gt(strlen(capture.verifier), 200);
	ck_assert_str_eq(capture.verifier + strlen(capture.verifier) - 8, "xthe end");
	free(text);
}
END_TEST

/* The callback gets one line per call, so a log of many lines makes many calls. */
START_TEST(lines_one_by_one)
{
	struct agentsh_print_capture capture = capture_with_lines();

	agentsh_print_capture_begin(&capture);
	say(LIBBPF_WARN, "%s", verifier_logs[0].log);
	agentsh_print_capture_end();
	ck_assert(!lines.newline);
	ck_assert_int_eq(lines.count[AGENTSH_EBPF_LOG_WARN], 6);
	ck_assert_str_eq(lines.last, "-- END PROG LOAD LOG --");
	/* the line for the error message is one line, too */
	ck_assert_ptr_null(strchr(capture.warning, '\n'));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("libbpf_print");
	TCase *tcase = unit_case(suite, "libbpf_print");

	tcase_add_test(tcase, own_messages);
	tcase_add_test(tcase, no_earlier_hook);
	tcase_add_test(tcase, others_messages);
	tcase_add_test(tcase, several_threads);
	tcase_add_test(tcase, levels);
	tcase_add_test(tcase, no_callback);
	tcase_add_loop_test(tcase, long_lines, 0, 7);
	tcase_add_loop_test(tcase, verifier_log, 0, (int)UNIT_COUNT(verifier_logs));
	tcase_add_test(tcase, verifier_log_long);
	tcase_add_test(tcase, lines_one_by_one);
	return unit_main(suite);
}
