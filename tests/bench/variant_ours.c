/* SPDX-License-Identifier: Apache-2.0 */
/* (d) The library, as a host uses it: defaults but for hooks, ring and share. */
#include <agentsh/ebpf.h>
#include <stdlib.h>
#include <string.h>

#include "util.h"
#include "variant.h"

struct ours {
	struct agentsh_ebpf_tracer *tracer;
};

static int on_event(void *ctx, const struct agentsh_ebpf_event *event)
{
	(void)ctx;
	touch(event);
	return 0;
}

static void *ours_open(size_t ring_size)
{
	struct ours *o = xrealloc(NULL, sizeof(*o));
	struct agentsh_ebpf_error err = {.size = sizeof(err)};
	struct agentsh_ebpf_tracer_options opts = {
		.size = sizeof(opts),
		.hooks = AGENTSH_EBPF_HOOK_CONNECT,
		.ring_size = (uint32_t)ring_size,
		.ring_share = 100, /* the baseline's one program has its ring alone */
		.on_event = on_event,
	};

	if (agentsh_ebpf_tracer_open(&opts, &o->tracer, &err))
		die("tracer_open: %s: %s", agentsh_ebpf_step_name(err.step), err.message);
	return o;
}

static void ours_attach(void *state, int cgroup_fd)
{
	struct ours *o = state;
	struct agentsh_ebpf_session_options opts = {.size = sizeof(opts), .session_id = 1};
	struct agentsh_ebpf_error err = {.size = sizeof(err)};
	struct agentsh_ebpf_session *session; /* the tracer's close detaches it */

	if (agentsh_ebpf_session_attach(o->tracer, cgroup_fd, &opts, &session, &err))
		die("attach: %s: %s", agentsh_ebpf_step_name(err.step), err.message);
}

static long ours_consume(void *state, int timeout_ms)
{
	struct ours *o = state;

	return agentsh_ebpf_poll(o->tracer, timeout_ms);
}

static uint64_t ours_lost(void *state)
{
	struct ours *o = state;
	struct agentsh_ebpf_stats stats = {.size = sizeof(stats)};

	if (agentsh_ebpf_tracer_stats(o->tracer, &stats))
		die("tracer_stats failed");
	return stats.lost;
}

static void ours_close(void *state)
{
	struct ours *o = state;

	agentsh_ebpf_tracer_close(o->tracer);
	free(o);
}

const struct variant variant_ours = {
	.name = "(d) agentsh-ebpf",
	.open = ours_open,
	.attach = ours_attach,
	.consume = ours_consume,
	.lost = ours_lost,
	.close = ours_close,
};
