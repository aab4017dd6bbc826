/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Programs and maps into the kernel. libbpf's object is closed again once its
 * descriptors are copied: it would keep the ELF image and its BTF in memory.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "internal.h"

#include "agentsh.skel.h" /* knows the settings' type by name only */
#include "agentsh_task.skel.h"

/* From what the newest kernels allow to what all do. */
enum { DIRECT, COPIED, NO_TASK, NO_COMM };

static const struct agentsh_variant variants[] = {
	[DIRECT] = {true, true, true, "nothing"},
	/* before 5.11, and where cgroup programs may not call bpf_get_current_task_btf */
	[COPIED] = {false, true, true, "direct reads of the task"},
	[NO_TASK] = {false, false, true, "ppid, process_start_ns, ns_pid, ns_tgid"},
	/* kernel 6.18 wants CAP_PERFMON for bpf_get_current_comm too */
	[NO_COMM] = {false, false, false, "comm, ppid, process_start_ns, ns_pid, ns_tgid"},
};

static bool task_reachable(uint64_t simulate, const struct agentsh_capture *log)
{
	static const uint32_t needed[] = {AGENTSH_EBPF_CHECK_BTF, AGENTSH_EBPF_CHECK_CAP_PERFMON,
					  AGENTSH_EBPF_CHECK_LOCKDOWN};
	struct agentsh_ebpf_capabilities caps;

	agentsh_probe_begin(&caps, simulate);
	agentsh_probe_process(&caps);
	for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++) {
		if (agentsh_probe_missing(&caps, needed[i])) {
			agentsh_log(log, AGENTSH_EBPF_LOG_INFO, "%s",
				    caps.checks[needed[i]].detail);
			return false;
		}
	}
	return true;
}

/* One load, from the options to what the kernel gave. */
struct load {
	struct agentsh_ebpf_tracer *tracer;
	struct agentsh_capture log;
	const struct agentsh_variant *variant;
	struct bpf_object *obj;
	uint32_t step;
};

