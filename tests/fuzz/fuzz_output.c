/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzzes the output of agentsh-trace with names, arguments and paths that a traced program
 * could choose: every JSON line must be valid, and text must contain no control character.
 */
#include <stdlib.h>
#include <string.h>

#include <agentsh/ebpf.h>

#include "fuzz.h"
#include "destinations.h"
#include "event_types.h"
#include "format_json.h"
#include "format_summary.h"
#include "format_text.h"
#include "live_table.h"
#include "names.h"
#include "unavailable.h"

#define LINE_MAX_SIZE ((size_t)FORMAT_JSON_EVENT_MAX + 1)

static char line[LINE_MAX_SIZE];

static struct text begin(size_t cap)
{
	return (struct text){.buf = line, .cap = cap};
}

/* The text must be one complete line. Returns its length without the newline. */
static size_t end_line(const struct text *t)
{
	FUZZ_CHECK(!t->cut && t->len && t->buf[t->len - 1] == '\n');
	return t->len - 1;
}

static void check_json(const struct text *t)
{
	size_t len = end_line(t);

	FUZZ_CHECK(fuzz_is_clean(t->buf, len));
	FUZZ_CHECK(fuzz_is_json(t->buf, len));
}

static void check_text(const struct text *t, bool utf8)
{
	size_t len = end_line(t);

	FUZZ_CHECK(len < LIVE_TABLE_EVENT_MAX / 6); /* see live_rows.h */
	FUZZ_CHECK(fuzz_is_clean(t->buf, len));
	for (size_t i = 0; i < len && !utf8; i++)
		FUZZ_CHECK((unsigned char)t->buf[i] < 0x80);
}

static void check_event(const struct agentsh_ebpf_event *event, uint64_t time_ns,
			const struct format_json_details *details)
{
	bool known = event_types_known(event->kind);
	struct text t = begin(sizeof(line));

	format_json_event(&t, event, time_ns, details);
	if (t.len || known)
		check_json(&t);
	for (int utf8 = 0; utf8 < 2; utf8++) {
		const struct format_text_style style = {
			.utf8 = utf8, .traffic = utf8, .shared_rows = utf8, .addresses = utf8};

		t = begin(sizeof(line));
		format_text_event(&t, &style, event, details->names, time_ns);
		if (t.len || known)
			check_text(&t, utf8);
	}
}

/* The row of a connection that began with the event, and that the event ends. */
static void check_connection(const struct agentsh_ebpf_event *event,
			     const struct agentsh_ebpf_name *name, uint64_t time_ns, uint8_t how)
{
	const struct format_text_style style = {
		.utf8 = how & 1, .columns = how >> 1 & 3, .addresses = how & 2};
	const struct format_text_progress progress = {
		.connected = how & 8,
		.probe = how & 16,
		.silent = how & 32,
		.so_far = how & 64 ? event : NULL,
		.end = how & 128 ? event : NULL,
	};
	struct text t = begin(sizeof(line));

	format_text_connection(&t, &style, event, name, time_ns, &progress);
	check_text(&t, style.utf8);
}

/* The summary of a trace with this event. */
static void check_summary(const struct agentsh_ebpf_event *event, const char *name, uint32_t hooks)
{
	static struct destinations destinations;
	static const struct destination_row *rows[DESTINATIONS_MAX + 1];
	size_t n;

	destinations.hooks = hooks;
	destinations.rows = 0;
	memset(destinations.slots, 0, sizeof(destinations.slots));
	memset(destinations.table, 0, sizeof(*destinations.table));
	destinations_add(&destinations, event, name);
	destinations_add(&destinations, event, name);
	open_sockets_remove(&destinations.sockets, event->socket_cookie);
	n = destinations_sorted(&destinations, rows);
	FUZZ_CHECK(n <= 1);
	for (int utf8 = 0; utf8 < 2 && n; utf8++) {
		const struct format_text_style style = {.utf8 = utf8};
		struct format_summary_widths widths = format_summary_widths(&style, rows, n);
		struct text t = begin(sizeof(line));

		format_summary_row(&t, &style, widths, rows[0], hooks);
		check_text(&t, utf8);
		t = begin(sizeof(line));
		format_json_destination(&t, rows[0], hooks, 0, event->timestamp_ns);
		check_json(&t);
	}
}

/* Formats into a buffer that may be too small, allocated exactly to detect overruns. */
static void check_cut(const struct agentsh_ebpf_event *event, size_t cap,
		      const struct format_json_details *details)
{
	struct text t = {.buf = malloc(cap ? cap : 1), .cap = cap};

	FUZZ_CHECK(t.buf);
	format_json_event(&t, event, event->timestamp_ns, details);
	FUZZ_CHECK(t.len <= cap);
	free(t.buf);
}

