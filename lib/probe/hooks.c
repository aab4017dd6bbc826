/* SPDX-License-Identifier: Apache-2.0 */
/* Loads the real programs, and attaches each for a moment to the caller's own cgroup. */
#include "probe/kernel.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "base/programs.h"
#include "checks/checks.h"
#include "checks/diagnose.h"
#include "checks/displace.h"
#include "load/set_retval.h"
#include "tracer/create.h"
#include "tracer/options.h"
#include "tracer/tracer.h"

#define AVAILABLE AGENTSH_EBPF_STATUS_AVAILABLE
#define UNKNOWN AGENTSH_EBPF_STATUS_UNKNOWN

static void program_failed(struct agentsh_ebpf_capabilities *caps,
			   const struct agentsh_program_desc *desc, int error, const char *failed,
			   const char *why)
{
	agentsh_check_set(caps, desc->check, agentsh_check_status_of(error), error, "%s: %s: %s",
			  desc->attach_name, failed, why ? why : strerror(error));
}

/* Attaches the program for a moment. The session state is zero, so the program reports nothing. */
static int attach_once(const struct agentsh_program *program, int cgroup_fd)
{
	int link = bpf_link_create(program->fd, cgroup_fd, program->desc->attach_type, NULL);

	if (link < 0)
		return -link;
	bpf_link_detach(link);
	close(link);
	return 0;
}

static void only_loaded(struct agentsh_ebpf_capabilities *caps,
			const struct agentsh_program_desc *desc, const struct agentsh_displaced *d)
{
	char program[64];

	agentsh_program_describe(d->program_id, program, sizeof(program));
	agentsh_check_set(caps, desc->check, AVAILABLE, 0,
			  "%s was only loaded: attaching it %s displace %s", desc->attach_name,
			  d->answer == AGENTSH_DISPLACES_PROGRAM ? "would" : "could", program);
	caps->load_only = 1;
}

/* Does not attach where even a moment would let through what another program refuses. */
static void attach_one(struct agentsh_ebpf_capabilities *caps,
		       const struct agentsh_program *program, int cgroup_fd)
{
	const struct agentsh_program_desc *desc = program->desc;
	struct agentsh_displaced d;
	int error = -agentsh_displaced_find(cgroup_fd, desc->attach_type, &d);

	if (!error && d.answer != AGENTSH_DISPLACES_NOTHING) {
		only_loaded(caps, desc, &d);
		return;
	}
	if (!error)
		error = attach_once(program, cgroup_fd);
	if (error)
		program_failed(caps, desc, error, "attaching",
			       agentsh_attach_refused(error, cgroup_fd, desc));
	else
		agentsh_check_set(caps, desc->check, AVAILABLE, 0, "%s loads and attaches",
				  desc->attach_name);
}

static void attach_each(struct agentsh_ebpf_capabilities *caps, const struct agentsh_ebpf_tracer *t)
{
	int cgroup_fd = caps->cgroup_path[0]
				? open(caps->cgroup_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
				: -1;

	caps->load_only = cgroup_fd < 0;
	for (uint32_t i = 0; i < t->programs.count; i++) {
		const struct agentsh_program *program = &t->programs.list[i];

		if (cgroup_fd >= 0)
			attach_one(caps, program, cgroup_fd);
		else
			agentsh_check_set(caps, program->desc->check, AVAILABLE, 0,
					  "%s loads; attaching was not tried",
					  program->desc->attach_name);
	}
	if (cgroup_fd >= 0)
		close(cgroup_fd);
}

/* The reason in words if the kernel is too old; NULL: the errno value says it. */
static const char *why_missing(const struct agentsh_program_desc *desc, int error)
{
	return desc->wanted_by == AGENTSH_EBPF_HOOK_UNIX && error == EINVAL
		       ? "the kernel is older than 6.7"
		       : NULL;
}

static void load_all(struct agentsh_ebpf_capabilities *caps)
{
	const struct agentsh_ebpf_tracer_options opts = {
		.size = sizeof(opts),
		.hooks = agentsh_ebpf_hooks_built(),
		.ring_size = (uint32_t)sysconf(_SC_PAGESIZE),
		.ring_quota = 100,
		.max_sessions = 1,
		.udp_dedup_entries = 16,
		.max_sockets = 16,
		.rules_bytes = 4096,
		.rules_addresses = 16,
		.simulate_missing = caps->simulate_missing,
	};
	struct agentsh_ebpf_tracer *t;
	struct agentsh_ebpf_error err = {.size = sizeof(err)};
	int ret = agentsh_tracer_create(&opts, caps, &t, &err);

	for (int i = 0; i < AGENTSH_PROGRAM_COUNT; i++) {
		const struct agentsh_program_desc *desc = &agentsh_program_descs[i];
		int error = ret ? -ret : t->programs.errors[i];

		if (!(desc->wanted_by & opts.hooks))
			agentsh_check_set(caps, desc->check, UNKNOWN, 0,
					  "this library was built without it");
		else if (error)
			program_failed(caps, desc, error, "loading", why_missing(desc, error));
		else /* a failed program of the same hook keeps it from being attached */
			agentsh_check_set(caps, desc->check, AVAILABLE, 0, "%s loads",
					  desc->attach_name);
	}
	if (agentsh_memlock_refuses(-ret)) {
		agentsh_probe_memlock(caps, EPERM, AGENTSH_RING_SIZE_DEFAULT);
		for (int i = 0; i < AGENTSH_PROGRAM_COUNT; i++)
			agentsh_check_not_tried(caps, agentsh_program_descs[i].check,
						AGENTSH_EBPF_CHECK_MEMLOCK);
	}
	if (ret)
		return;
	attach_each(caps, t);
	agentsh_ebpf_tracer_close(t);
}

static void probe_set_retval(struct agentsh_ebpf_capabilities *caps)
{
	const uint32_t check = AGENTSH_EBPF_CHECK_SET_RETVAL;

	if (agentsh_has_set_retval())
		agentsh_check_set(caps, check, AVAILABLE, 0,
				  "programs can choose the error of a refused call");
	else
		agentsh_check_set_lacking(caps, check, AGENTSH_EBPF_STATUS_MISSING);
}

void agentsh_probe_hooks(struct agentsh_ebpf_capabilities *caps)
{
	int because = agentsh_checks_first_missing(caps, AGENTSH_CHECKS_FOR_LOAD);

	if (because < 0) {
		load_all(caps);
		probe_set_retval(caps);
	} else {
		agentsh_check_not_tried(caps, AGENTSH_EBPF_CHECK_SET_RETVAL, (uint32_t)because);
	}
	caps->hooks = agentsh_ebpf_hooks_built();
	for (int i = 0; i < AGENTSH_PROGRAM_COUNT; i++) {
		const struct agentsh_program_desc *desc = &agentsh_program_descs[i];

		if (because >= 0)
			agentsh_check_not_tried(caps, desc->check, (uint32_t)because);
		if (caps->checks[desc->check].status != AVAILABLE)
			caps->hooks &= ~desc->needed_by;
	}
}
