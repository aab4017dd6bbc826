/* SPDX-License-Identifier: Apache-2.0 */
#include "loop.h"

#include <poll.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>

#include "clock.h"
#include "command.h"
#include "warn.h"

#define BATCH 256 /* events shown before signals are looked at again */
/* Space for the output of some events, or of the summary, and for the last line. */
#define STEP_OUTPUT_MAX (OUTPUT_SIZE / 2 + OUTPUT_LINE_MAX)
/* How long to wait for a stalled reader after a signal, once no command is running. */
#define GRACE_MS 1000
/* How long to wait for connections that COMMAND closed as it ended: the peer must answer. */
#define LINGER_MS 1000

_Static_assert(PRESENTER_EVENT_MAX <= OUTPUT_SIZE / 2, "a step has room for an event");

enum phase {
	RUNNING,
	LINGERING, /* the command has ended */
	DRAINING,  /* detached; unread events remain */
	FLUSHING,  /* only output remains */
};

struct state {
	struct loop *loop;
	enum phase phase;
	int status;
	bool read_failed;
	bool drain;	     /* LINGERING: the ring may hold more events */
	bool hurry;	     /* a signal asked for a quick end */
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
	s->drain = true;
	s->deadline_ms = clock_monotonic_ms() + LINGER_MS;
}

/* Reaps every child: as PID 1 of a container this process also inherits orphans. */
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

/* Timeout for poll(2); -1: none. */
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

/* How many of n events have room in the output, whatever they contain. */
static size_t fitting(struct loop *loop, size_t n)
{
	while (n && !output_has_room(loop->output, n * PRESENTER_EVENT_MAX + OUTPUT_LINE_MAX))
		n /= 2;
	return n;
}

/* Shows one batch of the events that are in the ring. */
static void take_events(struct state *s)
{
	static struct agentsh_ebpf_event events[BATCH];
	struct loop *loop = s->loop;
	size_t left = BATCH, fit;
	int n = 0;

	/* Most lines are far shorter than PRESENTER_EVENT_MAX, so more may fit behind them. */
	while (!s->read_failed && (fit = fitting(loop, left))) {
		n = agentsh_ebpf_read(loop->trace->tracer, events, fit, 0);
		if (n <= 0)
			break;
		left -= (size_t)n;
		/* First, because a process may be waiting for nothing but the answer. */
		for (int i = 0; i < n; i++)
			rules_answer(&loop->trace->rules, loop->trace->tracer, &events[i]);
		for (int i = 0; i < n; i++) {
			presenter_event(loop->presenter, &events[i]);
			if (events[i].kind == AGENTSH_EBPF_EVENT_SESSION_BLIND)
				trace_warn_blind(loop->trace);
		}
	}
	if (n < 0) {
		warn_user("reading events: %s; no further events are shown", strerror(-n));
		s->read_failed = true;
	}
	s->drain = n > 0;
	/* The summary needs all of the room. */
	if (n <= 0 && left == BATCH && s->phase == DRAINING) {
		presenter_detached(loop->presenter, loop->trace);
		s->phase = FLUSHING;
	}
}

static bool lingers(const struct state *s)
{
	return remaining_ms(s) &&
	       (s->drain || (!s->read_failed && presenter_waits_for_close(s->loop->presenter)));
}

/* Timeout for poll(2): the end of the phase, or the next presenter_tick() if room allows it. */
static int wait_ms(const struct state *s, bool room)
{
	int ms = room ? presenter_wait_ms(s->loop->presenter) : -1, left = remaining_ms(s);

	return ms < 0 || (left >= 0 && left < ms) ? left : ms;
}

static void step(struct state *s)
{
	struct loop *loop = s->loop;
	bool room = output_has_room(loop->output, STEP_OUTPUT_MAX);
	bool pending = output_pending(loop->output);
	/* Without room, events stay in the ring; the library counts what a full ring loses. */
	bool events = s->phase < DRAINING && loop->trace->tracer && room && !s->read_failed;
	bool drain = room && (s->phase == DRAINING || (s->phase == LINGERING && s->drain));
	struct pollfd fds[] = {
		{.fd = loop->signals->fd, .events = POLLIN},
		{.fd = events ? agentsh_ebpf_fd(loop->trace->tracer) : -1, .events = POLLIN},
		{.fd = pending ? loop->output->fd : -1, .events = POLLOUT},
	};

	if (poll(fds, 3, drain ? 0 : wait_ms(s, room)) < 0) {
		presenter_interrupted(loop->presenter); /* EINTR after SIGCONT */
		return;
	}
	if (fds[2].revents)
		output_write(loop->output);
	if (fds[1].revents || drain)
		take_events(s);
	if (output_has_room(loop->output, STEP_OUTPUT_MAX))
		presenter_tick(loop->presenter);
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
