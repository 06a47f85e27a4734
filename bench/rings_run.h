/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_RINGS_RUN_H
#define BENCH_RINGS_RUN_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One receiver hands empty frames to workers and these to one collector, which gives the slots
 * back: what passes between the daemon's threads, and no work. Two sides do the same. */

#define RINGS_PLACES 256u /* entries under way at most; a power of two */
#define RINGS_SLOTS  128u
#define RINGS_NOTED  4096u /* entries whose waiting is kept */

struct rings_plan {
	unsigned workers, hand; /* threads, and entries that one takes at once */
	double seconds;
	uint64_t period_ns; /* between two entries; 0: as fast as they go */
	bool spin;          /* workers never sleep */
};

/* A run under way. */
struct rings_run {
	struct rings_plan plan;
	uint64_t until_ns;
	_Atomic bool ended; /* the receiver has published its last */
	_Atomic bool over;  /* the collector has seen it */
	_Atomic unsigned wrong;
	uint64_t collected; /* the collector's */
	/* From published to claimed and from done to collected, ns [RINGS_NOTED]: each is written
	 * by who takes the entry, read when all have ended. */
	uint64_t *claim_ns, *collect_ns;
	void *side; /* what the side has opened */
};

/* One way to hand entries on. Every function but open and close is a thread's body; work returns
 * when `over` is set. An entry carries its number, the time when it was handed on, and how many
 * workers had it: rings_check_*() look at them. */
struct rings_side {
	const char *name;
	int (*open)(struct rings_run *run);   /* 0 or negative errno */
	void (*close)(struct rings_run *run); /* accepts what is half open */
	void (*receive)(struct rings_run *run);
	void (*work)(struct rings_run *run);
	void (*collect)(struct rings_run *run);
};

/* The daemon's sequence ring, spare ring, gate and bells; and one mutex with conditions. */
extern const struct rings_side rings_lock_free, rings_locked;

struct rings_figures {
	uint64_t entries, wrong;               /* wrong: not once, or not in order */
	double ns_per_entry, cpu_ns_per_entry; /* CPU time of all threads */
	double claim_p50_us, claim_p99_us;     /* published until claimed */
	double collect_p50_us, collect_p99_us; /* done until collected */
};

/* 0 or negative errno: no memory, no threads. */
int rings_run(const struct rings_side *side, const struct rings_plan *plan,
              struct rings_figures *ret);

/* ---- for the sides ---- */

/* Receiver: wait for the time of entry `number`. False when there are to be no more; there is one,
 * however late the receiver was. */
bool rings_next(struct rings_run *run, uint64_t number);

/* Count what is not as it should be. */
static inline void rings_check(struct rings_run *run, bool good)
{
	if (!good)
		atomic_fetch_add_explicit(&run->wrong, 1,
		                          memory_order_relaxed); /* read after join */
}

/* Keep how long entry `number` waited since `since_ns`, where waiting is measured. */
void rings_note(const struct rings_run *run, uint64_t *waits_ns, uint64_t number,
                uint64_t since_ns);

/* Now, where waiting is measured; else 0: reading the clock takes longer than a hand-over. */
uint64_t rings_clock_ns(const struct rings_run *run);

#endif
