/* SPDX-License-Identifier: Apache-2.0 */
/* A model of daemon/idle.h as the pipeline waits with it: the receiver at its bell for room, two
 * workers at the gate for entries, the collector at its bell for finished ones. Only counts pass
 * between them; whose entry is whose is in tests/sequence.pml.
 *
 * Sleeps have no time limit here: a lost wake-up is then a state that nobody leaves, which Spin
 * calls an invalid end state. Checked: there is none, everything is collected, every thread ends.
 *
 * A step is one access to shared memory; all that matter here are sequentially consistent in the
 * code. What a weaker order would allow is the other order of two steps, in the BUG_ variants. */

#define ENTRIES 3
#ifndef BUG_LOOK_AT_RECEIVER_BEFORE_ROOM
#define ROOM 2 /* entries under way */
#else
#define ROOM 1 /* with two, the second one given back makes up for the first */
#endif

/* Publications, each counted by one thread but `claimed`. */
byte published, claimed, collected;
byte done;
bool finished; /* pipeline.collected: workers may end */

/* struct gate. Of `turn`, which only ever rises, no more than whether it has moved on since a
 * worker read it; and who sleeps in the futex. */
byte sleepers;
bool turn_read[2], turned[2];
bool in_futex[2];

/* struct bell: the collector's and the receiver's. */
bool collector_asleep, collector_rung;
bool receiver_asleep, receiver_rung;

/* The increment of `turn` in gate_notify(). */
inline move_turn()
{
	d_step {
		turned[0] = turn_read[0];
		turned[1] = turn_read[1]
	}
}

/* FUTEX_WAKE of one, whichever the kernel likes. */
inline wake_one()
{
	atomic {
		if
		:: in_futex[0] -> in_futex[0] = false
		:: in_futex[1] -> in_futex[1] = false
		:: !in_futex[0] && !in_futex[1]
		fi
	}
}

/* bell_ring() after the look whether the other sleeps. */
inline ring(seen_asleep, rung)
{
	if
	:: seen_asleep -> rung = true
	:: else
	fi;
	seen_asleep = false
}

proctype receiver()
{
	byte seen;

	do
	:: published == ENTRIES -> break
	:: published < ENTRIES ->
		do
		:: published - collected < ROOM -> break
		:: else ->
			/* wait_for_room() */
			receiver_asleep = true;
			if
			:: published - collected < ROOM
			:: else -> receiver_rung
			fi;
			receiver_asleep = false;
			receiver_rung = false
		od;
		/* sequence_publish(), gate_notify() */
#ifdef BUG_LOOK_AT_SLEEPERS_BEFORE_PUBLISH
		seen = sleepers;
		published++;
#else
		published++;
		seen = sleepers;
#endif
		if
		:: seen > 0 ->
#ifndef BUG_WAKE_WITHOUT_TURN
			move_turn();
#endif
			wake_one()
		:: else
		fi;
		seen = 0
	od
}

/* sleep_at_gate() */
inline sleep_at_gate()
{
#ifndef BUG_TURN_READ_AFTER_LOOK
	turn_read[me] = true;
#endif
	sleepers++;
#ifndef BUG_GATE_WITHOUT_SECOND_LOOK
	awake = published != claimed;
	awake = awake || finished;
#endif
#ifdef BUG_TURN_READ_AFTER_LOOK
	turn_read[me] = true;
#endif
	if
	:: awake
	:: else ->
		atomic {
			if
			:: !turned[me] -> in_futex[me] = true
			:: else
			fi
		};
		!in_futex[me]
	fi;
	d_step {
		sleepers--;
		turn_read[me] = false;
		turned[me] = false;
		awake = false
	}
}

proctype worker(byte me)
{
	bool awake, mine, asleep;

	do
	:: finished -> break
	:: else ->
		atomic {
			if
			:: published > claimed ->
				claimed++;
				mine = true
			:: else
			fi
		};
		if
		:: mine ->
			/* sequence_done(), bell_ring() */
			mine = false;
#ifdef BUG_LOOK_AT_COLLECTOR_BEFORE_DONE
			asleep = collector_asleep;
			done++;
#else
			done++;
			asleep = collector_asleep;
#endif
			ring(asleep, collector_rung)
		:: else -> sleep_at_gate()
		fi
	od
}

proctype collector()
{
	bool asleep;

	do
	:: collected == ENTRIES -> break
	:: collected < done ->
		/* spare_push(), bell_ring() */
#ifdef BUG_LOOK_AT_RECEIVER_BEFORE_ROOM
		asleep = receiver_asleep;
		collected++;
#else
		collected++;
		asleep = receiver_asleep;
#endif
		ring(asleep, receiver_rung)
	:: collected < ENTRIES && collected >= done ->
		/* sleep_until() */
#ifdef BUG_BELL_EMPTIED_BEFORE_SLEEP
		collector_asleep = true;
		if
		:: collected < done
		:: else ->
			collector_rung = false;
			collector_rung
		fi;
#else
#ifdef BUG_BELL_WITHOUT_SECOND_LOOK
		collector_asleep = true;
		collector_rung;
#else
		collector_asleep = true;
		if
		:: collected < done
		:: else -> collector_rung
		fi;
#endif
#endif
		/* bell_leave() */
		collector_asleep = false;
		collector_rung = false
	od;

	/* finish_run() */
#ifdef BUG_NOTIFY_BEFORE_FINISHED
	if
	:: sleepers > 0 ->
		move_turn();
		d_step {
			in_futex[0] = false;
			in_futex[1] = false
		}
	:: else
	fi;
	finished = true
#else
	finished = true;
	if
	:: sleepers > 0 ->
		move_turn();
		d_step {
			in_futex[0] = false;
			in_futex[1] = false
		}
	:: else
	fi
#endif
}

init {
	atomic {
		run receiver();
		run worker(0);
		run worker(1);
		run collector()
	}
}
