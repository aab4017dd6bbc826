/* SPDX-License-Identifier: Apache-2.0 */
/* Creates a tracer from checked options, and closes it. */
#include "tracer/create.h"

#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/error.h"
#include "load/load.h"
#include "ring/synthetic.h"
#include "tracer/look.h"
#include "tracer/progress.h"
#include "tracer/rules.h"
#include "tracer/session.h"
#include "tracer/tracer.h"

static int set_up(struct agentsh_ebpf_tracer *t, const struct agentsh_ebpf_capabilities *process,
		  struct agentsh_ebpf_error *err)
{
	int ret = agentsh_ring_init(&t->ring, &t->opts, err);

	if (ret)
		return ret;
	ret = agentsh_owner_init(&t->owner);
	if (!ret)
		ret = agentsh_handles_grow(t);
	if (ret)
		return agentsh_fail(err, ret, AGENTSH_EBPF_STEP_MEMORY,
				    "out of memory for a tracer");
	t->ring.look = agentsh_look;
	t->ring.progress = agentsh_progress;
	t->ring.timers_ctx = t;
	if (t->opts.mode == AGENTSH_EBPF_MODE_SYNTHETIC)
		ret = agentsh_synthetic_open(&t->ring, err);
	else
		ret = agentsh_load(&t->programs, &t->ring, &t->opts, process, err);
	if (!ret)
		ret = agentsh_rules_spare_init(t, err);
	return ret ? ret : agentsh_ring_open(&t->ring, err);
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
	t->programs.hooks = opts->hooks & agentsh_ebpf_hooks_built();
	t->programs.state_fd = t->programs.sockets_fd = -1;
	t->programs.progress_fd = t->programs.listed_fd = -1;
	t->programs.set_retval = opts->mode == AGENTSH_EBPF_MODE_SYNTHETIC;
	t->boottime_offset_ns = agentsh_boottime_offset_ns();
	pthread_mutex_init(&t->lock, NULL);
	pthread_mutex_init(&t->handles.lock, NULL);
	ret = set_up(t, process, err);
	if (ret)
		agentsh_ebpf_tracer_close(t);
	else
		*out = t;
	return ret;
}

uint32_t agentsh_ebpf_tracer_hooks(const struct agentsh_ebpf_tracer *t)
{
	return t ? t->programs.hooks : 0;
}

void agentsh_ebpf_tracer_close(struct agentsh_ebpf_tracer *t)
{
	if (!t)
		return;
	agentsh_sessions_detach_all(t);
	agentsh_rules_free_all(t);
	agentsh_unload(&t->programs);
	agentsh_ring_close(&t->ring);
	agentsh_handles_free(t);
	agentsh_owner_free(&t->owner);
	pthread_mutex_destroy(&t->handles.lock);
	pthread_mutex_destroy(&t->lock);
	free(t);
}
