/* SPDX-License-Identifier: Apache-2.0 */
/* A model of how receivers stand still while the collector changes the layout: park() and ask() in
 * daemon/receiver.c, stand_still(), answer() and go_on() in daemon/relayout.c. Two receivers get
 * messages that fit the layout or do not; the main thread ends the run at any moment.
 *
 * Checked in every interleaving:
 *   - while the layout is replaced no receiver uses it and no frame of the old one is under way
 *   - every question is answered; nobody waits for ever. Receivers' sleeps have no time limit
 *     here; the collector's standstill polls in the code, and here waits for what it polls for.
 *
 * A step is one access to shared memory; all that matter here are sequentially consistent in the
 * code. BUG_ variants are found wrong, see tests/model.sh. */

#define MESSAGES 1 /* for each receiver */

mtype = { FRAME, ASK };

/* The sequence ring of each receiver, workers included. */
chan entries[2] = [2] of { mtype };

bool pause, phase_end;
bool parked[2], ended[2];
bool answered[2]; /* not ASK_OPEN */

/* struct bell of each receiver. */
bool asleep[2], rung[2];

/* What is only there to be checked. */
bool using[2], replacing;

inline ring(r)
{
	if
	:: asleep[r] -> rung[r] = true
	:: else
	fi
}

inline leave_bell()
{
	asleep[me] = false;
	rung[me] = false
}

/* park() */
inline park()
{
	do
	:: !pause -> break
	:: else ->
#ifdef BUG_PARK_WITHOUT_SECOND_LOOK
		parked[me] = true;
		asleep[me] = true;
		rung[me];
#else
		parked[me] = true;
		asleep[me] = true;
		if
		:: !pause
		:: else -> rung[me]
		fi;
#endif
		leave_bell();
#ifdef BUG_LOOK_BEFORE_UNPARKED
		if
		:: !pause ->
			parked[me] = false;
			break
		:: else -> parked[me] = false
		fi
#else
		parked[me] = false;
#ifdef BUG_PARK_ONCE
		break
#endif
#endif
	od
}

/* A frame that fits: looks into the layout, takes a slot, publishes. */
inline use_layout()
{
	d_step {
		assert(!replacing);
		using[me] = true
	};
	d_step {
		entries[me]!FRAME;
		using[me] = false
	}
}

/* ask(); what is answered does not matter, only that it is. */
inline ask()
{
#ifdef BUG_QUESTION_OPENED_LATE
	entries[me]!ASK;
	answered[me] = false;
#else
	answered[me] = false;
	entries[me]!ASK;
#endif
	parked[me] = true;
	do
	:: answered[me] -> break
	:: else ->
#ifdef BUG_ANSWER_WITHOUT_SECOND_LOOK
		asleep[me] = true;
		rung[me];
#else
		asleep[me] = true;
		if
		:: answered[me]
		:: else -> rung[me]
		fi;
#endif
		leave_bell()
	od;
	parked[me] = false;
#ifndef BUG_ASK_WITHOUT_PARK
	park()
#endif
}

inline wait_for_message()
{
	asleep[me] = true;
#ifdef BUG_MESSAGE_WAIT_WITHOUT_LOOK
	rung[me];
#else
	if
	:: pause
	:: else ->
		if
		:: phase_end
		:: else -> rung[me]
		fi
	fi;
#endif
	leave_bell()
}

proctype receiver(byte me)
{
	byte left = MESSAGES;

	do
	:: phase_end -> break
	:: else ->
		park();
		if
		:: left == 0 -> wait_for_message()
		:: left > 0 ->
			left--;
			if
			:: use_layout()
			:: ask();
			   if
			   :: use_layout() /* accepted */
			   :: true         /* refused */
			   fi
			fi
		fi
	od;
	left = 0;
	ended[me] = true
}

inline answer(r)
{
	answered[r] = true;
	ring(r)
}

/* collector_take() while the layout is being made: questions are kept. */
inline take_and_keep(r)
{
	atomic {
		entries[r]?kind;
		if
		:: kind == ASK -> open[r] = true
		:: else
		fi;
		kind = 0
	}
}

#define STANDS(r) (parked[r] || ended[r])
#define EMPTY(r)  (len(entries[r]) == 0)

/* all_still(): one look after the other. */
inline look_whether_still()
{
	still = STANDS(0);
#ifndef BUG_RING_NOT_EMPTIED
	still = still && EMPTY(0);
#endif
	still = still && STANDS(1);
#ifndef BUG_RING_NOT_EMPTIED
	still = still && EMPTY(1)
#endif
}

/* stand_still() */
inline stand_still()
{
#ifndef BUG_PAUSE_AFTER_LOOK
	pause = true;
	ring(0);
	ring(1);
#endif
	do
	:: !EMPTY(0) -> take_and_keep(0)
	:: !EMPTY(1) -> take_and_keep(1)
	:: STANDS(0) && STANDS(1) ->
		look_whether_still();
		if
		:: still -> break
		:: else
		fi
	od;
	still = false;
#ifdef BUG_PAUSE_AFTER_LOOK
	pause = true;
	ring(0);
	ring(1)
#endif
}

inline lay_out(r)
{
	stand_still();
	d_step {
		assert(!using[0] && !using[1]);
		assert(EMPTY(0) && EMPTY(1));
		replacing = true
	};
	skip;
	replacing = false;
	answer(r);
	if
	:: open[1 - r] ->
		open[1 - r] = false;
		answer(1 - r)
	:: else
	fi;
	/* go_on() */
	pause = false;
	ring(0);
	ring(1)
}

inline take(r)
{
	atomic {
		entries[r]?kind;
		question = kind == ASK;
		kind = 0
	};
	if
	:: question ->
		question = false;
		if
		:: answer(r) /* refused, or it fits by now */
		:: lay_out(r)
		fi
	:: else
	fi
}

proctype collector()
{
	mtype kind;
	bool question, still, open[2];

	do
	:: !EMPTY(0) -> take(0)
	:: !EMPTY(1) -> take(1)
	:: ended[0] && ended[1] && EMPTY(0) && EMPTY(1) -> break
	od
}

proctype main_thread()
{
	phase_end = true;
	ring(0);
	ring(1)
}

init {
	atomic {
		run receiver(0);
		run receiver(1);
		run collector();
		run main_thread()
	}
}
