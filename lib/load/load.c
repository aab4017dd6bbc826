/* SPDX-License-Identifier: Apache-2.0 */
/* Loads the best variant of the programs that this kernel accepts. */
#include "load/load.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "base/error.h"
#include "base/programs.h"
#include "base/system.h"
#include "checks/checks.h"
#include "checks/diagnose.h"
#include "checks/memlock.h"
#include "load/adopt.h"
#include "load/configure.h"
#include "load/libbpf_print.h"
#include "load/set_retval.h"
#include "settings.h"

#include "agentsh.skel.h" /* uses the type of the settings, so it comes after settings.h */
#include "agentsh_kfuncs.skel.h"
#include "agentsh_task.skel.h"

#define WITHOUT_TASK                                                                               \
	"ppid, process_start_ns, ns_pid, ns_tgid, container_pid, container_tgid, process_comm, "   \
	"exe_inode, exe_device"

/* From the variant for the newest kernels to the variant for all. */
enum { KFUNCS, DIRECT, COPIED, NO_TASK, NO_COMM };

static const struct agentsh_variant variants[] = {
	[KFUNCS] = {true, true, true, true, "nothing"},
	/* before kernel 6.10 without CAP_SYS_ADMIN */
	[DIRECT] = {false, true, true, true, "kfuncs"},
	/* before kernel 5.11, and if cgroup programs may not call bpf_get_current_task_btf() */
	[COPIED] = {false, false, true, true, "direct reads of the task"},
	[NO_TASK] = {false, false, false, true, WITHOUT_TASK},
	/* kernel 6.18 requires CAP_PERFMON for bpf_get_current_comm(), too */
	[NO_COMM] = {false, false, false, false, "comm, " WITHOUT_TASK},
};

static const void *image_of(const struct agentsh_variant *variant, size_t *size)
{
	if (variant->kfuncs)
		return agentsh_kfuncs_bpf__elf_bytes(size);
	return variant->task ? agentsh_task_bpf__elf_bytes(size) : agentsh_bpf__elf_bytes(size);
}

static bool is_task_readable(const struct agentsh_ebpf_capabilities *process,
			     const struct agentsh_print_capture *log)
{
	static const uint32_t needed[] = {AGENTSH_EBPF_CHECK_BTF, AGENTSH_EBPF_CHECK_CAP_PERFMON,
					  AGENTSH_EBPF_CHECK_LOCKDOWN};

	for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++) {
		if (agentsh_check_missing(process, needed[i])) {
			agentsh_log(log, AGENTSH_EBPF_LOG_INFO, "%s",
				    process->checks[needed[i]].detail);
			return false;
		}
	}
	return true;
}

/* The state of one load, from the options to the loaded object. */
struct load {
	struct agentsh_programs *programs;
	struct agentsh_ring *ring;
	const struct agentsh_ebpf_tracer_options *opts;
	struct agentsh_print_capture log;
	const struct agentsh_variant *variant;
	struct bpf_object *obj;
	uint32_t step;
};

static int object_open(struct load *l, uint32_t wanted)
{
	LIBBPF_OPTS(bpf_object_open_opts, open_opts, .object_name = "agentsh");
	size_t size = 0;
	const void *image = image_of(l->variant, &size);

	l->obj = bpf_object__open_mem(image, size, &open_opts);
	return l->obj ? agentsh_configure(l->programs, l->ring, l->opts, l->obj, l->variant, wanted)
		      : -errno;
}

static int object_load(struct load *l, uint32_t wanted)
{
	int ret;

	l->step = AGENTSH_EBPF_STEP_OBJECT_OPEN;
	ret = object_open(l, wanted);
	if (!ret) {
		l->step = AGENTSH_EBPF_STEP_OBJECT_LOAD;
		ret = bpf_object__load(l->obj);
	}
	if (ret) {
		bpf_object__close(l->obj);
		l->obj = NULL;
	}
	return ret;
}

/*
 * Whether a retry with fewer programs, or with programs that read less of the task, could
 * succeed.
 */
