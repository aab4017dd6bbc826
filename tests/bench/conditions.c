/* SPDX-License-Identifier: Apache-2.0 */
#include <agentsh/ebpf.h>
#include <bpf/libbpf.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "report.h"
#include "scenario.h"
#include "util.h"

/* The first line with this beginning: what follows its colon, or the line if begins is "". */
static void line_of(const char *path, const char *begins, char *out, size_t size)
{
	FILE *in = fopen(path, "re");
	char line[512];

	snprintf(out, size, "unknown");
	while (in && fgets(line, sizeof(line), in)) {
		char *value = *begins ? strchr(line, ':') : line;

		if (strncmp(line, begins, strlen(begins)) || !value)
			continue;
		if (*begins)
			value += 1 + strspn(value + 1, " \t");
		value[strcspn(value, "\n")] = '\0';
		snprintf(out, size, "%.*s", (int)size - 1, value);
		break;
	}
	if (in)
		fclose(in);
}

/* The flag "hypervisor" is set in guests only. */
static bool is_virtual(void)
{
	FILE *in = fopen("/proc/cpuinfo", "re");
	char *line = NULL;
	size_t room = 0;
	bool found = false;

	while (in && !found && getline(&line, &room, in) > 0)
		found = !strncmp(line, "flags", 5) && strstr(line, " hypervisor ");
	free(line);
	if (in)
		fclose(in);
	return found;
}

/* Mitigations determine the cost of a call and a return, which is most of the cost of a program. */
static void mitigations(void)
{
	static const char *const names[] = {"spectre_v2", "retbleed", "spec_rstack_overflow"};

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		char path[100], text[200];

		snprintf(path, sizeof(path), "/sys/devices/system/cpu/vulnerabilities/%s",
			 names[i]);
		line_of(path, "", text, sizeof(text));
		report_fact(names[i], "%s", text);
	}
}

static double clock_cost(void)
{
	enum { TIMES = 100000 };
	uint64_t begin = now_ns();

	for (int i = 0; i < TIMES; i++)
		now_ns();
	return (double)(now_ns() - begin) / TIMES;
}

void conditions(const struct bench *b)
{
	struct utsname name;
	char text[200];

	uname(&name);
	report_fact("kernel", "%s %s", name.release, name.machine);
	line_of("/proc/cpuinfo", "model name", text, sizeof(text));
	report_fact("cpu", "%s, %ld online%s", text, sysconf(_SC_NPROCESSORS_ONLN),
		    is_virtual() ? ", virtual machine" : "");
	mitigations();
	report_fact("pinned", "worker to CPU %d, consumer to CPU %d", b->cpu_worker,
		    b->cpu_consumer);
	line_of("/sys/devices/system/clocksource/clocksource0/current_clocksource", "", text,
		sizeof(text));
	report_fact(
		"clock",
		"%s, %.0f ns per reading (included in every figure of \"flat out\", also in (a))",
		text, clock_cost());
	line_of("/proc/sys/net/core/bpf_jit_enable", "", text, sizeof(text));
	report_fact("bpf jit", "%s", text);
	line_of("/proc/loadavg", "", text, sizeof(text));
	report_fact("load before", "%s", text);
	if (strtod(text, NULL) > 0.5)
		report_note("the machine was not idle before the run");
	report_fact("libbpf", "%s", libbpf_version_string());
	report_fact("library", "agentsh-ebpf %s", agentsh_ebpf_version());
	report_fact("ring", "%zu bytes for (c), (q) and (d) alike; (d) with ring_quota 100",
		    b->ring_size);
	report_fact("priority", "nice %d", getpriority(PRIO_PROCESS, 0));
	report_fact("rounds", "%u, variants interleaved, %u percent of the calls", b->rounds,
		    b->percent);
	if (b->cpu_worker == b->cpu_consumer)
		report_note("worker and consumer share one CPU");
}
