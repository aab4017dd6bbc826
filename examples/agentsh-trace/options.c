/* SPDX-License-Identifier: Apache-2.0 */
#include "options.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <agentsh/ebpf.h>

#include "warn.h"
#include "decimal.h"
#include "event_types.h"
#include "options_names.h"
#include "options_rules.h"
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
	"Show the network connections of COMMAND and of every process that it starts,\n"
	"or the network connections of the processes in a cgroup.\n"
	"\n"
	"      --allow RULE          do not refuse connections and datagrams to these\n"
	"                            destinations: CIDR|HOST[:PORT[-PORT]][/tcp|udp]; of\n"
	"                            --allow and --deny, the first that matches decides\n"
	"      --audit               refuse nothing, and show what would be refused\n"
	"      --cgroup PATH         trace an existing cgroup v2 until SIGINT or SIGTERM\n"
	"      --cgroup-parent PATH  create the cgroup of COMMAND below this one\n"
	"      --default=ACTION      allow or deny what no RULE matches (default: allow)\n"
	"      --deny RULE           refuse connections and datagrams to these destinations\n"
	"      --displace            trace even if an eBPF program of somebody else then no\n"
	"                            longer runs in the cgroup\n"
	"      --dns-port NUMBER     take names from DNS messages on this port, too, not\n"
	"                            only 53; up to 4 times\n"
	"      --ebpf=WHEN           if tracing is impossible, auto runs COMMAND\n"
	"                            untraced, and required fails; off never traces\n"
	"                            (default: auto)\n"
	"      --egress              drop denied packets, too, for example those of raw\n"
	"                            sockets and of earlier connections\n"
	"      --events=LIST         show these events: connect, udp_send, connected,\n"
	"                            connect_failed, closed, accepted, session_blind,\n"
	"                            first_data, progress, unannounced, dns_query,\n"
	"                            dns_answer, server_name, unix_connect,\n"
	"                            socket_denied, packet_denied, or all; dns means both\n"
	"                            of DNS, unix means unix_connect (default: connect,\n"
	"                            udp_send, connected, connect_failed, closed,\n"
	"                            session_blind, unannounced, socket_denied,\n"
	"                            packet_denied)\n"
	"      --json                write one JSON object per line instead of columns\n"
	"      --names=WHEN          on shows the name that a process asked DNS for before\n"
	"                            it connected, and the name that it sent to the\n"
	"                            server; off shows addresses only (default: on)\n"
	"      --no-proc             leave exe and args, which are read from /proc and may\n"
	"                            contain secrets, out of the JSON output\n"
	"      --probe               report what can be traced on this machine\n"
	"  -o, --output FILE         write the trace to FILE instead of stderr\n"
	"      --refuse              denied calls fail with \"connection refused\"\n"
	"      --session-id NUMBER   set session_id in the JSON output (default: 0)\n"
	"      --strict-sockets      refuse to create sockets that RULE cannot judge, for\n"
	"                            example raw sockets\n"
	"      --summary             show no events, only a summary by destination at the\n"
	"                            end\n"
	"      --trusted-resolver ADDRESS[:PORT]\n"
	"                            take names only from answers of this name server; up\n"
	"                            to 4 times (default: all name servers)\n"
	"      --udp-no-dedup        show every datagram, not only the first one per\n"
	"                            socket and destination\n"
	"  -h, --help                show this help and exit\n"
	"  -V, --version             show the version and exit\n"
	"\n"
	"Connections that the processes of a cgroup made before the trace are seen by\n"
	"their packets only, as the event unannounced.\n"
	"\n"
	"Tracing needs root, or CAP_BPF, CAP_NET_ADMIN and a writable cgroup; with\n"
	"CAP_PERFMON events have more details. The exit status is that of COMMAND, or 125\n"
	"if agentsh-trace itself fails. See agentsh-trace(1) for the events, the JSON\n"
	"members and the environment.\n";

enum {
	OPT_ALLOW = 256,
	OPT_AUDIT,
	OPT_CGROUP,
	OPT_CGROUP_PARENT,
	OPT_DEFAULT,
	OPT_DENY,
	OPT_DISPLACE,
	OPT_DNS_PORT,
	OPT_EBPF,
	OPT_EGRESS,
	OPT_EVENTS,
	OPT_JSON,
	OPT_NAMES,
	OPT_NO_PROC,
	OPT_PROBE,
	OPT_REFUSE,
	OPT_SESSION_ID,
	OPT_STRICT_SOCKETS,
	OPT_SUMMARY,
	OPT_TRUSTED_RESOLVER,
	OPT_UDP_NO_DEDUP,
};

