/* SPDX-License-Identifier: Apache-2.0 */
/* A model of daemon/sequence.h: one receiver, two workers that claim hands by compare-and-exchange,
 * one collector that takes entries in order and recycles them. The ring is small, so that every
 * entry is used in several rounds.
 *
 * Checked in every interleaving:
 *   - an entry is never filled before the collector is done with its last round
 *   - each number is processed exactly once, by one worker, and collected exactly once, in order
 *   - who reads an entry or its product finds it whole
 *   - everything published is collected, and every thread ends
 *
 * A step is one access to shared memory. Spin interleaves steps as if all were sequentially
 * consistent; what weaker orders would allow is written out as the other order of two steps in
 * the BUG_ variants. tests/model.sh runs them all: the model as it is must pass, and each variant
 * must be found wrong. How threads wait is in tests/idle.pml; here they just do. */

#define CAPACITY 2
#define ENTRIES  6 /* three rounds */
#define MOST     2 /* entries in a hand */

#define SPARE   0
#define READY   1
#define CLAIMED 2
#define DONE    3

#define AT(number)           ((number) % CAPACITY)
#define STAMP(number, state) ((number) * 4 + (state))
#define WHOLE(number)        ((number) + 1) /* 0 stands for half written */

/* struct sequence; `content` is the entry, `product` what a worker makes of its slot. */
byte stamp[CAPACITY];
byte content[CAPACITY];
byte product[CAPACITY];
byte published, claimed, collected;
bool finished;

/* What is only there to be checked. */
bool in_use[CAPACITY]; /* between filling and the collector's last look */
byte processed[ENTRIES];

proctype receiver()
{
	byte number;

	do
	:: number == ENTRIES -> break
	:: number < ENTRIES ->
		/* sequence_next() */
#ifdef BUG_ROOM_WITHOUT_STAMP
		published - collected <= CAPACITY;
#else
		stamp[AT(number)] == STAMP(number, SPARE);
#endif
		d_step {
			assert(!in_use[AT(number)]);
			in_use[AT(number)] = true;
			content[AT(number)] = 0
		};
		/* sequence_publish() */
#ifdef BUG_PUBLISH_BEFORE_FILL
		stamp[AT(number)] = STAMP(number, READY);
		published = number + 1;
		content[AT(number)] = WHOLE(number);
#else
		content[AT(number)] = WHOLE(number);
#ifdef BUG_COUNT_BEFORE_STAMP
		published = number + 1;
		stamp[AT(number)] = STAMP(number, READY);
#else
		stamp[AT(number)] = STAMP(number, READY);
		published = number + 1;
#endif
#endif
		number++
	od
}

/* The hand in C is unsigned: a number below zero is a very large one. */
#define HAND(waiting) (((waiting) < 0 || (waiting) > MOST) -> MOST : (waiting))

/* sequence_claim(): `count` entries from `first` on. */
inline claim()
{
	do
#ifdef BUG_LOAD_PUBLISHED_BEFORE_CLAIMED
	:: count = published;
	   d_step {
		first = claimed;
		count = HAND(count - first)
	   };
#else
	:: first = claimed;
	   count = HAND(published - first);
#endif
	   if
	   :: count == 0 -> break
	   :: else
	   fi;
#ifdef BUG_CLAIM_WITHOUT_EXCHANGE
	   claimed = first + count;
	   break
#else
	   atomic {
		if
		:: claimed == first ->
			claimed = first + count;
			break
		:: else ->
			first = 0;
			count = 0
		fi
	   }
#endif
	od
}

/* sequence_claimed() for a hand, and the work on it in two steps: products begun, products
 * whole. */
inline process_hand()
{
	d_step {
		do
		:: i < count ->
			assert(first + i < ENTRIES);
			assert(stamp[AT(first + i)] == STAMP(first + i, READY));
			stamp[AT(first + i)] = STAMP(first + i, CLAIMED);
			assert(content[AT(first + i)] == WHOLE(first + i));
			processed[first + i]++;
			assert(processed[first + i] == 1);
			product[AT(first + i)] = 0;
			i++
		:: else -> break
		od;
		i = 0
	};
	d_step {
		do
		:: i < count ->
			product[AT(first + i)] = WHOLE(first + i);
			i++
		:: else -> break
		od;
		i = 0
	}
}

/* sequence_done() for a hand */
inline hand_over()
{
	do
	:: i < count ->
		d_step {
			stamp[AT(first + i)] = STAMP(first + i, DONE);
			i++
		}
	:: else -> break
	od;
	i = 0
}

proctype worker()
{
	byte first, count, i;

	do
	:: finished -> break
	:: published != claimed ->
		claim();
		if
		:: count == 0
		:: else ->
#ifdef BUG_DONE_BEFORE_PRODUCT
			hand_over();
			process_hand()
#else
			process_hand();
			hand_over()
#endif
		fi;
		d_step {
			first = 0;
			count = 0
		}
	od
}

proctype collector()
{
	byte word, i;

	do
	:: collected == ENTRIES -> break
	:: collected < ENTRIES && stamp[AT(collected)] != STAMP(collected, SPARE) ->
		/* sequence_head(): the entry may be read before it is done, the product not. */
		atomic {
			word = stamp[AT(collected)];
			assert(word >= STAMP(collected, READY) && word <= STAMP(collected, DONE));
			assert(content[AT(collected)] == WHOLE(collected));
			word = 0
		};
		stamp[AT(collected)] == STAMP(collected, DONE);
		/* sequence_recycle() */
#ifdef BUG_RECYCLE_BEFORE_READ
		d_step {
			in_use[AT(collected)] = false;
			stamp[AT(collected)] = STAMP(collected + CAPACITY, SPARE)
		};
#endif
		d_step {
			assert(content[AT(collected)] == WHOLE(collected));
			assert(product[AT(collected)] == WHOLE(collected));
			assert(processed[collected] == 1)
		};
#ifdef BUG_ROOM_WITHOUT_STAMP
		collected++;
		d_step {
			in_use[AT(collected - 1)] = false;
			stamp[AT(collected - 1)] = STAMP(collected - 1 + CAPACITY, SPARE)
		}
#else
#ifndef BUG_RECYCLE_BEFORE_READ
		d_step {
			in_use[AT(collected)] = false;
			stamp[AT(collected)] = STAMP(collected + CAPACITY, SPARE)
		};
#endif
		collected++
#endif
	od;
	finished = true;
	do
	:: i < ENTRIES ->
		assert(processed[i] == 1);
		i++
	:: else -> break
	od
}

init {
	atomic {
		byte number;

		for (number : 0 .. CAPACITY - 1) {
			stamp[number] = STAMP(number, SPARE)
		}
		run receiver();
		run worker();
		run worker();
		run collector()
	}
}
