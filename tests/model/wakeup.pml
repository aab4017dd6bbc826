/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Wake-ups: is there a state in which a committed record lies in the ring and
 * the reader sleeps, with no timer? docs/ARCHITECTURE.md has the argument in
 * words; the reader is lib/moderate.c and lib/events.c, the producers are
 * bpf/common.h with what the kernel does in bpf_ringbuf_reserve() and submit().
 *
 * Memory is that of x86 (TSO), which on the producers' side is as weak as any
 * here: a store may become visible after later loads of the same processor. An
 * exchange drains a processor's stores first, and so does a system call that
 * takes a lock. Positions count records.
 *
 * With -DPOLL the host waits inside poll or read; without, in an event loop of
 * its own, which calls once for each time that the descriptor is readable. Both
 * also look whenever they like, and stop after any record.
 *
 * Each of these takes one ingredient out, and must be found wrong:
 * NO_SECOND_LOOK, LOOK_AT_FINISHED, FLAG_FIRST, NO_DELAY, NO_FENCE, NO_RELIST.
 */
#define PRODUCERS 2
#define EACH(producer) (2 - (producer)) /* records at most */
#define RECORDS 3

mtype = { SLEEPING, FLOWING, LEAVING };

/* ---- memory -------------------------------------------------------------- */

byte producer_pos;
byte consumer_pos;  /* as the programs see it */
byte consumer_own;  /* as the reader sees it: ahead while its store is buffered */
bit finished[RECORDS];
bit ring_lock;
bit quiet;
bit buffered[PRODUCERS]; /* the new producer_pos and the lock's release */
bit owed[PRODUCERS];	 /* was buffered when the reader began to leave */
byte ended;		 /* producers */

/* ---- the kernel's epoll --------------------------------------------------- */

bit listed; /* the ring is on the ready list: it will be asked */
bit edge;
bit armed;
bit expired;

#define RING_READY (producer_pos != consumer_pos)
#define DRAINED (consumer_pos == consumer_own)
#define DELAY_OVER (!owed[0] && !owed[1])

/* Stores become visible some time; the timer expires some time. */
active proctype hardware()
{
end:
	do
	:: atomic { buffered[0] -> producer_pos++; ring_lock = 0; buffered[0] = 0; owed[0] = 0 }
	:: atomic { buffered[1] -> producer_pos++; ring_lock = 0; buffered[1] = 0; owed[1] = 0 }
	:: atomic { !DRAINED -> consumer_pos++ }
	:: atomic { armed && DELAY_OVER -> armed = 0; expired = 1 }
	od
}

/* ---- programs ------------------------------------------------------------- */

proctype producer(bit me)
{
	byte mine, reader, made;
	bit no_wakeup;

	do
	:: made < EACH(me) ->
		made++;
#ifdef FLAG_FIRST
		no_wakeup = quiet;
#endif
		atomic { !ring_lock -> ring_lock = 1; mine = producer_pos; buffered[me] = 1 }
#ifndef FLAG_FIRST
		no_wakeup = quiet;
#endif
		atomic { !buffered[me] -> finished[mine] = 1 } /* an exchange */
		reader = consumer_pos;
		if
		:: !no_wakeup && reader == mine -> listed = 1
		:: no_wakeup -> listed = 1 /* the mark, perhaps */
		:: no_wakeup || reader != mine -> skip
		fi
	:: break
	od;
	ended++
}

/* ---- the reader ------------------------------------------------------------ */

mtype state = SLEEPING;
bit fired, more, taken, ring;

inline modify(how)
{
	atomic {
		DRAINED;
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

inline flow()
{
	state = FLOWING;
	quiet = 1;
	modify(1);
	arm()
}

inline leave()
{
	atomic { DRAINED -> quiet = 0 } /* an exchange */
	modify(0);
#ifdef NO_SECOND_LOOK
	state = SLEEPING;
	atomic { armed = 0; expired = 0 }
#else
	state = LEAVING;
	atomic {
		arm();
#ifndef NO_DELAY
		owed[0] = buffered[0];
		owed[1] = buffered[1]
#endif
	}
#endif
}

inline second_look()
{
	if
#ifdef LOOK_AT_FINISHED
	:: consumer_own == producer_pos || !finished[consumer_own] ->
#else
	:: consumer_own == producer_pos ->
#endif
		state = SLEEPING;
		atomic { armed = 0; expired = 0 }
	:: else -> arm()
	fi
}

/* agentsh_moderator_drained(); what depends on times and counts goes either way */
inline moderate()
{
#ifndef NO_FENCE
	DRAINED;
#endif
	if
	:: state == FLOWING ->
		if
		:: more -> modify(1)
		:: else
		fi;
		if
		:: fired && !taken -> leave()
		:: fired -> arm()
		:: !fired
		fi
	:: else ->
#ifndef NO_RELIST
		if
		:: taken && consumer_own != producer_pos -> modify(0)
		:: else
		fi;
#endif
		if
		:: taken -> flow()
		:: state == LEAVING && DELAY_OVER -> second_look()
		:: !(state == LEAVING && fired)
		fi
	fi
}

inline look()
{
	taken = 0;
	more = 0;
	do
	:: consumer_own < producer_pos && finished[consumer_own] ->
		consumer_own++;
		taken = 1;
		if
		:: more = 1; break /* the array is full, or the callback stops */
		:: skip
		fi
	:: else -> break
	od;
	moderate()
}

/* epoll_wait() without waiting */
inline ask()
{
	atomic {
		DRAINED;
		ring = 0;
		if
		:: listed && RING_READY -> ring = 1; listed = !edge
		:: listed && !RING_READY -> listed = 0
		:: else
		fi;
		fired = expired;
		expired = 0
	}
}

#define NOTHING_TO_COME (ended == PRODUCERS && !listed && !armed && !expired && DRAINED)

proctype reader()
{
again:
#ifdef POLL
	fired = 0;
	if
	:: state != FLOWING ->
		look();
		if
		:: taken -> goto again
		:: else
		fi
	:: else
	fi;
wait:
	if
	:: listed || expired -> ask()
	:: ended < PRODUCERS -> fired = 0 /* time-out, wake */
	:: NOTHING_TO_COME -> goto asleep
	fi;
	look();
	if
	:: taken -> goto again
	:: else -> goto wait
	fi;
#else
	if
	:: atomic { listed && !RING_READY && DRAINED -> listed = 0 }; goto again
	:: listed && RING_READY || expired -> skip
	:: ended < PRODUCERS -> skip /* whenever the host likes */
	:: NOTHING_TO_COME -> goto asleep
	fi;
	fired = 0;
	if
	:: state != FLOWING ->
		look();
		if
		:: taken -> goto again
		:: else
		fi
	:: else
	fi;
	ask();
	look();
	goto again;
#endif
asleep:
	assert(consumer_pos == producer_pos)
}

init
{
	atomic { run producer(0); run producer(1); run reader() }
}