static const struct option long_options[] = {
	{"allow", required_argument, NULL, OPT_ALLOW},
	{"audit", no_argument, NULL, OPT_AUDIT},
	{"cgroup", required_argument, NULL, OPT_CGROUP},
	{"cgroup-parent", required_argument, NULL, OPT_CGROUP_PARENT},
	{"default", required_argument, NULL, OPT_DEFAULT},
	{"deny", required_argument, NULL, OPT_DENY},
	{"displace", no_argument, NULL, OPT_DISPLACE},
	{"dns-port", required_argument, NULL, OPT_DNS_PORT},
	{"ebpf", required_argument, NULL, OPT_EBPF},
	{"egress", no_argument, NULL, OPT_EGRESS},
	{"events", required_argument, NULL, OPT_EVENTS},
	{"json", no_argument, NULL, OPT_JSON},
	{"names", required_argument, NULL, OPT_NAMES},
	{"no-proc", no_argument, NULL, OPT_NO_PROC},
	{"probe", no_argument, NULL, OPT_PROBE},
	{"output", required_argument, NULL, 'o'},
	{"refuse", no_argument, NULL, OPT_REFUSE},
	{"session-id", required_argument, NULL, OPT_SESSION_ID},
	{"strict-sockets", no_argument, NULL, OPT_STRICT_SOCKETS},
	{"summary", no_argument, NULL, OPT_SUMMARY},
	{"trusted-resolver", required_argument, NULL, OPT_TRUSTED_RESOLVER},
	{"udp-no-dedup", no_argument, NULL, OPT_UDP_NO_DEDUP},
	{"help", no_argument, NULL, 'h'},
	{"version", no_argument, NULL, 'V'},
	{0},
};

static bool parse_ebpf(const char *text, enum ebpf_mode *mode)
{
	static const char *const names[] = {
		[EBPF_OFF] = "off", [EBPF_AUTO] = "auto", [EBPF_REQUIRED] = "required"};

	for (int i = EBPF_OFF; i <= EBPF_REQUIRED; i++) {
		if (!strcmp(text, names[i])) {
			*mode = (enum ebpf_mode)i;
			return true;
		}
	}
	warn_user("--ebpf is '%s'; it must be off, auto or required", text);
	return false;
}

static bool parse_session_id(const char *text, uint64_t *id)
{
	const char *end = text;

	if (decimal_take(&end, id) && !*end)
		return true;
	warn_user("--session-id is '%s'; it must be a number from 0 to 18446744073709551615", text);
	return false;
}

static bool parse_events(const char *list, uint32_t *types)
{
	char known[256];
	struct text t = {.buf = known, .cap = sizeof(known) - 1};
	const char *bad;
	int length;

	if (event_types_parse(list, types, &bad, &length))
		return true;
	event_types_names(&t, UINT32_MAX);
	known[t.len] = '\0';
	warn_user("--events contains '%.*s'; it must be a list of %s, dns, unix, or all", length,
		  bad, known);
	return false;
}

