/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_STREAM_BENCH_H
#define BENCH_STREAM_BENCH_H

#include "bench/bench_options.h"
#include "bench/results.h"
#include "bench/stream_costs.h"
#include "bench/stream_kind.h"
#include "bench/trial.h"

/* Where the measurements of one call of `openbeam-bench stream` stand, and what one part found
 * that others need. Functions return 0 or an exit status with why. */

/* What was found of the stream that others are compared with: tcp, one endpoint, no disk; and the
 * same to the disk. Medians, seconds a frame. */
struct stream_found {
	struct stream_costs costs;
	struct samples rate;      /* to null, frames/s */
	struct samples rate_disk; /* to the disk */
	double rest, rest_disk;   /* what the daemon needed beside its part of the costs */
	double rest_sender;
};

struct stream_bench {
	const struct bench_options *options;
	struct results *results;
	const volatile sig_atomic_t *stop;
	uint64_t begin_ns;
	unsigned cores;
	bool failed;        /* frames were lost, or wrong */
	bool noisy;         /* costs of one thing differed by more than a tenth */
	struct trial trial; /* of the size in hand */
	struct stream_meter meter;
	struct stream_found found;
};

/* Whether something can begin that ends within `needed_s`; with --full always. */
bool stream_has_time(const struct stream_bench *b, double needed_s);

/* Make the trial that of a kind: other sizes need new pictures. */
int stream_use(struct stream_bench *b, const struct stream_kind *k, char why[512]);

/* Frames of a run of `seconds` that fit on the disk, at this rate; 0: not known. */
uint64_t stream_frames(const struct stream_bench *b, double rate, double seconds);

/* Add a row in the unit of a second per frame times `scale`. */
void stream_add_cost(struct stream_bench *b, const char *name, const struct samples *cost,
                     double scale, const char *unit, const char *note);

/* Rows scaling-pass-N and scaling-stream-N. */
int stream_scaling(struct stream_bench *b, char why[512]);

/* Rows predict-*, after all others. */
int stream_predict(struct stream_bench *b, char why[512]);

/* System calls a frame of both programs, by two traced runs of different length; a count of 0:
 * not known. Needs a trial in use. */
struct stream_calls {
	double per_frame[2]; /* openbeamd, openbeam-send; NAN: not counted */
	char text[2][160];   /* which, the most frequent first; or why they were not counted */
};
int stream_count_calls(struct stream_bench *b, struct stream_calls *ret, char why[512]);

#endif
