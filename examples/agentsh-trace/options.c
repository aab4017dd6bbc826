/* SPDX-License-Identifier: Apache-2.0 */
#include "options.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <agentsh/ebpf.h>

#include "complain.h"
#include "kinds.h"
#include "text.h"

#define TEXT(number) TEXT_(number)
#define TEXT_(number) #number
#define VERSION                                                                                    \
	TEXT(AGENTSH_EBPF_VERSION_MAJOR)                                                           \
	"." TEXT(AGENTSH_EBPF_VERSION_MINOR) "." TEXT(AGENTSH_EBPF_VERSION_PATCH)

static const char help[] =
	"Usage: agentsh-trace [OPTION]... [--] COMMAND [ARGUMENT]...\n"
	"  or:  agentsh-trace [OPTION]... --cgroup PATH\n"
	"  or:  agentsh-trace --probe [--json]\n"
	"Show each outbound network connection of COMMAND and of all that it starts,\n"
	"or of the processes in a cgroup, as the kernel sees it. Needs root, or the\n"
	"capabilities CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON and a writable cgroup.\n"
	"\n"
	"      --cgroup PATH         trace this cgroup v2 directory and all below it,\n"
	"                            until SIGINT or SIGTERM\n"
	"      --cgroup-parent PATH  make COMMAND's cgroup below this one instead of\n"
	"                            below that of agentsh-trace\n"
	"      --ebpf=WHEN           auto: if COMMAND cannot be traced, say so and run it\n"
	"                            all the same (default); required: do not run it\n"
	"                            then; off: run it untraced\n"
	"      --events=LIST         what to show: connect, sendto, connected, failed, close,\n"
	"                            accept, with commas between them, or all (default: all\n"
	"                            but accept); only what that takes is loaded\n"
	"      --json                one JSON object a line instead of columns\n"
	"      --probe               say on stdout what this machine can trace, what is\n"
	"                            missing and what to do about it\n"
	"  -o, --output FILE         write the trace to FILE instead of stderr\n"
	"      --session-id NUMBER   the session_id in the JSON lines (default 0)\n"
	"      --udp-no-dedup           show each datagram, not only the first one of a\n"
	"                            socket to a destination\n"
	"  -h, --help                show this and exit\n"
	"  -V, --version             show the version and exit\n"
	"\n"
	"The trace goes to stderr or to FILE, never to stdout: that is COMMAND's. Columns\n"
	"are coloured on a terminal, unless NO_COLOR is set and not empty. If the trace\n"
	"cannot be written, this is said once and COMMAND goes on.\n"
	"\n"
	"Events: connect() was called, sendto() had a new destination, a connection is\n"
	"established (connected), has failed or is closed (close; also a datagram socket), a\n"
	"peer has connected (accept). Columns have a line for each; on a terminal connect\n"
	"and its result share one, and where COMMAND writes elsewhere (--cgroup, or --output\n"
	"another terminal) a connection has one line that fills in as it goes.\n"
	"\n"
	"AGENTSH_EBPF=off, auto or required in the environment stands for --ebpf where that\n"
	"is not given, but not with --cgroup. AGENTSH_EBPF_SIMULATE_MISSING=NAME,... makes it\n"
	"behave as on a machine that lacks these; the names are those of --probe.\n"
	"\n"
	"SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1 and SIGUSR2 are passed on to COMMAND.\n"
	"The trace ends with COMMAND, or up to a second later while connections of it are\n"
	"closing. Processes that it leaves behind run on, untraced, in the parent of COMMAND's\n"
	"cgroup, or where agentsh-trace is if that takes none; the cgroup is removed, and\n"
	"this is said on stderr.\n"
	"\n"
	"Exit status: that of COMMAND, 128+N if signal N killed it; 127 if COMMAND was not\n"
	"found, 126 if it could not be run; 125 if agentsh-trace itself failed, also with\n"
	"--ebpf=required and no tracing; 0 for --cgroup after SIGINT or SIGTERM. With --probe\n"
	"0 if tracing works and 1 if not.\n";

enum {
	OPT_CGROUP = 256,
	OPT_CGROUP_PARENT,
	OPT_EBPF,
	OPT_EVENTS,
	OPT_JSON,
	OPT_PROBE,
	OPT_SESSION_ID,
	OPT_UDP_NO_DEDUP,
};

static const struct option long_options[] = {
	{"cgroup", required_argument, NULL, OPT_CGROUP},
	{"cgroup-parent", required_argument, NULL, OPT_CGROUP_PARENT},
	{"ebpf", required_argument, NULL, OPT_EBPF},
	{"events", required_argument, NULL, OPT_EVENTS},
	{"json", no_argument, NULL, OPT_JSON},
	{"probe", no_argument, NULL, OPT_PROBE},
	{"output", required_argument, NULL, 'o'},
	{"session-id", required_argument, NULL, OPT_SESSION_ID},
	{"udp-no-dedup", no_argument, NULL, OPT_UDP_NO_DEDUP},
	{"help", no_argument, NULL, 'h'},
	{"version", no_argument, NULL, 'V'},
	{0},
};

static bool parse_ebpf(const char *text, enum ebpf_wish *wish)
{
	static const char *const names[] = {
		[EBPF_OFF] = "off", [EBPF_AUTO] = "auto", [EBPF_REQUIRED] = "required"};

	for (int i = EBPF_OFF; i <= EBPF_REQUIRED; i++) {
		if (!strcmp(text, names[i])) {
			*wish = (enum ebpf_wish)i;
			return true;
		}
	}
	complain("--ebpf is '%s'; it must be off, auto or required", text);
	return false;
}