static void check_strings(const char *path, const char *reason, uint64_t time_ns)
{
	const struct format_json_session session = {.session_id = time_ns, .cgroup_path = path};
	struct unavailable why = {.step = path, .code = (int)time_ns};
	struct text t = begin(sizeof(line));

	format_json_attached(&t, &session, time_ns);
	check_json(&t);
	strncpy(why.reason, reason, sizeof(why.reason) - 1);
	t = begin(sizeof(line));
	format_json_unavailable(&t, &why, time_ns, time_ns);
	check_json(&t);
}

/* Takes the path up to the first NUL byte, and the rest as arguments. */
static void take_process(struct fuzz_input *in, struct format_json_process *process)
{
	size_t size;
	char *args;

	process->exe = fuzz_slice(in, &process->exe_size);
	size = in->left; /* an input is shorter than PROC_ARGS_MAX */
	args = malloc(size ? size : 1);
	FUZZ_CHECK(args);
	fuzz_bytes(in, args, size);
	process->args = args;
	process->args_size = size;
	process->args_cut = size % 2;
}

/* The library ends each text, and gives no more addresses than there are. */
static void take_names(struct fuzz_input *in, struct names *names)
{
	const uint8_t how = fuzz_byte(in);
	char *text = fuzz_string(in), *server = fuzz_string(in);

	memset(names, 0, sizeof(*names));
	names->named = how & 1;
	names->has_dns = how & 2;
	strncpy(names->name.asked, text, sizeof(names->name.asked) - 1);
	strncpy(names->name.server_name, server, sizeof(names->name.server_name) - 1);
	strncpy(names->name.owner, how & 4 ? text : server, sizeof(names->name.owner) - 1);
	strncpy(names->name.alpn, server, sizeof(names->name.alpn) - 1);
	names->name.source = fuzz_byte(in) % 8;
	names->name.server_name_source = fuzz_byte(in) % 8;
	names->name.flags = fuzz_byte(in);
	names->name.others = how;
	fuzz_bytes(in, &names->name.age_ns, sizeof(names->name.age_ns));
	fuzz_bytes(in, &names->name.ttl_ns, sizeof(names->name.ttl_ns));
	fuzz_bytes(in, &names->name.resolver, sizeof(names->name.resolver));
	fuzz_bytes(in, &names->dns, sizeof(names->dns));
	names->listed = fuzz_byte(in) % (NAMES_ADDRESSES_MAX + 1);
	fuzz_bytes(in, names->list, names->listed * sizeof(*names->list));
	free(text);
	free(server);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = {data, size < 4096 ? size : 4096};
	struct agentsh_ebpf_event event;
	uint64_t time_ns;
	uint8_t how = fuzz_byte(&in);
	struct format_json_process process = {0};
	struct format_json_details details = {0};
	const struct agentsh_ebpf_name *name;
	static struct names names;
	char *path, *reason;

	/* The name comes first, so that short inputs contain one. */
	fuzz_bytes(&in, event.comm, sizeof(event.comm));
	memcpy(&time_ns, event.comm, sizeof(time_ns));
	path = fuzz_string(&in);
	reason = fuzz_string(&in);
	check_strings(path, reason, time_ns);
	free(reason);
	take_names(&in, &names);
	details.names = how & 2 ? &names : NULL;
	name = details.names && names.named ? &names.name : NULL;
	{
		char comm[sizeof(event.comm)];

		memcpy(comm, event.comm, sizeof(comm));
		fuzz_bytes(&in, &event, sizeof(event));
		memcpy(event.comm, comm, sizeof(comm));
	}
	if (how & 1)
		event.kind =
			AGENTSH_EBPF_EVENT_CONNECT + (how >> 4) % AGENTSH_EBPF_EVENT_UNIX_CONNECT;
	if (how & 4)
		event.family = how & 8 ? 2 : 10; /* AF_INET, AF_INET6 */
	if (how & 2) {
		take_process(&in, &process);
		details.process = &process;
		details.cgroup = path;
	}
	check_event(&event, time_ns, &details);
	check_connection(&event, name, time_ns, how);
	check_summary(&event, names_asked(&event, name), how);
	check_cut(&event, (size_t)how * 8, &details);
	free(path);
	free((void *)(uintptr_t)process.exe);
	free((void *)(uintptr_t)process.args);
	return 0;
}