static bool is_retryable(int ret)
{
	return ret && ret != -EPERM && ret != -ENOMEM && ret != -EMFILE && ret != -ENFILE;
}

/* Loads the richest variant that the kernel accepts. */
static int load_best(struct load *l, uint32_t wanted)
{
	const struct agentsh_variant *last = &variants[NO_COMM];
	int ret = object_load(l, wanted);

	while (is_retryable(ret) && l->variant < last) {
		agentsh_log(&l->log, AGENTSH_EBPF_LOG_INFO,
			    "the programs that leave out %s do not load (error %d)",
			    l->variant->without, ret);
		l->log.warning[0] = l->log.verifier[0] = '\0';
		l->variant++;
		ret = object_load(l, wanted);
	}
	return ret;
}

/* ---- hooks that this kernel lacks --------------------------------------- */

/*
 * Whether the kernel has the attach types of AF_UNIX sockets: it looks at the type before it
 * looks at the program. Trying all programs once per variant would take much longer.
 */
static bool has_unix_hooks(void)
{
	const struct bpf_insn allow[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = 1},
		{.code = BPF_JMP | BPF_EXIT},
	};
	LIBBPF_OPTS(bpf_prog_load_opts, opts);
	int fd;

	for (int i = 0; i < AGENTSH_PROGRAM_COUNT; i++)
		if (agentsh_program_descs[i].check == AGENTSH_EBPF_CHECK_CONNECT_UNIX)
			opts.expected_attach_type =
				(enum bpf_attach_type)agentsh_program_descs[i].attach_type;
	fd = bpf_prog_load(BPF_PROG_TYPE_CGROUP_SOCK_ADDR, "agentsh_probe", "Dual BSD/GPL", allow,
			   sizeof(allow) / sizeof(allow[0]), &opts);
	if (fd >= 0)
		close(fd);
	return fd != -EINVAL;
}

/*
 * Returns the programs of these hooks, without the programs that are simulated as missing.
 * The table of sockets needs unique cookies; sock_ops stands for all hooks that use it.
 */
static uint32_t programs_of(uint32_t hooks, uint64_t simulate, int *errors)
{
	uint32_t wanted = 0;

	if (!agentsh_kernel_has_unique_cookies())
		simulate |= 1ULL << AGENTSH_EBPF_CHECK_SOCK_OPS;
	if (hooks & AGENTSH_EBPF_HOOK_UNIX && !has_unix_hooks())
		simulate |= 1ULL << AGENTSH_EBPF_CHECK_CONNECT_UNIX |
			    1ULL << AGENTSH_EBPF_CHECK_SENDMSG_UNIX;

	for (int i = 0; i < AGENTSH_PROGRAM_COUNT; i++) {
		if (!(hooks & agentsh_program_descs[i].wanted_by))
			continue;
		if (simulate & 1ULL << agentsh_program_descs[i].check)
			errors[i] = EINVAL;
		else
			wanted |= 1U << i;
	}
	return wanted;
}

/* Returns the hooks that lack none of their programs. */
static uint32_t hooks_of(uint32_t hooks, const int *errors)
{
	for (int i = 0; i < AGENTSH_PROGRAM_COUNT; i++)
		if (errors[i])
			hooks &= ~agentsh_program_descs[i].needed_by;
	return hooks;
}

/* Loads each program alone, in the poorest variant, to find those that fail. */
static void find_unloadable(const struct load *all, uint32_t wanted, int *errors)
{
	for (int i = 0; i < AGENTSH_PROGRAM_COUNT; i++) {
		struct load one = {.programs = all->programs,
				   .ring = all->ring,
				   .opts = all->opts,
				   .variant = all->variant};

		if (!(wanted & 1U << i))
			continue;
		errors[i] = -object_load(&one, 1U << i);
		if (!errors[i])
			bpf_object__close(one.obj);
	}
}

/*
 * Loads the programs of the hooks that this kernel supports into l->obj. If a required hook
 * is missing, returns the error of the load that failed.
 */
