/* SPDX-License-Identifier: Apache-2.0 */
/* The JSON lines of agentsh-trace show every member of an event, and nothing hostile. */
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "unit.h"
#include "format_json.h"

static char line[FORMAT_JSON_EVENT_MAX + 1];

static const char *format(const struct agentsh_ebpf_event *event,
			  const struct format_json_details *details)
{
	struct text t = {.buf = line, .cap = sizeof(line) - 1};

	/* Like the command, which derives one from the other. */
	format_json_event(&t, event, event->timestamp_ns, details);
	ck_assert(!t.cut);
	line[t.len] = '\0';
	return line;
}

static struct agentsh_ebpf_event event_of(uint32_t kind, uint16_t type, uint16_t protocol)
{
	struct agentsh_ebpf_event event = {
		.kind = kind, .family = AF_INET6, .socket_type = type, .protocol = protocol};

	memset(event.comm, 'c', sizeof(event.comm));
	memset(event.process_comm, 'p', sizeof(event.process_comm));
	return event;
}

/* Whether changing the byte changes the line of an event of this kind. */
static bool shows(size_t byte, uint32_t kind, uint16_t type, uint16_t protocol)
{
	const struct format_json_details details = {0};
	struct agentsh_ebpf_event event = event_of(kind, type, protocol);
	static char before[sizeof(line)];

	strcpy(before, format(&event, &details));
	((unsigned char *)&event)[byte] ^= 1;
	return strcmp(before, format(&event, &details)) != 0;
}

static bool is_reserved(size_t byte)
{
	const struct agentsh_ebpf_event *event = NULL;
	const size_t first = offsetof(struct agentsh_ebpf_event, reserved0);
	const size_t rest = offsetof(struct agentsh_ebpf_event, reserved);

	const size_t id = offsetof(struct agentsh_ebpf_event, name_id);

	return (byte >= first && byte < first + sizeof(event->reserved0)) ||
	       (byte >= id && byte < id + sizeof(event->name_id)) || /* only finds the name */
	       (byte >= rest && byte < rest + sizeof(event->reserved));
}

/* A member that is added to the struct takes reserved bytes, and then this test finds it. */
START_TEST(every_byte_of_an_event_is_shown)
{
	for (size_t byte = 0; byte < sizeof(struct agentsh_ebpf_event); byte++) {
		bool shown = shows(byte, AGENTSH_EBPF_EVENT_CLOSED, SOCK_STREAM, IPPROTO_TCP) ||
			     shows(byte, AGENTSH_EBPF_EVENT_CLOSED, SOCK_DGRAM, IPPROTO_UDP);

		/* The flags are below; of the kind only some bits are used. */
		if (byte >= offsetof(struct agentsh_ebpf_event, flags) &&
		    byte < offsetof(struct agentsh_ebpf_event, timestamp_ns))
			continue;
		ck_assert_msg(shown != is_reserved(byte), "byte %zu is %s", byte,
			      shown ? "reserved, but shown" : "not shown");
	}
}
END_TEST

START_TEST(every_flag_is_shown)
{
	const struct format_json_details details = {0};
	static char before[sizeof(line)];

	/* tests/cli/check.py compares this list of flags with the header. */
	for (uint32_t flag = 1; flag <= AGENTSH_EBPF_FLAG_UNTRACKED; flag <<= 1) {
		struct agentsh_ebpf_event event =
			event_of(AGENTSH_EBPF_EVENT_CLOSED, SOCK_STREAM, IPPROTO_TCP);

		strcpy(before, format(&event, &details));
		event.flags = flag;
		ck_assert_msg(strcmp(before, format(&event, &details)) != 0, "flag %u is not shown",
			      flag);
	}
}
END_TEST

static const char *with_process(const struct format_json_process *process)
{
	const struct format_json_details details = {.process = process};
	struct agentsh_ebpf_event event =
		event_of(AGENTSH_EBPF_EVENT_CONNECT, SOCK_STREAM, IPPROTO_TCP);

	return format(&event, &details);
}

