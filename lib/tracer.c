/* SPDX-License-Identifier: Apache-2.0 */
/* The life of a tracer: check, load or simulate, make the descriptors, undo. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "internal.h"

static int watch(int epoll_fd, int fd)
{
	struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

	return epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) ? -errno : 0;
}

/* One descriptor that is readable for events and for a wake. */
static int open_fds(struct agentsh_ebpf_tracer *t, struct agentsh_ebpf_error *err)
{
	int ret = 0;

	t->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (t->wake_fd >= 0)
		t->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (t->wake_fd < 0 || t->epoll_fd < 0)
		ret = -errno;
	if (!ret)
		ret = watch(t->epoll_fd, t->wake_fd);
	if (!ret)
		ret = watch(t->epoll_fd, t->synth ? agentsh_synth_fd(t) : t->ring_fd);
	if (!ret && !t->synth)
		ret = agentsh_moderate_open(&t->moderator, t->epoll_fd, t->ring_fd);
	return ret ? agentsh_fail_call(err, ret, AGENTSH_EBPF_STEP_EVENT_FD, "eventfd, epoll and timerfd") :
		     0;
}

static int set_up(struct agentsh_ebpf_tracer *t, struct agentsh_ebpf_error *err)
{
	int ret = agentsh_slots_init(&t->slots, t->opts.max_sessions);

	if (ret)
		return agentsh_fail(err, ret, AGENTSH_EBPF_STEP_MEMORY,
				    "out of memory for %u sessions", t->opts.max_sessions);
	if (t->opts.mode == AGENTSH_EBPF_MODE_SYNTHETIC)
		ret = agentsh_synth_open(t, err);
	else
		ret = agentsh_load(t, err);
	return ret ? ret : open_fds(t, err);
}

int agentsh_tracer_make(const struct agentsh_ebpf_tracer_options *opts,
			struct agentsh_ebpf_tracer **out, struct agentsh_ebpf_error *err)
{
	struct agentsh_ebpf_tracer *t = calloc(1, sizeof(*t));
	int ret;

	*out = NULL;
	if (!t)
		return agentsh_fail(err, -ENOMEM, AGENTSH_EBPF_STEP_MEMORY,
				    "out of memory for a tracer");
	t->opts = *opts;
	t->hooks = opts->hooks;
	t->ring_fd = t->tag_fd = t->epoll_fd = t->wake_fd = t->moderator.timer_fd = -1;
	if (opts->mode != AGENTSH_EBPF_MODE_SYNTHETIC && !(opts->flags & AGENTSH_EBPF_OPEN_WAKE_EACH))
		t->moderator.delay_ns = (uint64_t)opts->wakeup_delay_us * 1000;
	/* half of what one session may hold, which may be all that there is */
	t->moderator.mark_bytes = (uint64_t)opts->ring_size * opts->ring_share / 200;
	pthread_mutex_init(&t->lock, NULL);
	atomic_flag_clear(&t->reading);
	ret = set_up(t, err);
	if (ret)
		agentsh_ebpf_tracer_close(t);
	else
		*out = t;
	return ret;
}

/*
 * Before libbpf is asked: what it finds missing because this process may not, it
 * takes for missing in the kernel, for the rest of the process.
 */
static int check_process(const struct agentsh_ebpf_tracer_options *opts,
			 struct agentsh_ebpf_error *err)
{
	struct agentsh_ebpf_capabilities caps;
	int ret;

	agentsh_probe_begin(&caps, opts->simulate_missing);
	for (int i = 0; i < AGENTSH_PROGRAMS; i++)
		caps.checks[agentsh_hooks[i].check].required =
			(agentsh_hooks[i].needed_by & opts->required_hooks) != 0;
	agentsh_probe_process(&caps);
	agentsh_probe_nofile(&caps);
	agentsh_probe_simulated(&caps);
	ret = agentsh_probe_reason(&caps);
	if (ret && opts->on_log)
		opts->on_log(opts->log_ctx, AGENTSH_EBPF_LOG_WARN, caps.reason);
	return ret ? agentsh_fail(err, ret, AGENTSH_EBPF_STEP_OBJECT_LOAD, "%s", caps.reason) : 0;
}