static bool parse_session_id(const char *text, uint64_t *id)
{
	char *end;

	errno = 0;
	*id = strtoull(text, &end, 10);
	/* strtoull takes "-1" and " 1" too */
	if (text[0] >= '0' && text[0] <= '9' && !*end && !errno)
		return true;
	complain("--session-id is '%s'; it must be a number from 0 to 18446744073709551615", text);
	return false;
}

static bool parse_events(const char *list, uint32_t *kinds)
{
	char known[128];
	struct text t = {.buf = known, .cap = sizeof(known) - 1};
	const char *bad;
	int length;

	if (kinds_parse(list, kinds, &bad, &length))
		return true;
	kinds_names(&t, UINT32_MAX);
	known[t.len] = '\0';
	complain("--events has '%.*s'; it may have %s, all", length, bad, known);
	return false;
}

static bool parse_one(struct options *o, int option)
{
	switch (option) {
	case OPT_CGROUP:
		o->cgroup = optarg;
		return true;
	case OPT_CGROUP_PARENT:
		o->cgroup_parent = optarg;
		return true;
	case OPT_EBPF:
		o->ebpf_given = true;
		return parse_ebpf(optarg, &o->ebpf);
	case OPT_EVENTS:
		return parse_events(optarg, &o->kinds);
	case OPT_PROBE:
		o->probe = true;
		return true;
	case OPT_JSON:
		o->json = true;
		return true;
	case 'o':
		o->output = optarg;
		return true;
	case OPT_SESSION_ID:
		return parse_session_id(optarg, &o->session_id);
	case OPT_UDP_NO_DEDUP:
		o->udp_no_dedup = true;
		return true;
	default:
		return false;
	}
}

static bool is_known(int option)
{
	for (const struct option *o = long_options; o->name; o++)
		if (o->val == option)
			return true;
	return false;
}

/* What getopt would say itself, but it repeats an argument's bytes as they are. */
static void complain_option(int option, const char *argument)
{
	if (option == ':')
		complain("option '%s' needs a value", argument);
	else if (!optopt)
		complain("unknown or ambiguous option '%s'", argument);
	else if (is_known(optopt))
		complain("option '%s' takes no value", argument);
	else
		complain("unknown option -%c", optopt);
}

/* What the operator has set, where the command line says nothing. */
static bool ask_environment(struct options *o)
{
	static const enum ebpf_wish wishes[] = {
		[AGENTSH_EBPF_MODE_AUTO] = EBPF_AUTO,
		[AGENTSH_EBPF_MODE_DISABLED] = EBPF_OFF,
		[AGENTSH_EBPF_MODE_REQUIRED] = EBPF_REQUIRED,
	};
	struct agentsh_ebpf_error err = {.size = sizeof(err)};
	uint32_t mode = AGENTSH_EBPF_MODE_AUTO;

	if (agentsh_ebpf_mode_from_env(&mode, &o->simulate_missing, &err)) {
		complain("%s", err.message);
		return false;
	}
	/* tracing a cgroup is all that --cgroup is for */
	if (!o->ebpf_given && !o->cgroup)
		o->ebpf = wishes[mode];
	return true;
}

static bool check(const struct options *o)
{
	if (o->probe && (*o->command || o->cgroup))
		complain("--probe traces nothing; leave out '%s'",
			 *o->command ? *o->command : "--cgroup");
	else if (o->cgroup && *o->command)
		complain("--cgroup traces what runs already; leave out '%s'", *o->command);
	else if (o->cgroup && o->cgroup_parent)
		complain("--cgroup-parent is for a COMMAND; leave it out with --cgroup");
	else if (o->cgroup && o->ebpf == EBPF_OFF)
		complain("--ebpf=off leaves nothing to do with --cgroup");
	else if (!o->probe && !o->cgroup && !*o->command)
		complain("COMMAND or --cgroup PATH is missing");
	else
		return true;
	return false;
}

static int show(const char *text)
{
	if (fputs(text, stdout) >= 0 && fflush(stdout) == 0)
		return 0;
	complain("writing to stdout: %s", strerror(errno));
	return EXIT_OWN_FAILURE;
}

static int show_version(void)
{
	char text[128];

	snprintf(text, sizeof(text), "agentsh-trace %s (libagentsh-ebpf %s)\n", VERSION,
		 agentsh_ebpf_version());
	return show(text);
}

bool options_parse(struct options *o, int argc, char **argv, int *status)
{
	int option;

	*o = (struct options){.ebpf = EBPF_AUTO, .kinds = kinds_default()};
	opterr = 0;
	/* "+": what follows COMMAND is COMMAND's; ":": tell a missing value apart */
	while ((option = getopt_long(argc, argv, "+:o:hV", long_options, NULL)) != -1) {
		if (option == 'h' || option == 'V') {
			*status = option == 'h' ? show(help) : show_version();
			return false;
		}
		if (option == '?' || option == ':') {
			complain_option(option, argv[optind - 1]);
			goto usage;
		}
		if (!parse_one(o, option))
			goto usage;
	}
	o->command = argv + optind;
	if (check(o) && ask_environment(o))
		return true;
usage:
	complain("see agentsh-trace --help");
	*status = EXIT_OWN_FAILURE;
	return false;
}