static int object_open(struct load *l, uint32_t wanted)
{
	LIBBPF_OPTS(bpf_object_open_opts, open_opts, .object_name = "agentsh");
	size_t size = 0;
	const void *image = l->variant->task ? agentsh_task_bpf__elf_bytes(&size) :
					       agentsh_bpf__elf_bytes(&size);

	l->obj = bpf_object__open_mem(image, size, &open_opts);
	return l->obj ? agentsh_configure(l->tracer, l->obj, l->variant, wanted) : -errno;
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

/* Whether other programs, or such that read less of the task, may fare better. */
static bool worth_another(int ret)
{
	return ret && ret != -EPERM && ret != -ENOMEM && ret != -EMFILE && ret != -ENFILE;
}

/* The richest variant that loads. */
static int load_best(struct load *l, uint32_t wanted)
{
	const struct agentsh_variant *last = &variants[NO_COMM];
	int ret = object_load(l, wanted);

	while (worth_another(ret) && l->variant < last) {
		agentsh_log(&l->log, AGENTSH_EBPF_LOG_INFO,
			    "the programs that leave out %s do not load (%d)", l->variant->without,
			    ret);
		l->log.warning[0] = l->log.verifier[0] = '\0';
		l->variant++;
		ret = object_load(l, wanted);
	}
	return ret;
}

/* ---- hooks that this kernel lacks --------------------------------------- */

/* Programs of these hooks, less those that are to be taken for missing. */
static uint32_t programs_of(uint32_t hooks, uint64_t simulate, int *errors)
{
	uint32_t wanted = 0;

	for (int i = 0; i < AGENTSH_PROGRAMS; i++) {
		if (!(hooks & agentsh_hooks[i].wanted_by))
			continue;
		if (simulate & 1ULL << agentsh_hooks[i].check)
			errors[i] = EINVAL;
		else
			wanted |= 1U << i;
	}
	return wanted;
}

/* The hooks all of whose programs are there. */
static uint32_t hooks_of(uint32_t hooks, const int *errors)
{
	for (int i = 0; i < AGENTSH_PROGRAMS; i++)
		if (errors[i])
			hooks &= ~agentsh_hooks[i].needed_by;
	return hooks;
}

/* Each program alone, in the poorest variant: which of them spoils the load? */
static void find_unloadable(const struct load *all, uint32_t wanted, int *errors)
{
	for (int i = 0; i < AGENTSH_PROGRAMS; i++) {
		struct load one = {.tracer = all->tracer, .variant = all->variant};

		if (!(wanted & 1U << i))
			continue;
		errors[i] = -object_load(&one, 1U << i);
		if (!errors[i])
			bpf_object__close(one.obj);
	}
}

/* What of the hooks this kernel can, in l->obj; -EOPNOTSUPP where a required one is missing. */
static int load_hooks(struct load *l)
{
	struct agentsh_ebpf_tracer *t = l->tracer;
	const struct agentsh_variant *richest = l->variant;
	uint32_t wanted = programs_of(t->opts.hooks, t->opts.simulate_missing, t->load_errors);
	int ret;

	t->hooks = hooks_of(t->opts.hooks, t->load_errors);
	ret = wanted ? load_best(l, wanted) : -EOPNOTSUPP;
	if (worth_another(ret) && wanted) {
		find_unloadable(l, wanted, t->load_errors);
		t->hooks = hooks_of(t->hooks, t->load_errors);
		if (t->hooks && !(t->opts.required_hooks & ~t->hooks)) {
			l->variant = richest;
			ret = load_best(l, programs_of(t->hooks, 0, t->load_errors));
		}
	}
	for (int i = 0; i < AGENTSH_PROGRAMS; i++)
		if (t->load_errors[i])
			agentsh_log(&l->log, AGENTSH_EBPF_LOG_WARN, "%s does not load: %s",
				    agentsh_hooks[i].cgroup_hook, strerror(t->load_errors[i]));
	return ret;
}

/* ---- what is kept ------------------------------------------------------- */

static int copy_fd(int fd)
{
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);

	return copy < 0 ? -errno : copy;
}

static int keep_programs(struct agentsh_ebpf_tracer *t, struct bpf_object *obj)
{
	for (int i = 0; i < AGENTSH_PROGRAMS; i++) {
		const struct agentsh_hook *hook = &agentsh_hooks[i];
		struct agentsh_program *p = &t->programs[t->program_count];

		if (!(t->hooks & hook->wanted_by) || t->load_errors[i])
			continue;
		p->hook = hook;
		p->fd = copy_fd(
			bpf_program__fd(bpf_object__find_program_by_name(obj, hook->program)));
		if (p->fd < 0)
			return p->fd;
		p->tag_fd = copy_fd(t->tag_fd >= 0 ?
					    t->tag_fd :
					    bpf_object__find_map_fd_by_name(obj, hook->tag_map));
		if (p->tag_fd < 0) {
			int ret = p->tag_fd;

			close(p->fd);
			return ret;
		}
		t->program_count++;
	}
	return 0;
}

static int keep_slots(struct agentsh_ebpf_tracer *t, struct bpf_object *obj)
{
	void *at = mmap(NULL, t->slots.bytes, PROT_READ | PROT_WRITE, MAP_SHARED,
			bpf_object__find_map_fd_by_name(obj, "agentsh_slots"), 0);

	if (at == MAP_FAILED)
		return -errno;
	t->slots.counters = at;
	t->slots.mapped = true;
	return 0;
}

static int keep_control(struct agentsh_ebpf_tracer *t, struct bpf_object *obj)
{
	void *at = mmap(NULL, sizeof(*t->moderator.control), PROT_READ | PROT_WRITE, MAP_SHARED,
			bpf_object__find_map_fd_by_name(obj, "agentsh_control"), 0);

	if (at == MAP_FAILED)
		return -errno;
	t->moderator.control = at;
	return 0;
}

