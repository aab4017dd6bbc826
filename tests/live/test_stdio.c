/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hosts with stdin, stdout or stderr closed: no descriptor of the library takes their
 * number, and the log callback may write to them while a tracer is opened.
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "live.h"

static struct live_cgroup cgroup;

struct outcome {
	int opened, attached, used; /* used: bit n for descriptor n */
	int lines, odd_writes;	    /* calls of on_log(), and writes in it that did not fail */
};

struct log {
	int closed; /* bit n for descriptor n */
	struct outcome *out;
};

/* Writes 8 bytes, which an eventfd accepts, to each closed stream. */
static void on_log(void *ctx, int level, const char *text)
{
	const struct log *log = ctx;

	(void)level;
	(void)text;
	log->out->lines++;
	for (int fd = 0; fd < 3; fd++)
		if (log->closed & 1 << fd && (write(fd, "8 bytes\n", 8) >= 0 || errno != EBADF))
			log->out->odd_writes++;
}

static void open_without(const void *closed, void *out)
{
	int bits = *(const int *)closed;
	struct outcome *o = out;
	struct log log = {bits, o};
	const struct agentsh_ebpf_tracer_options options = {
		.size = sizeof(options),
		.on_log = on_log,
		.log_ctx = &log,
		/* causes calls of on_log(), about the members that events lack */
		.simulate_missing = 1ULL << AGENTSH_EBPF_CHECK_BTF,
	};
	struct agentsh_ebpf_tracer *tracer;
	struct agentsh_ebpf_session *session;

	o->lines = o->odd_writes = 0;
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
	ck_assert_int_gt(o.lines, 0);
	ck_assert_int_eq(o.odd_writes, 0);
	live_cgroup_remove(&cgroup);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("stdio");

	tcase_add_loop_test(live_case(suite, "stdio"), closed_streams, 1, 8);
	return live_main(suite);
}
