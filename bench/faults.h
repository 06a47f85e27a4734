/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_FAULTS_H
#define BENCH_FAULTS_H

#include <stdbool.h>
#include <stdint.h>

/* The plan of a faulty stream: what becomes of each frame number, and in which order.
 *
 * Each number has exactly one fate. Usable frames may in addition change places with a later
 * one of the same block of eight, and may be sent twice. The same options give the same plan. */

#define FAULT_BLOCK 8 /* numbers; nothing is displaced by more */

struct fault_options {
	uint64_t first;  /* number of the first frame */
	uint64_t step;   /* from one number to the next, at least 1 */
	uint64_t frames; /* numbers in the plan; UINT64_MAX for no end */
	uint64_t seed;
	double lose;       /* chance that a number is never sent */
	double corrupt;    /* chance that its message is unusable; see enum corruption */
	bool type_ignored; /* receivers do not read `type`: a wrong one is never sent */
	double truncate;   /* chance that its pixels are cut short */
	double duplicate;  /* chance that a usable frame is sent twice */
	double reorder;    /* chance that a usable frame changes places with a later one */
};

enum shot_fate { SHOT_USABLE, SHOT_LOST, SHOT_CORRUPTED, SHOT_TRUNCATED, SHOT_FATE_COUNT };

/* How a message is made unusable. The last three keep the number readable. */
enum corruption {
	CORRUPT_CUT_HEADER,   /* the JSON ends in the middle */
	CORRUPT_BRACKET,      /* the JSON begins with the wrong bracket */
	CORRUPT_NOISE,        /* random bytes for a header */
	CORRUPT_NO_NUMBER,    /* no `frame` */
	CORRUPT_NO_SHAPE,     /* no `shape` */
	CORRUPT_UNKNOWN_TYPE, /* `type` that does not exist */
	CORRUPT_LONG_PIXELS,  /* more pixels than the shape says */
	CORRUPTION_COUNT
};

/* "cut_header", ... as in the report. */
const char *corruption_name(enum corruption c);

/* One step of the plan: a message to send, or a number to leave out. */
struct shot {
	uint64_t number;
	uint64_t index; /* of the number: 0 for the first */
	uint64_t slot;  /* of the step in time, counted in numbers: index of what would be here */
	enum shot_fate fate;
	enum corruption corruption; /* SHOT_CORRUPTED */
	bool repeated;              /* the second copy of a frame */
	bool swapped;               /* sent early, in the place of `partner`, which comes later */
	uint64_t partner;           /* frame number */
	uint64_t random;            /* for whatever the fault needs */
};

struct faults {
	struct fault_options options;
	uint64_t state;
	uint64_t planned; /* numbers in blocks so far */
	unsigned count, at;
	struct shot block[2 * FAULT_BLOCK];
};

/* options: chances in [0, 1], lose + corrupt + truncate <= 1; the caller has checked. */
void faults_init(struct faults *f, const struct fault_options *o);

/* The next step. False at the end of the plan. */
bool faults_next(struct faults *f, struct shot *ret);

/* Whether the next step begins a block: everything planned so far has been taken. */
bool faults_at_block(const struct faults *f);

#endif