static bool parse_one(struct options *o, int option)
{
	switch (option) {
	case OPT_ALLOW:
		return options_rules_add(o, AGENTSH_EBPF_RULE_ALLOW, optarg);
	case OPT_AUDIT:
		o->rules_flags |= AGENTSH_EBPF_RULES_AUDIT;
		return true;
	case OPT_CGROUP:
		o->cgroup = optarg;
		return true;
	case OPT_CGROUP_PARENT:
		o->cgroup_parent = optarg;
		return true;
	case OPT_DEFAULT:
		return options_default_parse(o, optarg);
	case OPT_DENY:
		return options_rules_add(o, AGENTSH_EBPF_RULE_DENY, optarg);
	case OPT_DISPLACE:
		o->displace = true;
		return true;
	case OPT_DNS_PORT:
		return options_dns_port_parse(o, optarg);
	case OPT_EBPF:
		o->ebpf_given = true;
		return parse_ebpf(optarg, &o->ebpf);
	case OPT_EGRESS:
		o->rules_flags |= AGENTSH_EBPF_RULES_EGRESS;
		return true;
	case OPT_EVENTS:
		return parse_events(optarg, &o->event_types);
	case OPT_NAMES:
		return options_names_parse(o, optarg);
	case OPT_NO_PROC:
		o->no_proc = true;
		return true;
	case OPT_PROBE:
		o->probe = true;
		return true;
	case OPT_JSON:
		o->json = true;
		return true;
	case 'o':
		o->output = optarg;
		return true;
	case OPT_REFUSE:
		o->rules_flags |= AGENTSH_EBPF_RULES_REFUSE;
		return true;
	case OPT_SESSION_ID:
		return parse_session_id(optarg, &o->session_id);
	case OPT_STRICT_SOCKETS:
		o->rules_flags |= AGENTSH_EBPF_RULES_STRICT_SOCKETS;
		return true;
	case OPT_SUMMARY:
		o->summary = true;
		return true;
	case OPT_TRUSTED_RESOLVER:
		return options_resolver_parse(o, optarg);
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

/* Replaces the messages of getopt_long(3), which do not escape the argument. */
static void warn_of_option(int option, const char *argument)
{
	if (option == ':')
		warn_user("option '%s' needs a value", argument);
	else if (!optopt)
		warn_user("unknown or ambiguous option '%s'", argument);
	else if (is_known(optopt))
		warn_user("option '%s' takes no value", argument);
	else
		warn_user("unknown option -%c", optopt);
}

/* Applies the environment to what the command line leaves open. */
static bool apply_environment(struct options *o)
{
	static const enum ebpf_mode modes[] = {
		[AGENTSH_EBPF_MODE_AUTO] = EBPF_AUTO,
		[AGENTSH_EBPF_MODE_DISABLED] = EBPF_OFF,
		[AGENTSH_EBPF_MODE_REQUIRED] = EBPF_REQUIRED,
	};
	struct agentsh_ebpf_error err = {.size = sizeof(err)};
	uint32_t mode = AGENTSH_EBPF_MODE_AUTO;

	if (agentsh_ebpf_mode_from_env(&mode, &o->simulate_missing, &err)) {
		warn_user("%s", err.message);
		return false;
	}
	/* --cgroup without tracing would do nothing, so AGENTSH_EBPF does not apply to it. */
	if (!o->ebpf_given && !o->cgroup)
		o->ebpf = modes[mode];
	return true;
}

static bool check_consistency(const struct options *o)
{
	if (o->probe && (*o->command || o->cgroup))
		warn_user("--probe does not trace; leave out '%s'",
			  *o->command ? *o->command : "--cgroup");
	else if (o->cgroup && *o->command)
		warn_user("--cgroup traces running processes; leave out '%s'", *o->command);
	else if (o->cgroup && o->cgroup_parent)
		warn_user("--cgroup-parent applies to a COMMAND; leave it out with --cgroup");
	else if (o->cgroup && o->ebpf == EBPF_OFF)
		warn_user("--ebpf=off leaves nothing to do with --cgroup");
	else if (!o->probe && !o->cgroup && !*o->command)
		warn_user("COMMAND or --cgroup PATH is missing");
	else
		return true;
	return false;
}

static int print(const char *text)
{
	if (fputs(text, stdout) >= 0 && fflush(stdout) == 0)
		return 0;
	warn_user("writing to stdout: %s", strerror(errno));
	return EXIT_OWN_FAILURE;
}

static int print_version(void)
{
	char text[128];

	snprintf(text, sizeof(text), "agentsh-trace %s (libagentsh-ebpf %s)\n", VERSION,
		 agentsh_ebpf_version());
	return print(text);
}

bool options_parse(struct options *o, int argc, char **argv, int *status)
{
	int option;

	*o = (struct options){
		.ebpf = EBPF_AUTO, .event_types = event_types_default(), .names = true};
	opterr = 0;
	/* "+" leaves the options after COMMAND alone; ":" reports a missing value as ':'. */
	while ((option = getopt_long(argc, argv, "+:o:hV", long_options, NULL)) != -1) {
		if (option == 'h' || option == 'V') {
			*status = option == 'h' ? print(help) : print_version();
			return false;
		}
		if (option == '?' || option == ':') {
			warn_of_option(option, argv[optind - 1]);
			goto usage;
		}
		if (!parse_one(o, option))
			goto usage;
	}
	o->command = argv + optind;
	if (check_consistency(o) && options_rules_choose(o) && options_names_check(o) &&
	    apply_environment(o) && options_rules_check(o))
		return true;
usage:
	warn_user("see agentsh-trace --help");
	*status = EXIT_OWN_FAILURE;
	return false;
}
