/* SPDX-License-Identifier: Apache-2.0 */
/* One poll loop over signals, events and the output. */
#include "loop.h"

#include <poll.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>

#include "clock.h"
#include "command.h"
#include "complain.h"

#define BATCH 256
#define BATCH_ROOM (BATCH * VIEW_EVENT_MAX + OUTPUT_LINE_MAX) /* leaves a line for the end */
/* For a reader that stalls, after a signal that no command is left to take. */
#define GRACE_MS 1000
/* For connections that COMMAND closed as it ended: a close takes a word of the peer's. */
#define LINGER_MS 1000

_Static_assert(BATCH_ROOM <= OUTPUT_SIZE, "a batch fits");

enum phase {
	RUNNING,
	LINGERING, /* the command has ended */
	DRAINING,  /* detached; events are left */
	FLUSHING,  /* only output is left */
};

struct state {
	struct loop *loop;
	enum phase phase;
	int status;
	bool blind; /* reading events has failed */
	bool look;  /* LINGERING: there may be more in the ring */
	bool hurry;
	int64_t deadline_ms; /* if hurry or LINGERING */
};

static void end_tracing(struct state *s)
{
	trace_detach(s->loop->trace);
	s->phase = s->loop->trace->tracer ? DRAINING : FLUSHING;
}

static void start_lingering(struct state *s)
{
	if (!s->loop->trace->tracer) {
		end_tracing(s);
		return;
	}
	s->phase = LINGERING;
	s->look = true;
	s->deadline_ms = clock_monotonic_ms() + LINGER_MS;
}

/* Also orphans, should we be a container's first process. */
static void reap(struct state *s)
{
	int wait_status;
	pid_t pid;

	while ((pid = waitpid(-1, &wait_status, WNOHANG)) > 0) {
		if (pid != s->loop->command)
			continue;
		s->loop->command = 0;
		s->status = command_exit_status(wait_status);
		start_lingering(s);
	}
}

static void start_hurry(struct state *s)
{
	if (!s->hurry)
		s->deadline_ms = clock_monotonic_ms() + GRACE_MS;
	s->hurry = true;
}

/* For poll: -1 is for ever. */
static int remaining_ms(const struct state *s)
{
	bool limited = s->hurry || s->phase == LINGERING;
	int64_t ms = limited ? s->deadline_ms - clock_monotonic_ms() : -1;

	return limited && ms < 0 ? 0 : (int)ms;
}

static void take_signals(struct state *s)
{
	struct signalfd_siginfo info;

	while (signals_read(s->loop->signals, &info)) {
		if (info.ssi_signo == SIGCHLD)
			reap(s);
		else if (s->loop->command)
			signals_forward(&info, s->loop->command);
		else if (s->phase == RUNNING || s->phase == LINGERING)
			end_tracing(s);
		else
			start_hurry(s);
	}
}

/* What is there now. */
static void take_events(struct state *s)
{
	static struct agentsh_ebpf_event events[BATCH];
	struct loop *loop = s->loop;
	int n = s->blind ? 0 : agentsh_ebpf_read(loop->trace->tracer, events, BATCH, 0);

	for (int i = 0; i < n; i++)
		view_event(loop->view, &events[i]);
	if (n < 0) {
		complain("reading events: %s; no more are shown", strerror(-n));
		s->blind = true;
	}
	s->look = n > 0;
	if (n <= 0 && s->phase == DRAINING) {
		view_detached(loop->view, loop->trace);
		s->phase = FLUSHING;
	}
}

static bool lingers(const struct state *s)
{
	return remaining_ms(s) && (s->look || (!s->blind && view_waits_for_close(s->loop->view)));
}

/* For poll: until a line that waits must be shown, if there is room for it. */
static int wait_ms(const struct state *s, bool room)
{
	int ms = room ? view_wait_ms(s->loop->view) : -1, left = remaining_ms(s);

	return ms < 0 || (left >= 0 && left < ms) ? left : ms;
}

static void step(struct state *s)
{
	struct loop *loop = s->loop;
	bool room = output_has_room(loop->output, BATCH_ROOM);
	bool pending = output_pending(loop->output);
	/* with no room events wait in the ring, which counts what it loses */
	bool events = s->phase < DRAINING && loop->trace->tracer && room && !s->blind;
	bool drain = room && (s->phase == DRAINING || (s->phase == LINGERING && s->look));
	struct pollfd fds[] = {
		{.fd = loop->signals->fd, .events = POLLIN},
		{.fd = events ? agentsh_ebpf_fd(loop->trace->tracer) : -1, .events = POLLIN},
		{.fd = pending ? loop->output->fd : -1, .events = POLLOUT},
	};

	if (poll(fds, 3, drain ? 0 : wait_ms(s, room)) < 0) {
		view_interrupted(loop->view); /* SIGCONT */
		return;
	}
	if (fds[2].revents)
		output_write(loop->output);
	if (fds[1].revents || drain)
		take_events(s);
	if (output_has_room(loop->output, BATCH_ROOM))
		view_tick(loop->view);
	if (fds[0].revents)
		take_signals(s);
	if (s->phase == LINGERING && !lingers(s))
		end_tracing(s);
}

static bool is_done(const struct state *s)
{
	return (s->phase == FLUSHING && !output_pending(s->loop->output)) ||
	       (s->hurry && !remaining_ms(s));
}

int loop_run(struct loop *loop)
{
	struct state s = {
		.loop = loop,
		.phase = loop->command || loop->trace->tracer ? RUNNING : FLUSHING,
	};

	while (!is_done(&s))
		step(&s);
	return s.status;
}