static int load_hooks(struct load *l)
{
	struct agentsh_programs *programs = l->programs;
	const struct agentsh_variant *richest = l->variant;
	uint32_t wanted = programs_of(programs->hooks, l->opts->simulate_missing, programs->errors);
	int ret;

	programs->hooks = hooks_of(programs->hooks, programs->errors);
	if (!wanted || l->opts->required_hooks & ~programs->hooks)
		return -EOPNOTSUPP;
	ret = load_best(l, wanted);
	if (is_retryable(ret)) {
		find_unloadable(l, wanted, programs->errors);
		programs->hooks = hooks_of(programs->hooks, programs->errors);
		if (programs->hooks && !(l->opts->required_hooks & ~programs->hooks)) {
			l->variant = richest;
			ret = load_best(l, programs_of(programs->hooks, 0, programs->errors));
		}
	}
	for (int i = 0; i < AGENTSH_PROGRAM_COUNT; i++)
		if (programs->errors[i])
			agentsh_log(&l->log, AGENTSH_EBPF_LOG_WARN, "%s does not load: %s",
				    agentsh_program_descs[i].attach_name,
				    strerror(programs->errors[i]));
	return ret;
}

static int load_failed(const struct agentsh_print_capture *log, int ret, uint32_t step,
		       struct agentsh_ebpf_error *err)
{
	const char *said = log->verifier[0] ? log->verifier : log->warning;
	char why[sizeof(err->message)];

	if (ret == -EACCES && !log->verifier[0])
		ret = -EPERM; /* one errno for "not permitted"; EACCES is the verifier's */
	if (agentsh_diagnose(-ret, why, sizeof(why)))
		return agentsh_fail(err, ret, step, "%s: %s", strerror(-ret), why);
	return agentsh_fail(err, ret, step, "%s: %s; %.120s", strerror(-ret), why, said);
}

int agentsh_load(struct agentsh_programs *programs, struct agentsh_ring *ring,
		 const struct agentsh_ebpf_tracer_options *opts,
		 const struct agentsh_ebpf_capabilities *process, struct agentsh_ebpf_error *err)
{
	struct load l = {
		.programs = programs,
		.ring = ring,
		.opts = opts,
		.log = {.on_log = opts->on_log, .log_ctx = opts->log_ctx},
		.variant = &variants[KFUNCS],
	};
	int ret;

	agentsh_memlock_raise();
	agentsh_print_capture_begin(&l.log);
	if (!is_task_readable(process, &l.log))
		l.variant = &variants[NO_TASK];
	else if (libbpf_probe_bpf_helper(BPF_PROG_TYPE_CGROUP_SOCK_ADDR,
					 BPF_FUNC_get_current_task_btf, NULL) != 1)
		l.variant = &variants[COPIED];
	programs->set_retval = programs->hooks & AGENTSH_EBPF_HOOK_RULES &&
			       !(opts->simulate_missing & 1ULL << AGENTSH_EBPF_CHECK_SET_RETVAL) &&
			       agentsh_has_set_retval();
	ret = load_hooks(&l);
	if (!ret) {
		if (!l.variant->task)
			agentsh_log(&l.log, AGENTSH_EBPF_LOG_INFO, "events come without %s",
				    l.variant->without);
		ret = agentsh_adopt(programs, ring, opts, l.obj, &l.step);
		bpf_object__close(l.obj);
	}
	agentsh_print_capture_end();
	return ret ? load_failed(&l.log, ret, l.step, err) : 0;
}

void agentsh_unload(struct agentsh_programs *programs)
{
	if (programs->state_fd >= 0)
		close(programs->state_fd);
	if (programs->sockets_fd >= 0)
		close(programs->sockets_fd);
	if (programs->progress_fd >= 0)
		close(programs->progress_fd);
	if (programs->listed_fd >= 0)
		close(programs->listed_fd);
	agentsh_rules_pool_free(&programs->rules);
	for (uint32_t i = 0; i < programs->count; i++) {
		close(programs->list[i].fd);
		close(programs->list[i].state_fd);
	}
}
