/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_LAST_LOSS_H
#define DAEMON_LAST_LOSS_H

#include "daemon/snapshot.h"
#include "sinks/ledger.h"

#include <stdbool.h>
#include <stdint.h>

/* Why frames were lost: how things were in the second before, put in a sentence for people. Losses
 * for the same reason within a second of each other are one burst. Bookkeeping, without a clock:
 * daemon/losses.h feeds it. The collector writes; any thread reads the last burst. */

/* How things are. */
struct loss_sample {
	uint64_t ns;                          /* CLOCK_MONOTONIC */
	uint64_t frames, bytes_in, bytes_out; /* since start */
	uint64_t slots, used;                 /* of the buffer; of those used, */
	uint64_t unclaimed;                   /* so many wait for a worker, */
	uint64_t held;                        /* and so many for a number before theirs */
	bool full;                            /* a receiver has no slot to spare */
	uint64_t write_ns, sync_ns; /* longest that ended since the sample before; 0: none did */
	uint64_t under_way;         /* writes and syncs */
};

#define LOSS_SAMPLES   101
#define LOSS_SAMPLE_NS 10000000u

/* What keeps the buffer full. */
enum loss_cause { LOSS_DISK, LOSS_WORKERS, LOSS_GAP, LOSS_CAUSE_COUNT };

/* One burst. Whole words. */
struct loss_record {
	uint64_t time_ns; /* CLOCK_REALTIME, of the first; 0: there was none */
	uint64_t series;  /* since start, of any kind */
	uint64_t step;    /* of numbers */
	uint64_t first_frame, last_frame, frames;
	uint64_t state, reason; /* enum frame_state and its reason */

	/* Of the second before, and until the burst's end: */
	double buffer_used;         /* share, at most */
	uint64_t full_ns;           /* the buffer has been full for so long */
	uint64_t write_ns, sync_ns; /* longest */
	/* Sums over the samples with a full buffer. */
	uint64_t samples, used, unclaimed, held;

	/* Of the second before, or of the first one of a burst that is as long: */
	double fps, bytes_in_per_s, bytes_out_per_s;
	uint64_t under_way; /* when it began */
};

#define LOSS_KINDS (DROPPED_COUNT + MISSING_COUNT)

struct last_loss {
	struct loss_sample at[LOSS_SAMPLES]; /* [count % LOSS_SAMPLES] comes next */
	uint64_t count;
	uint64_t full_since_ns; /* 0: it is not full */
	struct loss_burst {
		struct loss_record record; /* the last of its kind in the series */
		uint64_t last_ns;          /* CLOCK_MONOTONIC, of its last loss; 0: it is over */
		uint64_t began_ns;
		uint64_t told_ns; /* it began then, or was told of last */
	} kinds[LOSS_KINDS];
	unsigned open;  /* bit i: kinds[i] goes on */
	unsigned shown; /* kinds[shown] is the last one, on the board */
	_Alignas(64) _Atomic uint64_t board[SNAPSHOT_WORDS(struct loss_record)];
};

/* Take a sample, the next one LOSS_SAMPLE_NS later. */
void last_loss_sample(struct last_loss *l, const struct loss_sample *s);

/* A series begins: what is known of the one before counts no more, but for last_loss_get(). */
void last_loss_begin(struct last_loss *l);

/* Frames from `number` on, each `step` behind the one before. */
struct lost_frame {
	uint64_t number, count, step, series;
	enum frame_state state; /* FRAME_DROPPED or FRAME_MISSING */
	unsigned reason;
	uint64_t monotonic_ns;
	uint64_t real_ns; /* of one that begins a burst */
};

/* Whether the frame would begin a burst: then there should be a sample of now. */
bool last_loss_begins(const struct last_loss *l, const struct lost_frame *f);

void last_loss_add(struct last_loss *l, const struct lost_frame *f);

/* A burst that should be told of: it ended, or has gone on for ten seconds since it was told of
 * last. `all`: those too that are not over yet; the series ends. False: there is none (more). */
bool last_loss_due(struct last_loss *l, uint64_t monotonic_ns, bool all, struct loss_record *ret);

/* The bursts of the series, the last of each kind [LOSS_KINDS]. Returns how many. */
unsigned last_loss_series(const struct last_loss *l, struct loss_record ret[LOSS_KINDS]);

/* The last burst since start; any thread. */
void last_loss_get(struct last_loss *l, struct loss_record *ret);

/* "12:03:05 UTC: frames 512 to 530 dropped (overload): the buffer was full for 0.8 s; 1.21 GB/s
 * came, ...": what happened, why, and what to do. */
#define LOSS_TEXT 512
/* Of the record: where most of the frames were while the buffer was full. */
enum loss_cause last_loss_cause(const struct loss_record *r);

void last_loss_text(const struct loss_record *r, char ret[LOSS_TEXT]);

#endif
