/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Is there a state in which a submitted record is in the ring and the reader waits
 * without a timer? docs/ARCHITECTURE.md gives the argument in words. The reader is
 * lib/ring/moderator.c and lib/ring/read.c; the producers are bpf/ringbuf.h and what the
 * kernel does in bpf_ringbuf_reserve() and bpf_ringbuf_submit().
 *
 * The memory model is that of x86 (TSO), which for the producers is as weak as any here:
 * a store may become visible after later loads of the same CPU. An exchange makes the
 * CPU's earlier stores visible, and so does a system call that takes a lock. Positions
 * count records.
 *
 * With -DPOLL the host waits in poll or read; without it, in its own event loop, which
 * makes one call each time the descriptor is readable. Both may also call at any other
 * time, and may stop after any record.
 *
 * Each of these switches removes one ingredient, and the model must then fail:
 * NO_REARMING, COUNT_SUBMITTED_ONLY, FLAG_BEFORE_RESERVE, NO_DELAY, NO_FENCE,
 * NO_RELIST.
 */
#define PRODUCERS 2
#define RECORDS_OF(producer) (2 - (producer)) /* the most records that each producer writes */
#define RECORDS 3

mtype = { IDLE, POLLING, REARMING };

/* ---- memory -------------------------------------------------------------- */

byte producer_pos;
byte consumer_pos;  /* as the programs see it */
byte reader_pos;   /* as the reader sees it: ahead while its store is buffered */
bit submitted[RECORDS];
bit ring_lock;
bit suppress_wakeup;
/* the store of producer_pos and the release of the lock are not visible yet */
bit buffered[PRODUCERS];
bit unseen[PRODUCERS];	 /* was buffered when the reader began to rearm */
byte ended;		 /* number of producers that have ended */

/* ---- the kernel's epoll --------------------------------------------------- */

bit listed; /* the ring is on epoll's ready list, so epoll will poll it */
bit edge;
bit armed;
bit expired;

#define RING_READY (producer_pos != consumer_pos)
#define STORES_VISIBLE (consumer_pos == reader_pos)
#define DELAY_OVER (!unseen[0] && !unseen[1])

/* Each store becomes visible at some time; the timer expires at some time. */
active proctype hardware()
{
end:
	do
	:: atomic { buffered[0] -> producer_pos++; ring_lock = 0; buffered[0] = 0; unseen[0] = 0 }
	:: atomic { buffered[1] -> producer_pos++; ring_lock = 0; buffered[1] = 0; unseen[1] = 0 }
	:: atomic { !STORES_VISIBLE -> consumer_pos++ }
	:: atomic { armed && DELAY_OVER -> armed = 0; expired = 1 }
	od
}

/* ---- programs ------------------------------------------------------------- */

proctype producer(bit me)
{
	byte position, seen_pos, written;
	bit no_wakeup;

	do
	:: written < RECORDS_OF(me) ->
		written++;
#ifdef FLAG_BEFORE_RESERVE
		no_wakeup = suppress_wakeup;
#endif
		atomic { !ring_lock -> ring_lock = 1; position = producer_pos; buffered[me] = 1 }
#ifndef FLAG_BEFORE_RESERVE
		no_wakeup = suppress_wakeup;
#endif
		atomic { !buffered[me] -> submitted[position] = 1 } /* an exchange */
		seen_pos = consumer_pos;
		if
		:: !no_wakeup && seen_pos == position -> listed = 1
		:: no_wakeup -> listed = 1 /* at the watermark, perhaps */
		:: no_wakeup || seen_pos != position -> skip
		fi
	:: break
	od;
	ended++
}

/* ---- the reader ------------------------------------------------------------ */

mtype state = IDLE;
bit timer_fired, has_more, consumed, ring;

inline watch_ring(how)
{
	atomic {
		STORES_VISIBLE;
		edge = how;
		if
		:: RING_READY -> listed = 1
		:: else
		fi
	}
}

inline arm()
{
	atomic { armed = 1; expired = 0 }
}

inline start_polling()
{
	state = POLLING;
	suppress_wakeup = 1;
	watch_ring(1);
	arm()
}

inline rearm()
{
	atomic { STORES_VISIBLE -> suppress_wakeup = 0 } /* an exchange */
	watch_ring(0);
#ifdef NO_REARMING
	state = IDLE;
	atomic { armed = 0; expired = 0 }
#else
	state = REARMING;
	atomic {
		arm();
#ifndef NO_DELAY
		unseen[0] = buffered[0];
		unseen[1] = buffered[1]
#endif
	}
#endif
}

inline become_idle()
{
	if
#ifdef COUNT_SUBMITTED_ONLY
	:: reader_pos == producer_pos || !submitted[reader_pos] ->
#else
	:: reader_pos == producer_pos ->
#endif
		state = IDLE;
		atomic { armed = 0; expired = 0 }
	:: else -> arm()
	fi
}

/* agentsh_moderator_drained(); both outcomes of a test of times or counts are possible */
inline drained()
{
#ifndef NO_FENCE
	STORES_VISIBLE;
#endif
	if
	:: state == POLLING ->
		if
		:: has_more -> watch_ring(1)
		:: else
		fi;
		if
		:: timer_fired && !consumed -> rearm()
		:: timer_fired -> arm()
		:: !timer_fired
		fi
	:: else ->
#ifndef NO_RELIST
		if
		:: consumed && reader_pos != producer_pos -> watch_ring(0)
		:: else
		fi;
#endif
		if
		:: consumed -> start_polling()
		:: state == REARMING && DELAY_OVER -> become_idle()
		:: !(state == REARMING && timer_fired)
		fi
	fi
}

inline drain()
{
	consumed = 0;
	has_more = 0;
	do
	:: reader_pos < producer_pos && submitted[reader_pos] ->
		reader_pos++;
		consumed = 1;
		if
		:: has_more = 1; break /* the array is full, or the callback stops the drain */
		:: skip
		fi
	:: else -> break
	od;
	drained()
}

/* epoll_wait() with timeout 0 */
inline ask_epoll()
{
	atomic {
		STORES_VISIBLE;
		ring = 0;
		if
		:: listed && RING_READY -> ring = 1; listed = !edge
		:: listed && !RING_READY -> listed = 0
		:: else
		fi;
		timer_fired = expired;
		expired = 0
	}
}

#define NOTHING_TO_COME (ended == PRODUCERS && !listed && !armed && !expired && STORES_VISIBLE)

proctype reader()
{
again:
#ifdef POLL
	timer_fired = 0;
	if
	:: state != POLLING ->
		drain();
		if
		:: consumed -> goto again
		:: else
		fi
	:: else
	fi;
wait:
	if
	:: listed || expired -> ask_epoll()
	:: ended < PRODUCERS -> timer_fired = 0 /* a timeout or a wake */
	:: NOTHING_TO_COME -> goto asleep
	fi;
	drain();
	if
	:: consumed -> goto again
	:: else -> goto wait
	fi;
#else
	if
	:: atomic { listed && !RING_READY && STORES_VISIBLE -> listed = 0 }; goto again
	:: listed && RING_READY || expired -> skip
	:: ended < PRODUCERS -> skip /* the host may call at any time */
	:: NOTHING_TO_COME -> goto asleep
	fi;
	timer_fired = 0;
	if
	:: state != POLLING ->
		drain();
		if
		:: consumed -> goto again
		:: else
		fi
	:: else
	fi;
	ask_epoll();
	drain();
	goto again;
#endif
asleep:
	assert(consumer_pos == producer_pos)
}

init
{
	atomic { run producer(0); run producer(1); run reader() }
}
