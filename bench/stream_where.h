/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_STREAM_WHERE_H
#define BENCH_STREAM_WHERE_H

#include "bench/stream_bench.h"

#include <jansson.h>

/* Where the time of the runs of one stream went: the sum of what /proc said of each. */
struct stream_where {
	struct trial_thread threads[TRIAL_THREADS_MAX]; /* those of a name together */
	unsigned members[TRIAL_THREADS_MAX];            /* how many in one run, at least */
	unsigned count, runs;
	uint64_t frames;
	double seconds, cpu_daemon_s, cpu_sender_s, others_s;
	double loopback_bytes;
};

/* One more run. */
void stream_where_add(struct stream_where *w, const struct trial_figures *f);

/* How often the kernel copies the pixels of a frame: into a socket and out of it. */
unsigned stream_where_copies(const struct stream_kind *k);

/* Frames that the loopback interface carried for each, whoever sent them; not over tcp: NAN. */
double stream_where_carried(const struct stream_where *w, const struct stream_kind *k);

/* The share of all cores that other programs took; 0: not known. */
double stream_where_others(const struct stream_where *w, unsigned cores);

/* What is known, to print and to keep. */
struct stream_account {
	const struct stream_kind *kind;
	const char *name;
	double limit_s; /* CPU time of a frame that would be enough */
	unsigned cores;
	const struct stream_calls *calls;
};

/* Cores that did nothing of ours or of others, seconds a frame. */
double stream_where_idle(const struct stream_where *w, unsigned cores);

void stream_where_print(const struct stream_where *w, const struct stream_account *a);

/* Members for the row of the JSON. A new reference. */
json_t *stream_where_json(const struct stream_where *w, const struct stream_account *a);

#endif