START_TEST(program_and_arguments)
{
	static const char args[] = "a\0\0b \"c\"\0\x1b[2J\xff";
	const struct format_json_process unknown = {0};
	struct format_json_process process = {
		.exe = "/bin/\n\xc2\x9b",
		.exe_size = 8,
		.args = args,
		.args_size = sizeof(args) - 1,
		.args_cut = true,
	};

	ck_assert_ptr_nonnull(strstr(with_process(&process),
				     ",\"exe\":\"/bin/\\u000a\\u009b\",\"args\":[\"a\",\"\","
				     "\"b \\\"c\\\"\",\"\\u001b[2J\xef\xbf\xbd\"],"
				     "\"args_cut\":true,"));
	process.args_size = 2;
	ck_assert_ptr_nonnull(strstr(with_process(&process), ",\"args\":[\"a\"],"));
	process.args_size = 0;
	ck_assert_ptr_nonnull(strstr(with_process(&process), ",\"args\":[],"));
	ck_assert_ptr_nonnull(
		strstr(with_process(&unknown), ",\"exe\":null,\"args\":null,\"args_cut\":false,"));
	ck_assert_ptr_null(strstr(with_process(NULL), "\"exe\""));
	ck_assert_ptr_null(strstr(line, "\"args"));
}
END_TEST

START_TEST(cgroup_path)
{
	struct agentsh_ebpf_event event =
		event_of(AGENTSH_EBPF_EVENT_CONNECT, SOCK_STREAM, IPPROTO_TCP);
	struct format_json_details details = {.cgroup = "/cg/a\"\n"};

	ck_assert_ptr_nonnull(
		strstr(format(&event, &details), ",\"cgroup\":\"/cg/a\\\"\\u000a\","));
	details.cgroup = NULL;
	ck_assert_ptr_nonnull(strstr(format(&event, &details), ",\"cgroup\":null,"));
}
END_TEST

/* The loop reserves room for the longest line, so that no line is cut. */
START_TEST(longest_line)
{
	static char path[PATH_MAX], exe[PROC_EXE_MAX], args[PROC_ARGS_MAX];
	const struct format_json_process process = {.exe = exe,
						    .exe_size = sizeof(exe),
						    .args = args,
						    .args_size = sizeof(args),
						    .args_cut = true};
	static struct names names = {.named = true, .has_dns = true, .listed = NAMES_ADDRESSES_MAX};
	const struct format_json_details details = {
		.process = &process, .cgroup = path, .names = &names};
	struct agentsh_ebpf_event event;

	memset(&event, 0xff, sizeof(event));
	memset(event.comm, 1, sizeof(event.comm));
	memset(event.process_comm, 1, sizeof(event.process_comm));
	memset(path, 1, sizeof(path) - 1);
	memset(exe, 1, sizeof(exe));
	memset(args, 1, sizeof(args));
	event.kind = AGENTSH_EBPF_EVENT_CLOSED;
	event.family = AF_INET6;
	event.socket_type = SOCK_STREAM;
	format(&event, &details);
	memset(args, 0, sizeof(args)); /* as many arguments as possible */
	format(&event, &details);
	memset(&names.name, 1, sizeof(names.name));
	names.name.flags = UINT32_MAX;
	names.name.resolver.family = AF_INET6;
	format(&event, &details);
	memset(names.list, 0xff, sizeof(names.list));
	for (size_t i = 0; i < NAMES_ADDRESSES_MAX; i++)
		names.list[i].family = AF_INET6;
	memset(&names.dns, 0xff, sizeof(names.dns));
	event.kind = AGENTSH_EBPF_EVENT_DNS_ANSWER;
	memset(args, 1, sizeof(args));
	format(&event, &details);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("json");
	TCase *tcase = unit_case(suite, "json");

	tcase_add_test(tcase, every_byte_of_an_event_is_shown);
	tcase_add_test(tcase, every_flag_is_shown);
	tcase_add_test(tcase, program_and_arguments);
	tcase_add_test(tcase, cgroup_path);
	tcase_add_test(tcase, longest_line);
	return unit_main(suite);
}
