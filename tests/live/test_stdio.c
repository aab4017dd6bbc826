/* SPDX-License-Identifier: Apache-2.0 */
/* Hosts with stdin, stdout or stderr closed: no descriptor of the library takes their number. */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "live.h"

static struct live_cgroup cgroup;

struct outcome {
	int opened, attached, used; /* used: bit n for descriptor n */
};

static void open_without(const void *closed, void *out)
{
	int bits = *(const int *)closed;
	const struct agentsh_ebpf_tracer_options options = {.size = sizeof(options)};
	struct agentsh_ebpf_tracer *tracer;
	struct agentsh_ebpf_session *session;
	struct outcome *o = out;

	for (int fd = 0; fd < 3; fd++)
		if (bits & 1 << fd)
			close(fd);
	o->opened = agentsh_ebpf_tracer_open(&options, &tracer, NULL);
	o->attached =
		o->opened ? -1
			  : agentsh_ebpf_session_attach(tracer, cgroup.fd, NULL, &session, NULL);
	o->used = 0;
	for (int fd = 0; fd < 3; fd++)
		if (bits & 1 << fd && fcntl(fd, F_GETFD) >= 0)
			o->used |= 1 << fd;
	if (!o->opened)
		agentsh_ebpf_tracer_close(tracer);
}

START_TEST(closed_streams)
{
	struct outcome o;

	live_cgroup_make(&cgroup, NULL);
	live_forked(0, open_without, &_i, &o, sizeof(o));
	ck_assert_int_eq(o.opened, 0);
	ck_assert_int_eq(o.attached, 0);
	ck_assert_int_eq(o.used, 0);
	live_cgroup_remove(&cgroup);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("stdio");

	tcase_add_loop_test(live_case(suite, "stdio"), closed_streams, 1, 8);
	return live_main(suite);
}
