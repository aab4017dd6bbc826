/* SPDX-License-Identifier: Apache-2.0 */
/* Creates a tracer from checked options, and closes it. */
#include "tracer/create.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/error.h"
#include "load/load.h"
#include "probe/diagnose.h"
#include "ring/moderator.h"
#include "ring/synthetic.h"
#include "tracer/options.h"
#include "tracer/session.h"
#include "tracer/tracer.h"

static int add_to_epoll(int epoll_fd, int fd)
{
	struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

	return epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) ? -errno : 0;
}

/* Opens the tracer's descriptor, which is readable for events and for a wake. */
static int open_fds(struct agentsh_ebpf_tracer *t, struct agentsh_ebpf_error *err)
{
	int ret = 0;

	t->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (t->wake_fd >= 0)
		t->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (t->wake_fd < 0 || t->epoll_fd < 0)
		ret = -errno;
	if (!ret)
		ret = add_to_epoll(t->epoll_fd, t->wake_fd);
	if (!ret)
		ret = add_to_epoll(t->epoll_fd, t->synth ? agentsh_synth_fd(t) : t->ring_fd);
	if (!ret && !t->synth)
		ret = agentsh_moderator_open(&t->moderator, t->epoll_fd, t->ring_fd);
	return ret ? agentsh_fail_call(err, ret, AGENTSH_EBPF_STEP_EVENT_FD,
				       "eventfd, epoll and timerfd")
		   : 0;
}

static int set_up(struct agentsh_ebpf_tracer *t, const struct agentsh_ebpf_capabilities *process,
		  struct agentsh_ebpf_error *err)
{
	int ret = agentsh_slots_init(&t->slots, t->opts.max_sessions);

	if (ret)
		return agentsh_fail(err, ret, AGENTSH_EBPF_STEP_MEMORY,
				    "out of memory for %u sessions", t->opts.max_sessions);
	if (t->opts.mode == AGENTSH_EBPF_MODE_SYNTHETIC)
		ret = agentsh_synth_open(t, err);
	else
		ret = agentsh_load(t, process, err);
	return ret ? ret : open_fds(t, err);
}

int agentsh_tracer_create(const struct agentsh_ebpf_tracer_options *opts,
			  const struct agentsh_ebpf_capabilities *process,
			  struct agentsh_ebpf_tracer **out, struct agentsh_ebpf_error *err)
{
	struct agentsh_ebpf_tracer *t = calloc(1, sizeof(*t));
	int ret;

	*out = NULL;
	if (!t)
		return agentsh_fail(err, -ENOMEM, AGENTSH_EBPF_STEP_MEMORY,
				    "out of memory for a tracer");
	t->opts = *opts;
	t->hooks = opts->hooks & agentsh_ebpf_hooks_built();
	t->ring_fd = t->state_fd = t->epoll_fd = t->wake_fd = t->moderator.timer_fd = -1;
	if (opts->mode != AGENTSH_EBPF_MODE_SYNTHETIC &&
	    !(opts->flags & AGENTSH_EBPF_OPEN_NO_MODERATION))
		t->moderator.delay_ns = (uint64_t)opts->wakeup_delay_us * 1000;
	t->moderator.wakeup_watermark = agentsh_wakeup_watermark(opts);
	pthread_mutex_init(&t->lock, NULL);
	atomic_flag_clear(&t->reading);
	ret = set_up(t, process, err);
	if (ret)
		agentsh_ebpf_tracer_close(t);
	else
		*out = t;
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
	agentsh_moderator_close(&t->moderator);
	agentsh_unload(t);
	agentsh_synth_close(t);
	agentsh_slots_free(&t->slots);
	pthread_mutex_destroy(&t->lock);
	free(t);
}