/*
 * The probe's words for what the load stumbled over, unless the verifier has
 * said something that only it can know, or it is a matter of the moment.
 */
static int explain(const struct agentsh_ebpf_tracer_options *opts, int ret,
		   struct agentsh_ebpf_error *err)
{
	const uint64_t hooks = ~0ULL << AGENTSH_EBPF_CHECK_CONNECT4;
	struct agentsh_ebpf_capabilities caps = {
		.size = sizeof(caps),
		.simulate_missing = opts->simulate_missing,
	};

	if (ret == -ENOMEM || ret == -EMFILE || ret == -ENFILE)
		return ret;
	if (agentsh_ebpf_capability_probe(&caps) || caps.usable)
		return ret;
	/* which open does not need, so it is not why */
	if (agentsh_probe_missing(&caps, AGENTSH_EBPF_CHECK_CGROUP2))
		return ret;
	if (ret != -EPERM && !(caps.missing & ~hooks))
		return ret;
	for (uint32_t i = 0; i < caps.count; i++)
		if (caps.checks[i].required && agentsh_probe_missing(&caps, i))
			return agentsh_fail(err, -caps.checks[i].error,
					    AGENTSH_EBPF_STEP_OBJECT_LOAD, "%s", caps.reason);
	return ret;
}

int agentsh_ebpf_tracer_open(const struct agentsh_ebpf_tracer_options *opts,
			     struct agentsh_ebpf_tracer **out, struct agentsh_ebpf_error *err)
{
	struct agentsh_ebpf_tracer_options checked;
	int ret;

	if (out)
		*out = NULL;
	if (!agentsh_error_begin(err))
		return -EINVAL;
	if (!out)
		return agentsh_fail(err, -EFAULT, AGENTSH_EBPF_STEP_OPTIONS, "out is NULL");
	ret = agentsh_tracer_options_check(opts, &checked, err);
	if (ret)
		return ret;
	if (checked.mode == AGENTSH_EBPF_MODE_DISABLED)
		return agentsh_fail(err, -ECANCELED, AGENTSH_EBPF_STEP_OPTIONS,
				    "mode is %u (DISABLED): tracing is switched off", checked.mode);
	if (checked.mode != AGENTSH_EBPF_MODE_SYNTHETIC)
		ret = check_process(&checked, err);
	if (ret)
		return ret;
	ret = agentsh_tracer_make(&checked, out, err);
	if (ret && checked.mode != AGENTSH_EBPF_MODE_SYNTHETIC)
		return explain(&checked, ret, err);
	if (!ret && !(*out)->hooks) { /* NOLINT(clang-analyzer-core.NullDereference): 0 sets *out */
		agentsh_ebpf_tracer_close(*out);
		*out = NULL;
		ret = agentsh_fail(err, -EOPNOTSUPP, AGENTSH_EBPF_STEP_OBJECT_LOAD,
				   "none of hooks, 0x%x, works on this kernel; see "
				   "agentsh_ebpf_capability_probe()",
				   checked.hooks);
	}
	return ret;
}

uint32_t agentsh_ebpf_tracer_hooks(const struct agentsh_ebpf_tracer *t)
{
	return t ? t->hooks : 0;
}

void agentsh_ebpf_tracer_close(struct agentsh_ebpf_tracer *t)
{
	if (!t)
		return;
	agentsh_sessions_detach_all(t);
	if (t->epoll_fd >= 0)
		close(t->epoll_fd);
	if (t->wake_fd >= 0)
		close(t->wake_fd);
	agentsh_moderate_close(&t->moderator);
	agentsh_unload(t);
	agentsh_synth_close(t);
	agentsh_slots_free(&t->slots);
	pthread_mutex_destroy(&t->lock);
	free(t);
}
