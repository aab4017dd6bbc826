/* SPDX-License-Identifier: Apache-2.0 */
/* agentsh-trace's arguments: any words, and a complaint for those that are refused. */
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "complain.h"
#include "fuzz.h"
#include "options.h"

#define WORDS 16

static size_t complaints;

/* In the place of the command's, which writes to stderr. */
void complain(const char *format, ...)
{
	char said[8192];
	va_list args;

	va_start(args, format);
	vsnprintf(said, sizeof(said), format, args);
	va_end(args);
	complaints++;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	unsetenv("AGENTSH_EBPF");
	unsetenv("AGENTSH_EBPF_SIMULATE_MISSING");
	FUZZ_CHECK(freopen("/dev/null", "w", stdout)); /* --help */
	return 0;
}

static bool wants_text(char *const *argv, int argc)
{
	for (int i = 1; i < argc; i++)
		if (argv[i][0] == '-')
			return true;
	return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = {data, size};
	char name[] = "agentsh-trace", *argv[WORDS + 2] = {name}, *words[WORDS];
	struct options options;
	int argc = 1, status = -1;
	bool more;

	while (in.left && argc <= WORDS) {
		words[argc - 1] = fuzz_string(&in);
		argv[argc] = words[argc - 1];
		argc++;
	}
	complaints = 0;
	optind = 0; /* glibc: from the start, and forget what was half read */
	more = options_parse(&options, argc, argv, &status);
	if (more) {
		FUZZ_CHECK(!complaints && status == -1);
		FUZZ_CHECK(options.probe || options.cgroup || options.command[0]);
		FUZZ_CHECK(options.command >= argv && options.command <= argv + argc);
		FUZZ_CHECK(options.ebpf >= EBPF_OFF && options.ebpf <= EBPF_REQUIRED);
	} else {
		FUZZ_CHECK(complaints ? status == 125 : !status && wants_text(argv, argc));
	}
	for (int i = 1; i < argc; i++)
		free(words[i - 1]);
	return 0;
}
