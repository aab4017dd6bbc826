/* SPDX-License-Identifier: Apache-2.0 */
#include "ring/ring.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <bpf/libbpf.h>

#include "base/error.h"
#include "checks/diagnose.h"
#include "ring/synthetic.h"

int agentsh_ring_init(struct agentsh_ring *ring, const struct agentsh_ebpf_tracer_options *opts,
		      struct agentsh_ebpf_error *err)
{
	int ret;

	ring->size = opts->ring_size;
	ring->quota_bytes = (uint64_t)opts->ring_size * opts->ring_quota / 100;
	ring->on_event = opts->on_event;
	ring->event_ctx = opts->event_ctx;
	ring->fd = ring->epoll_fd = ring->wake_fd = ring->moderator.timer_fd = -1;
	agentsh_look_timer_init(&ring->look_timer);
	agentsh_look_timer_init(&ring->progress_timer);
	agentsh_look_timer_init(&ring->dns_timer);
	if (opts->mode != AGENTSH_EBPF_MODE_SYNTHETIC) {
		if (opts->check_interval_ms != UINT32_MAX)
			ring->look_timer.interval_ns = (uint64_t)opts->check_interval_ms * 1000000;
		ring->progress_timer.interval_ns = (uint64_t)opts->progress_interval_ms * 1000000;
	}
	if (opts->mode != AGENTSH_EBPF_MODE_SYNTHETIC &&
	    !(opts->flags & AGENTSH_EBPF_OPEN_NO_MODERATION))
		ring->moderator.delay_ns = (uint64_t)opts->wakeup_delay_us * 1000;
	/* Half a quota, because one session's quota may be all that ever gets into the ring. */
	ring->moderator.wakeup_watermark = ring->quota_bytes / 2;
	atomic_flag_clear(&ring->reading);
	ret = agentsh_names_init(&ring->names, opts);
	if (ring->names.dns_events)
		ring->dns_timer.interval_ns = ring->names.timeout_ns;
	if (!ret)
		ret = agentsh_slots_init(&ring->slots, opts->max_sessions);
	return ret ? agentsh_fail(err, ret, AGENTSH_EBPF_STEP_MEMORY,
				  "out of memory for %u sessions", opts->max_sessions)
		   : 0;
}

static int add_to_epoll(int epoll_fd, int fd)
{
	struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

	return epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) ? -errno : 0;
}

/* Opens the tracer's descriptor, which is readable for events and for a wake. */
int agentsh_ring_open(struct agentsh_ring *ring, struct agentsh_ebpf_error *err)
{
	int ret = 0;

	ring->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (ring->wake_fd >= 0)
		ring->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (ring->wake_fd < 0 || ring->epoll_fd < 0)
		ret = -errno;
	if (!ret)
		ret = add_to_epoll(ring->epoll_fd, ring->wake_fd);
	if (!ret)
		ret = add_to_epoll(ring->epoll_fd,
				   ring->synthetic ? agentsh_synthetic_fd(ring) : ring->fd);
	if (!ret && !ring->synthetic)
		ret = agentsh_moderator_open(&ring->moderator, ring->epoll_fd, ring->fd);
	if (!ret)
		ret = agentsh_look_timer_open(&ring->look_timer, ring->epoll_fd);
	if (!ret)
		ret = agentsh_look_timer_open(&ring->progress_timer, ring->epoll_fd);
	if (!ret)
		ret = agentsh_look_timer_open(&ring->dns_timer, ring->epoll_fd);
	return ret ? agentsh_fail_call(err, ret, AGENTSH_EBPF_STEP_EVENT_FD,
				       "eventfd, epoll and timerfd")
		   : 0;
}

uint64_t agentsh_ring_consumed(const struct agentsh_ring *ring)
{
	return ring->synthetic ? agentsh_synthetic_consumed(ring)
			       : __atomic_load_n(ring->moderator.consumer_pos, __ATOMIC_ACQUIRE);
}

uint64_t agentsh_ring_produced(const struct agentsh_ring *ring)
{
	return ring->synthetic ? agentsh_synthetic_produced(ring)
			       : __atomic_load_n(ring->moderator.producer_pos, __ATOMIC_ACQUIRE);
}

void agentsh_ring_close(struct agentsh_ring *ring)
{
	if (ring->epoll_fd >= 0)
		close(ring->epoll_fd);
	if (ring->wake_fd >= 0)
		close(ring->wake_fd);
	agentsh_moderator_close(&ring->moderator);
	agentsh_look_timer_close(&ring->look_timer);
	agentsh_look_timer_close(&ring->progress_timer);
	agentsh_look_timer_close(&ring->dns_timer);
	ring_buffer__free(ring->buffer);
	if (ring->fd >= 0)
		close(ring->fd);
	agentsh_synthetic_close(ring);
	agentsh_slots_free(&ring->slots);
	agentsh_names_free(&ring->names);
}
