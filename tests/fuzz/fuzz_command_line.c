/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzzes the command line of agentsh-trace: every rejected command line needs a message. */
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "warn.h"
#include "fuzz.h"
#include "options.h"

#define WORDS 16

static size_t warnings;

/* Replaces the function of the command, which writes to stderr. */
void warn_user(const char *format, ...)
{
	char message[8192];
	va_list args;

	va_start(args, format);
	vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	warnings++;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	unsetenv("AGENTSH_EBPF");
	unsetenv("AGENTSH_EBPF_SIMULATE_MISSING");
	FUZZ_CHECK(freopen("/dev/null", "w", stdout)); /* for --help */
	return 0;
}

static bool has_option(char *const *argv, int argc)
{
	for (int i = 1; i < argc; i++)
		if (argv[i][0] == '-')
			return true;
	return false;
}

static void check_rules(const struct options *o)
{
	FUZZ_CHECK(o->rules_given <= OPTIONS_RULES_MAX);
	FUZZ_CHECK(!o->rules_given || o->rules_hooks);
	FUZZ_CHECK(!o->rules_flags || o->rules_hooks);
	FUZZ_CHECK(!(o->rules_flags & AGENTSH_EBPF_RULES_EGRESS) ==
		   !(o->rules_hooks & AGENTSH_EBPF_HOOK_EGRESS));
	FUZZ_CHECK(!(o->rules_flags & AGENTSH_EBPF_RULES_STRICT_SOCKETS) ==
		   !(o->rules_hooks & AGENTSH_EBPF_HOOK_SOCK_CREATE));
	FUZZ_CHECK(!o->rules_hooks || o->ebpf != EBPF_OFF || o->probe);
	for (uint32_t i = 0; i < o->rules_given; i++) {
		FUZZ_CHECK(o->rules[i].rule.rule_id == i + 1);
		FUZZ_CHECK(!*o->rules[i].host || o->rules_hooks & AGENTSH_EBPF_HOOK_DNS);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = {data, size};
	char name[] = "agentsh-trace", *argv[WORDS + 2] = {name}, *words[WORDS];
	struct options options;
	int argc = 1, status = -1;
	bool accepted;

	while (in.left && argc <= WORDS) {
		words[argc - 1] = fuzz_string(&in);
		argv[argc] = words[argc - 1];
		argc++;
	}
	warnings = 0;
	optind = 0; /* glibc: restart, and discard a half-read argument */
	accepted = options_parse(&options, argc, argv, &status);
	if (accepted) {
		FUZZ_CHECK(!warnings && status == -1);
		FUZZ_CHECK(options.probe || options.cgroup || options.command[0]);
		FUZZ_CHECK(options.command >= argv && options.command <= argv + argc);
		FUZZ_CHECK(options.event_types);
		FUZZ_CHECK(options.names || !options.names_hooks);
		FUZZ_CHECK(options.dns_ports_given <= OPTIONS_DNS_PORTS_MAX);
		for (uint32_t i = 0; i < OPTIONS_DNS_PORTS_MAX; i++)
			FUZZ_CHECK(!options.dns_ports[i] == (i >= options.dns_ports_given));
		FUZZ_CHECK(options.resolvers_given <= OPTIONS_RESOLVERS_MAX);
		for (uint32_t i = 0; i < OPTIONS_RESOLVERS_MAX; i++)
			FUZZ_CHECK(!options.resolvers[i].family == (i >= options.resolvers_given));
		check_rules(&options);
		FUZZ_CHECK(options.ebpf >= EBPF_OFF && options.ebpf <= EBPF_REQUIRED);
	} else {
		FUZZ_CHECK(warnings ? status == 125 : !status && has_option(argv, argc));
	}
	for (int i = 1; i < argc; i++)
		free(words[i - 1]);
	return 0;
}
