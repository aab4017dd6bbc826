/* SPDX-License-Identifier: Apache-2.0 */
/* The options of agentsh-trace about rules, and the events that they cause. */
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "event_types.h"
#include "options.h"
#include "unit.h"
#include "warn.h"

#define WORDS_MAX 8
#define RULES_HOOKS (AGENTSH_EBPF_HOOK_CONNECT | AGENTSH_EBPF_HOOK_UDP | AGENTSH_EBPF_HOOK_RULES)
#define FLAG_HOOKS (AGENTSH_EBPF_HOOK_SOCK_CREATE | AGENTSH_EBPF_HOOK_EGRESS)

static struct options options;
static char message[1024]; /* the first of the last command line */

/* Replaces the function of the command, which writes to stderr. */
void warn_user(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	if (!*message)
		vsnprintf(message, sizeof(message), format, args);
	va_end(args);
}

/* Parses the options, which spaces separate, before the command "true". */
static bool parse(const char *line)
{
	static char words[256];
	char name[] = "agentsh-trace", command[] = "true", *argv[WORDS_MAX + 3] = {name};
	int argc = 1, status = 0;
	bool accepted;

	ck_assert_uint_lt(strlen(line), sizeof(words));
	strcpy(words, line);
	for (char *word = strtok(words, " "); word; word = strtok(NULL, " ")) {
		ck_assert_int_le(argc, WORDS_MAX);
		argv[argc++] = word;
	}
	argv[argc++] = command;
	*message = '\0';
	optind = 0; /* glibc: restart */
	accepted = options_parse(&options, argc, argv, &status);
	ck_assert_int_eq(accepted, !*message);
	ck_assert_int_eq(status, accepted ? 0 : 125);
	return accepted;
}

static void accepts(const char *line, uint32_t flags, uint32_t hooks)
{
	ck_assert_msg(parse(line), "'%s' is rejected: %s", line, message);
	ck_assert_msg(options.rules_flags == flags && options.rules_hooks == hooks,
		      "'%s' has flags 0x%x and hooks 0x%x", line, options.rules_flags,
		      options.rules_hooks);
}

static void rejects(const char *line, const char *why)
{
	ck_assert_msg(!parse(line), "'%s' is accepted", line);
	ck_assert_msg(strstr(message, why), "'%s' is rejected: %s", line, message);
}

START_TEST(flags_and_hooks)
{
	accepts("", 0, 0);
	accepts("--default=deny", 0, RULES_HOOKS);
	accepts("--audit --deny 192.0.2.1", AGENTSH_EBPF_RULES_AUDIT, RULES_HOOKS);
	accepts("--refuse --default=deny", AGENTSH_EBPF_RULES_REFUSE, RULES_HOOKS);
	accepts("--deny 192.0.2.1 --egress", AGENTSH_EBPF_RULES_EGRESS,
		RULES_HOOKS | AGENTSH_EBPF_HOOK_EGRESS);
	accepts("--allow 192.0.2.1 --default=deny --strict-sockets",
		AGENTSH_EBPF_RULES_STRICT_SOCKETS, RULES_HOOKS | AGENTSH_EBPF_HOOK_SOCK_CREATE);
	accepts("--audit --egress --refuse --strict-sockets --default=deny",
		AGENTSH_EBPF_RULES_AUDIT | AGENTSH_EBPF_RULES_EGRESS | AGENTSH_EBPF_RULES_REFUSE |
			AGENTSH_EBPF_RULES_STRICT_SOCKETS,
		RULES_HOOKS | FLAG_HOOKS);
	/* no destination is denied, but sockets are */
	accepts("--default=allow --strict-sockets", AGENTSH_EBPF_RULES_STRICT_SOCKETS,
		RULES_HOOKS | AGENTSH_EBPF_HOOK_SOCK_CREATE);
}
END_TEST

START_TEST(nothing_is_denied)
{
	static const char *const flags[] = {"--audit", "--egress", "--refuse", "--strict-sockets"};
	char line[128], why[64];

	for (size_t i = 0; i < UNIT_COUNT(flags); i++) {
		snprintf(why, sizeof(why), "%s has no effect", flags[i]);
		rejects(flags[i], why);
		snprintf(line, sizeof(line), "%s --allow 192.0.2.1", flags[i]);
		rejects(line, "--allow has no effect");
		snprintf(line, sizeof(line), "%s=yes --default=deny", flags[i]);
		rejects(line, "takes no value");
		snprintf(line, sizeof(line), "%s --default=deny --ebpf=off", flags[i]);
		rejects(line, "nothing enforces the rules");
	}
	rejects("--egress --default=allow", "--egress has no effect");
	rejects("--refuse --default=allow", "--refuse has no effect");
}
END_TEST

/* The events are shown by default, but without the options their programs are not loaded. */
START_TEST(events_of_the_rules)
{
	accepts("", 0, 0);
	ck_assert(event_types_have(options.event_types, AGENTSH_EBPF_EVENT_SOCKET_DENIED));
	ck_assert(event_types_have(options.event_types, AGENTSH_EBPF_EVENT_PACKET_DENIED));
	ck_assert_uint_eq(event_types_hooks(UINT32_MAX) & (FLAG_HOOKS | AGENTSH_EBPF_HOOK_RULES),
			  0);
	ck_assert_uint_eq(event_types_without(options.event_types, 0) &
				  (1U << AGENTSH_EBPF_EVENT_SOCKET_DENIED |
				   1U << AGENTSH_EBPF_EVENT_PACKET_DENIED),
			  0);
	accepts("--events=socket_denied,packet_denied", 0, 0);
	ck_assert_uint_eq(options.event_types, 1U << AGENTSH_EBPF_EVENT_SOCKET_DENIED |
						       1U << AGENTSH_EBPF_EVENT_PACKET_DENIED);
	ck_assert_uint_eq(event_types_hooks(options.event_types), 0);
	ck_assert_uint_eq(event_types_required_hooks(options.event_types), 0);
	accepts("--events=socket_denied", 0, 0);
	ck_assert_uint_eq(options.names_hooks, 0); /* it has no destination */
	rejects("--events=socket_refused", "packet_denied");
	accepts("--events=closed,socket_denied", 0, 0); /* closed cannot be shown without it */
	ck_assert_uint_eq(event_types_required_hooks(options.event_types),
			  AGENTSH_EBPF_HOOK_CONNECT | AGENTSH_EBPF_HOOK_LIFECYCLE);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("options");
	TCase *tcase = unit_case(suite, "options");

	unsetenv("AGENTSH_EBPF");
	unsetenv("AGENTSH_EBPF_SIMULATE_MISSING");
	tcase_add_test(tcase, flags_and_hooks);
	tcase_add_test(tcase, nothing_is_denied);
	tcase_add_test(tcase, events_of_the_rules);
	return unit_main(suite);
}