static int keep_ring(struct agentsh_ebpf_tracer *t, struct bpf_object *obj)
{
	t->ring_fd = copy_fd(bpf_object__find_map_fd_by_name(obj, "agentsh_ring"));
	if (t->ring_fd < 0)
		return t->ring_fd;
	t->ring = ring_buffer__new(t->ring_fd, agentsh_take_record, t, NULL);
	return t->ring ? 0 : -errno;
}

static int keep_all(struct agentsh_ebpf_tracer *t, struct bpf_object *obj, uint32_t *step)
{
	int ret = keep_programs(t, obj);

	if (ret)
		return ret;
	*step = AGENTSH_EBPF_STEP_COUNTERS_MAP;
	ret = keep_slots(t, obj);
	if (!ret)
		ret = keep_control(t, obj);
	if (ret)
		return ret;
	*step = AGENTSH_EBPF_STEP_RING_MAP;
	return keep_ring(t, obj);
}

/*
 * Out of descriptors, libbpf takes its own trial calls' failure for a missing
 * kernel feature, and remembers that for the rest of the process: every later
 * open would fail. So it is not called without enough of them.
 */
int agentsh_check_descriptors(void)
{
	int fds[AGENTSH_DESCRIPTORS_FOR_LOAD], n = 0, ret = 0;

	while (n < AGENTSH_DESCRIPTORS_FOR_LOAD && !ret) {
		fds[n] = n ? fcntl(fds[0], F_DUPFD_CLOEXEC, 0) : eventfd(0, EFD_CLOEXEC);
		if (fds[n] < 0)
			ret = -errno;
		else
			n++;
	}
	while (n)
		close(fds[--n]);
	return ret;
}

static int load_failed(const struct agentsh_capture *log, int ret, uint32_t step,
		       struct agentsh_ebpf_error *err)
{
	const char *said = log->verifier[0] ? log->verifier : log->warning;
	char why[sizeof(err->message)];

	if (ret == -EACCES && !log->verifier[0])
		ret = -EPERM; /* one errno for "may not"; the verifier's own is EACCES too */
	if (agentsh_diagnose(-ret, why, sizeof(why)))
		return agentsh_fail(err, ret, step, "%s: %s", strerror(-ret), why);
	return agentsh_fail(err, ret, step, "%s: %s; %.120s", strerror(-ret), why, said);
}

int agentsh_load(struct agentsh_ebpf_tracer *t, struct agentsh_ebpf_error *err)
{
	struct load l = {
		.tracer = t,
		.log = {.on_log = t->opts.on_log, .log_ctx = t->opts.log_ctx},
		.variant = &variants[DIRECT],
	};
	int ret = agentsh_check_descriptors();

	if (ret)
		return agentsh_fail_call(err, ret, AGENTSH_EBPF_STEP_OBJECT_LOAD, "descriptors");
	agentsh_memlock_raise();
	agentsh_capture_begin(&l.log);
	if (!task_reachable(t->opts.simulate_missing, &l.log))
		l.variant = &variants[NO_TASK];
	else if (libbpf_probe_bpf_helper(BPF_PROG_TYPE_CGROUP_SOCK_ADDR,
					 BPF_FUNC_get_current_task_btf, NULL) != 1)
		l.variant = &variants[COPIED];
	ret = load_hooks(&l);
	if (!ret) {
		if (!l.variant->task)
			agentsh_log(&l.log, AGENTSH_EBPF_LOG_INFO, "events come without %s",
				    l.variant->without);
		ret = keep_all(t, l.obj, &l.step);
		bpf_object__close(l.obj);
	}
	agentsh_capture_end();
	return ret ? load_failed(&l.log, ret, l.step, err) : 0;
}

void agentsh_unload(struct agentsh_ebpf_tracer *t)
{
	ring_buffer__free(t->ring);
	if (t->ring_fd >= 0)
		close(t->ring_fd);
	if (t->tag_fd >= 0)
		close(t->tag_fd);
	for (uint32_t i = 0; i < t->program_count; i++) {
		close(t->programs[i].fd);
		close(t->programs[i].tag_fd);
	}
}
